package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// errRound refuses a read index that would need the other voters' word.
var errRound = errors.New("other voters cannot be asked for their term")

// ReadIndex returns an index that covers everything acknowledged before the call, anywhere in the cluster.
// A read is linearizable once the machine's visible index has reached it. It fails with ErrNotLeader, with ErrNotReady
// while the leader has not begun its term, or with ErrNoMajority. For a sole voter it asks nobody and never waits; a
// follower asks the leader once.
func (c *Cluster) ReadIndex(ctx context.Context) (uint64, error) {
	if c.port == nil || c.raft().State() == raft.Leader {
		return c.leaderIndex(ctx)
	}
	f, err := c.askLeader(ctx, laneQuick, askIndex, nil)
	switch {
	case errors.Is(err, errNotSent), errors.Is(err, errLeaderChanged), errors.Is(err, errLost):
		return 0, fmt.Errorf("%w: %w", ErrNotLeader, err)
	case err != nil:
		return 0, fmt.Errorf("ask the leader for a read index: %w", err)
	}
	return bodyNumber(f)
}

// leaderIndex returns a read index if this node leads.
func (c *Cluster) leaderIndex(ctx context.Context) (uint64, error) {
	if c.raft().State() != raft.Leader {
		return 0, ErrNotLeader
	}
	term := c.leadership.ready.Load()
	if term == 0 || c.raft().CurrentTerm() != term {
		return 0, ErrNotReady
	}
	index := c.raft().CommitIndex() // before the round, never after
	if err := c.confirm(ctx, term); err != nil {
		return 0, fmt.Errorf("confirm leadership of term %d: %w", term, err)
	}
	if !c.leads(term) {
		return 0, ErrNotLeader
	}
	return index, nil
}

// WaitReady returns once this node leads and has begun its term, or with the reason why it stopped waiting.
func (c *Cluster) WaitReady(ctx context.Context) error {
	for {
		changed := c.leadership.change()
		if c.Ready() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the leader: %w", ctx.Err())
		case <-c.stop:
			return fmt.Errorf("wait for the leader: %w", ErrStopping)
		}
	}
}

// Ready says whether this node leads and has begun its term.
func (c *Cluster) Ready() bool {
	term := c.leadership.ready.Load()
	return term != 0 && c.leads(term)
}
