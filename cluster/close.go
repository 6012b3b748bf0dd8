package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	workLimit  = 10 * time.Second       // for leader-only work to return
	drainLimit = 10 * time.Second       // for requests in flight to be answered
	lostGrace  = 100 * time.Millisecond // for answers that raft gave while it stopped
)

// Close ends the node's part in the cluster in order: leader-only work, new requests, requests in flight, the leadership,
// which another voter takes over, connections, raft, raft.db. When ctx ends it returns an error and hurries: nothing in flight is waited for any more, requests without
// an answer are of unknown outcome. Closing goes on in the background; another Close waits for it again.
// The machine can be flushed and closed after a Close without error.
func (c *Cluster) Close(ctx context.Context) error {
	c.closing.Do(func() {
		go func() {
			defer close(c.closed)
			c.closeErr = c.shutdown(ctx)
		}()
	})
	select {
	case <-c.closed:
		return c.closeErr
	case <-ctx.Done():
		return fmt.Errorf("close cluster: %w", ctx.Err())
	}
}

func (c *Cluster) shutdown(ctx context.Context) error {
	c.leadership.end()
	close(c.retired)
	c.patient(ctx, workLimit, c.workers.governor, "leader-only work")
	c.queue.close()
	c.patient(ctx, drainLimit, c.queue.drained, "requests in flight")
	c.handOver(ctx)
	close(c.stop)
	c.queue.end()

	close(c.failure.released)
	<-c.workers.mender
	last := c.stack.Load()
	stopped := last.raft.Shutdown()
	err := last.network.Close() // a stalled connection would hold raft up
	if c.callers != nil {
		c.callers.close()
	}
	err = errors.Join(err, closeStream(c.stream), stopped.Error())
	close(c.halted)
	<-c.workers.receiver
	<-c.workers.caller
	<-c.workers.sealer
	<-c.workers.drainer
	<-c.workers.keeper
	c.leave(last)
	return errors.Join(err, c.storage.close())
}

// patient waits for done within limit and goes on without it. A failed disk ends the wait: nothing will come any more.
func (c *Cluster) patient(ctx context.Context, limit time.Duration, done <-chan struct{}, what string) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case <-done:
		return
	case <-c.failure.raised:
	case <-ctx.Done():
	}
	requests, _, _ := c.queue.load()
	c.logger.Warn("stopping early", "unfinished", what, "requests", requests)
}
