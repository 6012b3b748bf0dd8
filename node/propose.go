package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/http/api"
	"coffer/store"
)

// seal makes one log entry of the requests that have gathered: here, on the
// leader, clock and randomness enter.
func (n *Node) seal(requests [][]byte) ([]byte, error) {
	entry := fsm.Entry{
		SaltID:   n.salt.ID(),
		Time:     store.TimeOf(time.Now()),
		Requests: make([]store.Raw, len(requests)),
	}
	// crypto/rand never fails: the runtime stops the program instead.
	_, _ = rand.Read(entry.Seed[:])
	for i, request := range requests {
		if err := store.WellFormed(request); err != nil {
			return nil, err
		}
		entry.Requests[i] = request
	}
	return fsm.Seal(entry), nil
}

// Propose takes a request to the log and brings its outcome back.
func (n *Node) Propose(ctx context.Context, r fsm.Request) (fsm.Outcome, error) {
	encoded, err := n.cluster.Propose(ctx, store.Encode(&r))
	if err != nil {
		return fsm.Outcome{}, apiError(err)
	}
	outcome, err := fsm.DecodeOutcome(encoded)
	if err != nil {
		return fsm.Outcome{}, fmt.Errorf("outcome of %s: %w", r.Command, err)
	}
	return outcome, nil
}

// Try answers a dry run from a view of this node, as fresh as a read.
func (n *Node) Try(ctx context.Context, r fsm.Request) (outcome fsm.Outcome, err error) {
	var seed [16]byte
	_, _ = rand.Read(seed[:])
	err = n.Read(ctx, fsm.Linearizable, func(v *store.View) error {
		outcome, err = n.machine.Try(v, r, store.TimeOf(time.Now()), seed)
		return err
	})
	return outcome, err
}

// Read runs a function on a view of the wanted freshness. What it keeps must
// not point into raw rows.
func (n *Node) Read(ctx context.Context, level fsm.Level, read func(*store.View) error) error {
	began := time.Now()
	defer func() { n.metrics.reads[level].Observe(time.Since(began).Seconds()) }()
	if err := n.catchUp(ctx, level); err != nil {
		return err
	}
	v := n.db.Latest()
	defer v.Close()
	return read(v)
}

// readPatience is how long a read waits for a leader: an election is shorter.
const readPatience = 5 * time.Second

// readIndex asks for a read index until somebody leads and has begun the term.
// A write may be answered a moment before.
func (n *Node) readIndex(ctx context.Context) (index uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if index, err = n.cluster.ReadIndex(ctx); err == nil || !n.electing(err) {
			return index, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return 0, err
		case <-n.stopping:
			return 0, err
		}
	}
}

// electing tells that an error may be over when there is a leader.
func (n *Node) electing(err error) bool {
	waits := errors.Is(err, cluster.ErrNotLeader) || errors.Is(err, cluster.ErrNotReady) || errors.Is(err, cluster.ErrNoMajority)
	return waits && n.cluster.Status().State != "Shutdown"
}

// sessionWait is how long a read waits for an entry that its client has seen.
const sessionWait = 2 * time.Second

// catchUp waits until views are as fresh as the level asks for.
func (n *Node) catchUp(ctx context.Context, level fsm.Level) error {
	switch level {
	case fsm.Linearizable:
		index, err := n.readIndex(ctx)
		if err != nil {
			return fmt.Errorf("read index: %w", apiError(err))
		}
		if err := n.machine.Await(ctx, index); err != nil {
			return fmt.Errorf("wait for entry %d: %w", index, err)
		}
	case fsm.Session:
		_, index, seen := api.SessionIndex(ctx)
		if !seen {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, sessionWait)
		defer cancel()
		if err := n.machine.Await(ctx, index); err != nil {
			return fmt.Errorf("%w: entry %d is not applied here yet: %w", api.ErrNotApplied, index, err)
		}
	}
	return nil
}
