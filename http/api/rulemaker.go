package api

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-playground/validator/v10"
)

// ruleMaker compiles validate tags. It has native rules for what nearly every
// request uses, because the library takes 12 ms for a batch of 8,190 transfers;
// a member with any other rule is left to the library.
type ruleMaker struct{ library *validator.Validate }

func newRuleMaker() *ruleMaker {
	library := validator.New(validator.WithRequiredStructEnabled())
	text := func(ok func(string) bool) validator.Func {
		return func(level validator.FieldLevel) bool { return ok(level.Field().String()) }
	}
	object := func(level validator.FieldLevel) bool {
		raw, ok := level.Field().Interface().(jsontext.Value)
		return ok && (len(raw) == 0 || raw[0] == '{')
	}
	err := errors.Join(
		library.RegisterValidation("id", text(IsID)),
		library.RegisterValidation("mail", text(IsMail)),
		library.RegisterValidation("object", object))
	if err != nil {
		panic(err) // the names above are fixed
	}
	library.RegisterCustomTypeFunc(func(v reflect.Value) any {
		if i := v.Interface().(Integer); i.Set {
			return i.Value
		}
		return nil
	}, Integer{})
	return &ruleMaker{library: library}
}

// make compiles the tags of one field of owner, without those of its items.
func (r *ruleMaker) make(owner reflect.Type, f reflect.StructField, tags string) ([]rule, error) {
	tags, _ = cutDive(tags)
	rules, native, err := words(owner, f.Type, tags)
	if err != nil || native {
		return rules, err
	}
	return r.foreign(owner, f)
}

// items compiles what a tag says after dive. Rows have a plan of their own.
func (r *ruleMaker) items(t reflect.Type, tags string) ([]rule, error) {
	rules, native, err := words(nil, t, tags)
	if err == nil && !native {
		err = fmt.Errorf("items cannot have %q", tags)
	}
	return rules, err
}

// words compiles a tag word by word, or reports that not all are native.
func words(owner, t reflect.Type, tags string) (rules []rule, native bool, err error) {
	subject := subjectOf(t)
	for _, word := range splitTags(tags) {
		tag, param, _ := strings.Cut(word, "=")
		if tag == "required_without" && owner != nil {
			required, err := requiredWithout(owner, subject, param)
			if err != nil {
				return nil, false, err
			}
			rules = append(rules, required)
			continue
		}
		made, err := subject.native(tag, param)
		if err != nil || made == nil || strings.Contains(word, "|") {
			return nil, false, err
		}
		rules = append(rules, *made)
	}
	return rules, true, nil
}

// requiredWithout is required unless all the fields named are there.
func requiredWithout(owner reflect.Type, s subject, fields string) (rule, error) {
	type sibling struct {
		index int
		there func(reflect.Value) bool
	}
	var siblings []sibling
	for _, name := range strings.Fields(fields) {
		f, ok := owner.FieldByName(name)
		if !ok || len(f.Index) != 1 {
			return rule{}, fmt.Errorf("required_without names %s, which is no field of %s", name, owner)
		}
		siblings = append(siblings, sibling{f.Index[0], subjectOf(f.Type).there})
	}
	return rule{"required_without", "is required", func(value, part reflect.Value, m *member) verdict {
		if s.there(value) {
			return holds
		}
		around := at(part, m.index[:len(m.index)-1])
		for _, other := range siblings {
			if !other.there(around.Field(other.index)) {
				return broken
			}
		}
		return holds
	}}, nil
}
