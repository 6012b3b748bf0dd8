package api

import "net/http"

// Origins chooses what a web origin may read: "*" for anybody, the origin
// itself, or "" for nothing. Credentials of browsers are never allowed.
type Origins func(origin string) string

const (
	headerOrigin        = "Origin"
	headerVary          = "Vary"
	headerAllow         = "Allow"
	headerAllowOrigin   = "Access-Control-Allow-Origin"
	headerAllowMethods  = "Access-Control-Allow-Methods"
	headerAllowHeaders  = "Access-Control-Allow-Headers"
	headerExposeHeaders = "Access-Control-Expose-Headers"
	headerMaxAge        = "Access-Control-Max-Age"
)

var (
	anyOrigin      = []string{"*"}
	varyOrigin     = []string{headerOrigin}
	allowedHeaders = []string{"Authorization, Content-Type, Idempotency-Key, X-API-Key, X-Request-Id, " +
		headerMinIndex + ", " + headerConsistency}
	exposedHeaders = []string{"Coffer-Consistency, Coffer-Dry-Run, Coffer-Index, Idempotent-Replayed, " +
		"RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id"}
	preflightMaxAge = []string{"600"}
)

// allowOrigin says in the answer which web origin may read it.
func (c *Call) allowOrigin(origins Origins) {
	if origins == nil {
		c.header[headerAllowOrigin] = anyOrigin
	} else if !c.allowChosen(origins) {
		return
	}
	if c.request.Header[headerOrigin] != nil {
		c.header[headerExposeHeaders] = exposedHeaders
	}
}

func (c *Call) allowChosen(origins Origins) bool {
	origin := c.Header(headerOrigin)
	allowed := origins(origin)
	if allowed == "*" {
		c.header[headerAllowOrigin] = anyOrigin
		return true
	}
	c.header[headerVary] = varyOrigin
	if allowed == "" || allowed != origin || origin == "null" {
		return false
	}
	c.set(headerAllowOrigin, origin)
	return true
}

// preflight answers OPTIONS on a path that has routes.
func (c *Call) preflight(allow string) {
	c.set(headerAllow, allow)
	c.set(headerAllowMethods, allow)
	c.header[headerAllowHeaders] = allowedHeaders
	c.header[headerMaxAge] = preflightMaxAge
	c.send(http.StatusNoContent, nil, nil)
}
