// Package snapshot makes raft see state.db as its snapshot. There is no second
// index that could disagree with the file: what raft lists is what the file
// says about itself.
package snapshot

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"coffer/store"
)

// Virtual is raft's snapshot store over the state file.
type Virtual struct{ db *store.DB }

// NewVirtual makes the snapshot store of a node.
func NewVirtual(db *store.DB) *Virtual { return &Virtual{db: db} }

// ErrNoPeers is returned when raft asks for a transfer on a node without peers.
var ErrNoPeers = errors.New("this node has no peers to exchange snapshots with")

// virtualID names the one snapshot there is.
const virtualID = "state.db"

// List returns what the state file holds, or nothing before its first flush.
func (v *Virtual) List() ([]*raft.SnapshotMeta, error) {
	applied, err := v.db.DurableApplied()
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	if applied.Index == 0 {
		return nil, nil
	}
	meta := &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: virtualID,
		Index: applied.Index, Term: applied.Term, ConfigurationIndex: applied.MembershipIndex,
	}
	if len(applied.Membership) > 0 {
		meta.Configuration = raft.DecodeConfiguration(applied.Membership)
	}
	return []*raft.SnapshotMeta{meta}, nil
}

// Create accepts a local snapshot. It writes nothing: the flush that Persist
// waited for has stored everything already.
func (v *Virtual) Create(raft.SnapshotVersion, uint64, uint64, raft.Configuration, uint64, raft.Transport) (raft.SnapshotSink, error) {
	return sink{}, nil
}

// Open would stream the state to a peer.
func (v *Virtual) Open(string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	return nil, nil, ErrNoPeers
}

// sink takes no bytes: a snapshot that carries some comes from a peer.
type sink struct{}

func (sink) ID() string                { return virtualID }
func (sink) Close() error              { return nil }
func (sink) Cancel() error             { return nil }
func (sink) Write([]byte) (int, error) { return 0, ErrNoPeers }

// Point is raft's handle on the state at one index.
type Point struct {
	db    *store.DB
	index uint64
}

// At notes the index a snapshot is asked for; it returns at once.
func At(db *store.DB, index uint64) *Point { return &Point{db: db, index: index} }

// Persist waits until the file holds the state of the index: only then may
// raft discard the log up to it.
func (p *Point) Persist(s raft.SnapshotSink) error {
	if err := p.db.AwaitDurable(p.index); err != nil {
		return errors.Join(fmt.Errorf("persist snapshot at %d: %w", p.index, err), s.Cancel())
	}
	return s.Close()
}

// Release has nothing to release.
func (p *Point) Release() {}
