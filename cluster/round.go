package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ErrNoMajority means that too few voters answered to be sure that this node still leads.
var ErrNoMajority = errors.New("no majority of voters answered")

// rounds asks the voters for their terms. All reads that wait when a round begins share it; the next begins when it ends.
type rounds struct {
	mu      sync.Mutex
	running bool
	next    *round // joined by reads that arrive while one runs
}

// round is one question to all voters.
type round struct {
	done chan struct{}
	term uint64 // that was confirmed
	err  error
}

// join returns a round that has not begun yet.
func (r *rounds) join(begin func()) *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
	}
	joined := r.next
	if !r.running {
		r.running = true
		go begin()
	}
	return joined
}

// take returns the round to run now, nil when nobody waits.
func (r *rounds) take() *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.next
	r.next = nil
	r.running = taken != nil
	return taken
}

// confirmByRound makes sure that no newer term than term had begun when the call was made: a rival needs a vote of one
// of the voters that answer, and those state their term in answers to questions sent after the call.
func (c *Cluster) confirmByRound(ctx context.Context, term uint64) error {
	if c.soleVoter() {
		return nil
	}
	if c.port == nil {
		return errRound
	}
	joined := c.rounds.join(c.runRounds)
	select {
	case <-joined.done:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stop:
		return ErrStopping
	}
	if joined.err != nil {
		return joined.err
	}
	if joined.term != term {
		return ErrNotLeader
	}
	return nil
}

// runRounds runs one round after the other as long as reads wait.
func (c *Cluster) runRounds() {
	for r := c.rounds.take(); r != nil; r = c.rounds.take() {
		began := time.Now()
		r.term, r.err = c.ask()
		c.observe.Round(time.Since(began), r.err)
		close(r.done)
	}
}

// ask asks every other voter for its term and returns the own term once a majority, counting this node, has none above.
func (c *Cluster) ask() (uint64, error) {
	term := c.leadership.ready.Load()
	if term == 0 {
		return 0, ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timing.Heartbeat)
	defer cancel()
	others, needed, self := c.voters()
	if !self {
		return 0, ErrNotLeader
	}
	answers := make(chan error, len(others))
	for _, voter := range others {
		go func() { answers <- c.askTerm(ctx, voter, term) }()
	}
	confirmed, failed := 1, error(nil)
	for range others {
		if confirmed >= needed {
			break
		}
		select {
		case err := <-answers:
			switch {
			case errors.Is(err, ErrNotLeader):
				return 0, err
			case err == nil:
				confirmed++
			default:
				failed = err
			}
		case <-c.stop:
			return 0, ErrStopping
		}
	}
	if confirmed < needed {
		return 0, fmt.Errorf("%w: %d of %d: %w", ErrNoMajority, confirmed, needed, failed)
	}
	if after, _, still := c.voters(); !still || !slices.Equal(after, others) {
		return 0, fmt.Errorf("%w: the voters changed meanwhile", ErrNoMajority)
	}
	return term, nil
}

// askTerm asks one voter. A newer term means that this node leads no longer.
func (c *Cluster) askTerm(ctx context.Context, voter raft.Server, term uint64) error {
	f, err := c.callers.call(ctx, peerLane{string(voter.ID), string(voter.Address), laneQuick}, askTerm, nil)
	if err != nil {
		return err
	}
	found, err := bodyNumber(f)
	if err == nil && found > term {
		return ErrNotLeader
	}
	return err
}

// voters returns the other voters of the newest membership, the size of a majority, and whether this node votes.
func (c *Cluster) voters() (others []raft.Server, majority int, self bool) {
	count := 0
	for _, server := range c.raft().GetConfiguration().Configuration().Servers {
		if server.Suffrage != raft.Voter {
			continue
		}
		count++
		if server.ID == c.id {
			self = true
			continue
		}
		others = append(others, server)
	}
	return others, count/2 + 1, self
}
