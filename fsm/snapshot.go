package fsm

import (
	"io"

	"github.com/hashicorp/raft"

	"coffer/snapshot"
)

// Snapshot notes the applied index and returns at once: raft calls it on the
// apply goroutine. Persist waits for the flush.
func (m *Machine) Snapshot() (raft.FSMSnapshot, error) {
	return snapshot.At(m.db, m.applied.Index), nil
}

// Restore puts a state that was received and verified in the place of this
// one. Raft calls it on the apply goroutine.
func (m *Machine) Restore(stream io.ReadCloser) error {
	applied, err := snapshot.Install(stream)
	if err != nil {
		return err
	}
	m.applied = applied
	m.digests.forget()
	m.wake()
	return nil
}
