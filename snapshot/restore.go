package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"coffer/store"
)

// Restoration describes the data directory that a container becomes.
type Restoration struct {
	DataDir string // holds nothing but the names in Ignore
	Ignore  []string
	Schema  *store.Schema
	Stamp   []byte                           // of the new data directory
	Sums    func(*store.View) ([]Sum, error) // as in Source
	Newest  uint32                           // state-machine version this program can run
	Secrets []string                         // for an encrypted container

	// ClusterID is that of the new cluster. Only with SameCluster it may be the
	// one of the container, and then Epoch must be above the container's.
	ClusterID   string
	SameCluster bool
	Epoch       uint32 // zero for the container's and one, in a new cluster
	NodeID      string // the sole voter
	Address     string // of its cluster port

	Progress Progress              // may be nil
	Check    func(*store.DB) error // as in Verification; may be nil
}

// ErrNotEmpty is returned for a data directory with files in it.
var ErrNotEmpty = errors.New("the data directory is not empty")

const stateFile = "state.db"

// FirstEpoch is that of a cluster before any restore or recovery; its states
// record none.
const FirstEpoch = 1

// Restore makes the state file of a new cluster of one voter. The whole
// container is verified before the file gets its name; until then a crash
// leaves a directory that Clean empties. The log of that node must be created
// empty, with a term not below the header's.
func Restore(ctx context.Context, from io.Reader, o Restoration) (Summary, store.Applied, error) {
	summary, applied, err := restore(ctx, from, &o)
	if err != nil {
		return Summary{}, store.Applied{}, fmt.Errorf("restore: %w", err)
	}
	return summary, applied, nil
}

func restore(ctx context.Context, from io.Reader, o *Restoration) (summary Summary, applied store.Applied, err error) {
	if err := o.checkEmpty(); err != nil {
		return summary, applied, err
	}
	stream, _, err := decrypt(untilDone(ctx, from), o.Secrets)
	if err != nil {
		return summary, applied, err
	}
	aside := filepath.Join(o.DataDir, asideDir)
	if _, err := Clean(aside); err != nil {
		return summary, applied, err
	}
	path := filepath.Join(aside, stateFile)
	p := &plan{
		options: store.Options{Path: path, Schema: o.Schema, Stamp: o.Stamp},
		source:  Source{Sums: o.Sums}, newest: o.Newest, check: o.Check, progress: o.Progress.bytes("read"),
		admit: func(h Header) (store.Applied, error) {
			applied, err = o.admit(h)
			return applied, err
		},
	}
	if summary, err = p.build(stream); err != nil {
		return summary, applied, err
	}
	return summary, applied, moveInto(path, filepath.Join(o.DataDir, stateFile))
}

// asideDir is where files are built, within a data directory.
const asideDir = "snap"

func (o *Restoration) checkEmpty() error {
	entries, err := os.ReadDir(o.DataDir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != asideDir && !slices.Contains(o.Ignore, entry.Name()) {
			return fmt.Errorf("%w: it holds %s", ErrNotEmpty, entry.Name())
		}
	}
	return nil
}

// admit decides what the restored file records: the state of the container, in
// a new epoch, with this node as the sole voter.
func (o *Restoration) admit(h Header) (store.Applied, error) {
	applied := h.applied()
	if o.NodeID == "" || o.Address == "" || o.ClusterID == "" {
		return applied, errors.New("a cluster id, node id or address is missing")
	}
	if h.ClusterID == o.ClusterID && !o.SameCluster {
		return applied, fmt.Errorf("the container is of cluster %s itself: two clusters of one id would accept each other's nodes", h.ClusterID)
	}
	if h.ClusterID != o.ClusterID && o.SameCluster {
		return applied, fmt.Errorf("%w: %s, not %s", ErrForeign, h.ClusterID, o.ClusterID)
	}
	past := max(FirstEpoch, h.Epoch)
	if o.Epoch == 0 && !o.SameCluster {
		o.Epoch = past + 1
	}
	if o.Epoch <= past {
		return applied, fmt.Errorf("%w: epoch %d is not above %d, the one of the container", ErrEpoch, o.Epoch, past)
	}
	applied.Epoch, applied.Installed = o.Epoch, true
	applied.Membership, applied.MembershipIndex = soleVoter(o.NodeID, o.Address), applied.Index
	return applied, nil
}

// moveInto gives a durable file its name, durably.
func moveInto(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}
