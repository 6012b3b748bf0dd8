package cluster

import (
	"fmt"
	"net"
	"testing"
	"time"
)

func TestAPortScanWritesOneLinePerSourceAndMinute(t *testing.T) {
	t.Parallel()
	var r refusals
	now := time.Now()
	lines, told := 0, 0
	note := func(host byte, at time.Time) {
		if suppressed, write := r.note(&net.TCPAddr{IP: net.IPv4(10, 0, host, 1), Port: lines}, at); write {
			lines++
			told += suppressed
		}
	}
	for range 1000 {
		note(1, now)
		note(2, now)
	}
	if lines != 2 {
		t.Errorf("%d lines for two addresses, want 2", lines)
	}
	note(1, now.Add(refusalPeriod))
	if lines != 3 || told != 1998 {
		t.Errorf("after a minute: %d lines, %d connections were left out, want 3 and 1998", lines, told)
	}
	for i := range 4 * refusalSources {
		r.note(&net.TCPAddr{IP: net.IPv4(11, 0, byte(i>>8), byte(i))}, now.Add(refusalPeriod))
	}
	if len(r.seen) != refusalSources {
		t.Errorf("%d addresses are remembered, want %d", len(r.seen), refusalSources)
	}
}

// placed is a connection from an address, for tests that never use it.
type placed struct {
	net.Conn
	from   net.TCPAddr
	closed bool
}

func (c *placed) RemoteAddr() net.Addr { return &c.from }

func (c *placed) Close() error {
	c.closed = true
	return nil
}

// crowd begins handshakes; the n-th comes from the address that from returns.
func crowd(h *handshakes, count int, from func(n int) string) (conns []*placed, ends []func() bool) {
	for n := range count {
		conn := &placed{from: net.TCPAddr{IP: net.ParseIP(from(n)), Port: n}}
		conns, ends = append(conns, conn), append(ends, h.begin(conn))
	}
	return conns, ends
}

func countClosed(conns []*placed) (closed int) {
	for _, conn := range conns {
		if conn.closed {
			closed++
		}
	}
	return closed
}

func TestASourceHasHalfOfTheHandshakes(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]func(n int) string{
		"an address":             func(int) string { return "10.0.0.1" },
		"a network of version 6": func(n int) string { return fmt.Sprintf("2001:db8::%x", n) },
	} {
		var h handshakes
		others, _ := crowd(&h, shaking/2, func(n int) string { return fmt.Sprintf("10.1.0.%d", n) })
		greedy, ends := crowd(&h, shaking, from)
		if countClosed(others) > 0 || countClosed(greedy) != shaking/2 {
			t.Errorf("%s: %d of its own and %d others had to make room, want %d and none", name, countClosed(greedy), countClosed(others), shaking/2)
		}
		for n, end := range ends {
			if stayed := end(); stayed == greedy[n].closed || end() != stayed {
				t.Errorf("%s: handshake %d ends with %t", name, n, stayed)
			}
		}
		if len(h.open) != len(others) {
			t.Errorf("%s: %d handshakes are left, want %d", name, len(h.open), len(others))
		}
	}
}

func TestTheOldestHandshakeMakesRoom(t *testing.T) {
	t.Parallel()
	var h handshakes
	conns, _ := crowd(&h, shaking+1, func(n int) string { return fmt.Sprintf("10.0.0.%d", n) })
	if !conns[0].closed || countClosed(conns) != 1 {
		t.Errorf("%d handshakes had to make room, the oldest: %t", countClosed(conns), conns[0].closed)
	}
}

func TestTheSourceOfAConnection(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.1:7000":                "10.0.0.1/32",
		"[::ffff:10.0.0.1]:7000":       "10.0.0.1/32",
		"[2001:db8:1:2:3:4:5:6]:7000":  "2001:db8:1:2::/64",
		"[fe80::1%eth0]:7000":          "fe80::/64",
		"a name instead of an address": "invalid Prefix",
	} {
		if got := SourceOf(address(text)).String(); got != want {
			t.Errorf("source of %s: %s, want %s", text, got, want)
		}
	}
}

// Connections of nodes that join take nothing that peers need: neither handshakes nor places.
func TestJoiningNodesTakeNothingFromPeers(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, testCluster)
	port := testPort(t, authority, testNode, nil)
	joins := func(network, host int) error {
		from := net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("2001:db8:0:%x::%x", network, host))}
		conn := &placed{from: from}
		_, err := port.keep(conn, "", protocolJoin, true)
		if conn.closed != (err != nil) {
			t.Errorf("network %d, host %d: closed: %t, error: %v", network, host, conn.closed, err)
		}
		return err
	}
	for network := range connsJoining / joinsPerSource {
		for host := range joinsPerSource {
			must(t, joins(network, host))
		}
		if err := joins(network, joinsPerSource); err == nil {
			t.Errorf("more than %d nodes of one network join at once", joinsPerSource)
		}
	}
	if err := joins(connsJoining, 0); err == nil {
		t.Errorf("more than %d nodes join at once", connsJoining)
	}
	for i := range connsInAll {
		here, there := net.Pipe()
		defer there.Close()
		if _, err := port.keep(here, string(rune('a'+i/connsPerPeer)), protocolRaft, true); err != nil {
			t.Fatalf("peer connection %d: %v", i, err)
		}
	}
}

// A member that is removed after its handshake, and before its connection is registered, is cut all the same: the
// recheck of the removal could not see the connection yet.
func TestAMemberRemovedBeforeItsConnectionIsRegisteredIsCut(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1, admitting("node-1", "node-7"))
	port := g.members[0].stream.(*Port)
	must(t, port.guest.Load().knows("node-7")) // as its handshake asked
	g.members[0].propose(t, "once bury node-7")
	port.recheck()
	here, there := net.Pipe()
	defer there.Close()
	if _, err := port.keep(here, "node-7", protocolRaft, true); err == nil {
		t.Error("a removed node was registered")
	}
	if _, err := here.Write([]byte{1}); err == nil {
		t.Error("the connection of a removed node is open")
	}
	for _, conn := range port.connections() {
		if conn.peer == "node-7" {
			t.Error("the connection of a removed node is kept")
		}
	}
}
