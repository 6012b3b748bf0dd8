package ledgerchain

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Canonicalize returns the canonical form of any JSON object that a payload may hold as a value.
// It refuses null, fractions, exponents, integers beyond 64 bits, keys that are not ASCII, duplicate keys,
// broken UTF-8 or surrogates, and what would not fit into a payload.
func Canonicalize(object []byte) ([]byte, error) {
	p := &jsonParser{text: object}
	p.space()
	if p.peek() != '{' {
		return nil, errors.New("canonicalize: not an object")
	}
	canonical, err := p.value(nil, MaxDepth-2) // room for the payload and one object around it
	if err != nil {
		return nil, fmt.Errorf("canonicalize: byte %d: %w", p.at, err)
	}
	p.space()
	if p.at != len(object) {
		return nil, fmt.Errorf("canonicalize: byte %d: bytes after the object", p.at)
	}
	if len(canonical) > MaxPayload {
		return nil, fmt.Errorf("canonicalize: %d bytes, limit %d", len(canonical), MaxPayload)
	}
	return canonical, nil
}

// jsonParser reads RFC 8259 text and writes canonical bytes as it goes.
type jsonParser struct {
	text []byte
	at   int
}

type jsonMember struct {
	name  string
	value []byte
}

func (p *jsonParser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0 // never legal where it is asked
}

func (p *jsonParser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *jsonParser) literal(word string) bool {
	if len(p.text)-p.at < len(word) || string(p.text[p.at:p.at+len(word)]) != word {
		return false
	}
	p.at += len(word)
	return true
}

func (p *jsonParser) value(dst []byte, depth int) ([]byte, error) {
	switch c := p.peek(); {
	case c == '"':
		s, err := p.string()
		return AppendString(dst, s), err
	case (c == '{' || c == '[') && depth == 0:
		return nil, errors.New("nested too deep")
	case c == '{':
		return p.object(dst, depth-1)
	case c == '[':
		return p.array(dst, depth-1)
	case c == '-' || '0' <= c && c <= '9':
		n, err := p.integer()
		return AppendInt(dst, n), err
	case p.literal("true"):
		return append(dst, "true"...), nil
	case p.literal("false"):
		return append(dst, "false"...), nil
	case p.literal("null"):
		return nil, errors.New("null is not allowed")
	}
	return nil, errors.New("not a JSON value")
}

func (p *jsonParser) object(dst []byte, depth int) ([]byte, error) {
	var members []jsonMember
	p.at++ // the bracket
	for p.space(); p.peek() != '}'; p.space() {
		if len(members) > 0 {
			if p.peek() != ',' {
				return nil, errors.New("not a comma or end of object")
			}
			p.at++
			p.space()
		}
		member, err := p.member(depth)
		if err != nil {
			return nil, err
		}
		members = append(members, member)
	}
	p.at++
	slices.SortFunc(members, func(a, b jsonMember) int { return strings.Compare(a.name, b.name) })
	dst = append(dst, '{')
	for i, member := range members {
		if i > 0 {
			if member.name == members[i-1].name {
				return nil, fmt.Errorf("key %q stands twice", member.name)
			}
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, member.name), ':')
		dst = append(dst, member.value...)
	}
	return append(dst, '}'), nil
}

func (p *jsonParser) member(depth int) (jsonMember, error) {
	if p.peek() != '"' {
		return jsonMember{}, errors.New("not a key")
	}
	name, err := p.string()
	if err != nil {
		return jsonMember{}, err
	}
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return jsonMember{}, fmt.Errorf("key %q is not ASCII", name)
		}
	}
	p.space()
	if p.peek() != ':' {
		return jsonMember{}, errors.New("not a colon")
	}
	p.at++
	p.space()
	value, err := p.value(nil, depth)
	return jsonMember{name, value}, err
}

func (p *jsonParser) array(dst []byte, depth int) ([]byte, error) {
	p.at++ // the bracket
	dst = append(dst, '[')
	start := len(dst)
	for p.space(); p.peek() != ']'; p.space() {
		if len(dst) > start {
			if p.peek() != ',' {
				return nil, errors.New("not a comma or end of array")
			}
			p.at++
			p.space()
			dst = append(dst, ',')
		}
		var err error
		if dst, err = p.value(dst, depth); err != nil {
			return nil, err
		}
	}
	p.at++
	return append(dst, ']'), nil
}

func (p *jsonParser) integer() (int64, error) {
	start := p.at
	if p.peek() == '-' {
		p.at++
	}
	first := p.at
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.at++
	}
	switch c := p.peek(); {
	case p.at == first, p.text[first] == '0' && p.at > first+1:
		return 0, errors.New("not a JSON number")
	case c == '.' || c == 'e' || c == 'E':
		return 0, errors.New("not an integer")
	}
	n, err := strconv.ParseInt(string(p.text[start:p.at]), 10, 64)
	if err != nil {
		return 0, errors.New("integer beyond 64 bits")
	}
	return n, nil
}
