package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coffer/fsm"
	"coffer/fsm/modules"
	"coffer/snapshot"
	"coffer/store"
)

// Backup writes a container of the state while the node goes on, and returns the
// SHA-256 of what it has written.
func (n *Node) Backup(ctx context.Context, to io.Writer, recipients []string) (string, error) {
	hash := sha256.New()
	summary, err := n.snaps.Backup(ctx, io.MultiWriter(to, hash), recipients, nil)
	if err != nil {
		return "", err
	}
	n.logger.Info("backup made", "index", summary.Header.Index, "bytes", summary.Bytes, "sha256", hex.EncodeToString(summary.SHA256[:]))
	n.metrics.backups.SetToCurrentTime()
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// CreateBackup asks a running node for a backup and leaves it in a file, which
// appears when it is whole and durable.
func CreateBackup(ctx context.Context, dataDir, path string, recipients []string, terminal *os.File) (sum string, err error) {
	file, err := os.OpenFile(path+unfinished, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("make backup: %w", err)
	}
	bar := newBar(terminal)
	sum, err = NewOperator(dataDir).Backup(ctx, file, recipients, func(received int64) { bar.show("backup", uint64(received), 0) })
	bar.clear()
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(path+unfinished))
	}
	if err := os.Rename(path+unfinished, path); err != nil {
		return "", fmt.Errorf("make backup: %w", err)
	}
	return sum, syncDir(filepath.Dir(filepath.Clean(path)))
}

// BackupReport is what a container says, and what was checked about it.
type BackupReport struct {
	File      string           `json:"file"`
	Encrypted bool             `json:"encrypted"`
	Verified  bool             `json:"verified"`
	ClusterID string           `json:"clusterId"`
	LedgerID  string           `json:"ledgerId"`
	Epoch     uint32           `json:"epoch"`
	Index     uint64           `json:"index"`
	Term      uint64           `json:"term"`
	Time      time.Time        `json:"time"`
	Version   uint32           `json:"version"`
	Digest    string           `json:"digest"`
	Entries   uint64           `json:"entries"`
	Head      string           `json:"headHash"`
	Root      string           `json:"rootHash"`
	SHA256    string           `json:"sha256,omitempty"`
	Bytes     int64            `json:"bytes,omitempty"`
	Sums      []snapshot.Sum   `json:"sums,omitempty"`
	Rows      []snapshot.Count `json:"rows,omitempty"`
}

func reportOf(path string, h snapshot.Header, encrypted bool) BackupReport {
	return BackupReport{
		File: path, Encrypted: encrypted, ClusterID: h.ClusterID, LedgerID: h.Chain.LedgerID, Epoch: h.Epoch, Index: h.Index, Term: h.Term,
		Time: h.Time.Std(), Version: h.Version, Digest: hex.EncodeToString(h.Digest[:]), Entries: h.Chain.Entries,
		Head: hex.EncodeToString(h.Chain.Head[:]), Root: hex.EncodeToString(h.Chain.Root[:]),
	}
}

// InspectBackup reads what a container says about itself, and believes it.
func InspectBackup(path string, secrets []string) (r BackupReport, err error) {
	file, err := os.Open(path)
	if err != nil {
		return r, Usage{err}
	}
	h, encrypted, err := snapshot.Inspect(file, secrets)
	return reportOf(path, h, encrypted), errors.Join(err, file.Close())
}

// VerifyBackup recomputes everything in a container that can be: the frames, the
// rows, the chain, the books and the invariants. It needs neither a node nor,
// but for keyed hashes, a key.
func VerifyBackup(ctx context.Context, path string, secrets []string, salt Secret, terminal *os.File) (r BackupReport, err error) {
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return r, err
	}
	file, err := os.Open(path)
	if err != nil {
		return r, Usage{err}
	}
	bar := newBar(terminal)
	summary, err := snapshot.Verify(ctx, file, snapshot.Verification{
		Dir: filepath.Dir(path), Schema: schema, Sums: Sums, Newest: fsm.NewestVersion, Secrets: secrets,
		Progress: func(step string, done, total int64) { bar.show(step, uint64(done), uint64(max(0, total))) },
		Check:    checkState(ctx, salt),
	})
	bar.clear()
	r = reportOf(path, summary.Header, len(secrets) > 0)
	r.SHA256, r.Bytes, r.Sums, r.Rows = hex.EncodeToString(summary.SHA256[:]), summary.Bytes, summary.Footer.Sums, summary.Footer.Counts
	r.Verified = err == nil
	return r, errors.Join(err, file.Close())
}

// Print writes the report as JSON, for people and programs alike.
func (r BackupReport) Print(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

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
// new cluster unless the flags say that the old one is gone.
func RestoreBackup(ctx context.Context, f RestoreFlags) (r BackupReport, err error) {
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return r, err
	}
	r, err = InspectBackup(f.File, f.Secrets)
	if err != nil {
		return r, err
	}
	d, err := emptyDataDir(f.DataDir)
	if err != nil {
		return r, err
	}
	d.Identity = Identity{NodeID: "node-" + randomHex(4), ClusterID: randomHex(16), LedgerID: r.LedgerID}
	if f.SameCluster {
		d.Identity.ClusterID = r.ClusterID
	}
	address := f.Advertise
	if address == "" {
		address = d.Identity.NodeID
	}
	file, err := os.Open(f.File)
	if err != nil {
		return r, errors.Join(Usage{err}, d.close())
	}
	bar := newBar(f.Terminal)
	summary, applied, err := snapshot.Restore(ctx, file, snapshot.Restoration{
		DataDir: f.DataDir, Ignore: []string{lockFile}, Schema: schema, Stamp: d.Identity.stamp(), Sums: Sums, Newest: fsm.NewestVersion,
		Secrets: f.Secrets, ClusterID: d.Identity.ClusterID, SameCluster: f.SameCluster, Epoch: f.Epoch,
		NodeID: d.Identity.NodeID, Address: address, Check: checkState(ctx, f.Salt),
		Progress: func(step string, done, total int64) { bar.show(step, uint64(done), uint64(max(0, total))) },
	})
	bar.clear()
	if err == nil {
		r.SHA256, r.Bytes, r.Verified, r.Epoch, r.ClusterID = hex.EncodeToString(summary.SHA256[:]), summary.Bytes, true, applied.Epoch, d.Identity.ClusterID
		err = d.save()
	}
	return r, errors.Join(err, file.Close(), d.close())
}

// checkState is what a container's rows mean, checked as `coffer verify` does.
func checkState(ctx context.Context, salt Secret) func(*store.DB) error {
	return func(db *store.DB) error {
		salts, err := keyRing(salt)
		if err != nil {
			return err
		}
		v := &verifier{ctx: ctx, given: Verification{Only: []string{"chain", "tree", "balances", "invariants"}},
			db: db, view: db.Latest(), salts: salts, report: &VerifyReport{}}
		defer v.view.Close()
		if founded, ok := fsm.ClusterOf(v.view); ok {
			v.identity = Identity{ClusterID: founded.ID, LedgerID: founded.LedgerID}
		}
		if err := v.run(); err != nil {
			return err
		}
		var wrong []error
		for _, c := range v.report.Checks {
			for _, problem := range c.Problems {
				wrong = append(wrong, fmt.Errorf("%s: %s", c.Name, problem))
			}
		}
		return errors.Join(wrong...)
	}
}

// ReadBackupKeys reads the secret keys of encrypted backups, one a line; lines
// that begin with # do not count. Without a path there are none.
func ReadBackupKeys(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, Usage{err}
	}
	var keys []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	return keys, nil
}

// MakeBackupKey makes a key for backups in a new file and returns its recipient,
// which is no secret.
func MakeBackupKey(path string) (recipient string, err error) {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return "", errors.Join(refused("%s exists: a key is never overwritten", path), err)
	}
	secret, recipient, err := snapshot.GenerateKey()
	if err != nil {
		return "", err
	}
	return recipient, writeDurably(path, []byte("# recipient: "+recipient+"\n"+secret+"\n"))
}

// ReadSalt reads the chain salt from a file or the environment; empty for none.
func ReadSalt(path string, lookup func(string) (string, bool)) (Secret, error) {
	if path == "" {
		return readSecret(lookup, saltNames...)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", Usage{err}
	}
	return Secret(strings.TrimSuffix(string(text), "\n")), nil
}

// Compact writes the state of a stopped node anew. It returns the sizes before
// and after in bytes.
func Compact(ctx context.Context, dir string, terminal *os.File) (before, after int64, err error) {
	id, err := readIdentity(dir)
	if err != nil {
		return 0, 0, err
	}
	lock, err := lockDir(dir, os.O_RDWR)
	if err != nil {
		return 0, 0, err
	}
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return 0, 0, errors.Join(err, lock.Close())
	}
	bar := newBar(terminal)
	before, after, err = snapshot.Compact(ctx, snapshot.Compaction{
		DataDir: dir, Schema: schema, Stamp: id.stamp(),
		Progress: func(step string, done, total int64) { bar.show(step, uint64(done), uint64(max(0, total))) },
	})
	bar.clear()
	return before, after, errors.Join(err, lock.Close())
}
