package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// Raft trusts what its peers send: it stores entries before it looks at them, and ends the process over what it cannot
// read, at every later start again. So content that no sound node sends is refused before raft sees it.

// checkEntries refuses entries that do not follow one another, or that raft cannot read.
func checkEntries(call *raft.AppendEntriesRequest) error {
	next := call.PrevLogEntry
	for _, entry := range call.Entries {
		next++
		if entry == nil {
			return fmt.Errorf("nothing at the place of entry %d", next)
		}
		if entry.Index != next {
			return fmt.Errorf("entry %d at the place of entry %d", entry.Index, next)
		}
		switch entry.Type {
		case raft.LogNoop, raft.LogBarrier:
		case raft.LogCommand:
			if err := checkSealed(entry.Data); err != nil {
				return fmt.Errorf("entry %d: %w", next, err)
			}
		case raft.LogConfiguration:
			if err := checkMembership(entry.Data); err != nil {
				return fmt.Errorf("entry %d: %w", next, err)
			}
		default:
			return fmt.Errorf("entry %d has the type %s", next, entry.Type)
		}
	}
	return nil
}

// checkInstall refuses a state whose membership raft cannot read. In version 0 it stood elsewhere; no node sends that.
func checkInstall(call *raft.InstallSnapshotRequest) error {
	if call.SnapshotVersion < 1 {
		return fmt.Errorf("snapshot of version %d", call.SnapshotVersion)
	}
	return checkMembership(call.Configuration)
}

func checkMembership(encoded []byte) error {
	if len(encoded) == 0 {
		return errors.New("the membership is empty")
	}
	_, err := DecodeMembership(0, encoded)
	return err
}
