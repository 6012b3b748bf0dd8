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
// A read is linearizable once the machine's visible index has reached it. It fails with ErrNotLeader, or with ErrNotReady
// while the leader has not begun its term. For a sole voter it asks nobody and never waits.
func (c *Cluster) ReadIndex(ctx context.Context) (uint64, error) {
	if c.raft().State() != raft.Leader {
		return 0, ErrNotLeader
	}
	term := c.leadership.ready.Load()
	if term == 0 || c.raft().CurrentTerm() != term {
		return 0, ErrNotReady
	}
	index := c.raft().CommitIndex() // before the round, never after
	if err := c.confirm(ctx); err != nil {
		return 0, fmt.Errorf("confirm leadership of term %d: %w", term, err)
	}
	if !c.leads(term) {
		return 0, ErrNotLeader
	}
	return index, nil
}

// confirm makes sure that no newer term had begun when the call was made: a rival needs a vote of one of the voters
// that answer. Among one voter that is this node itself, so the round is empty.
func (c *Cluster) confirm(ctx context.Context) error {
	if c.soleVoter() {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errRound
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
