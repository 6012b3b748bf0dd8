package api

import (
	"net/http"
	"strconv"
	"time"

	"coffer/fsm"
)

// Rate names a class of routes that are counted together. Numbers live in
// settings; surfaces may name classes of their own.
type Rate string

// The classes that contracts name.
const (
	RateRead   Rate = "read"
	RateWrite  Rate = "write"
	RateStrict Rate = "write-strict"
	Rate30     Rate = "write-30"
	RateMoney  Rate = "money"
	RatePublic Rate = "public"
	RateCSV    Rate = "csv"
)

// Limit is how many requests one client may make in a window of 60 seconds.
type Limit struct {
	Requests int  // 0 is no limit
	ByUser   bool // counts the actor instead of the client address
}

// Limits looks up the limit of a class for a caller. It runs for every request.
type Limits func(class Rate, actor *fsm.Actor) Limit

// window is the time over which requests are counted.
const window = time.Minute

// class is a Rate of one surface, numbered for the counters.
type class struct {
	name   Rate
	number uint16
}

// rateOf is the class of a route.
func rateOf(method string, declared Rate) Rate {
	switch {
	case declared != "":
		return declared
	case method == http.MethodGet, method == http.MethodHead, method == http.MethodOptions:
		return RateRead
	}
	return RateWrite
}

// headers of rate limits, in the canonical form of net/http.
const (
	headerLimit      = "Ratelimit-Limit"
	headerRemaining  = "Ratelimit-Remaining"
	headerReset      = "Ratelimit-Reset"
	headerPolicy     = "Ratelimit-Policy"
	headerXLimit     = "X-Ratelimit-Limit"
	headerXRemaining = "X-Ratelimit-Remaining"
	headerXReset     = "X-Ratelimit-Reset"
	headerRetryAfter = "Retry-After"
)

// limit counts the request and refuses it when its client has had enough. A
// preflight is told the numbers without being counted.
func (c *Call) limit(limits Limits, of class) *Problem {
	if limits == nil {
		return nil
	}
	allowed := limits(of.name, &c.actor)
	if allowed.Requests <= 0 {
		return nil
	}
	now := c.start
	cost := uint32(1)
	if c.request.Method == http.MethodOptions {
		cost = 0
	}
	client := c.clientKey(allowed.ByUser)
	used := c.mux.limiter.add(of.number, client, cost, now)
	end := now.Truncate(window).Add(window)
	reset := int64(end.Sub(now)+time.Second-1) / int64(time.Second)
	remaining := max(0, allowed.Requests-int(used))

	number := strconv.Itoa(allowed.Requests)
	left := strconv.Itoa(remaining)
	seconds := strconv.FormatInt(reset, 10)
	c.set(headerLimit, number)
	c.set(headerRemaining, left)
	c.set(headerReset, seconds)
	c.set(headerPolicy, number+";w=60")
	c.set(headerXLimit, number)
	c.set(headerXRemaining, left)
	c.set(headerXReset, strconv.FormatInt(end.Unix(), 10))
	if int(used) <= allowed.Requests {
		return nil
	}
	return &Problem{Kind: fsm.Limited, Code: CodeRateLimit, RetryAfter: time.Duration(reset) * time.Second}
}

// clientKey is whom the limit counts. User ids and addresses cannot be equal.
func (c *Call) clientKey(byUser bool) string {
	if byUser && c.actor.ID != "" {
		return c.actor.ID
	}
	return rateAddress(c.ip)
}
