package api

import (
	"net/http"
)

// response is what Responders and raw handlers write to.
type response struct{ call *Call }

// Header is that of the answer.
func (r *response) Header() http.Header { return r.call.header }

// WriteHeader sends the status, once.
func (r *response) WriteHeader(status int) {
	if r.call.sent {
		return
	}
	r.call.status, r.call.sent = status, true
	r.call.writer.WriteHeader(status)
}

// Write sends the status first if nobody has.
func (r *response) Write(body []byte) (int, error) {
	if !r.call.sent {
		r.WriteHeader(r.call.status)
	}
	n, err := r.call.writer.Write(body)
	r.call.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *response) Unwrap() http.ResponseWriter { return r.call.writer }

// Flush sends what is buffered, for event streams.
func (r *response) Flush() {
	if !r.call.sent {
		r.WriteHeader(r.call.status)
	}
	// A writer that cannot flush has nothing buffered.
	_ = http.NewResponseController(r.call.writer).Flush()
}

// serveRaw hands the request to a handler of the standard library.
func (c *Call) serveRaw(h http.Handler) {
	delete(c.header, headerCache)
	c.status = http.StatusOK
	for i, name := range c.target.params {
		c.request.SetPathValue(name, c.params[i])
	}
	h.ServeHTTP(&response{call: c}, c.request)
}
