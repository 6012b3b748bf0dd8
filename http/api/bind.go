package api

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

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

// readBody reads the body and its members; with an idempotency key it also
// makes the fingerprint.
func (b *binder) readBody(c *Call, v reflect.Value, f *found) *Problem {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	body, problem := readAll(c, (*buffer)[:0], b.limit)
	*buffer = body[:0]
	if problem != nil {
		return problem
	}
	if b.form {
		return b.readForm(c, body, f, v)
	}
	if len(body) == 0 {
		body = append(body, "{}"...)
	} else if !isJSON(c.request.Header) {
		return &Problem{Kind: fsm.Invalid, Code: CodeMediaType}
	}
	if err := b.inspect(c, body); err != nil {
		return badRequest("body", err.Error(), explainJSON(body))
	}
	c.body = string(body)
	d := decoding{scanner: scanner{text: c.body}, strict: b.strict}
	d.next()
	b.plan.read(&d, v, f)
	return nil
}

// inspect refuses bodies that are not strict JSON objects.
func (b *binder) inspect(c *Call, body []byte) error {
	if c.key == "" {
		return checkJSON(body)
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	canonical, err := canonicalJSON((*buffer)[:0], body)
	*buffer = canonical[:0]
	if err != nil {
		return err
	}
	c.fingerprint(canonical)
	return nil
}

// readAll reads at most limit bytes. A longer body is refused, before it is
// read if its length is known.
func readAll(c *Call, dst []byte, limit int64) ([]byte, *Problem) {
	r := c.request
	if r.Body == nil || r.Body == http.NoBody {
		return dst, nil
	}
	if r.ContentLength > limit {
		return dst, tooLarge(c)
	}
	if r.ContentLength > int64(cap(dst)) {
		dst = make([]byte, 0, r.ContentLength+1)
	}
	for {
		n, err := r.Body.Read(dst[len(dst):min(cap(dst), int(limit)+1)])
		dst = dst[:len(dst)+n]
		switch {
		case int64(len(dst)) > limit:
			return dst, tooLarge(c)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, badRequest("body", "ended before it was complete", err)
		case len(dst) == cap(dst):
			dst = append(dst, 0)[:len(dst)]
		}
	}
}

// tooLarge also ends the connection: what else would be read is not wanted.
func tooLarge(c *Call) *Problem {
	c.header["Connection"] = []string{"close"}
	return &Problem{Kind: fsm.Invalid, Code: CodePayloadTooLarge}
}

// isJSON tells whether a body is JSON in UTF-8, not compressed.
func isJSON(h http.Header) bool {
	if h["Content-Encoding"] != nil {
		return false
	}
	types := h["Content-Type"]
	if len(types) != 1 {
		return false
	}
	if types[0] == "application/json" {
		return true
	}
	media, parameters, err := mime.ParseMediaType(types[0])
	charset, given := parameters["charset"]
	return err == nil && media == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

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
