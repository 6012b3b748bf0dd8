package api

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner walks JSON text that checkJSON has accepted, so it never looks at
// grammar again. The strings it returns share the memory of the text.
type scanner struct {
	text string
	at   int
	room []byte // for strings with escapes
}

// next skips white space, commas and colons and returns the byte that begins
// the next thing, without taking it.
func (s *scanner) next() byte {
	for {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r', ',', ':':
			s.at++
		default:
			return c
		}
	}
}

// take takes one byte that next has returned.
func (s *scanner) take() { s.at++ }

// string takes a string and undoes its escapes.
func (s *scanner) string() string {
	raw, escaped := s.rawString()
	if !escaped {
		return raw[1 : len(raw)-1]
	}
	// The text is valid, so unquoting cannot fail.
	s.room, _ = jsontext.AppendUnquote(s.room[:0], raw)
	return string(s.room)
}

// rawString takes a string with its quotes and tells whether it has escapes.
func (s *scanner) rawString() (raw string, escaped bool) {
	start := s.at
	end := start + 1
	for {
		end += strings.IndexByte(s.text[end:], '"')
		if !escaped && strings.IndexByte(s.text[start:end], '\\') < 0 {
			break
		}
		escaped = true
		if !oddBackslashes(s.text[start:end]) {
			break
		}
		end++
	}
	s.at = end + 1
	return s.text[start:s.at], escaped
}

// oddBackslashes tells whether what follows text is escaped.
func oddBackslashes(text string) bool {
	count := 0
	for count < len(text) && text[len(text)-1-count] == '\\' {
		count++
	}
	return count%2 == 1
}

// literal takes a number, true, false or null.
func (s *scanner) literal() string {
	start := s.at
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r', ',', ':', '}', ']':
			return s.text[start:s.at]
		}
		s.at++
	}
	return s.text[start:]
}

// value takes a whole value of any kind and returns its text.
func (s *scanner) value() string {
	start := s.at
	for depth := 0; ; {
		switch s.next() {
		case '"':
			s.rawString()
		case '{', '[':
			depth++
			s.at++
			continue
		case '}', ']':
			depth--
			s.at++
		default:
			s.literal()
		}
		if depth == 0 {
			return s.text[start:s.at]
		}
	}
}

// null takes the next value if it is null.
func (s *scanner) null() bool {
	if s.next() != 'n' {
		return false
	}
	s.literal()
	return true
}
