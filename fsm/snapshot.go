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

// Restore refuses: the state file is the snapshot, and this node has no peers
// to receive another one from.
func (m *Machine) Restore(stream io.ReadCloser) error {
	_ = stream.Close()
	return snapshot.ErrNoPeers
}
