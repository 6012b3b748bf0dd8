package api

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rule is one word of a validate tag, compiled for the type of its member.
type rule struct {
	tag    string
	reason string
	holds  test
}

// test looks at a value of the struct that holds it. The whole request part
// and the member are there for rules over several members.
type test func(value, part reflect.Value, m *member) verdict

// verdict is what a test says.
type verdict uint8

const (
	holds  verdict = iota
	broken         // the request is refused
	done           // what follows in the tag does not apply
)

func verdictOf(ok bool) verdict {
	if ok {
		return holds
	}
	return broken
}

// subject is what the rules of a type look at: the value inside a pointer, an
// Optional or an Integer, and whether it is there.
type subject struct {
	of      reflect.Type
	inside  func(reflect.Value) reflect.Value // valid only when there
	there   func(reflect.Value) bool
	wrapped bool // an absent value passes every rule but required
}

func subjectOf(t reflect.Type) subject {
	same := func(v reflect.Value) reflect.Value { return v }
	switch {
	case t == integerType:
		return subject{reflect.TypeFor[int64](), func(v reflect.Value) reflect.Value { return v.Field(0) },
			func(v reflect.Value) bool { return v.Field(1).Bool() }, true}
	case isOptional(t):
		return subject{t.Field(optionalValue).Type, func(v reflect.Value) reflect.Value { return v.Field(optionalValue) },
			func(v reflect.Value) bool { return v.Field(optionalSet).Bool() && !v.Field(optionalNull).Bool() }, true}
	case t.Kind() == reflect.Pointer:
		return subject{t.Elem(), func(v reflect.Value) reflect.Value { return v.Elem() },
			func(v reflect.Value) bool { return !v.IsNil() }, true}
	case t.Kind() == reflect.String:
		return subject{t, same, func(v reflect.Value) bool { return v.Len() > 0 }, false}
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Map:
		return subject{t, same, func(v reflect.Value) bool { return !v.IsNil() }, false}
	}
	return subject{t, same, func(v reflect.Value) bool { return !v.IsZero() }, false}
}

// inner makes the rule for what is inside, which passes over the absent.
func (s subject) inner(tag, reason string, ok func(reflect.Value) bool) *rule {
	return &rule{tag, reason, func(value, _ reflect.Value, _ *member) verdict {
		if s.wrapped && !s.there(value) {
			return holds
		}
		return verdictOf(ok(s.inside(value)))
	}}
}

// native compiles the rules that requests mostly have. For the others it
// returns nil, and the validator library checks the whole member.
func (s subject) native(tag, param string) (*rule, error) {
	switch tag {
	case "required":
		return &rule{tag, "is required", func(value, _ reflect.Value, _ *member) verdict {
			return verdictOf(s.there(value))
		}}, nil
	case "omitempty":
		return &rule{tag, "", func(value, _ reflect.Value, _ *member) verdict {
			if s.there(value) {
				return holds
			}
			return done
		}}, nil
	case "min", "gte", "max", "lte", "len":
		return s.bound(tag, param)
	}
	if s.of.Kind() == reflect.String {
		return s.text(tag, param)
	}
	if s.of == rawType && tag == "object" {
		return s.inner(tag, reasonObject, func(v reflect.Value) bool { return v.Len() == 0 || v.Index(0).Uint() == '{' }), nil
	}
	return nil, nil
}

// text compiles rules of strings.
func (s subject) text(tag, param string) (*rule, error) {
	switch tag {
	case "id":
		return s.inner(tag, "must be id", func(v reflect.Value) bool { return IsID(v.String()) }), nil
	case "mail":
		return s.inner(tag, "must be an e-mail address", func(v reflect.Value) bool { return IsMail(v.String()) }), nil
	case "oneof":
		if strings.Contains(param, "'") {
			return nil, nil
		}
		words := strings.Fields(param)
		reason := "must be one of " + strings.Join(words, ", ")
		return s.inner(tag, reason, func(v reflect.Value) bool {
			text := v.String()
			for _, word := range words {
				if word == text {
					return true
				}
			}
			return false
		}), nil
	}
	return nil, nil
}

// bound compiles limits: characters of text, bytes of raw JSON, items of lists,
// else the number itself.
func (s subject) bound(tag, param string) (*rule, error) {
	limit, err := strconv.ParseInt(param, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s=%s needs an integer", tag, param)
	}
	unit, measure := "", func(v reflect.Value) int64 { return v.Int() }
	switch kind := s.of.Kind(); {
	case kind == reflect.String:
		unit, measure = "characters", func(v reflect.Value) int64 { return int64(utf8.RuneCountInString(v.String())) }
	case s.of == rawType:
		unit, measure = "bytes", func(v reflect.Value) int64 { return int64(v.Len()) }
	case kind == reflect.Slice, kind == reflect.Map:
		unit, measure = "items", func(v reflect.Value) int64 { return int64(v.Len()) }
	case !isInt(kind) || s.of == timeType:
		return nil, fmt.Errorf("%s does not bound a %s", tag, s.of)
	}
	switch tag {
	case "min", "gte":
		return s.inner(tag, atLeast(limit, unit), func(v reflect.Value) bool { return measure(v) >= limit }), nil
	case "max", "lte":
		return s.inner(tag, atMost(limit, unit), func(v reflect.Value) bool { return measure(v) <= limit }), nil
	}
	return s.inner(tag, exactly(limit, unit), func(v reflect.Value) bool { return measure(v) == limit }), nil
}

func isInt(kind reflect.Kind) bool { return kind >= reflect.Int && kind <= reflect.Int64 }
