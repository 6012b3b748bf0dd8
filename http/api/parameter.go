package api

import (
	"net/url"
	"reflect"
	"slices"
)

// readParameters reads what comes from path, query and headers.
func (b *binder) readParameters(c *Call, v reflect.Value, f *found) *Problem {
	var query url.Values
	if b.query && c.request.URL.RawQuery != "" {
		var err error
		if query, err = url.ParseQuery(c.request.URL.RawQuery); err != nil {
			return badRequest("query", "must be percent-encoded", err)
		}
	}
	for i := range b.plan.steps {
		s := &b.plan.steps[i]
		if s.check || s.source == fromBody || s.source == fromForm {
			continue
		}
		text, times := s.text(c, b.path, query)
		switch {
		case times > 1:
			f.note(i, wrong(reasonOnce))
		case times == 1, s.always:
			s.readText(text, v, f, i)
		}
	}
	return nil
}

const reasonOnce = "must be there once"

// readText reads a parameter into its member, which is step i.
func (m *member) readText(text string, v reflect.Value, f *found, i int) {
	f.seen |= 1 << i
	value := at(v, m.index)
	if violation := m.shape.parse(text, value); violation != nil {
		f.note(i, violation)
		return
	}
	if m.modify != nil {
		m.apply(value)
	}
}

// text finds a parameter in the request and how often it is there.
func (m *member) text(c *Call, path []string, query url.Values) (text string, times int) {
	var values []string
	switch m.source {
	case fromPath:
		return c.params[slices.Index(path, m.name)], 1
	case fromQuery:
		values = query[m.name]
	case fromHeader:
		values = c.request.Header[m.name]
	}
	if len(values) == 0 {
		return "", 0
	}
	return values[0], len(values)
}
