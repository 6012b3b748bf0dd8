package cluster

import (
	"net"
	"sync"
	"time"
)

const (
	refusalPeriod    = time.Minute
	refusalAddresses = 256 // of which a warning is written in one period
)

// refusals decide which refused connections are worth a line: the first of each address in a minute. A port scan would
// otherwise flood the log, and each line is flushed.
type refusals struct {
	mu         sync.Mutex
	began      time.Time           // of the period
	seen       map[string]struct{} // addresses of the period
	suppressed int                 // since the last line
}

// note returns whether to write a line for a connection from an address, and how many were left out before it.
func (r *refusals) note(from net.Addr, now time.Time) (suppressed int, write bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || now.Sub(r.began) >= refusalPeriod {
		r.began, r.seen = now, map[string]struct{}{}
	}
	host := hostOf(from)
	if _, known := r.seen[host]; known || len(r.seen) >= refusalAddresses {
		r.suppressed++
		return 0, false
	}
	r.seen[host] = struct{}{}
	suppressed, r.suppressed = r.suppressed, 0
	return suppressed, true
}

// hostOf returns the address without its port.
func hostOf(from net.Addr) string {
	host, _, err := net.SplitHostPort(from.String())
	if err != nil {
		return from.String()
	}
	return host
}

// handshakes are the slots for connections that have proven nothing yet. One address has at most half of them, so that
// peers get through beside somebody who opens connections and says nothing.
type handshakes struct {
	mu    sync.Mutex
	total int
	from  map[string]int
}

// take returns how to give the slot back, or nil if there is none. Giving it back twice does no harm.
func (h *handshakes) take(from net.Addr) (giveBack func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	host := hostOf(from)
	if h.total >= shaking || h.from[host] >= shaking/2 {
		return nil
	}
	if h.from == nil {
		h.from = map[string]int{}
	}
	h.total++
	h.from[host]++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.total--
		if h.from[host]--; h.from[host] == 0 {
			delete(h.from, host)
		}
	})
}
