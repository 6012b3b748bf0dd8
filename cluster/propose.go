package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// The pause between two attempts doubles from the first to the last, each with jitter.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 100 * time.Millisecond
)

var waiters = sync.Pool{New: func() any { return &waiter{done: make(chan answer, 1)} }}

// Propose hands request to the machine and returns its outcome once that is durable on a quorum.
//
// While the outcome is unknown, or certainly nothing happened because nobody led, it tries again until ctx ends: the
// request id inside request makes that exactly once. Overload and shutdown are answered at once. The error is ErrTooLarge,
// or of the kind ErrNotApplied or ErrUnknown, and names its reason, the end of ctx included. The caller must not change
// request any more, also not after an error, nor the outcome.
func (c *Cluster) Propose(ctx context.Context, request []byte) ([]byte, error) {
	if len(request) > MaxRequest {
		return nil, ErrTooLarge
	}
	if err := ctx.Err(); err != nil {
		return nil, notApplied(err)
	}
	outcome, err := c.try(ctx, request)
	if err != nil {
		outcome, err = c.retry(ctx, request, err)
	}
	if err == nil {
		return outcome, nil
	}
	if errors.Is(err, ErrUnknown) {
		c.observe.Unknown()
	} else {
		c.observe.Refuse(err)
	}
	return nil, err
}

// retry repeats an attempt that failed with err as long as that can help.
// After one unknown outcome the final word can only be an outcome or unknown.
func (c *Cluster) retry(ctx context.Context, request []byte, err error) ([]byte, error) {
	inDoubt := errors.Is(err, ErrUnknown)
	for pause := firstPause; retryable(err, inDoubt) && c.rest(ctx, pause); pause = min(2*pause, lastPause) {
		var outcome []byte
		if outcome, err = c.try(ctx, request); err == nil {
			return outcome, nil
		}
		inDoubt = inDoubt || errors.Is(err, ErrUnknown)
	}
	return nil, c.verdict(ctx, err, inDoubt)
}

// verdict completes the last attempt's error: with the end that stopped the attempts, and with an earlier doubt.
func (c *Cluster) verdict(ctx context.Context, err error, inDoubt bool) error {
	reason := reasonOf(err)
	if over := c.ended(ctx); over != nil && !errors.Is(err, over) {
		reason = fmt.Errorf("%w: %w", over, reason)
	}
	if inDoubt {
		return unknown(reason)
	}
	return notApplied(reason)
}

// retryable says whether another attempt may do better. Within a restore it must not be made:
// the request would run in a state that its caller has never seen.
func retryable(err error, inDoubt bool) bool {
	switch {
	case errors.Is(err, ErrStopping), errors.Is(err, raft.ErrAbortedByRestore):
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.Is(err, ErrUnknown), errors.Is(err, ErrNotLeader):
		return true
	}
	return inDoubt && errors.Is(err, ErrOverloaded)
}

// rest pauses for about that long; it returns false if ctx or the node ended first.
func (c *Cluster) rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause/2 + rand.N(pause/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
	case <-c.stop:
	}
	return false
}

// ended returns why waiting is over, nil if it is not.
func (c *Cluster) ended(ctx context.Context) error {
	select {
	case <-c.stop:
		return ErrStopping
	default:
		return ctx.Err()
	}
}

// attempt puts request into the queue once and waits for its outcome, for ctx, and for the node's stop.
func (c *Cluster) attempt(ctx context.Context, request []byte, forced bool) ([]byte, error) {
	if c.raft().State() != raft.Leader {
		return nil, errNotLeader
	}
	w := waiters.Get().(*waiter)
	w.request = request
	if err := c.queue.enqueue(w, forced); err != nil {
		w.request = nil
		waiters.Put(w)
		return nil, err
	}
	select {
	case a := <-w.done:
		w.request = nil
		waiters.Put(w)
		return a.outcome, a.err
	case <-ctx.Done():
		return c.abandon(w, ctx.Err())
	case <-c.stop:
		return c.abandon(w, ErrStopping)
	}
}

// abandon ends the wait of w. A waiter inside an entry will still be answered, so it never returns to the pool.
func (c *Cluster) abandon(w *waiter, reason error) ([]byte, error) {
	if c.queue.withdraw(w) {
		return nil, notApplied(reason)
	}
	select {
	case a := <-w.done:
		return a.outcome, a.err
	default:
		return nil, unknown(reason)
	}
}
