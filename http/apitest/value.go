package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// value is a JSON value that remembers the order of members and the digits of
// numbers.
type value struct {
	kind    kind
	text    string // string: unescaped; number, literal: as written
	members []member
	items   []value
}

type kind uint8

const (
	literal kind = iota // null, true, false
	number
	text
	array
	object
)

type member struct {
	name  string
	value value
}

// parseValue reads one JSON value. Two members of one name are an error.
func parseValue(source string) (value, error) {
	d := json.NewDecoder(strings.NewReader(source))
	d.UseNumber()
	v, err := readValue(d)
	if err != nil {
		return value{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return value{}, errors.New("text follows the value")
	}
	return v, nil
}

func readValue(d *json.Decoder) (value, error) {
	token, err := d.Token()
	if err != nil {
		return value{}, err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return readArray(d)
		}
		return readObject(d)
	case string:
		return value{kind: text, text: token}, nil
	case json.Number:
		return value{kind: number, text: token.String()}, nil
	case nil:
		return value{text: "null"}, nil
	}
	return value{text: fmt.Sprint(token)}, nil
}

func readArray(d *json.Decoder) (value, error) {
	v := value{kind: array}
	for d.More() {
		item, err := readValue(d)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	_, err := d.Token()
	return v, err
}

func readObject(d *json.Decoder) (value, error) {
	v := value{kind: object}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return value{}, err
		}
		inner, err := readValue(d)
		if err != nil {
			return value{}, err
		}
		if _, twice := v.member(name.(string)); twice {
			return value{}, fmt.Errorf("member %q is there twice", name)
		}
		v.members = append(v.members, member{name.(string), inner})
	}
	_, err := d.Token()
	return v, err
}

func (v value) member(name string) (value, bool) {
	for _, m := range v.members {
		if m.name == name {
			return m.value, true
		}
	}
	return value{}, false
}

// sorted returns v with the members of every object in the order of their names.
func (v value) sorted() value {
	v.items, v.members = slices.Clone(v.items), slices.Clone(v.members)
	for i := range v.items {
		v.items[i] = v.items[i].sorted()
	}
	for i := range v.members {
		v.members[i].value = v.members[i].value.sorted()
	}
	slices.SortFunc(v.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return v
}

// compact is v as JSON on one line.
func (v value) compact() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v value) write(b *strings.Builder) {
	switch v.kind {
	case text:
		b.WriteString(quote(v.text))
	case array:
		b.WriteByte('[')
		for i, item := range v.items {
			separate(b, i)
			item.write(b)
		}
		b.WriteByte(']')
	case object:
		b.WriteByte('{')
		for i, m := range v.members {
			separate(b, i)
			b.WriteString(quote(m.name) + ":")
			m.value.write(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString(v.text)
	}
}

func separate(b *strings.Builder, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

// pretty is v as JSON with one member or item per line.
func (v value) pretty() string {
	var b bytes.Buffer
	// compact has just written valid JSON.
	_ = json.Indent(&b, []byte(v.compact()), "", "  ")
	return b.String()
}

// quote writes a JSON string; placeholders stay readable.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}
