package api

import (
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"coffer/fsm"
)

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
