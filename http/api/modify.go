package api

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// modifiers are the words of the tag `mod`, run in the order of the tag on a
// text before its rules.
var modifiers = map[string]func(string) string{
	"trim":  strings.TrimSpace,
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
}

func parseModifiers(tag string, t reflect.Type) (func(string) string, error) {
	if tag == "" {
		return nil, nil
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isOptional(t) {
		t = t.Field(optionalValue).Type
	}
	if t.Kind() != reflect.String {
		return nil, errors.New("tag mod is for text")
	}
	var chain []func(string) string
	for word := range strings.SplitSeq(tag, ",") {
		modify, known := modifiers[word]
		if !known {
			return nil, fmt.Errorf("tag mod knows no %q", word)
		}
		chain = append(chain, modify)
	}
	return func(text string) string {
		for _, modify := range chain {
			text = modify(text)
		}
		return text
	}, nil
}

// apply modifies the text in v, through pointers and Optionals.
func (m *member) apply(v reflect.Value) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct {
		v = v.Field(optionalValue)
	}
	v.SetString(m.modify(v.String()))
}

// clamped follows the tag `clamp:"default,max"` of an int parameter: what is no
// number of at least one, or absent, becomes the default, what is above the
// maximum the maximum.
func clamped(f reflect.StructField) (parser, error) {
	tag := f.Tag.Get("clamp")
	first, second, _ := strings.Cut(tag, ",")
	usual, err := strconv.Atoi(first)
	most, err2 := strconv.Atoi(second)
	if err := errors.Join(err, err2); err != nil || f.Type.Kind() != reflect.Int || usual < 1 || most < usual {
		return nil, fmt.Errorf("tag clamp %q is not default,max of an int", tag)
	}
	return func(text string, v reflect.Value) *Violation {
		value, err := strconv.Atoi(text)
		switch {
		case errors.Is(err, strconv.ErrRange) && !strings.HasPrefix(text, "-"):
			value = most
		case err != nil || value < 1:
			value = usual
		}
		v.SetInt(int64(min(value, most)))
		return nil
	}, nil
}
