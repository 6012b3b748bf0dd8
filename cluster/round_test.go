package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stubborn gives the first node a lease that outlasts the test: cut off, it goes on believing that it leads,
// as a process does that was stopped and has just woken up.
func stubborn(cfg *Config) {
	if cfg.NodeID == "node-1" {
		cfg.Timing.Heartbeat, cfg.Timing.Election, cfg.Timing.LeaderLease = time.Minute, time.Minute, time.Minute
	}
}

func TestAFormerLeaderConfirmsNoRead(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, stubborn)
	old := g.members[0]
	rest := g.members[1:]
	old.propose(t, "once set key old")
	g.fabric.isolate(old.id, true, ids(rest)...)
	fresh := g.leaderAmong(rest...)
	fresh.propose(t, "once set key new")

	if !old.Ready() {
		t.Fatal("the old leader knows already, the test shows nothing")
	}
	if index, err := old.ReadIndex(g.within(300 * time.Millisecond)); err == nil {
		t.Errorf("the old leader confirmed index %d without its voters", index)
	}
	waiting := make(chan string, 8)
	for range cap(waiting) {
		go func() {
			got, err := old.read(g.within(20*time.Second), "key")
			if err != nil {
				got = "new" // refused, which is right too
			}
			waiting <- got
		}()
	}
	eventually(t, "questions wait in the network", func() bool { return g.fabric.blocked() > 0 })
	g.fabric.isolate(old.id, false, ids(rest)...)
	for range cap(waiting) {
		if got := <-waiting; got != "new" {
			t.Errorf("a former leader reads %q", got)
		}
	}
	eventually(t, "the old leader reads the new value", func() bool {
		got, err := old.read(g.within(time.Second), "key")
		return err == nil && got == "new"
	})
	g.agree()
}

// Raft's own way counts non-voters: a leader cut off from both other voters confirms itself. Ours does not.
func TestANonvoterConfirmsNoRead(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, func(cfg *Config) {
		cfg.Timing.Heartbeat, cfg.Timing.Election, cfg.Timing.LeaderLease = time.Minute, time.Minute, time.Minute
	})
	leader, rest := g.members[0], g.members[1:]
	guest := g.add("node-4")
	g.start(guest, false)
	_, err := leader.AddNonvoter(g.within(10*time.Second), 0, guest.id, guest.address)
	must(t, err)
	leader.propose(t, "once before")
	eventually(t, "the guest follows", func() bool { return guest.machine.visible.Load() == leader.machine.visible.Load() })
	_, err = leader.ReadIndex(g.within(10 * time.Second))
	must(t, err)
	g.fabric.isolate(leader.id, true, ids(rest)...)
	stock := make(chan error, 1)
	go func() { stock <- leader.raft().VerifyLeader().Error() }()
	if index, err := leader.ReadIndex(g.within(500 * time.Millisecond)); err == nil {
		t.Errorf("confirmed index %d through a non-voter", index)
	}
	select {
	case err := <-stock:
		if err != nil {
			t.Errorf("stock VerifyLeader no longer counts non-voters: %v", err)
		}
	case <-g.within(15 * time.Second).Done():
		t.Error("stock VerifyLeader did not answer")
	}
	g.fabric.isolate(leader.id, false, ids(rest)...)
}

func TestReadsThatWaitShareOneRound(t *testing.T) {
	t.Parallel()
	var rounds atomic.Int64
	g := newGroup(t, 3, func(cfg *Config) {
		stubborn(cfg)
		if cfg.NodeID == "node-1" {
			cfg.Observe.Round = func(time.Duration, error) { rounds.Add(1) }
		}
		if cfg.NodeID != "node-1" {
			cfg.Timing.Heartbeat, cfg.Timing.Election = time.Minute, time.Minute
		}
	})
	leader, rest := g.members[0], g.members[1:]
	_, err := leader.ReadIndex(g.within(10 * time.Second))
	must(t, err)
	for _, m := range rest {
		g.fabric.hold(m.id, leader.id, true)
	}
	before := rounds.Load()
	var reading sync.WaitGroup
	read := func() {
		if _, err := leader.ReadIndex(g.within(20 * time.Second)); err != nil {
			t.Error(err)
		}
	}
	reading.Go(read)
	eventually(t, "the first round is under way", func() bool {
		leader.rounds.mu.Lock()
		defer leader.rounds.mu.Unlock()
		return leader.rounds.running && leader.rounds.next == nil
	})
	for range 30 {
		reading.Go(read)
	}
	eventually(t, "the others wait", func() bool {
		leader.rounds.mu.Lock()
		defer leader.rounds.mu.Unlock()
		return leader.rounds.next != nil
	})
	for _, m := range rest {
		g.fabric.hold(m.id, leader.id, false)
	}
	reading.Wait()
	if got := rounds.Load() - before; got < 2 || got > 5 {
		t.Errorf("31 reads took %d rounds", got)
	}
}

func TestAReadWithoutAMajorityEnds(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, func(cfg *Config) {
		cfg.Timing.Heartbeat, cfg.Timing.Election, cfg.Timing.LeaderLease = 3*time.Second, 3*time.Second, 3*time.Second
	})
	leader := g.leader()
	for _, m := range g.followers(leader) {
		g.stop(m)
	}
	_, err := leader.ReadIndex(g.within(20 * time.Second))
	if !errors.Is(err, ErrNoMajority) && !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrNotReady) {
		t.Errorf("read index: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := leader.ReadIndex(ctx); err == nil {
		t.Error("a read index after the end of its context")
	}
}
