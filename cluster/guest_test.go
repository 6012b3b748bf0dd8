package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// rule sends one heartbeat of a high term to a member, in the name of the port's node.
func (g *group) rule(port *Port, over *groupMember) error {
	stream := newOutgoing(port, port.Dial)
	network := raft.NewNetworkTransport(stream, 0, 5*time.Second, io.Discard)
	defer network.Close()
	id := port.credentials.Load().nodeID
	request := &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte(id), Addr: []byte("127.0.0.1:1")}, Term: over.Status().Term + 10,
	}
	target := nameTarget(raft.ServerID(over.id), raft.ServerAddress(over.address))
	return network.AppendEntries(raft.ServerID(over.id), target, request, &raft.AppendEntriesResponse{})
}

func TestAStrangerWithAGoodCertificateCannotLead(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	term := leader.Status().Term
	stranger := testPort(t, g.authority, "stranger", nil)
	for _, m := range g.members {
		if err := g.rule(stranger, m); err == nil {
			t.Errorf("%s obeys a stranger", m.id)
		}
		if err := g.asker(testCredentials(t, g.authority, "stranger"), nil); err == nil {
			t.Errorf("%s answers a stranger", m.id)
		}
		if _, err := m.stream.(*Port).dial(g.within(5*time.Second), protocolCall, "stranger", stranger.Addr().String()); !errors.Is(err, errStranger) {
			t.Errorf("%s calls a stranger: %v", m.id, err)
		}
		if s := m.Status(); s.Term != term || s.Leader != leader.id {
			t.Errorf("%s is in term %d of %q, was in term %d of %s", m.id, s.Term, s.Leader, term, leader.id)
		}
	}
	leader.propose(t, "once after")
}

func TestANodeThatHasJustJoinedObeysWhoeverLeads(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, func(cfg *Config) {
		own := cfg.NodeID
		cfg.Admitted = func(id string) bool { return own != "node-4" && id == "node-4" }
	})
	old := g.leader()
	fresh := g.followers(old)[0]
	must(t, old.Transfer(g.within(10*time.Second), fresh.id))
	eventually(t, "the named node leads", func() bool { return fresh.Ready() })
	newcomer := g.add("node-4") // it replays a membership that is only node-1, from a leader that joined later
	g.start(newcomer, false)
	if err := newcomer.dialed(g, fresh); err != nil {
		t.Errorf("admitted, but not in the membership yet: %v", err)
	}
	_, err := fresh.AddNonvoter(g.within(10*time.Second), 0, newcomer.id, newcomer.address)
	must(t, err)
	g.promote(newcomer.id)
	eventually(t, "the newcomer is settled", func() bool { return newcomer.Membership().has(newcomer.id) })
	if err := g.rule(testPort(t, g.authority, "stranger", nil), newcomer); err == nil {
		t.Error("a settled newcomer obeys a stranger")
	}
	g.agree()
}

func TestANodeThatWasAwayObeysALeaderThatAMemberVouchesFor(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	away := g.followers(leader)[0]
	g.stop(away)
	newcomer := g.add("node-4")
	g.start(newcomer, false)
	_, err := leader.AddNonvoter(g.within(10*time.Second), 0, newcomer.id, newcomer.address)
	must(t, err)
	g.promote(newcomer.id)
	must(t, leader.Transfer(g.within(10*time.Second), newcomer.id))
	eventually(t, "the newcomer leads", func() bool { return newcomer.Ready() })
	g.fabric.isolate(away.id, true, leader.id) // which may still be about to send what it had
	g.start(away, false)
	eventually(t, "the node that was away follows the newcomer", func() bool { return away.Membership().has(newcomer.id) })
	if err := g.rule(testPort(t, g.authority, "stranger", nil), away); err == nil {
		t.Error("it obeys a stranger too")
	}
	g.fabric.isolate(away.id, false, leader.id)
	g.agree()
}

func TestAConnectionOfANodeThatIsNoMemberAnyMoreIsCut(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, func(cfg *Config) { cfg.Bury = nil }) // its id is free again, but it is no member
	leader := g.leader()
	gone, stays := g.followers(leader)[0], g.followers(leader)[1]
	must(t, gone.dialed(g, stays))
	_, err := leader.Remove(g.within(10*time.Second), 0, gone.id)
	must(t, err)
	for _, m := range []*groupMember{leader, stays} {
		eventually(t, "its connections are cut", func() bool {
			return !slices.ContainsFunc(m.stream.(*Port).connections(), func(c *portConn) bool { return c.peer == gone.id })
		})
	}
	g.stop(gone)
}

// muteConn says hello and then hears nothing.
type muteConn struct {
	net.Conn
	closed chan struct{}
}

func (c muteConn) Read([]byte) (int, error) {
	<-c.closed
	return 0, net.ErrClosed
}

// Neither connections that say nothing nor nodes that begin to join keep peers out, not even at the same address.
func TestUnfinishedHandshakesLeaveRoomForPeers(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, testCluster)
	port := testPort(t, authority, "node-1", func(cfg *PortConfig) {
		cfg.Join = func(context.Context, JoinRequest) (JoinReply, error) { return JoinReply{}, errors.New("no") }
	})
	wants := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocolJoin}}
	closed := make(chan struct{})
	var saying sync.WaitGroup
	defer saying.Wait()
	defer close(closed)
	for i := range shaking {
		raw, err := net.Dial("tcp", port.Addr().String())
		must(t, err)
		defer raw.Close()
		if i%2 == 0 {
			saying.Go(func() { tls.Client(muteConn{raw, closed}, wants).Handshake() }) // fails, when the test ends
		}
	}
	eventually(t, "all places of the address are taken", func() bool {
		port.shaking.mu.Lock()
		defer port.shaking.mu.Unlock()
		return len(port.shaking.open) == shaking/2
	})
	served := work(func() {
		if conn, err := port.acceptCall(); err == nil {
			conn.Close()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	peer := testPort(t, authority, "node-2", nil)
	if _, err := peer.dial(ctx, protocolCall, "node-1", port.Addr().String()); err != nil {
		t.Errorf("a peer found no room: %v", err)
	}
	<-served
}
