package cluster

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func (g *group) voters() []string {
	var names []string
	for _, m := range g.leader().Membership().Members {
		if m.Voter {
			names = append(names, m.ID)
		}
	}
	slices.Sort(names)
	return names
}

func TestChangesCompareTheMembership(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	seen := leader.Membership()
	if len(seen.Members) != 3 || seen.Index == 0 {
		t.Fatalf("membership %+v", seen)
	}
	follower := g.followers(leader)[0]
	index, err := follower.Demote(g.within(10*time.Second), seen.Index, g.followers(leader)[1].id)
	must(t, err)
	if got := leader.Membership().Index; got != index || index <= seen.Index {
		t.Errorf("membership index %d, the change returned %d", got, index)
	}
	for _, m := range []*groupMember{leader, follower} {
		if _, err := m.Remove(g.within(10*time.Second), seen.Index, g.followers(leader)[1].id); !errors.Is(err, ErrMembershipChanged) {
			t.Errorf("a change of an old membership at %s: %v", m.id, err)
		}
	}
	if _, err := follower.Promote(g.within(10*time.Second), 0, "node-9"); !errors.Is(err, ErrNotEligible) {
		t.Errorf("promotion of a stranger: %v", err)
	}
}

func TestAChangeThatWouldCostTheQuorumIsRefused(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	rest := g.followers(leader)
	dead, alive := rest[0], rest[1]
	g.stop(dead)
	ctx := g.within(20 * time.Second)
	if _, err := leader.Demote(ctx, 0, alive.id); !errors.Is(err, ErrUnsafeChange) {
		t.Errorf("demoting one of two healthy voters: %v", err)
	}
	if _, err := leader.Remove(ctx, 0, alive.id); !errors.Is(err, ErrUnsafeChange) {
		t.Errorf("removing one of two healthy voters: %v", err)
	}
	if alive.machine.buried(alive.id) {
		t.Error("a refused removal buried the id")
	}
	_, err := leader.Remove(ctx, 0, dead.id)
	must(t, err)
	if got := g.voters(); len(got) != 2 || slices.Contains(got, dead.id) {
		t.Errorf("voters %s", got)
	}
	leader.propose(t, "once after")
}

func TestOnlyANodeOfEqualStateIsPromoted(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1, func(cfg *Config) {
		digest := []byte("right")
		if cfg.NodeID == "node-3" {
			digest = []byte("wrong")
		}
		cfg.DigestAt = func(uint64) ([]byte, bool) { return []byte("right"), true }
		announced := Announcement{Version: "v", MachineMin: 1, MachineMax: 2, DigestIndex: 5, Digest: digest}
		if cfg.NodeID == "node-4" {
			announced.MachineMin, announced.MachineMax = 7, 9
		}
		cfg.Announce = func() Announcement { return announced }
	})
	leader := g.leader()
	ctx := g.within(20 * time.Second)
	for i := 2; i <= 4; i++ {
		m := g.add(fmt.Sprintf("node-%d", i))
		g.start(m, false)
		_, err := leader.AddNonvoter(ctx, 0, m.id, m.address)
		must(t, err)
	}
	if _, err := leader.Promote(ctx, 0, "node-2"); !errors.Is(err, ErrNotEligible) {
		t.Errorf("promoted at once: %v", err)
	}
	eventually(t, "the leader has seen all", func() bool {
		return !leader.health.since("node-2").IsZero() && contains(leader.health.eligible("node-3", 0), "is not the leader's") &&
			contains(leader.health.eligible("node-4", 0), "state machines")
	})
	g.promote("node-2")
	for _, id := range []string{"node-3", "node-4"} {
		if _, err := leader.Promote(ctx, 0, id); !errors.Is(err, ErrNotEligible) {
			t.Errorf("promotion of %s: %v", id, err)
		}
	}
	if _, err := leader.Promote(ctx, 0, "node-2", "node-3"); !errors.Is(err, ErrNotEligible) {
		t.Errorf("promotion together with an eligible one: %v", err)
	}
	if got := g.voters(); !slices.Equal(got, []string{"node-1", "node-2"}) {
		t.Errorf("voters %s", got)
	}
}

func TestARemovedNodeNeverComesBack(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	gone, stays := g.followers(leader)[0], g.followers(leader)[1]
	ctx := g.within(20 * time.Second)
	_, err := leader.Remove(ctx, 0, gone.id)
	must(t, err)
	eventually(t, "the other follower knows", func() bool { return stays.machine.buried(gone.id) })
	for _, m := range []*groupMember{leader, stays} {
		eventually(t, "its connections are cut", func() bool {
			return !slices.ContainsFunc(m.stream.(*Port).connections(), func(c *portConn) bool { return c.peer == gone.id })
		})
		if err := gone.dialed(g, m); err == nil {
			t.Errorf("%s still talks with %s", m.id, gone.id)
		}
	}
	if _, err := stays.AddNonvoter(ctx, 0, gone.id, gone.address); !errors.Is(err, ErrNotEligible) {
		t.Errorf("adding a removed id: %v", err)
	}
	term := leader.Status().Term
	g.stop(gone)
	g.start(gone, false)
	leader.propose(t, "once after")
	if _, err := gone.Propose(g.within(300*time.Millisecond), []byte("once from the grave")); err == nil {
		t.Error("a removed node's proposal was acknowledged")
	}
	if got := g.leader().Status().Term; got != term {
		t.Errorf("a removed node raised the term from %d to %d", term, got)
	}
	g.stop(gone)
	g.agree()
}

// dialed opens a connection for calls from one member to another and uses it.
func (m *groupMember) dialed(g *group, to *groupMember) error {
	conn, err := m.stream.(*Port).dial(g.within(5*time.Second), protocolCall, to.id, to.address)
	if err != nil {
		return err
	}
	return talks(conn)
}

func TestARemovalThatWasCutShortIsFinished(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	gone := g.followers(leader)[0]
	leader.propose(t, "once bury "+gone.id) // and then the leader crashed
	eventually(t, "the leader removes the buried member", func() bool { return !leader.Membership().has(gone.id) })
	g.stop(gone)
	leader.propose(t, "once after")
}

func TestTheLeaderIsRemovedUnderLoad(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	old := g.leader()
	rest := g.followers(old)
	done := make(chan struct{})
	var acknowledged []string
	var writing sync.WaitGroup
	var mu sync.Mutex
	for i, m := range rest {
		writing.Go(func() {
			for j := 0; ; j++ {
				select {
				case <-done:
					return
				default:
				}
				request := fmt.Sprintf("once load %d/%d", i, j)
				m.propose(t, request)
				mu.Lock()
				acknowledged = append(acknowledged, request)
				mu.Unlock()
			}
		})
	}
	_, err := old.Remove(g.within(20*time.Second), 0, old.id)
	must(t, err)
	g.stop(old)
	fresh := g.leader()
	newcomer := g.add("node-4")
	g.start(newcomer, false)
	_, err = fresh.AddNonvoter(g.within(20*time.Second), 0, newcomer.id, newcomer.address)
	must(t, err)
	g.promote(newcomer.id)
	close(done)
	writing.Wait()
	if got := g.voters(); slices.Contains(got, old.id) || len(got) != 3 {
		t.Errorf("voters %s", got)
	}
	got := g.agree()
	for _, request := range acknowledged {
		if !slices.Contains(got, request) {
			t.Errorf("%q was acknowledged and is missing", request)
		}
	}
}

func TestTheLeadershipGoesWhereItIsSent(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	old := g.leader()
	to := g.followers(old)[1]
	must(t, g.followers(old)[0].Transfer(g.within(10*time.Second), to.id))
	eventually(t, "the named node leads", func() bool { return to.Ready() })
	if err := to.Transfer(g.within(10*time.Second), "node-9"); !errors.Is(err, ErrNotEligible) {
		t.Errorf("transfer to a stranger: %v", err)
	}
	must(t, to.Transfer(g.within(10*time.Second), ""))
	eventually(t, "another node leads", func() bool { return g.leader() != to })
}

func TestPeersTellAboutThemselves(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, func(cfg *Config) {
		cfg.Announce = func() Announcement {
			return Announcement{Version: "of " + cfg.NodeID, DiskFree: 7, Alarms: []string{"x"}}
		}
	})
	g.agree()
	dead := g.followers(g.leader())[0]
	g.stop(dead)
	for _, m := range g.followers(dead) {
		peers := m.Peers(g.within(2 * time.Second))
		if len(peers) != 3 {
			t.Fatalf("%d peers", len(peers))
		}
		for _, p := range peers {
			switch {
			case p.ID == dead.id && (p.Status != nil || p.Err == nil):
				t.Errorf("a dead node answered: %+v", p)
			case p.ID == dead.id:
			case p.Err != nil:
				t.Error(p.Err)
			case p.Status.Version != "of "+p.ID || p.Status.DiskFree != 7 || len(p.Status.Alarms) != 1 || p.Status.Applied == 0:
				t.Errorf("status %+v", p.Status)
			case p.ClockOffset > time.Second || p.ClockOffset < -time.Second:
				t.Errorf("clock offset %s on one machine", p.ClockOffset)
			}
		}
	}
}
