package api

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// target is a Route at work.
type target struct {
	Route
	area    *area
	full    string   // pattern with prefix
	label   string   // method and full, for logs
	params  []string // names of the parameters, in order
	binder  *binder
	class   class
	schemes []Scheme        // in the order they are tried
	known   map[string]bool // codes it may answer
}

// target checks one route and makes it work.
func (m *Mux) target(at *area, r Route, plans *compiler, classes classNumbers) (*target, error) {
	t := &target{Route: r, area: at, full: at.Prefix + r.Pattern}
	t.label = r.Method + " " + t.full
	t.Spec.Status = cmp.Or(r.Spec.Status, 200)
	t.class = classes.of(at.surface, rateOf(r.Method, r.Spec.Rate))
	if r.Pattern != "" && r.Pattern[0] != '/' {
		return nil, errors.New("its pattern does not begin with a slash")
	}
	segments, err := parsePattern(t.full)
	if err != nil {
		return nil, err
	}
	var mistakes []error
	if t.schemes, err = schemesOf(at.surface, r.Spec.Auth); err != nil {
		mistakes = append(mistakes, err)
	}
	if err := m.checkSpec(r); err != nil {
		mistakes = append(mistakes, err)
	}
	for _, s := range segments {
		if s.kind != literal {
			t.params = append(t.params, s.text)
		}
	}
	if r.raw == nil {
		if t.binder, err = plans.newBinder(&t.Route, &at.Area, t.params); err != nil {
			mistakes = append(mistakes, err)
		}
		if err := checkOutput(r.Out); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if t.known, err = t.codes(); err != nil {
		mistakes = append(mistakes, err)
	}
	return t, errors.Join(mistakes...)
}

// schemesOf are those of a policy; on a public route any may set the tier.
func schemesOf(s *Surface, a Auth) ([]Scheme, error) {
	if !a.declared {
		return nil, errors.New("declares no Auth")
	}
	if a.Public() {
		return s.Schemes, nil
	}
	var schemes []Scheme
	for _, name := range a.schemes {
		i := slices.IndexFunc(s.Schemes, func(s Scheme) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("surface %s has no scheme %s", s.Name, name)
		}
		schemes = append(schemes, s.Schemes[i])
	}
	return schemes, nil
}

// checkOutput tells whether a result can be encoded at all.
func checkOutput(t reflect.Type) error {
	out := reflect.New(t).Interface()
	if _, itself := out.(Responder); itself {
		return nil
	}
	if _, err := AppendJSON(nil, out); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// checkSpec looks for declarations that contradict each other.
func (m *Mux) checkSpec(r Route) error {
	s := r.Spec
	switch {
	case s.Summary == "" && !s.Hidden:
		return errors.New("declares no Summary")
	case s.Idempotent && !r.Writes():
		return errors.New("is idempotent, but changes nothing")
	case s.Idempotent && s.Auth.Public():
		return errors.New("is idempotent, but a public route cannot tell whose key it is")
	case s.Idempotent && m.options.BodyHash == nil:
		return errors.New("is idempotent, but there is no Options.BodyHash")
	case r.raw != nil && !s.Auth.Public():
		return errors.New("is protected, but a raw handler checks no session")
	case s.Head && r.Writes():
		return errors.New("answers HEAD, but is no GET")
	case s.BodyLimit < 0 || s.BodyLimit > MaxBodyLimit:
		return fmt.Errorf("has a body limit outside 0 to %d", MaxBodyLimit)
	case !s.Auth.Public() && r.raw == nil && (m.options.Reader == nil || m.options.Authorise == nil):
		return errors.New("is protected, but there is no Options.Reader or no Options.Authorise")
	}
	return nil
}

// codes are those the route may answer. Each must be in the area's table.
func (t *target) codes() (map[string]bool, error) {
	known := map[string]bool{}
	for code := range standard {
		known[code] = true
	}
	declared := t.Spec.Rejections.And(t.area.Rejections...)
	if t.Spec.NotFound != nil {
		declared = declared.And(t.Spec.NotFound)
	}
	for _, rejection := range declared {
		known[rejection.Code] = true
	}
	for _, code := range t.Spec.Codes {
		known[code] = true
	}
	if t.binder != nil && t.binder.plan != nil {
		t.binder.plan.codes(known)
	}
	var missing []error
	for _, code := range slices.Sorted(maps.Keys(known)) {
		if !t.area.Codes.covers(code) {
			missing = append(missing, fmt.Errorf("code %s is not in the table of area %s", code, t.area.Name))
		}
	}
	return known, errors.Join(missing...)
}
