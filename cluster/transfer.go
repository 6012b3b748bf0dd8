package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	transferAttempts = 3
	handOverLimit    = 5 * time.Second // for the transfer when a leader stops
)

// transfer makes one of the named voters lead, or any: the most caught-up healthy one first. While raft hands over it
// refuses proposals, which is certainly without effect.
func (c *Cluster) transfer(ctx context.Context, ids []string) error {
	candidates := c.successors(ctx, ids)
	if len(candidates) == 0 {
		return fmt.Errorf("%w: no other voter is healthy", ErrNotEligible)
	}
	var failed error
	for attempt := range transferAttempts {
		to := candidates[attempt%len(candidates)]
		err := c.awaitFor(ctx, func() raft.Future {
			return c.raft().LeadershipTransferToServer(raft.ServerID(to.ID), raft.ServerAddress(to.Address))
		})
		if err == nil || c.raft().State() != raft.Leader {
			c.logger.Info("handed the leadership over", "to", to.ID)
			return nil
		}
		failed = errors.Join(failed, fmt.Errorf("hand over to %s: %w", to.ID, err))
		if ctx.Err() != nil || errors.Is(err, ErrStopping) {
			break
		}
	}
	return failed
}

// successors returns the healthy voters among ids, or among all others, by how much of the log they have.
func (c *Cluster) successors(ctx context.Context, ids []string) []Peer {
	members := slices.DeleteFunc(c.Membership().Members, func(m Member) bool {
		return !m.Voter || m.ID == string(c.id) || (len(ids) > 0 && !slices.Contains(ids, m.ID))
	})
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timing.Heartbeat)
	defer cancel()
	term := c.raft().CurrentTerm()
	peers := slices.DeleteFunc(c.poll(ctx, members), func(p Peer) bool {
		return p.Status == nil || p.Status.State == raft.Shutdown.String() || p.Status.Term > term
	})
	slices.SortStableFunc(peers, func(a, b Peer) int { return cmp.Compare(b.Status.Last, a.Status.Last) })
	return peers
}

// handOver gives the leadership away before this node stops, if anybody can take it. Nothing is in flight any more.
func (c *Cluster) handOver(ctx context.Context) {
	if c.port == nil || c.raft().State() != raft.Leader || c.soleVoter() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, handOverLimit)
	defer cancel()
	if err := c.transfer(ctx, nil); err != nil {
		c.logger.Warn("stopping as leader", "error", err)
	}
}

// awaitFor waits for a future of raft, which may never resolve, for ctx, or for the node's stop. Once it has returned with
// the end of one of those, begin will never run; if it does already, the error is of the kind ErrUnknown.
func (c *Cluster) awaitFor(ctx context.Context, begin func() raft.Future) error {
	result := make(chan error, 1)
	var claimed atomic.Bool // by whoever comes first: begin, or the end of the wait
	go func() {
		if claimed.CompareAndSwap(false, true) {
			result <- begin().Error()
		}
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	case <-c.stop:
	}
	over := cmp.Or(c.ended(ctx), context.Canceled)
	if claimed.CompareAndSwap(false, true) {
		return over
	}
	return unknown(over)
}
