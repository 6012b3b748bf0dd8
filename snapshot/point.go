package snapshot

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"coffer/store"
)

// ErrCancelled is returned for a local snapshot that was cancelled, because an
// install has overtaken it.
var ErrCancelled = errors.New("the snapshot was cancelled")

// Point is raft's handle on the state at one index.
type Point struct {
	db        *store.DB
	index     uint64
	cancelled chan struct{}
	once      sync.Once
}

// At notes the index a snapshot is asked for; it returns at once.
func At(db *store.DB, index uint64) *Point {
	return &Point{db: db, index: index, cancelled: make(chan struct{})}
}

// Cancel ends a Persist at once, or before it begins. It may be called more
// than once.
func (p *Point) Cancel() { p.once.Do(func() { close(p.cancelled) }) }

// Persist waits until the file holds the state of the index: only then may
// raft discard the log up to it.
func (p *Point) Persist(s raft.SnapshotSink) error {
	if err := p.await(); err != nil {
		return errors.Join(fmt.Errorf("persist snapshot at %d: %w", p.index, err), s.Cancel())
	}
	return s.Close()
}

// await waits for the flush. A cancelled snapshot fails even if the file holds
// its index: an installed state does, too.
func (p *Point) await() error {
	durable := make(chan error, 1)
	go func() { durable <- p.db.AwaitDurable(p.index) }()
	var err error
	select {
	case err = <-durable:
	case <-p.cancelled:
	}
	select {
	case <-p.cancelled:
		return ErrCancelled
	default:
		return err
	}
}

// Release has nothing to release.
func (p *Point) Release() {}
