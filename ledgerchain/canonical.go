package ledgerchain

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// CheckCanonical reports whether payload is one object in canonical form and within MaxPayload.
// It accepts exactly what Encoder can write, allocates nothing when it accepts and never panics.
func CheckCanonical(payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("canonical payload: %d bytes, limit %d", len(payload), MaxPayload)
	}
	if len(payload) == 0 || payload[0] != '{' {
		return errors.New("canonical payload: not an object")
	}
	end, err := scanValue(payload, 0, MaxDepth)
	if err != nil {
		return fmt.Errorf("canonical payload: %w", err)
	}
	if end != len(payload) {
		return fmt.Errorf("canonical payload: byte %d: bytes after the object", end)
	}
	return nil
}

// scanValue checks the value that starts at i and returns the place after it; depth is how deep it may nest.
func scanValue(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return 0, errors.New("unexpected end")
	}
	switch c := b[i]; {
	case c == '"':
		return scanString(b, i)
	case c == '{' || c == '[':
		if depth == 0 {
			return 0, fmt.Errorf("byte %d: nested too deep", i)
		}
		if c == '{' {
			return scanObject(b, i, depth-1)
		}
		return scanArray(b, i, depth-1)
	case c == '-' || '0' <= c && c <= '9':
		return scanNumber(b, i)
	case bytes.HasPrefix(b[i:], []byte("true")):
		return i + len("true"), nil
	case bytes.HasPrefix(b[i:], []byte("false")):
		return i + len("false"), nil
	}
	return 0, fmt.Errorf("byte %d: not a canonical value", i)
}

func scanObject(b []byte, i, depth int) (int, error) {
	i++ // the bracket
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	var last []byte
	for first := true; ; first = false {
		name, value, length, err := scanMember(b, i, depth)
		if err != nil {
			return 0, err
		}
		if !first && compareNames(last, name) >= 0 {
			return 0, fmt.Errorf("byte %d: key not above the one before", i)
		}
		last, i = name, value+length
		if i >= len(b) {
			return 0, errors.New("unexpected end")
		}
		switch b[i] {
		case '}':
			return i + 1, nil
		case ',':
			i++
		default:
			return 0, fmt.Errorf("byte %d: not a comma or end of object", i)
		}
	}
}

// scanMember checks the member that starts at i. It returns the name between its quotes,
// the place of the value and the value's length.
func scanMember(b []byte, i, depth int) (name []byte, value, length int, err error) {
	if i >= len(b) || b[i] != '"' {
		return nil, 0, 0, fmt.Errorf("byte %d: not a key", i)
	}
	end, err := scanString(b, i)
	if err != nil {
		return nil, 0, 0, err
	}
	name = b[i+1 : end-1]
	for k := range name {
		if name[k] >= utf8.RuneSelf {
			return nil, 0, 0, fmt.Errorf("byte %d: key is not ASCII", i)
		}
	}
	if end >= len(b) || b[end] != ':' {
		return nil, 0, 0, fmt.Errorf("byte %d: not a colon", end)
	}
	value = end + 1
	end, err = scanValue(b, value, depth)
	return name, value, end - value, err
}

func scanArray(b []byte, i, depth int) (int, error) {
	i++ // the bracket
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		end, err := scanValue(b, i, depth)
		if err != nil {
			return 0, err
		}
		if end >= len(b) {
			return 0, errors.New("unexpected end")
		}
		switch b[end] {
		case ']':
			return end + 1, nil
		case ',':
			i = end + 1
		default:
			return 0, fmt.Errorf("byte %d: not a comma or end of array", end)
		}
	}
}

// scanNumber checks an integer within ±MaxInteger, without leading zeros and without minus zero.
func scanNumber(b []byte, i int) (int, error) {
	start := i
	if b[i] == '-' {
		i++
	}
	first, n := i, uint64(0)
	for i < len(b) && '0' <= b[i] && b[i] <= '9' && i-first < 17 {
		n = n*10 + uint64(b[i]-'0')
		i++
	}
	switch {
	case i == first, n > MaxInteger:
		return 0, fmt.Errorf("byte %d: integer beyond the limits", start)
	case b[first] == '0' && (i > first+1 || first > start):
		return 0, fmt.Errorf("byte %d: leading zero or minus zero", start)
	}
	return i, nil
}

func scanString(b []byte, i int) (int, error) {
	i++ // the quote
	for {
		i = plainEnd(b, i)
		if i >= len(b) {
			return 0, errors.New("unexpected end of string")
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			size := escapeSize(b[i:])
			if size == 0 {
				return 0, fmt.Errorf("byte %d: not a canonical escape", i)
			}
			i += size
		case c < 0x20:
			return 0, fmt.Errorf("byte %d: control character", i)
		default:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				return 0, fmt.Errorf("byte %d: not UTF-8", i)
			}
			i += size
		}
	}
}

// escapeSize returns the length of the canonical escape at the start of b, or 0.
func escapeSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', 'b', 't', 'n', 'f', 'r':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		c := unhex(b[4])<<4 | unhex(b[5])
		if c >= 0x20 || !bytes.Equal(b[:6], appendEscapedByte(make([]byte, 0, 6), c)) {
			return 0
		}
		return 6
	}
	return 0
}

func unhex(c byte) byte {
	if 'a' <= c && c <= 'f' {
		return c - 'a' + 10
	}
	return c - '0'
}
