package snapshot

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"time"

	"github.com/hashicorp/raft"

	"coffer/store"
)

var (
	// ErrForeign is returned for a state of another cluster.
	ErrForeign = errors.New("the state belongs to another cluster")
	// ErrEpoch is returned for a state from before a restore or recovery.
	ErrEpoch = errors.New("the state is from before a restore or recovery")

	errCancelled = errors.New("the transfer was cancelled")
	errPosition  = errors.New("the state is not the one that was announced")
)

// sink takes a snapshot. Without bytes it does nothing; with the first one it
// begins to build a new state file, in a goroutine that reads as they come.
type sink struct {
	virtual *Virtual
	meta    raft.SnapshotMeta
	stream  *io.PipeWriter // nil before the first byte
	built   chan error
	receipt *receipt
}

// ID names the snapshot to Open.
func (s *sink) ID() string {
	if s.receipt == nil {
		return virtualID
	}
	return s.receipt.meta.ID
}

// Write takes the next bytes; it fails once they cannot become a state.
func (s *sink) Write(b []byte) (int, error) {
	if s.stream == nil {
		s.begin()
	}
	return s.stream.Write(b)
}

func (s *sink) begin() {
	s.receipt = s.virtual.newReceipt(s.meta)
	p := s.virtual.config.plan(s.receipt.path)
	p.admit = func(h Header) (applied store.Applied, err error) {
		applied, err = s.virtual.admit(h, &s.meta)
		s.receipt.applied = applied
		return applied, err
	}
	reader, writer := io.Pipe()
	s.stream, s.built = writer, make(chan error, 1)
	go func() {
		var err error
		s.receipt.summary, err = p.build(reader)
		// Whatever is still to come has a reader that says why it is not wanted.
		s.built <- errors.Join(err, reader.CloseWithError(err))
	}()
}

func (c *Config) plan(path string) *plan {
	return &plan{
		options: store.Options{Path: path, Schema: c.Schema, Stamp: c.Stamp, Logger: c.Logger},
		source:  c.Source, newest: c.Newest,
	}
}

// Close ends the snapshot. One with bytes is durable and verified then.
func (s *sink) Close() error {
	if s.stream == nil {
		return nil
	}
	if err := s.stream.Close(); err != nil {
		return err
	}
	if err := s.outcome(); err != nil {
		s.receipt.end(err)
		return fmt.Errorf("receive a snapshot: %w", err)
	}
	return s.virtual.keep(s.receipt)
}

// Cancel drops what was written.
func (s *sink) Cancel() error {
	if s.stream == nil {
		return nil
	}
	if err := s.stream.CloseWithError(errCancelled); err != nil {
		return err
	}
	if err := s.outcome(); err != nil {
		s.receipt.end(err)
		return nil // nothing was left
	}
	s.receipt.end(errCancelled)
	return s.receipt.Close()
}

// outcome waits for the end of the build, at each call.
func (s *sink) outcome() error {
	err := <-s.built
	s.built <- err
	return err
}

// admit decides what the file of a received state records. A peer sends its own
// state; a state that raft puts above the log is an operator's restore.
func (v *Virtual) admit(h Header, meta *raft.SnapshotMeta) (store.Applied, error) {
	own, err := v.config.DB.DurableApplied()
	if err != nil {
		return store.Applied{}, err
	}
	applied := h.applied()
	applied.Installed = true
	if h.ClusterID != v.config.Source.ClusterID {
		return applied, fmt.Errorf("%w: %s, not %s", ErrForeign, h.ClusterID, v.config.Source.ClusterID)
	}
	if h.Index < meta.Index {
		applied.Index, applied.Term, applied.Epoch = meta.Index, meta.Term, max(FirstEpoch, h.Epoch, own.Epoch)+1
		applied.Membership, applied.MembershipIndex = raft.EncodeConfiguration(meta.Configuration), meta.ConfigurationIndex
		return applied, nil
	}
	members, err := decodeMembership(h.Membership)
	if err != nil {
		return applied, err
	}
	if h.Index != meta.Index || h.Term != meta.Term || h.MembershipIndex != meta.ConfigurationIndex || !sameMembers(members, meta.Configuration) {
		return applied, fmt.Errorf("%w: entry %d of term %d, not %d of %d", errPosition, h.Index, h.Term, meta.Index, meta.Term)
	}
	if h.Epoch < own.Epoch {
		return applied, fmt.Errorf("%w: epoch %d, not %d", ErrEpoch, h.Epoch, own.Epoch)
	}
	return applied, nil
}

func sameMembers(a, b raft.Configuration) bool {
	return len(a.Servers) == 0 && len(b.Servers) == 0 || reflect.DeepEqual(a, b)
}

// newReceipt names the file of a received snapshot.
func (v *Virtual) newReceipt(meta raft.SnapshotMeta) *receipt {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.made++
	meta.ID = fmt.Sprintf("received-%d", v.made)
	return &receipt{virtual: v, meta: meta, path: filepath.Join(v.config.Dir, meta.ID+".db"), begun: time.Now()}
}

// keep makes a received snapshot known to Open. One before it that was never
// installed is dropped.
func (v *Virtual) keep(r *receipt) error {
	r.meta.Size = r.summary.Bytes
	v.mu.Lock()
	defer v.mu.Unlock()
	var failures []error
	for id, before := range v.received {
		if before != r {
			delete(v.received, id)
			failures = append(failures, before.Close())
		}
	}
	v.received[r.meta.ID] = r
	return errors.Join(failures...)
}
