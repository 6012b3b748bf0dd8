package cluster

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

const shaking = 64 // handshakes that may be under way at once

// handshakes are the connections that have proven nothing yet. When their places are taken, or a source's half of them, the
// oldest one makes room: an honest handshake needs milliseconds, whoever holds a place for longer wants nothing else.
type handshakes struct {
	mu   sync.Mutex
	open []*handshake // oldest first
}

type handshake struct {
	conn   net.Conn
	source netip.Prefix
}

// begin gives a connection a place and closes the one that must make room for it. The connection's owner calls end as soon
// as it has proven itself or is given up; end returns false if it had to make room itself.
func (h *handshakes) begin(conn net.Conn) (end func() bool) {
	begun := &handshake{conn, SourceOf(conn.RemoteAddr())}
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.inTheWay(begun.source); i >= 0 {
		h.open[i].conn.Close() // its owner sees it
		h.open = slices.Delete(h.open, i, i+1)
	}
	h.open = append(h.open, begun)
	return sync.OnceValue(func() bool { return h.remove(begun) })
}

// inTheWay returns which handshake must make room for another one of a source, -1 for none.
func (h *handshakes) inTheWay(source netip.Prefix) int {
	oldest, count := -1, 0
	for i, other := range h.open {
		if other.source != source {
			continue
		}
		if count == 0 {
			oldest = i
		}
		count++
	}
	switch {
	case count >= shaking/2:
		return oldest
	case len(h.open) >= shaking:
		return 0
	default:
		return -1
	}
}

func (h *handshakes) remove(done *handshake) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.open, done)
	if i < 0 {
		return false
	}
	h.open = slices.Delete(h.open, i, i+1)
	return true
}

// SourceOf returns where a connection comes from: an address of version 4, or a network of 64 bits of version 6, since
// whoever has one address of it has them all. It is the zero prefix for what is no address with a port.
func SourceOf(from net.Addr) netip.Prefix {
	const networkBits = 64
	if from == nil {
		return netip.Prefix{}
	}
	with, err := netip.ParseAddrPort(from.String())
	if err != nil {
		return netip.Prefix{}
	}
	address := with.Addr().Unmap().WithZone("")
	source, err := address.Prefix(min(networkBits, address.BitLen()))
	if err != nil {
		return netip.Prefix{}
	}
	return source
}
