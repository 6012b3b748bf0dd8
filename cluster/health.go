package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// maxLag is how many entries a node may be behind to be promoted.
const maxLag = 500

// Announcement is what the owner of a node tells its peers about it.
type Announcement struct {
	Version     string // of the program
	MachineMin  uint64 // oldest version of the state machine that it runs
	MachineMax  uint64 // newest one
	DigestIndex uint64 // entry of the digest, 0 for none
	Digest      []byte // of the state at that entry
	DiskFree    int64  // bytes
	Alarms      []string
	Boot        uint64 // counts starts of this data directory
	Epoch       uint64
}

// PeerStatus is what a node says about itself.
type PeerStatus struct {
	NodeID  string
	State   string // Follower, Candidate, Leader or Shutdown
	Term    uint64
	Last    uint64    // newest entry
	Commit  uint64    // highest entry it knows to be on a quorum
	Applied uint64    // visible index of its machine
	Clock   time.Time // its wall clock
	Announcement
}

// Peer is a member with what is known about it.
type Peer struct {
	Member
	Status       *PeerStatus   // nil if it did not answer
	Err          error         // why not
	RoundTrip    time.Duration // of the question
	ClockOffset  time.Duration // its clock minus ours, to within half a round trip
	HealthySince time.Time     // only on the leader; zero while it is not healthy
}

// Peers asks every member for its status, this node included. The end of ctx ends the wait for those that do not answer.
func (c *Cluster) Peers(ctx context.Context) []Peer {
	return c.poll(ctx, c.Membership().Members)
}

func (c *Cluster) ownStatus() PeerStatus {
	r := c.raft()
	s := PeerStatus{
		NodeID: string(c.id), State: r.State().String(), Term: r.CurrentTerm(),
		Last: r.LastIndex(), Commit: r.CommitIndex(), Applied: c.applied(), Clock: time.Now(),
	}
	if c.cfg.Announce != nil {
		s.Announcement = c.cfg.Announce()
	}
	return s
}

// poll asks members at the same time.
func (c *Cluster) poll(ctx context.Context, members []Member) []Peer {
	peers := make([]Peer, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() { peers[i] = c.pollOne(ctx, m) })
	}
	asking.Wait()
	return peers
}

func (c *Cluster) pollOne(ctx context.Context, m Member) Peer {
	p := Peer{Member: m, HealthySince: c.health.since(m.ID)}
	if m.ID == string(c.id) {
		own := c.ownStatus()
		p.Status = &own
		return p
	}
	if c.port == nil {
		p.Err = errNoPeers
		return p
	}
	began := time.Now()
	f, err := c.callers.call(ctx, peerLane{m.ID, m.Address, laneQuick}, askStatus, nil)
	p.RoundTrip = time.Since(began)
	var status PeerStatus
	switch {
	case err == nil && f.kind == replyFailed:
		err = decodeReason(f.body)
	case err == nil:
		err = json.Unmarshal(f.body, &status)
	}
	if err == nil && status.NodeID != m.ID {
		err = fmt.Errorf("it says that it is node %q", status.NodeID)
	}
	if err != nil {
		p.Err = fmt.Errorf("ask node %s for its status: %w", m.ID, err)
		return p
	}
	p.Status = &status
	p.ClockOffset = status.Clock.Sub(began.Add(p.RoundTrip / 2))
	return p
}

// checkQuorum refuses a membership in which the voters that are healthy now would be no majority.
func (c *Cluster) checkQuorum(ctx context.Context, next []Member) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timing.Heartbeat)
	defer cancel()
	voters := slices.DeleteFunc(slices.Clone(next), func(m Member) bool { return !m.Voter })
	term, healthy := c.raft().CurrentTerm(), 0
	for _, p := range c.poll(ctx, voters) {
		if p.Status != nil && p.Status.State != raft.Shutdown.String() && p.Status.Term <= term {
			healthy++
		}
	}
	if needed := len(voters)/2 + 1; healthy < needed {
		return fmt.Errorf("%w: %d of %d voters are healthy, %d are needed", ErrUnsafeChange, healthy, len(voters), needed)
	}
	return nil
}

// health is what the leader has seen of its peers since it leads.
type health struct {
	mu    sync.Mutex
	peers map[string]observed
}

type observed struct {
	since time.Time // of uninterrupted health, zero while there is none
	lag   uint64
	equal bool  // its state was compared with ours and is the same
	err   error // why it is not healthy
}

func (h *health) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peers = map[string]observed{}
}

func (h *health) since(id string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peers[id].since
}

// note records one look at a peer. Health lasts as long as every look finds it.
func (h *health) note(id string, now observed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.peers[id]
	if now.err == nil && !before.since.IsZero() {
		now.since = before.since
		now.equal = now.equal || before.equal
	}
	h.peers[id] = now
}

// eligible says why a node cannot be promoted.
func (h *health) eligible(id string, probation time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, seen := h.peers[id]
	switch {
	case !seen:
		return errors.New("it was not seen yet")
	case o.err != nil:
		return o.err
	case time.Since(o.since) < probation:
		return fmt.Errorf("it has been healthy for %s, %s are needed", time.Since(o.since).Round(time.Millisecond), probation)
	case o.lag >= maxLag:
		return fmt.Errorf("it is %d entries behind", o.lag)
	case !o.equal:
		return errors.New("its state could not be compared with the leader's")
	}
	return nil
}

// watchPeers looks at every member while this node leads, and finishes removals that were cut short.
func (c *Cluster) watchPeers(ctx context.Context) {
	c.health.forget()
	ticker := time.NewTicker(c.cfg.Timing.Probe)
	defer ticker.Stop()
	for {
		c.lookAtPeers(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (c *Cluster) lookAtPeers(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.Timing.Probe)
	defer cancel()
	members := c.Membership().Members
	for _, p := range c.poll(limited, members) {
		if p.ID != string(c.id) {
			c.health.note(p.ID, c.judge(p))
		}
	}
	for _, m := range members {
		if c.cfg.Removed(m.ID) && ctx.Err() == nil {
			if _, err := c.change(ctx, change{Verb: verbRemove, IDs: []string{m.ID}}); err != nil {
				c.logger.Warn("a buried node is still a member", "node", m.ID, "error", err)
			}
		}
	}
}

// judge turns an answer into what it means.
func (c *Cluster) judge(p Peer) observed {
	if p.Status == nil {
		return observed{err: p.Err}
	}
	s, own := p.Status, c.raft().LastIndex()
	now := observed{since: time.Now(), lag: own - min(own, s.Applied)}
	mine := Announcement{}
	if c.cfg.Announce != nil {
		mine = c.cfg.Announce()
	}
	if s.MachineMax < mine.MachineMin || s.MachineMin > mine.MachineMax {
		now.err = fmt.Errorf("it runs state machines %d to %d, the leader %d to %d", s.MachineMin, s.MachineMax, mine.MachineMin, mine.MachineMax)
	}
	if s.Epoch != mine.Epoch {
		now.err = fmt.Errorf("it is in epoch %d, the leader in %d", s.Epoch, mine.Epoch)
	}
	if c.cfg.DigestAt == nil {
		now.equal = true
		return now
	}
	if digest, known := c.cfg.DigestAt(s.DigestIndex); known && s.DigestIndex > 0 {
		if now.equal = bytes.Equal(digest, s.Digest); !now.equal {
			now.err = fmt.Errorf("its state at entry %d is not the leader's", s.DigestIndex)
			c.logger.Error("a member has another state", "node", p.ID, "index", s.DigestIndex)
		}
	}
	return now
}
