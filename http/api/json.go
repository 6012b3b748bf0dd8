package api

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deep the JSON of a request may nest.
const MaxDepth = 32

var (
	errNotObject = errors.New("must be a JSON object")
	errTooDeep   = errors.New("must not nest deeper than 32 levels")
	errZero      = errors.New("must not hold U+0000")
	errJSON      = errors.New("must be valid JSON")
)

// checkJSON refuses a body that is not one strict JSON object: duplicate names,
// invalid UTF-8, a byte order mark, anything after the object, too deep, or
// U+0000 in any string.
func checkJSON(body []byte) error {
	if !jsontext.Value(body).IsValid() {
		return errJSON
	}
	return checkShape(body)
}

// canonicalJSON is checkJSON that also appends the body in the canonical form
// of RFC 8785 to dst.
func canonicalJSON(dst, body []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, body...)
	canonical := jsontext.Value(dst[start:])
	if err := canonical.Canonicalize(); err != nil {
		return dst[:start], errJSON
	}
	return append(dst[:start], canonical...), checkShape(body)
}

// checkShape is the part of checkJSON beyond grammar, for valid JSON.
func checkShape(body []byte) error {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); trimmed[0] != '{' {
		return errNotObject
	}
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) > MaxDepth && depth(body) > MaxDepth {
		return errTooDeep
	}
	if holdsZero(body) {
		return errZero
	}
	return nil
}

// depth returns how deep valid JSON nests.
func depth(body []byte) int {
	deepest, level := 0, 0
	for at := 0; at < len(body); at++ {
		switch body[at] {
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		case '"':
			for at++; body[at] != '"'; at++ {
				if body[at] == '\\' {
					at++
				}
			}
		}
	}
	return deepest
}

const escapedZero = `\u0000`

// holdsZero tells whether a string of valid JSON holds U+0000. JSON can write
// it only as an escape; a backslash before that makes it plain text.
func holdsZero(body []byte) bool {
	for from := 0; ; {
		found := bytes.Index(body[from:], []byte(escapedZero))
		if found < 0 {
			return false
		}
		at := from + found
		before := at
		for before > 0 && body[before-1] == '\\' {
			before--
		}
		if (at-before)%2 == 0 {
			return true
		}
		from = at + len(escapedZero)
	}
}

// explainJSON says for the log where malformed JSON is wrong.
func explainJSON(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if err := d.SkipValue(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("text follows the value")
	}
	return errors.New("not valid")
}

// AppendJSON appends out as JSON. Equal values give equal bytes, a nil slice is
// [] and a nil map {}. Envelopes write their bodies with it.
func AppendJSON(dst []byte, out any) ([]byte, error) {
	buffer := bytes.NewBuffer(dst)
	if err := json.MarshalWrite(buffer, out, json.Deterministic(true)); err != nil {
		return dst, err
	}
	return buffer.Bytes(), nil
}

// appendText appends text as a JSON string. Invalid UTF-8 is replaced.
func appendText(dst []byte, text string) []byte {
	quoted, err := jsontext.AppendQuote(dst, text)
	if err != nil {
		quoted, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(text, "\uFFFD"))
	}
	return quoted
}
