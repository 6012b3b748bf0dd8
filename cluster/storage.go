package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const (
	fileName    = "raft.db"
	tempName    = "raft.db.tmp"
	keyIdentity = "Identity"

	// lockTimeout is how long another process may hold the file.
	lockTimeout = time.Second
	// watchdogLimit is how long a call on raft.db may take; a leader whose disk hangs blocks elections.
	watchdogLimit = 10 * time.Second
)

// seams are the places where tests put something between this package and raft-boltdb. Production passes none.
type seams struct {
	logs     func(raft.LogStore) raft.LogStore
	stable   func(raft.StableStore) raft.StableStore
	watchdog time.Duration
}

// storage is the open raft.db with both wrappers.
type storage struct {
	bolt  *raftboltdb.BoltStore
	logs  *logStore
	votes *voteStore
}

// openStorage opens raft.db, or creates it when the state is empty too, and makes its log fit the state.
// It first judges the file without writing to it, so that a refused one stays as it was.
func openStorage(cfg Config, snapshots raft.SnapshotStore, f *failure, s seams) (*storage, error) {
	if err := prepareFile(cfg); err != nil {
		return nil, err
	}
	path := filepath.Join(cfg.Dir, fileName)
	found, err := judgeFile(cfg, path, snapshots, f)
	if err != nil {
		return nil, err
	}
	if found.torn {
		cfg.Logger.Warn("the last write to raft.db before the stop never finished")
	}
	bolt, err := openBolt(path)
	if err != nil {
		return nil, fmt.Errorf("open raft.db: %w", err)
	}
	files, err := wrapForWriting(bolt, found.held, cfg, f, s)
	if err != nil {
		return nil, err
	}
	if err := files.carryOut(found.plan, cfg); err != nil {
		return nil, errors.Join(err, files.close())
	}
	return files, nil
}

// prepareFile removes an unfinished raft.db and creates a new one where none is expected.
func prepareFile(cfg Config) error {
	if err := os.Remove(filepath.Join(cfg.Dir, tempName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove unfinished raft.db: %w", err)
	}
	info, err := os.Stat(filepath.Join(cfg.Dir, fileName))
	missing := errors.Is(err, os.ErrNotExist)
	switch {
	case missing && cfg.State.Index > 0:
		return refuse(nil, "the state is at entry %d but raft.db is missing: this node has forgotten its votes", cfg.State.Index)
	case missing:
		err = createFile(cfg)
	case err == nil && info.Size() == 0:
		return refuse(nil, "raft.db is empty")
	}
	if err != nil {
		return fmt.Errorf("prepare raft.db: %w", err)
	}
	return nil
}

// wrap puts both wrappers around an open file whose log has the extent held.
func wrap(bolt *raftboltdb.BoltStore, held extent, cfg Config, f *failure, s seams) (*storage, error) {
	limit := watchdogLimit
	if s.watchdog > 0 {
		limit = s.watchdog
	}
	logs, stable := raft.LogStore(bolt), raft.StableStore(bolt)
	if s.logs != nil {
		logs = s.logs(logs)
	}
	if s.stable != nil {
		stable = s.stable(stable)
	}
	votes, err := openVoteStore(stable, f, limit, cfg.Observe.Storage)
	if err != nil {
		return nil, err
	}
	return &storage{bolt: bolt, logs: newLogStore(logs, held, f, limit, cfg.Observe), votes: votes}, nil
}

// wrapForWriting also notes from now on how far the log reaches. It closes the file if it fails.
func wrapForWriting(bolt *raftboltdb.BoltStore, held extent, cfg Config, f *failure, s seams) (*storage, error) {
	files, err := wrap(bolt, held, cfg, f, s)
	if err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	if files.logs.end, err = openEnd(cfg.Dir); err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	return files, nil
}

// createFile makes raft.db under a temporary name first: bbolt cannot open a file whose initialisation was cut short.
func createFile(cfg Config) error {
	temp := filepath.Join(cfg.Dir, tempName)
	bolt, err := openBolt(temp)
	if err != nil {
		return err
	}
	err = bolt.Set([]byte(keyIdentity), sealStable([]byte(keyIdentity), identity(cfg)))
	if err = errors.Join(err, bolt.Close()); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := syncFile(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(cfg.Dir, fileName)); err != nil {
		return err
	}
	return syncFile(cfg.Dir)
}

// syncFile makes a file's content, or a directory's names, durable.
func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// openBolt opens raft.db for writing. Its pages must have been inspected before.
func openBolt(path string) (*raftboltdb.BoltStore, error) {
	return raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout:         lockTimeout,
			NoFreelistSync:  true,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: 1 << 30,
		},
		MsgpackUseNewTimeFormat: false, // frozen: both formats are read, only this one is written
	})
}

// identity binds raft.db to one node of one cluster: two logs may well agree on index and term.
func identity(cfg Config) []byte {
	return []byte(cfg.ClusterID + "\x00" + cfg.NodeID)
}

func checkIdentity(bolt *raftboltdb.BoltStore, cfg Config) error {
	sealed, err := bolt.Get([]byte(keyIdentity))
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return refuse(nil, "raft.db names no owner, another program wrote it")
	}
	if err != nil {
		return fmt.Errorf("read identity from raft.db: %w", err)
	}
	found, err := openStable([]byte(keyIdentity), sealed)
	if err != nil {
		return refuse(err, "raft.db is damaged")
	}
	if string(found) == string(identity(cfg)) {
		return nil
	}
	cluster, node, _ := strings.Cut(string(found), "\x00")
	return refuse(nil, "raft.db belongs to node %q of cluster %q, this is node %q of cluster %q", node, cluster, cfg.NodeID, cfg.ClusterID)
}

// close closes raft.db; wrappers answer with errors from now on.
func (s *storage) close() error {
	s.logs.close()
	s.votes.close()
	if err := errors.Join(s.bolt.Close(), s.logs.end.close()); err != nil {
		return fmt.Errorf("close raft.db: %w", err)
	}
	return nil
}
