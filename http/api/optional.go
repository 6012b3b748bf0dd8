package api

import (
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Optional is a member of a request that may be absent, null or a value, where
// the three mean different things, as in a patch.
type Optional[T any] struct {
	Value T
	Set   bool // the member is there, null included
	Null  bool // the member is null
}

// Given tells that there is a value.
func (o Optional[T]) Given() bool { return o.Set && !o.Null }

// IsZero tells that the member is absent, for the omitzero option.
func (o Optional[T]) IsZero() bool { return !o.Set }

// MarshalJSONTo writes the value, or null without one.
func (o Optional[T]) MarshalJSONTo(e *jsontext.Encoder) error {
	if !o.Given() {
		return e.WriteToken(jsontext.Null)
	}
	return json.MarshalEncode(e, o.Value)
}

// UnmarshalJSONFrom reads a value or null.
func (o *Optional[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*o = Optional[T]{Set: true}
	if d.PeekKind() == 'n' {
		o.Null = true
		return d.SkipValue()
	}
	return json.UnmarshalDecode(d, &o.Value)
}

// JSON is a member that is kept as it came, as compact JSON: free-form metadata.
// The rule object says that it is an object, max counts its bytes.
type JSON = jsontext.Value

// Of returns the type of the value, for schemas.
func (o Optional[T]) Of() reflect.Type { return reflect.TypeFor[T]() }

// optional is any Optional. Its fields are Value, Set and Null, in this order.
type optional interface{ Of() reflect.Type }

const (
	optionalValue = iota
	optionalSet
	optionalNull
)

var optionalType = reflect.TypeFor[optional]()

func isOptional(t reflect.Type) bool { return t.Kind() == reflect.Struct && t.Implements(optionalType) }
