package api

import (
	"mime"
	"net/http"
	"net/url"
	"reflect"

	"coffer/fsm"
)

const formMedia = "application/x-www-form-urlencoded"

// readForm reads an HTML form instead of JSON. Its fingerprint is over the
// fields in the order of their names.
func (b *binder) readForm(c *Call, body []byte, f *found, v reflect.Value) *Problem {
	if len(body) > 0 && !isForm(c.request.Header) {
		return &Problem{Kind: fsm.Invalid, Code: CodeMediaType}
	}
	c.body = string(body)
	fields, err := url.ParseQuery(c.body)
	if err != nil {
		return badRequest("body", "must be percent-encoded", err)
	}
	if c.key != "" {
		c.fingerprint([]byte(fields.Encode()))
	}
	for i := range b.plan.steps {
		s := &b.plan.steps[i]
		values := fields[s.name]
		if s.check || s.source != fromForm || len(values) == 0 {
			continue
		}
		if len(values) > 1 {
			f.note(i, wrong(reasonOnce))
			continue
		}
		s.readText(values[0], v, f, i)
	}
	return nil
}

func isForm(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) != 1 || h["Content-Encoding"] != nil {
		return false
	}
	media, _, err := mime.ParseMediaType(types[0])
	return err == nil && media == formMedia
}
