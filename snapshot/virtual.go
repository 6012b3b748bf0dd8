package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"

	"coffer/store"
)

// Config describes a node whose state is sent, received and backed up.
type Config struct {
	DB     *store.DB
	Schema *store.Schema
	Stamp  []byte // of the data directory, for files that are installed
	// Dir is for files that no restart needs, on the file system of state.db.
	// Clean empties it before the database is opened.
	Dir    string
	Source Source
	Newest uint32 // state-machine version this program can run
	// BackupRate is how many bytes a second a backup copies and sends at most; 0
	// is without a limit. Peers get the state as fast as it goes.
	BackupRate int64
	Logger     *slog.Logger // slog.Default when nil
	Observe    Observe

	free  func() (int64, error) // bytes on the disk; asks the system when nil
	reach func(step string)     // for tests; may be nil
}

// Virtual is raft's snapshot store over the state file.
type Virtual struct {
	config Config
	ctx    context.Context // of states that are copied for peers
	cancel context.CancelFunc

	mu       sync.Mutex
	made     int // names of received files
	received map[string]*receipt
	busy     bool // a backup is being made
}

// NewExchange makes the snapshot store of a node. It sends the state to peers
// and into backups, and takes states that are to be installed.
func NewExchange(c Config) *Virtual {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Observe = c.Observe.complete()
	v := &Virtual{config: c, received: map[string]*receipt{}}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v
}

// Stop ends the copying of states for peers: raft waits for it when it stops.
// The next leader sends them.
func (v *Virtual) Stop() { v.cancel() }

// virtualID names the one snapshot there is.
const virtualID = "state.db"

// List returns what the state file holds, or nothing before its first flush.
// What was received and not installed is not in it.
func (v *Virtual) List() ([]*raft.SnapshotMeta, error) {
	applied, err := v.config.DB.DurableApplied()
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	if applied.Index == 0 {
		return nil, nil
	}
	meta, err := metaOf(applied)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return []*raft.SnapshotMeta{meta}, nil
}

func metaOf(applied store.Applied) (*raft.SnapshotMeta, error) {
	members, err := decodeMembership(applied.Membership)
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: virtualID, Index: applied.Index, Term: applied.Term,
		Configuration: members, ConfigurationIndex: applied.MembershipIndex,
	}, err
}

// Create accepts a snapshot. A local one stays without bytes: the flush that
// Persist waited for has stored everything already. One with bytes comes from a
// peer or an operator; it is verified, and installed by Install.
func (v *Virtual) Create(version raft.SnapshotVersion, index, term uint64, members raft.Configuration, membersIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	meta := raft.SnapshotMeta{
		Version: version, Index: index, Term: term, Configuration: members, ConfigurationIndex: membersIndex,
	}
	return &sink{virtual: v, meta: meta}, nil
}

// Open streams the flushed state, or hands out what was received.
func (v *Virtual) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if id != virtualID {
		return v.openReceived(id)
	}
	meta, stream, err := v.openState()
	if err != nil {
		v.config.Observe.Sent(err)
		return nil, nil, err
	}
	return meta, &outgoing{stream: stream, left: meta.Size, sent: v.config.Observe.Sent}, nil
}

func (v *Virtual) openState() (*raft.SnapshotMeta, *spooled, error) {
	stream, err := v.config.spool(v.ctx, unpaced, nil)
	if err != nil {
		return nil, nil, err
	}
	meta, err := metaOf(stream.summary.Header.applied())
	if err != nil {
		return nil, nil, errors.Join(err, stream.Close())
	}
	meta.Size = stream.summary.Bytes
	return meta, stream, nil
}

func (v *Virtual) openReceived(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.received[id]
	if r == nil {
		return nil, nil, fmt.Errorf("there is no snapshot %q", id)
	}
	delete(v.received, id)
	meta := r.meta
	return &meta, r, nil
}
