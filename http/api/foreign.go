package api

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"
)

// foreign leaves a member to the validator library.
func (r *ruleMaker) foreign(owner reflect.Type, f reflect.StructField) ([]rule, error) {
	tags := f.Tag.Get("validate")
	if isOptional(f.Type) {
		return nil, fmt.Errorf("an Optional cannot have %q", tags)
	}
	if err := r.try(owner, f.Name); err != nil {
		return nil, fmt.Errorf("validate tag %q: %w", tags, err)
	}
	var rules []rule
	for _, word := range splitTags(tags) {
		tag, param, _ := strings.Cut(word, "=")
		rules = append(rules, rule{tag, reasonFor(tag, param), r.fails(f.Name, tag)})
	}
	return append(rules, rule{"", "is not valid", r.fails(f.Name, "")}), nil
}

// try has the library compile a tag. It panics on what it does not know.
func (r *ruleMaker) try(owner reflect.Type, field string) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%v", reason)
		}
	}()
	var invalid validator.ValidationErrors
	err = r.library.StructPartial(reflect.New(owner).Interface(), field)
	if errors.As(err, &invalid) {
		return nil
	}
	return err
}

// fails is broken when the library faults the field for one tag, or for any.
func (r *ruleMaker) fails(field, tag string) test {
	return func(_, part reflect.Value, m *member) verdict {
		owner := at(part, m.index[:len(m.index)-1])
		err := r.library.StructPartial(pointerTo(owner), field)
		if err == nil {
			return done
		}
		var invalid validator.ValidationErrors
		if tag == "" || errors.As(err, &invalid) && invalid[0].Tag() == tag {
			return broken
		}
		return holds
	}
}

// splitTags splits a validate tag into its words.
func splitTags(tags string) []string {
	if tags == "" || tags == "-" {
		return nil
	}
	return strings.Split(tags, ",")
}

// cutDive splits a tag into the rules of a list and those of its items.
func cutDive(tags string) (list, items string) {
	words := splitTags(tags)
	for i, word := range words {
		if word == "dive" {
			return strings.Join(words[:i], ","), strings.Join(words[i+1:], ",")
		}
	}
	return tags, ""
}

// listLimit is the most items that the rules of a list allow.
func listLimit(tags string) (limit int, ok bool) {
	list, _ := cutDive(tags)
	for _, word := range splitTags(list) {
		tag, param, _ := strings.Cut(word, "=")
		if tag == "max" || tag == "len" || tag == "lte" {
			_, err := fmt.Sscan(param, &limit)
			return limit, err == nil
		}
	}
	return 0, false
}
