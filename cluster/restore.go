package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// Restore replaces the state of the whole cluster by one that the caller has verified: raft panics if the machine rejects
// it halfway. It works on the leader only and is placed above the whole log; meta says the size and the least index.
//
// Until a quorum has installed the state, this node refuses proposals and read indexes with ErrNotReady: a leader that
// dies earlier takes the restore with it. Requests in flight end as unknown. If ctx ends first, Restore goes on and its
// end is unknown to the caller.
func (c *Cluster) Restore(ctx context.Context, meta *raft.SnapshotMeta, state io.Reader) error {
	select {
	case c.changing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	term := c.leadership.ready.Load()
	if term == 0 || !c.leads(term) {
		<-c.changing
		return ErrNotLeader
	}
	c.queue.pause(true)
	c.leadership.suspend(term)
	finished := make(chan error, 1)
	go func() {
		defer func() { <-c.changing }()
		finished <- c.restore(term, meta, state)
	}()
	select {
	case err := <-finished:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the restore: %w", ctx.Err())
	case <-c.stop:
		return ErrStopping
	}
}

// restore opens again whatever happened, unless this node does not lead the term any more. The no-op that raft appends
// leaves the machine one entry behind, so the term begins once more.
func (c *Cluster) restore(term uint64, meta *raft.SnapshotMeta, state io.Reader) error {
	defer c.queue.pause(false)
	err := c.await(func() raft.Future { return finishedFuture{c.raft().Restore(meta, state, 0)} })
	if errors.Is(err, ErrStopping) || !c.leads(term) {
		return errors.Join(ErrNotLeader, err)
	}
	ctx := c.leadership.newest()
	if begun := c.beginTerm(ctx, term); begun != nil {
		return errors.Join(err, begun)
	}
	c.leadership.resume(ctx, term)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// finishedFuture is the result of a call that has returned.
type finishedFuture struct{ err error }

// Error returns the result.
func (f finishedFuture) Error() error { return f.err }
