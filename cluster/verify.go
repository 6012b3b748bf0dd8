package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// Log is what raft.db holds.
type Log struct {
	First, Last uint64 // entries, 0 if there are none
	Torn        bool   // the last write never finished, as after a power cut
}

// Verify reads every page and entry of a stopped node's raft.db and changes
// nothing. It returns *Refused for what Open would refuse, and for damage that
// Open would not meet. Of cfg it needs the ids, Dir and State.
func Verify(cfg Config, snapshots raft.SnapshotStore) (Log, error) {
	cfg.Observe = cfg.Observe.complete()
	f := newFailure(func(error) {})
	path := filepath.Join(cfg.Dir, fileName)
	info, err := os.Stat(path)
	if err != nil {
		return Log{}, fmt.Errorf("read raft.db: %w", err)
	}
	if info.Size() == 0 {
		return Log{}, refuse(nil, "raft.db is empty")
	}
	found, err := judgeFile(cfg, path, snapshots, f)
	if err != nil {
		return Log{}, err
	}
	log := Log{First: found.held.first, Last: found.held.last(), Torn: found.torn}
	return log, verifyEntries(cfg, path, found.held, f)
}

// verifyEntries reads also the entries that a start would not replay.
func verifyEntries(cfg Config, path string, held extent, f *failure) (err error) {
	if held.first == 0 {
		return nil
	}
	bolt, _, _, err := openInspected(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bolt.Close()) }()
	files, err := wrap(bolt, held, cfg, f, seams{})
	if err != nil {
		return err
	}
	return files.scan(held.first, held.last(), State{})
}
