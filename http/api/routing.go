package api

import (
	"net/http"
	"net/url"
	"strings"

	"coffer/fsm"
)

// maxURL is the longest request target, in bytes.
const maxURL = 8 << 10

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
