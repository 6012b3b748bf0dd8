package api

import (
	"fmt"
	"net/http"
	"reflect"

	"coffer/fsm"
)

// binder fills the input of one route from requests.
type binder struct {
	plan     *plan
	strict   bool
	limit    int64    // bytes of a body
	writes   bool     // takes a body
	form     bool     // the body is a form
	query    bool     // takes parameters of the query
	path     []string // names of the parameters, in the order of the pattern
	notFound *Problem // for a path that breaks a rule
}

// bind reads, decodes and validates the request into v.
func (b *binder) bind(c *Call, v reflect.Value) *Problem {
	var f found
	if b.writes {
		if problem := b.readBody(c, v, &f); problem != nil {
			return problem
		}
	}
	if problem := b.readParameters(c, v, &f); problem != nil {
		return problem
	}
	violation, from := b.plan.checkSteps(v, &f)
	switch {
	case violation == nil:
		return nil
	case from == fromPath:
		return b.notFound
	}
	return violation.problem()
}

// newBinder compiles the input of a route with parameters path.
func (c *compiler) newBinder(r *Route, area *Area, path []string) (*binder, error) {
	b := &binder{strict: area.StrictFields, limit: BodyLimit, writes: r.Writes(), path: path}
	if r.Spec.BodyLimit > 0 {
		b.limit = int64(r.Spec.BodyLimit)
	}
	b.notFound = &Problem{Kind: fsm.NotFound, Code: CodeNotFound}
	if r.Spec.NotFound != nil {
		b.notFound = rejected(r.Spec.NotFound)
	}
	if r.In.Kind() != reflect.Struct {
		return nil, fmt.Errorf("input %s is no struct", r.In)
	}
	var err error
	if b.plan, err = c.plan(r.In); err != nil {
		return nil, err
	}
	return b, b.matches(path)
}

// matches tells whether the input takes exactly the parameters of the pattern.
func (b *binder) matches(path []string) error {
	taken := map[string]bool{}
	json := false
	for i := range b.plan.steps {
		s := &b.plan.steps[i]
		switch {
		case s.check:
		case s.source == fromPath:
			taken[s.name] = true
		case s.source == fromQuery:
			b.query = true
		case s.source == fromHeader && http.CanonicalHeaderKey(s.name) != s.name:
			return fmt.Errorf("header %s is written %s", s.name, http.CanonicalHeaderKey(s.name))
		case s.source == fromForm:
			b.form = true
		case s.source == fromBody:
			json = true
		}
	}
	if (json || b.form) && !b.writes {
		return fmt.Errorf("%s has members of a body, but a GET has none", b.plan.of)
	}
	if json && b.form {
		return fmt.Errorf("%s has members of JSON and of a form", b.plan.of)
	}
	for _, name := range path {
		if !taken[name] {
			return fmt.Errorf("no member of %s takes the path parameter %s", b.plan.of, name)
		}
		delete(taken, name)
	}
	for name := range taken {
		return fmt.Errorf("the pattern has no parameter %s", name)
	}
	return nil
}
