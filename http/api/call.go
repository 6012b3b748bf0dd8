package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"coffer/fsm"
)

// Call is one request on its way through a handler. It is the context of all
// that is done for it, and the origin of its command (fsm.Caller).
type Call struct {
	context.Context // of the request; Call adds the deadline

	mux     *Mux
	target  *target // nil when no route answers
	area    *area
	request *http.Request
	writer  http.ResponseWriter
	header  http.Header // of the answer
	start   time.Time
	trace   string
	ip      string
	params  []string // of the path, in order
	body    string
	actor   fsm.Actor

	key      string // Idempotency-Key, on routes that honour it
	bodyHash [32]byte
	dryRun   bool
	settled  bool // the log has answered
	vetted   bool // the session of the actor has been checked
	replayed bool // the log has answered for an idempotency key it knew
	asked    bool // Origin was called

	index  uint64 // of the answer
	status int
	sent   bool
	broken bool // a panic came after the first byte
	bytes  int
	code   string // of the problem
	cause  error

	deadlineMu sync.Mutex
	bounded    context.Context // with the deadline, made when somebody waits
	cancel     context.CancelFunc

	slot   slot
	values [headerRoom]string // backs the header fields of the answer
	used   int
}

// headerRoom is how many header fields fit without an allocation.
const headerRoom = 16

// set sets a header field of the answer. Its name is in canonical form.
func (c *Call) set(name, value string) {
	if c.used == len(c.values) {
		c.header[name] = []string{value}
		return
	}
	c.values[c.used] = value
	c.header[name] = c.values[c.used : c.used+1 : c.used+1]
	c.used++
}

// SetHeader sets a header field of the answer, such as Cache-Control.
func (c *Call) SetHeader(name, value string) { c.header.Set(name, value) }

// Header returns a header field of the request; the name is in canonical form.
func (c *Call) Header(name string) string {
	if values := c.request.Header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// Actor is who asks. On a public route it is nobody.
func (c *Call) Actor() fsm.Actor { return c.actor }

// IP is the client's address by the rule for proxies.
func (c *Call) IP() string { return c.ip }

// Trace is the id of this request in answers and logs.
func (c *Call) Trace() string { return c.trace }

// Body is the body as it came, for signatures over its bytes.
func (c *Call) Body() string { return c.body }

// Time is this node's clock when the request came. Handlers show it; state uses
// the time of the log.
func (c *Call) Time() time.Time { return c.start }

// DryRun tells that nothing will be committed.
func (c *Call) DryRun() bool { return c.dryRun }

// Route is the route that answers, for envelopes. It is zero without one.
func (c *Call) Route() Route {
	if c.target == nil {
		return Route{}
	}
	return c.target.Route
}

// Status is the status of the answer in the making.
func (c *Call) Status() int { return c.status }

// HeaderReason says why an operator asks. Their scheme checks it.
const HeaderReason = "Coffer-Reason"

// Origin says where the command comes from. A request is one command: asking
// twice is a programming error and panics.
func (c *Call) Origin() fsm.Origin {
	if c.asked {
		panic("api: one request submits one command")
	}
	if c.target == nil || !c.target.Writes() {
		panic("api: a route that only reads submits a command")
	}
	c.asked = true
	origin := fsm.Origin{
		Actor:         c.actor,
		BodyHash:      c.bodyHash,
		KeepRejection: c.area.KeepRejections,
		DryRun:        c.dryRun,
	}
	if c.actor.Kind == fsm.Operator {
		origin.Reason = c.Header(HeaderReason)
	}
	if c.key == "" {
		origin.RequestID = fsm.NewRequestID()
		return origin
	}
	origin.RequestID = requestID(c.area.Name, c.actor, c.target.Method, c.target.full, c.key)
	return origin
}

// Settled notes what the log has answered.
func (c *Call) Settled(o fsm.Outcome) {
	c.settled, c.vetted = true, true
	c.reached(o.Index)
	if o.Replayed && c.key != "" {
		c.header[headerReplayed] = headerTrue
	}
	reused := o.Rejection != nil && fsm.ErrKeyReused.Is(o.Rejection)
	c.replayed = c.key != "" && (o.Replayed || reused)
}

const (
	headerIndex    = "Coffer-Index"
	headerReplayed = "Idempotent-Replayed"
	headerDryRun   = "Coffer-Dry-Run"
)

var headerTrue = []string{"true"}

// reached names the log index the answer reflects, the latest one.
func (c *Call) reached(index uint64) {
	if index < c.index {
		return
	}
	c.index = index
	var room [40]byte
	token := strconv.AppendUint(room[:0], uint64(c.mux.epoch()), 10)
	token = append(token, ':')
	c.set(headerIndex, string(strconv.AppendUint(token, index, 10)))
}

// maxAgent bounds fsm.Actor.Agent, in bytes.
const maxAgent = 200

// agent is the User-Agent as state may hold it: valid UTF-8, bounded.
func agent(text string) string {
	if len(text) > maxAgent {
		cut := maxAgent
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	if utf8.ValidString(text) {
		return text
	}
	return toValid(text)
}
