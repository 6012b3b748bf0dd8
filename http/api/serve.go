package api

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"coffer/fsm"
	"coffer/store"
)

// maxURL is the longest request target, in bytes.
const maxURL = 8 << 10

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
	c.actor.IP, c.actor.Agent = c.ip, agent(c.Header("User-Agent"))
	if t.raw != nil {
		c.serveRaw(t.raw)
		return
	}
	if problem := c.readSwitches(); problem != nil {
		c.refuse(problem)
		return
	}
	out, err := t.run(c, t.binder)
	if err != nil {
		c.refuse(ProblemOf(err, t.Writes()))
		return
	}
	c.answer(out)
}

// checkTarget refuses what is never routed.
func (m *Mux) checkTarget(c *Call) *Problem {
	r := c.request
	if len(r.RequestURI) > maxURL {
		return m.unrouted(c, &Problem{Kind: fsm.Invalid, Code: CodeURITooLong})
	}
	if m.hosts != nil && !m.hosts[strings.ToLower(hostName(r.Host))] {
		return m.unrouted(c, &Problem{Kind: fsm.Invalid, Code: CodeMisdirected})
	}
	return nil
}

// hostName cuts the port off a Host header.
func hostName(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		return host[:colon]
	}
	return host
}

// route finds the target of the request and answers preflights.
func (m *Mux) route(c *Call) *Problem {
	path, encoded := c.request.URL.Path, false
	if c.request.URL.RawPath != "" {
		path, encoded = c.request.URL.RawPath, true
	}
	if !isPlainPath(path) {
		return m.unrouted(c, &Problem{Kind: fsm.NotFound, Code: CodeNotFound})
	}
	method := c.request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	c.target, c.params = m.tree.find(&c.slot, method, path)
	if c.target == nil || (c.request.Method == http.MethodHead && !c.target.Spec.Head) {
		return m.otherMethod(c, path)
	}
	c.area = c.target.area
	c.allowOrigin(c.target.origins())
	if encoded && !c.decodeParams() {
		c.target = nil
		return m.unrouted(c, &Problem{Kind: fsm.NotFound, Code: CodeNotFound})
	}
	return nil
}

// origins are those of the area, or all of them.
func (t *target) origins() Origins {
	if t.Spec.AnyOrigin {
		return nil
	}
	return t.area.Origins
}

// decodeParams undoes the percent-encoding of the parameters. What decodes to
// another path is no value.
func (c *Call) decodeParams() bool {
	for i, text := range c.params {
		decoded, err := url.PathUnescape(text)
		if err != nil || decoded == "." || decoded == ".." || strings.IndexByte(decoded, '/') >= 0 {
			return false
		}
		c.params[i] = decoded
	}
	return true
}

// otherMethod answers when no target has the path and the method: a preflight,
// 405 for a known path, else 404.
func (m *Mux) otherMethod(c *Call, path string) *Problem {
	c.target = nil
	methods, of := m.tree.allowed(&c.slot, path)
	if of == nil {
		return m.unrouted(c, &Problem{Kind: fsm.NotFound, Code: CodeNotFound})
	}
	allow := strings.Join(methods, ", ")
	if c.request.Method == http.MethodOptions {
		c.area = of.area
		c.allowOrigin(of.origins())
		if problem := c.limitUnrouted(); problem != nil {
			return problem
		}
		c.preflight(allow)
		return nil
	}
	c.set(headerAllow, allow)
	return m.unrouted(c, &Problem{Kind: fsm.Invalid, Code: CodeMethodNotAllowed})
}

// unrouted refuses in the envelope of the area with the longest prefix. Such
// requests count too.
func (m *Mux) unrouted(c *Call, problem *Problem) *Problem {
	for _, a := range m.areas {
		if rest, ok := strings.CutPrefix(c.request.URL.Path, a.Prefix); ok && (rest == "" || rest[0] == '/') {
			c.area = a
			break
		}
	}
	c.allowOrigin(c.area.Origins)
	if limited := c.limitUnrouted(); limited != nil {
		return limited
	}
	return problem
}

func (c *Call) limitUnrouted() *Problem {
	of := c.area.write
	if rateOf(c.request.Method, "") == RateRead {
		of = c.area.read
	}
	c.actor, _ = identify(c.request, c.area.surface.Schemes)
	return c.limit(c.area.surface.Limits, of)
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
	if damage, ok := reason.(store.Corruption); ok {
		m.options.Fatal(damage)
	}
	if c.sent {
		c.broken = true // half an answer is out: the connection ends
		c.cause = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
		return
	}
	cause := fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
	c.refuse(&Problem{Kind: fsm.Internal, Code: CodeInternal, Cause: cause})
}
