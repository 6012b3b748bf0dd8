package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// leaderWatch tells when the known leader changes: an answer of the old one may never come.
type leaderWatch struct {
	mu      sync.Mutex
	changed chan struct{}
}

func newLeaderWatch() *leaderWatch { return &leaderWatch{changed: make(chan struct{})} }

func (w *leaderWatch) announce() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *leaderWatch) change() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// errLeaderChanged ends the wait for a former leader.
var errLeaderChanged = errors.New("the leader changed")

// askLeader asks the known leader one question. The wait ends when another leader becomes known.
func (c *Cluster) askLeader(ctx context.Context, l lane, k kind, body []byte) (frame, error) {
	if c.port == nil {
		return frame{}, errNotSent
	}
	changed := c.watch.change()
	address, id := c.raft().LeaderWithID()
	if id == "" || id == c.id {
		return frame{}, errNotSent
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-changed:
			case <-c.stop:
				cancel(ErrStopping)
				return
			case <-done:
				return
			}
			changed = c.watch.change()
			if _, now := c.raft().LeaderWithID(); now != "" && now != id {
				cancel(errLeaderChanged)
				return
			}
		}
	}()
	return c.callers.call(ctx, peerLane{string(id), string(address), l}, k, body)
}

// try makes one attempt at a proposal, here or at the leader. It forwards the request as it is: only the leader seals.
func (c *Cluster) try(ctx context.Context, request []byte) ([]byte, error) {
	if c.port == nil || c.raft().State() == raft.Leader {
		return c.attempt(ctx, request, false)
	}
	return c.forward(ctx, request)
}

// forward lets the leader propose. A node that turns out not to lead refuses: there is no second hop.
func (c *Cluster) forward(ctx context.Context, request []byte) ([]byte, error) {
	f, err := c.askLeader(ctx, laneBulk, askPropose, request)
	outcome, err := forwarded(f, err)
	c.observe.Forward(err)
	return outcome, err
}

// forwarded says what the leader's answer, or the lack of one, means for a proposal.
func forwarded(f frame, err error) ([]byte, error) {
	switch {
	case errors.Is(err, errNotSent) && ended(err):
		return nil, notApplied(err)
	case errors.Is(err, errNotSent):
		return nil, errNotLeader
	case err != nil:
		return nil, unknown(fmt.Errorf("forward to the leader: %w", err))
	case f.kind == replyDone:
		return f.body, nil
	case f.kind != replyNotApplied:
		return nil, unknown(decodeReason(f.body))
	}
	reason := decodeReason(f.body)
	if errors.Is(reason, ErrStopping) || errors.Is(reason, ErrNotLeader) {
		return nil, errNotLeader // that node stops or steps down, another will lead
	}
	return nil, notApplied(reason)
}

// ended says whether err is the end of the caller's wait or of this node.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrStopping)
}
