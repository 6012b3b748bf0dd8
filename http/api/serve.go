package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"

	"coffer/fsm"
	"coffer/store"
)

// ServeHTTP takes one request along the road.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &Call{
		Context: r.Context(), mux: m, area: m.fallback, request: r, writer: w, header: w.Header(),
		start: m.options.Now(), trace: traceOf(r.Header), ip: m.options.Proxies.Client(r),
	}
	c.header[headerNoSniff] = noSniff
	c.header[headerCache] = noStore
	c.set(headerTrace, c.trace)
	if observe := m.options.Observe.Started; observe != nil {
		observe()
	}
	defer m.end(c)
	m.serve(c)
}

// serve is the order of all checks. The first that fails answers.
func (m *Mux) serve(c *Call) {
	if problem := m.checkTarget(c); problem != nil {
		c.refuse(problem)
		return
	}
	if problem := m.route(c); problem != nil {
		c.refuse(problem)
		return
	}
	if c.sent {
		return // a preflight
	}
	t := c.target
	var refused *Problem
	c.actor, refused = identify(c.request, t.schemes)
	if problem := c.limit(t.area.surface.Limits, t.class); problem != nil {
		c.refuse(problem)
		return
	}
	if t.Spec.Auth.Public() {
		c.actor = fsm.Actor{}
	} else if refused != nil {
		c.refuse(refused)
		return
	}
	c.actor.IP = c.ip
	if c.actor.Agent == "" {
		c.actor.Agent = agent(c.Header("User-Agent"))
	}
	if t.raw != nil {
		c.serveRaw(t.raw)
		return
	}
	if problem := c.readSwitches(); problem != nil {
		c.refuse(problem)
		return
	}
	out, err := t.run(c, t.binder)
	if refusal := c.vetReplay(); refusal != nil {
		err = refusal
	}
	if err != nil {
		m.checkDamage(err)
		c.refuse(ProblemOf(err, t.Writes()))
		return
	}
	c.answer(out)
}

// checkDamage stops the node if an error says that its data is damaged.
func (m *Mux) checkDamage(err error) {
	var damage store.Corruption
	if errors.As(err, &damage) {
		m.options.Fatal(damage)
	}
}

// readSwitches reads the idempotency key and the dry run of a write.
func (c *Call) readSwitches() *Problem {
	if !c.target.Writes() {
		return nil
	}
	if problem := c.readDryRun(); problem != nil {
		return problem
	}
	return c.readKey()
}

// readDryRun reads ?dryRun=. What is neither true nor false might mean either,
// so it is refused.
func (c *Call) readDryRun() *Problem {
	if c.request.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(c.request.URL.RawQuery)
	if err != nil {
		return badRequest("query", "must be percent-encoded", err)
	}
	values, given := query["dryRun"]
	switch {
	case !given, len(values) == 1 && values[0] == "false":
		return nil
	case len(values) == 1 && values[0] == "true":
		c.dryRun = true
		c.header[headerDryRun] = headerTrue
		return nil
	}
	return badRequest("dryRun", reasonBool+", once", nil)
}

// end recovers, logs and observes. Nothing about a panic leaves the process.
func (m *Mux) end(c *Call) {
	reason := recover()
	if reason != nil {
		m.recovered(c, reason)
	}
	c.release()
	c.log()
	if observe := m.options.Observe.Finished; observe != nil {
		observe(c.label(), c.status, m.options.Now().Sub(c.start))
	}
	if reason == http.ErrAbortHandler || (reason != nil && c.broken) {
		panic(http.ErrAbortHandler)
	}
}

func (m *Mux) recovered(c *Call, reason any) {
	if reason == http.ErrAbortHandler {
		return
	}
	if err, ok := reason.(error); ok {
		m.checkDamage(err)
	}
	cause := fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
	if c.sent {
		c.broken, c.cause = true, cause // half an answer is out: the connection ends
		return
	}
	c.refuse(&Problem{Kind: fsm.Internal, Code: CodeInternal, Cause: cause})
}
