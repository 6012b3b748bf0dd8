package cluster

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	refusalPeriod  = time.Minute
	refusalSources = 256 // of which a warning is written in one period
)

// refusals decide which refused connections are worth a line: the first of each source in a minute. A port scan would
// otherwise flood the log, and each line is flushed.
type refusals struct {
	mu         sync.Mutex
	began      time.Time                 // of the period
	seen       map[netip.Prefix]struct{} // sources of the period
	suppressed int                       // since the last line
}

// note returns whether to write a line for a connection from an address, and how many were left out before it.
func (r *refusals) note(from net.Addr, now time.Time) (suppressed int, write bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || now.Sub(r.began) >= refusalPeriod {
		r.began, r.seen = now, map[netip.Prefix]struct{}{}
	}
	source := SourceOf(from)
	if _, known := r.seen[source]; known || len(r.seen) >= refusalSources {
		r.suppressed++
		return 0, false
	}
	r.seen[source] = struct{}{}
	suppressed, r.suppressed = r.suppressed, 0
	return suppressed, true
}
