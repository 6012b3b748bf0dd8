package ledgerchain

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads one JSON string with all its escapes. Unlike encoding/json it refuses what it cannot represent.
func (p *jsonParser) string() (string, error) {
	var s []byte
	p.at++ // the quote
	for p.at < len(p.text) {
		end := plainEnd(p.text, p.at)
		s = append(s, p.text[p.at:end]...)
		p.at = end
		switch c := p.peek(); {
		case p.at == len(p.text):
		case c == '"':
			p.at++
			return string(s), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			s = utf8.AppendRune(s, r)
		case c < 0x20:
			return "", errors.New("control character in a string")
		default:
			r, size := utf8.DecodeRune(p.text[p.at:])
			if r == utf8.RuneError && size == 1 {
				return "", errors.New("string is not UTF-8")
			}
			s = append(s, p.text[p.at:p.at+size]...)
			p.at += size
		}
	}
	return "", errors.New("unexpected end of string")
}

func (p *jsonParser) escape() (rune, error) {
	p.at++ // the backslash
	c := p.peek()
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 't':
		return '\t', nil
	case 'n':
		return '\n', nil
	case 'f':
		return '\f', nil
	case 'r':
		return '\r', nil
	case 'u':
		return p.codePoint()
	}
	return 0, errors.New("unknown escape in a string")
}

// codePoint reads the four digits after \u, and the second half of a surrogate pair.
func (p *jsonParser) codePoint() (rune, error) {
	high, err := p.codeUnit()
	if err != nil || !utf16.IsSurrogate(high) {
		return high, err
	}
	if !p.literal(`\u`) {
		return 0, errors.New("half a surrogate pair in a string")
	}
	low, err := p.codeUnit()
	if err != nil {
		return 0, err
	}
	r := utf16.DecodeRune(high, low)
	if r == utf8.RuneError {
		return 0, errors.New("half a surrogate pair in a string")
	}
	return r, nil
}

func (p *jsonParser) codeUnit() (rune, error) {
	if len(p.text)-p.at < 4 {
		return 0, errors.New("unexpected end of string")
	}
	unit, err := strconv.ParseUint(string(p.text[p.at:p.at+4]), 16, 16)
	if err != nil {
		return 0, errors.New("want four hexadecimal digits after \\u")
	}
	p.at += 4
	return rune(unit), nil
}
