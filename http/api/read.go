package api

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func wrong(reason string) *Violation { return &Violation{Reason: reason} }

const (
	reasonString = "must be a string"
	reasonBool   = "must be true or false"
	reasonObject = "must be an object"
	reasonArray  = "must be an array"
	reasonRange  = "is out of range"
	reasonForm   = "has the wrong form"
)

func readString(d *decoding, v reflect.Value) *Violation {
	if d.next() != '"' {
		return wrong(reasonString)
	}
	v.SetString(d.string())
	return nil
}

func readBool(d *decoding, v reflect.Value) *Violation {
	switch d.next() {
	case 't', 'f':
		v.SetBool(d.literal() == "true")
		return nil
	}
	return wrong(reasonBool)
}

func readInt(d *decoding, v reflect.Value) *Violation {
	if c := d.next(); c != '-' && (c < '0' || c > '9') {
		return wrong(reasonInteger)
	}
	return parseInt(d.literal(), v)
}

func readInteger(d *decoding, v reflect.Value) *Violation {
	switch c := d.next(); {
	case c == '"':
		return parseInteger(d.string(), v)
	case c == '-', c >= '0' && c <= '9':
		return parseInteger(d.literal(), v)
	}
	return wrong(reasonInteger)
}

func readTime(d *decoding, v reflect.Value) *Violation {
	if d.next() != '"' {
		return wrong(reasonTime)
	}
	return parseTime(d.string(), v)
}

func readParsed(parse parser) reader {
	return func(d *decoding, v reflect.Value) *Violation {
		if d.next() != '"' {
			return wrong(reasonString)
		}
		return parse(d.string(), v)
	}
}

// readRaw keeps a value as compact JSON, so that its length is what counts.
func readRaw(d *decoding, v reflect.Value) *Violation {
	d.next()
	raw := jsontext.Value(d.value())
	if err := raw.Compact(); err != nil {
		return wrong(reasonForm)
	}
	v.SetBytes(raw)
	return nil
}

// readAny reads types that decode themselves.
func readAny(d *decoding, v reflect.Value) *Violation {
	d.next()
	err := json.Unmarshal([]byte(d.value()), v.Addr().Interface(), json.RejectUnknownMembers(d.strict))
	if err != nil {
		return wrong(reasonForm)
	}
	return nil
}

func readStruct(p *plan) reader {
	return func(d *decoding, v reflect.Value) *Violation {
		if d.next() != '{' {
			return wrong(reasonObject)
		}
		var found found
		p.read(d, v, &found)
		return p.check(v, &found)
	}
}

// readList reads and checks element by element, so that the first bad row of a
// long list is the one that is named.
func readList(elem shape, rules []rule, limit int) reader {
	return func(d *decoding, v reflect.Value) *Violation {
		if d.next() != '[' {
			return wrong(reasonArray)
		}
		d.take()
		v.Set(reflect.MakeSlice(v.Type(), 0, d.guess(limit)))
		for i := 0; d.next() != ']'; i++ {
			if i == limit {
				return &Violation{Reason: atMost(limit, "items"), tag: "max"}
			}
			v.Grow(1)
			v.SetLen(i + 1)
			if d.null() {
				return wrong("must not hold null").atRow(i)
			}
			item := v.Index(i)
			if violation := elem.read(d, item); violation != nil {
				return violation.atRow(i)
			}
			if violation, _ := run(rules, item, item, nil); violation != nil {
				return violation.atRow(i)
			}
		}
		d.take()
		return nil
	}
}

// guess is how many elements the rest of the text may hold, at most limit.
func (s *scanner) guess(limit int) int {
	rest := s.text[s.at:]
	return min(limit, 1+strings.Count(rest, "{"), 1+strings.Count(rest, ","))
}

func parseString(text string, v reflect.Value) *Violation {
	if !plainText(text) {
		return wrong("must be valid text")
	}
	v.SetString(text)
	return nil
}

// plainText tells whether a parameter is text that state can hold: UTF-8
// without U+0000. JSON is checked as a whole.
func plainText(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

func parseBool(text string, v reflect.Value) *Violation {
	switch text {
	case "true", "1":
		v.SetBool(true)
	case "false", "0":
		v.SetBool(false)
	default:
		return wrong(reasonBool)
	}
	return nil
}

func parseInt(text string, v reflect.Value) *Violation {
	if !isInteger(text) {
		return wrong(reasonInteger)
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v.OverflowInt(value) {
		return wrong(reasonRange)
	}
	v.SetInt(value)
	return nil
}

func parseInteger(text string, v reflect.Value) *Violation {
	value, err := ParseInteger(text)
	if err != nil {
		return wrong(err.Error())
	}
	v.Field(0).SetInt(value)
	v.Field(1).SetBool(true)
	return nil
}

func parseTime(text string, v reflect.Value) *Violation {
	value, err := ParseTime(text)
	if err != nil {
		return wrong(reasonTime)
	}
	v.SetInt(int64(value))
	return nil
}

// parseText reads types that parse themselves.
func parseText(t reflect.Type) parser {
	return func(text string, v reflect.Value) *Violation {
		if !plainText(text) {
			return wrong("must be valid text")
		}
		err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		if err == nil {
			return nil
		}
		violation := wrong(reasonForm)
		if t == cursorType {
			violation.Code = CodeInvalidCursor
		}
		return violation
	}
}
