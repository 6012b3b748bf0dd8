package node

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"time"

	"coffer/fsm"
)

// fatal ends the process: after a failed write the disk's state is unknown, and
// what is acknowledged is safe in the log.
func (n *Node) fatal(err error) {
	n.broken.CompareAndSwap(nil, &err)
	n.logger.Error("stopping at once", "err", err)
	n.flushLog()
	n.config.exit(ExitStorage)
}

// diverged stops serving and tells the others.
func (n *Node) diverged(index uint64) {
	err := fmt.Errorf("this node computed another state than the leader at entry %d", index)
	if n.broken.CompareAndSwap(nil, &err) {
		// Not here: this is the goroutine that applies entries.
		go func() {
			if n.hasOpened(context.Background()) {
				n.raise(fsm.Diverged, err.Error())
			}
		}()
	}
}

// end asks whoever runs the node to stop it, once.
func (n *Node) end(err error) {
	select {
	case n.ended <- err:
	default:
	}
}

// Stop drains and closes everything in reverse order. Nothing acknowledged is
// lost even when it is cut short.
func (n *Node) Stop(ctx context.Context) error {
	n.draining.Store(true)
	n.once.Do(func() { close(n.stopping) })
	n.logger.Info("stopping")
	select {
	case <-time.After(n.config.DrainDelay):
	case <-ctx.Done():
	}
	return n.stop(ctx)
}

// awaitTending waits for what runs beside the servers.
func (n *Node) awaitTending(ctx context.Context) error {
	signal.Stop(n.hangups)
	done := make(chan struct{})
	go func() {
		n.tending.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of background work: %w", ctx.Err())
	}
}

// stop closes what is open: HTTP, cluster, store, directory. When the time is
// over it leaves the files to the end of the process, or to another stop: entries
// may still be applied, and the log has everything.
func (n *Node) stop(ctx context.Context) error {
	n.once.Do(func() { close(n.stopping) })
	defer n.flushLog()
	if err := n.closeInOrder(ctx); err != nil {
		return err
	}
	n.logger.Info("stopped")
	return nil
}

// closeInOrder ends all that works on the files, and then closes them.
func (n *Node) closeInOrder(ctx context.Context) error {
	var failures []error
	if n.server != nil {
		failures = append(failures, n.server.stop(ctx))
	}
	if n.cluster != nil {
		n.snaps.Stop()
		failures = append(failures, n.cluster.Close(ctx))
	}
	failures = append(failures, n.awaitTending(ctx))
	if err := errors.Join(failures...); err != nil && ctx.Err() != nil {
		return err
	}
	if n.db != nil {
		failures = append(failures, n.db.Close())
	}
	if n.dir != nil {
		failures = append(failures, n.dir.close())
	}
	return errors.Join(failures...)
}
