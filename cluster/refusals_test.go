package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"
)

func TestAPortScanWritesOneLinePerAddressAndMinute(t *testing.T) {
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
	for i := range 4 * refusalAddresses {
		r.note(&net.TCPAddr{IP: net.IPv4(11, 0, byte(i>>8), byte(i))}, now.Add(refusalPeriod))
	}
	if len(r.seen) != refusalAddresses {
		t.Errorf("%d addresses are remembered, want %d", len(r.seen), refusalAddresses)
	}
}

func TestOneAddressHasHalfOfTheHandshakes(t *testing.T) {
	t.Parallel()
	var h handshakes
	var held []func()
	silent := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}
	for giveBack := h.take(silent); giveBack != nil; giveBack = h.take(silent) {
		held = append(held, giveBack)
	}
	if len(held) != shaking/2 {
		t.Errorf("one address has %d slots, want %d", len(held), shaking/2)
	}
	peer := h.take(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 2)})
	if peer == nil {
		t.Fatal("there is no slot for another address")
	}
	peer()
	for _, giveBack := range held {
		giveBack()
		giveBack()
	}
	if h.total != 0 || len(h.from) != 0 {
		t.Errorf("%d slots of %d addresses were not given back", h.total, len(h.from))
	}
}

// Connections of nodes that join take nothing that peers need: neither handshakes nor places.
func TestJoiningNodesTakeNothingFromPeers(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, testCluster)
	port := testPort(t, authority, testNode, func(cfg *PortConfig) {
		cfg.Join = func(context.Context, JoinRequest) (JoinReply, error) { return JoinReply{}, errors.New("no") }
	})
	for range connsJoining { // and say nothing
		conn, err := tls.Dial("tcp", port.Addr().String(), &tls.Config{
			MinVersion: tls.VersionTLS13, NextProtos: []string{protocolJoin}, InsecureSkipVerify: true,
		})
		must(t, err)
		defer conn.Close()
	}
	eventually(t, "all are connected", func() bool { return len(port.connections()) == connsJoining })
	eventually(t, "they hold no handshake", func() bool {
		port.shaking.mu.Lock()
		defer port.shaking.mu.Unlock()
		return port.shaking.total == 0
	})
	here, there := net.Pipe()
	defer there.Close()
	if _, err := port.keep(here, "", protocolJoin, true); err == nil {
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
