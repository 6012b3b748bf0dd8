package ledgerchain

import (
	"bytes"
	"iter"
	"strconv"
	"strings"
)

// Members yields the members of a canonical object: the name between its quotes, and the value's bytes.
// Both point into the object. It ends early where the object is not canonical.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if len(object) == 0 || object[0] != '{' {
			return
		}
		for i := 1; i < len(object) && object[i] != '}'; {
			name, value, length, err := scanMember(object, i, MaxDepth)
			if err != nil || !yield(name, object[value:value+length]) {
				return
			}
			i = value + length
			if i < len(object) && object[i] == ',' {
				i++
			}
		}
	}
}

// Member returns the value of the named member of a canonical object. The name has no characters that are escaped.
func Member(object []byte, name string) (value []byte, ok bool) {
	for found, value := range Members(object) {
		if string(found) == name {
			return value, true
		}
	}
	return nil, false
}

// SetMember appends object with the named member set to value, in its sorted place.
// Object and value are canonical; the name is ASCII and has no characters that are escaped.
func SetMember(dst, object []byte, name string, value []byte) []byte {
	dst = append(dst, '{')
	start, placed := len(dst), false
	for other, kept := range Members(object) {
		order := compareNames(other, []byte(name))
		if order >= 0 && !placed {
			dst = appendMember(dst, start, name, value)
			placed = true
		}
		if order != 0 {
			dst = appendMember(dst, start, other, kept)
		}
	}
	if !placed {
		dst = appendMember(dst, start, name, value)
	}
	return append(dst, '}')
}

func appendMember[Name []byte | string](dst []byte, start int, rawName Name, value []byte) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, rawName...)
	dst = append(dst, '"', ':')
	return append(dst, value...)
}

// ParseString decodes a canonical string value.
func ParseString(value []byte) (s string, ok bool) {
	if end, err := scanValue(value, 0, 0); err != nil || end != len(value) || value[0] != '"' {
		return "", false
	}
	raw := value[1 : len(value)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	var decoded strings.Builder
	for len(raw) > 0 {
		c, size := unescape(raw)
		decoded.WriteByte(c)
		raw = raw[size:]
	}
	return decoded.String(), true
}

// ParseInt decodes an integer value, a number or the decimal string that stands for a large one.
func ParseInt(value []byte) (n int64, ok bool) {
	quoted := len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"'
	text := value
	if quoted {
		text = value[1 : len(value)-1]
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, false
	}
	// Only the one canonical spelling counts.
	var scratch [24]byte
	return n, bytes.Equal(AppendInt(scratch[:0], n), value)
}

// compareNames orders two raw names of members by their decoded bytes, as RFC 8785 asks.
func compareNames(a, b []byte) int {
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return bytes.Compare(a, b)
	}
	for len(a) > 0 && len(b) > 0 {
		x, sizeA := unescape(a)
		y, sizeB := unescape(b)
		if x != y {
			return int(x) - int(y)
		}
		a, b = a[sizeA:], b[sizeB:]
	}
	return len(a) - len(b)
}

// unescape decodes the first byte or canonical escape of raw and returns how many bytes it took.
func unescape(raw []byte) (byte, int) {
	if raw[0] != '\\' {
		return raw[0], 1
	}
	switch raw[1] {
	case 'b':
		return '\b', 2
	case 't':
		return '\t', 2
	case 'n':
		return '\n', 2
	case 'f':
		return '\f', 2
	case 'r':
		return '\r', 2
	case 'u':
		return unhex(raw[4])<<4 | unhex(raw[5]), 6
	}
	return raw[1], 2
}
