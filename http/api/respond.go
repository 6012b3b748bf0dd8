package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"coffer/fsm"
)

// Responder is a result that writes itself: a file, a page, an event stream.
// The status and the headers of the call are set; it may set more before its
// first byte. An error before the first byte is answered as a problem.
type Responder interface {
	Respond(c *Call, w http.ResponseWriter) error
}

// StatusCoder is a result whose status is not that of its route.
type StatusCoder interface{ StatusCode() int }

// Content is a result of fixed bytes of one media type.
type Content struct {
	Media string
	Body  []byte
}

// Respond writes the bytes.
func (f Content) Respond(c *Call, w http.ResponseWriter) error {
	w.Header()["Content-Type"] = []string{f.Media}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(f.Body))}
	_, err := w.Write(f.Body)
	return err
}

const (
	headerContentType   = "Content-Type"
	headerContentLength = "Content-Length"
	headerCache         = "Cache-Control"
	headerNoSniff       = "X-Content-Type-Options"
)

// Shared header values; nobody changes them.
var (
	mediaJSON = []string{"application/json; charset=utf-8"}
	noSniff   = []string{"nosniff"}
	noStore   = []string{"no-store"}
)

var (
	errUnchecked  = errors.New("a protected route answered without checking the session: it neither reads nor submits")
	errUndeclared = errors.New("the route does not declare this code")
)

// answer sends a result.
func (c *Call) answer(out any) {
	if !c.vetted && !c.target.Spec.Auth.Public() && c.actor.Kind == fsm.User {
		c.refuse(&Problem{Kind: fsm.Internal, Code: CodeInternal, Cause: errUnchecked})
		return
	}
	c.status = c.target.Spec.Status
	if coded, ok := out.(StatusCoder); ok {
		c.status = coded.StatusCode()
	}
	if responder, ok := out.(Responder); ok {
		c.respond(responder)
		return
	}
	if c.status == http.StatusNoContent {
		c.send(c.status, nil, nil)
		return
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	body, err := c.area.Envelope.Result((*buffer)[:0], c, out)
	*buffer = body[:0]
	if err != nil {
		c.refuse(&Problem{Kind: fsm.Internal, Code: CodeInternal, Cause: err})
		return
	}
	c.send(c.status, mediaJSON, body)
}

func (c *Call) respond(r Responder) {
	w := &response{call: c}
	err := r.Respond(c, w)
	switch {
	case err == nil && !c.sent:
		c.send(c.status, nil, nil)
	case err == nil:
	case c.sent:
		c.cause = err // the client has left, or sees a short body
	default:
		c.refuse(ProblemOf(err, c.target.Writes()))
	}
}

// refuse sends a problem.
func (c *Call) refuse(p *Problem) {
	if c.mux.options.Strict && c.target != nil && !c.target.known[p.Code] {
		p = &Problem{Kind: fsm.Internal, Code: CodeInternal, Cause: errors.Join(errUndeclared, p)}
	}
	answer := c.area.Codes.Answer(p)
	c.code, c.cause = answer.Code, p.Cause
	if p.RetryAfter > 0 {
		c.set(headerRetryAfter, strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10))
	}
	media := mediaJSON
	if c.area.ProblemMedia != "" {
		media = []string{c.area.ProblemMedia}
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	body := c.area.Envelope.Problem((*buffer)[:0], answer, p)
	*buffer = body[:0]
	c.send(answer.Status, media, body)
}

// send writes the answer in one piece.
func (c *Call) send(status int, media []string, body []byte) {
	c.status, c.sent, c.bytes = status, true, len(body)
	if media != nil {
		c.header[headerContentType] = media
		c.set(headerContentLength, strconv.Itoa(len(body)))
	}
	c.writer.WriteHeader(status)
	if len(body) > 0 && c.request.Method != http.MethodHead {
		if _, err := c.writer.Write(body); err != nil && c.cause == nil {
			c.cause = err
		}
	}
}
