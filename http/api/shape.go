package api

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// shape is how values of one type are read.
type shape struct {
	read  reader // from a body
	parse parser // from a parameter, nil when that cannot be
	plan  *plan  // of a struct, to check one that is absent
	nulls bool   // read takes null too; for others null is absent
	// nested are the plans of all structs inside, rows included.
	nested []*plan
}

// reader reads the next value of a body into v. It takes all of the value
// unless it finds something wrong.
type reader func(d *decoding, v reflect.Value) *Violation

// parser reads the text of a parameter into v.
type parser func(text string, v reflect.Value) *Violation

// decoding is one body on its way into a request.
type decoding struct {
	scanner
	strict bool // refuse unknown members
}

var (
	integerType = reflect.TypeFor[Integer]()
	timeType    = reflect.TypeFor[Time]()
	cursorType  = reflect.TypeFor[Cursor]()
	rawType     = reflect.TypeFor[jsontext.Value]()
	textType    = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonType    = reflect.TypeFor[json.Unmarshaler]()
	jsonToType  = reflect.TypeFor[json.UnmarshalerFrom]()
)

// shape compiles how a type is read. The validate tag bounds lists.
func (c *compiler) shape(t reflect.Type, tags string) (shape, error) {
	switch {
	case t == integerType:
		return shape{read: readInteger, parse: parseInteger}, nil
	case t == timeType:
		return shape{read: readTime, parse: parseTime}, nil
	case t == rawType:
		return shape{read: readRaw}, nil
	case isOptional(t):
		return c.optional(t, tags)
	case t.Kind() == reflect.Pointer:
		return c.pointer(t, tags)
	case reflect.PointerTo(t).Implements(textType):
		parse := parseText(t)
		return shape{read: readParsed(parse), parse: parse}, nil
	case reflect.PointerTo(t).Implements(jsonType), reflect.PointerTo(t).Implements(jsonToType):
		return shape{read: readAny}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return shape{read: readString, parse: parseString}, nil
	case reflect.Bool:
		return shape{read: readBool, parse: parseBool}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return shape{read: readInt, parse: parseInt}, nil
	case reflect.Struct:
		nested, err := c.plan(t)
		if err == nil {
			err = nested.bodyOnly()
		}
		return shape{read: readStruct(nested), plan: nested, nested: []*plan{nested}}, err
	case reflect.Slice:
		return c.list(t, tags)
	case reflect.Map:
		if t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String {
			return shape{read: readAny}, nil
		}
	}
	return shape{}, fmt.Errorf("no rule how to read a %s", t)
}

func (c *compiler) pointer(t reflect.Type, tags string) (shape, error) {
	inner, err := c.shape(t.Elem(), tags)
	if err != nil {
		return shape{}, err
	}
	outer := shape{nested: inner.nested, read: func(d *decoding, v reflect.Value) *Violation {
		v.Set(reflect.New(t.Elem()))
		return inner.read(d, v.Elem())
	}}
	if inner.parse != nil {
		outer.parse = func(text string, v reflect.Value) *Violation {
			v.Set(reflect.New(t.Elem()))
			return inner.parse(text, v.Elem())
		}
	}
	return outer, nil
}

func (c *compiler) optional(t reflect.Type, tags string) (shape, error) {
	inner, err := c.shape(t.Field(optionalValue).Type, tags)
	if err != nil {
		return shape{}, err
	}
	outer := shape{nested: inner.nested, nulls: true, read: func(d *decoding, v reflect.Value) *Violation {
		v.Field(optionalSet).SetBool(true)
		if d.null() {
			v.Field(optionalNull).SetBool(true)
			return nil
		}
		return inner.read(d, v.Field(optionalValue))
	}}
	if inner.parse != nil {
		outer.parse = func(text string, v reflect.Value) *Violation {
			v.Field(optionalSet).SetBool(true)
			return inner.parse(text, v.Field(optionalValue))
		}
	}
	return outer, nil
}

// list compiles a slice. It must have a limit, so that no body makes it long.
func (c *compiler) list(t reflect.Type, tags string) (shape, error) {
	if t.Elem().Kind() == reflect.Uint8 {
		return shape{}, errors.New("bytes have no form in a request; take text")
	}
	limit, ok := listLimit(tags)
	if !ok {
		return shape{}, errors.New("a list needs a limit: validate max or len")
	}
	_, inner := cutDive(tags)
	elem, err := c.shape(t.Elem(), inner)
	if err != nil {
		return shape{}, err
	}
	rules, err := c.rules.items(t.Elem(), inner)
	return shape{read: readList(elem, rules, limit), nested: elem.nested}, err
}

// bodyOnly tells whether all members come from the body, as those of a nested
// struct must.
func (p *plan) bodyOnly() error {
	for i := range p.steps {
		if s := &p.steps[i]; !s.check && s.source != fromBody {
			return fmt.Errorf("%s is part of a body, so its member %s must be too", p.of, s.name)
		}
	}
	return nil
}
