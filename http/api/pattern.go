package api

import (
	"fmt"
	"strings"
)

// segment is one part of a pattern between slashes.
type segment struct {
	text string // literal text, or the name of the parameter
	kind segmentKind
}

type segmentKind uint8

const (
	literal segmentKind = iota
	parameter
	remainder // all that follows, with its slashes
)

// parsePattern reads "/wallets/{id}/close". Only unreserved characters are
// literal, so that no percent-encoding is another name of a route.
func parsePattern(pattern string) ([]segment, error) {
	if pattern == "/" {
		return nil, nil
	}
	if !strings.HasPrefix(pattern, "/") {
		return nil, fmt.Errorf("pattern %q does not begin with a slash", pattern)
	}
	var segments []segment
	names := map[string]bool{}
	texts := strings.Split(pattern[1:], "/")
	for i, text := range texts {
		s, err := parseSegment(text)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if s.kind == remainder && i != len(texts)-1 {
			return nil, fmt.Errorf("pattern %q: {%s...} is not the last segment", pattern, s.text)
		}
		if s.kind != literal && names[s.text] {
			return nil, fmt.Errorf("pattern %q: parameter %s is there twice", pattern, s.text)
		}
		names[s.text] = s.kind != literal
		segments = append(segments, s)
	}
	return segments, nil
}

func parseSegment(text string) (segment, error) {
	if name, ok := strings.CutPrefix(text, "{"); ok {
		name, ok = strings.CutSuffix(name, "}")
		kind := parameter
		if rest, all := strings.CutSuffix(name, "..."); all {
			name, kind = rest, remainder
		}
		if !ok || name == "" || !isUnreserved(name) {
			return segment{}, fmt.Errorf("segment %q is not {name}", text)
		}
		return segment{name, kind}, nil
	}
	if text == "" || text == "." || text == ".." || !isUnreserved(text) {
		return segment{}, fmt.Errorf("segment %q is empty or has reserved characters", text)
	}
	return segment{text, literal}, nil
}

// isUnreserved tells whether text needs no percent-encoding (RFC 3986, 2.3).
func isUnreserved(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}

// isPlainPath tells whether every segment is a name: none is empty, "." or "..".
// What other software might rewrite never reaches a handler.
func isPlainPath(path string) bool {
	if path == "/" {
		return true
	}
	if path == "" || path[0] != '/' {
		return false
	}
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		if s := path[start:i]; s == "" || s == "." || s == ".." {
			return false
		}
		start = i + 1
	}
	return true
}
