package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/fsm/modules"
	"coffer/snapshot"
	"coffer/store"
)

// RestoreFlags are those of `coffer backup restore`.
type RestoreFlags struct {
	DataDir     string
	File        string
	Secrets     []string
	Salt        Secret
	SameCluster bool   // keep the cluster's id; its old nodes must never start again
	Epoch       uint32 // with SameCluster, above that of every node
	Advertise   string // of the cluster port; empty for a node without peers
	Terminal    *os.File
}

// RestoreBackup makes the directory of a sole voter from a container. It is a
// new cluster unless the flags say that the old one is gone. What it refuses has
// changed nothing.
func RestoreBackup(ctx context.Context, f RestoreFlags) (r BackupReport, err error) {
	if err := f.check(); err != nil {
		return r, err
	}
	if r, err = InspectBackup(f.File, f.Secrets); err != nil {
		return r, err
	}
	d, err := emptyDataDir(f.DataDir, "")
	if err != nil {
		return r, err
	}
	d.Identity = Identity{NodeID: d.Identity.NodeID, ClusterID: randomHex(16), LedgerID: r.LedgerID}
	if f.SameCluster {
		d.Identity.ClusterID = r.ClusterID
	}
	applied, err := d.restore(ctx, f, &r)
	if err == nil {
		err = d.begin(applied, fmt.Sprintf("restored from a backup of cluster %s at entry %d", r.ClusterID, r.Index))
		r.ClusterID, r.Epoch = d.Identity.ClusterID, applied.Epoch
	}
	if err != nil {
		err = errors.Join(err, d.clear())
	}
	return r, errors.Join(err, d.close())
}

func (f *RestoreFlags) check() error {
	if f.SameCluster && f.Epoch == 0 {
		return Usage{errors.New("--same-cluster needs --epoch: a number above the epoch of every node of the cluster")}
	}
	if !f.SameCluster && f.Epoch > 0 {
		return Usage{errors.New("--epoch needs --same-cluster: a new cluster counts on by itself")}
	}
	if err := checkHostPort("--cluster-addr", f.Advertise); err != nil {
		return Usage{err}
	}
	return nil
}

// restore builds state.db.
func (d *dataDir) restore(ctx context.Context, f RestoreFlags, r *BackupReport) (applied store.Applied, err error) {
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return applied, err
	}
	address := f.Advertise
	if address == "" {
		address = d.Identity.NodeID
	}
	file, err := os.Open(f.File)
	if err != nil {
		return applied, Usage{err}
	}
	bar := newBar(f.Terminal)
	summary, applied, err := snapshot.Restore(ctx, file, snapshot.Restoration{
		DataDir: d.path, Ignore: []string{lockFile, makingFile}, Schema: schema, Stamp: d.Identity.stamp(), Sums: Sums, Newest: fsm.NewestVersion,
		Secrets: f.Secrets, ClusterID: d.Identity.ClusterID, SameCluster: f.SameCluster, Epoch: f.Epoch,
		NodeID: d.Identity.NodeID, Address: address, Check: checkState(ctx, f.Salt),
		Progress: func(step string, done, total int64) { bar.show(step, uint64(done), uint64(max(0, total))) },
	})
	bar.clear()
	r.SHA256, r.Bytes, r.Verified = hex.EncodeToString(summary.SHA256[:]), summary.Bytes, err == nil
	return applied, errors.Join(containerError(err), file.Close())
}

// begin completes a directory whose state.db was restored: an empty log, and a
// name. Without the name the directory is nobody's, so it comes last.
func (d *dataDir) begin(applied store.Applied, reason string) error {
	err := cluster.Create(cluster.Config{
		NodeID: d.Identity.NodeID, ClusterID: d.Identity.ClusterID, Dir: d.path,
		State: cluster.State{Index: applied.Index, Term: applied.Term, Installed: applied.Installed},
	})
	if err != nil {
		return err
	}
	d.Identity.Started = true
	d.Identity.Epoch = &EpochNote{Number: applied.Epoch, Reason: reason}
	return d.finish()
}

// containerError gives what is wrong with a container the class that decides the
// exit code: a missing key is a mistake of the caller, damage is refused, and
// what the system says is neither.
func containerError(err error) error {
	var system *fs.PathError
	switch {
	case err == nil, errors.As(err, &system), errors.Is(err, snapshot.ErrNoSpace), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, snapshot.ErrEncrypted):
		return Usage{fmt.Errorf("%w: give --key-file", err)}
	}
	var found *unsound
	if errors.As(err, &found) {
		return &RefusedError{Reason: err.Error(), cause: found}
	}
	return refused("%v", err)
}

// hasFiles names the files that make a directory a node's.
func (d *dataDir) hasFiles() (name string, found bool) {
	for _, name := range []string{identityFile, stateFile, logFile, secretsDir} {
		if d.has(name) {
			return name, true
		}
	}
	left, err := filepath.Glob(d.file("*"))
	for _, path := range left {
		if base := filepath.Base(path); err == nil && base != lockFile && base != snapshotDir {
			return base, true
		}
	}
	return "", false
}
