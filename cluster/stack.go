package cluster

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// stack is one life of raft over the open files. A node has one after the other: when an installed state contradicts
// the log, raft must forget what it believes about the log, and only a new one does.
type stack struct {
	raft     *raft.Raft
	network  *transport
	cache    *raft.LogCache
	flights  chan *entry           // handed to raft, in order
	current  atomic.Pointer[entry] // the one whose answer is awaited
	answerer <-chan struct{}
}

// raft returns the present life of raft.
func (c *Cluster) raft() *raft.Raft { return c.stack.Load().raft }

// newStack starts raft over the files, which must fit cfg.State.
func (c *Cluster) newStack(cfg Config) (*stack, error) {
	cache, err := raft.NewLogCache(logCache, c.storage.logs)
	if err != nil {
		return nil, fmt.Errorf("start raft: %w", err)
	}
	listed, err := c.snapshots.List()
	if err != nil {
		return nil, fmt.Errorf("start raft: %w", err)
	}
	for _, meta := range listed {
		c.machine.membership.Store(max(c.machine.membership.Load(), meta.ConfigurationIndex))
	}
	s := &stack{cache: cache, flights: make(chan *entry, maxEntries)}
	s.network = newTransport(cfg, c.valve)
	c.machine.cache = cache
	c.machine.divergent.Store(false)
	s.raft, err = raft.NewRaft(cfg.raftConfig(c.notify), c.machine, cache, c.storage.votes, c.snapshots, s.network)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start raft: %w", err), s.network.Close())
	}
	c.valve.queued.Store(&s.raft)
	s.answerer = work(func() { c.answerEntries(s) })
	s.raft.RegisterObserver(raft.NewObserver(nil, false, c.watchLeader))
	return s, nil
}

// replace makes s the present stack. No entry is handed to the old one afterwards.
func (c *Cluster) replace(s *stack) {
	c.launching.Lock()
	defer c.launching.Unlock()
	c.stack.Store(s)
}

// mend replaces raft after an install that contradicts the log, until the node stops.
func (c *Cluster) mend() {
	for {
		select {
		case <-c.stop:
			return
		case <-c.machine.broken:
		}
		if err := c.rebuild(); err != nil {
			c.failure.raise(fmt.Errorf("restart raft after an install: %w", err))
			return
		}
	}
}

// rebuild ends raft, drops the log that does not lead to the installed state, and starts raft again.
// It is the restart path without a new process: a crash on the way leaves what a start can judge.
func (c *Cluster) rebuild() error {
	old := c.stack.Load()
	stopped := old.raft.Shutdown()
	err := errors.Join(old.network.Close(), stopped.Error())
	if err != nil {
		return err
	}
	cfg := c.cfg
	cfg.State, cfg.Bootstrap = cfg.Recorded(), false
	c.logger.Warn("restarting raft: the log contradicts the installed state", "state", cfg.State.Index, "term", cfg.State.Term)
	if err := checkSnapshot(cfg.State, c.snapshots); err != nil {
		return err
	}
	decided, err := c.storage.judge(cfg)
	if err == nil {
		err = c.storage.carryOut(decided, cfg)
	}
	if err != nil {
		return err
	}
	fresh, err := c.newStack(cfg)
	if err != nil {
		return err
	}
	c.replace(fresh)
	c.leave(old)
	c.observe.Rebuilt()
	return nil
}

// leave waits for the last answers of a stack whose raft has stopped. Raft never resolves what was still in its queues
// then and offers no way to stop waiting for it, so after a moment those outcomes are unknown.
func (c *Cluster) leave(s *stack) {
	close(s.flights)
	timer := time.NewTimer(lostGrace)
	defer timer.Stop()
	select {
	case <-s.answerer:
		return
	case <-timer.C:
	}
	if e := s.current.Load(); e != nil && c.queue.land(e) {
		c.failEntry(e, raft.ErrRaftShutdown)
	}
	for e := range s.flights {
		if c.queue.land(e) {
			c.failEntry(e, raft.ErrRaftShutdown)
		}
	}
}
