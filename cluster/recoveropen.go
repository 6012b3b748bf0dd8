package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// openReadOnly opens raft.db without the right to change it.
func openReadOnly(path string) (*raftboltdb.BoltStore, error) {
	return raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{ReadOnly: true, Timeout: lockTimeout}})
}

// openRecovery judges raft.db as a start does, opens it, and drops what a start would drop from its picture.
func openRecovery(cfg Config, snapshots raft.SnapshotStore) (*Recovery, error) {
	cfg.Observe = cfg.Observe.complete()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	path := filepath.Join(cfg.Dir, fileName)
	switch info, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist):
		return nil, refuse(nil, "raft.db is missing: this node has forgotten its votes")
	case err != nil:
		return nil, fmt.Errorf("read raft.db: %w", err)
	case info.Size() == 0:
		return nil, refuse(nil, "raft.db is empty")
	}
	f := newFailure(func(error) {})
	found, err := judgeFile(cfg, path, snapshots, f)
	if err != nil {
		return nil, err
	}
	bolt, err := openReadOnly(path)
	if err != nil {
		return nil, fmt.Errorf("open raft.db: %w", err)
	}
	files, err := wrap(bolt, found.held, cfg, f, seams{})
	if err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	r := &Recovery{cfg: cfg, files: files, held: found.held}
	if r.remains, err = files.remains(cfg.State, found); err != nil {
		return nil, errors.Join(err, files.close())
	}
	return r, nil
}

// remains measures log and state. A log that a start would drop does not lead on from the state.
func (s *storage) remains(state State, found finding) (Remains, error) {
	r := Remains{
		First: found.held.first, Last: found.held.last(), LastIndex: state.Index, LastTerm: state.Term,
		CurrentTerm: s.votes.term, Torn: found.torn,
	}
	if found.plan != planReplay || r.Last <= state.Index {
		return r, nil
	}
	term, err := s.logs.termAt(r.Last)
	if err != nil {
		return r, refuse(err, "the log is damaged at entry %d", r.Last)
	}
	r.LastIndex, r.LastTerm = r.Last, term
	for index := max(r.First, state.Index+1); index <= r.Last; index++ {
		var entry raft.Log
		if err := s.logs.GetLog(index, &entry); err != nil {
			return r, refuse(err, "the log is damaged at entry %d", index)
		}
		if entry.Type != raft.LogConfiguration {
			continue
		}
		if r.Membership, err = DecodeMembership(index, entry.Data); err != nil {
			return r, refuse(err, "the log is damaged at entry %d", index)
		}
	}
	return r, nil
}
