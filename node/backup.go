package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coffer/fsm"
	"coffer/fsm/modules"
	"coffer/http/admin"
	"coffer/snapshot"
	"coffer/store"
)

// Backup writes a container of the state while the node goes on, and returns the
// SHA-256 of what it has written.
func (n *Node) Backup(ctx context.Context, to io.Writer, recipients []string) (string, error) {
	hash := sha256.New()
	summary, err := n.snaps.Backup(ctx, io.MultiWriter(to, hash), recipients, nil)
	if err != nil {
		return "", backupError(err)
	}
	n.logger.Info("backup made", "index", summary.Header.Index, "bytes", summary.Bytes, "sha256", hex.EncodeToString(summary.SHA256[:]))
	n.metrics.backups.SetToCurrentTime()
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// backupError says in the words of the admin API why no backup is made.
func backupError(err error) error {
	for cause, answer := range map[error]*fsm.Rejection{
		snapshot.ErrBusy: admin.ErrBackupBusy, snapshot.ErrNoSpace: admin.ErrBackupRoom, snapshot.ErrRecipient: admin.ErrRecipient,
	} {
		if errors.Is(err, cause) {
			return answer.With(fsm.Text("reason", err.Error()))
		}
	}
	return err
}

// CreateBackup asks a running node for a backup and leaves it in a file, which
// appears when it is whole and durable.
func CreateBackup(ctx context.Context, dataDir, path string, recipients []string, terminal *os.File) (sum string, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return "", errors.Join(refused("%s exists: a backup is never overwritten", path), err)
	}
	file, err := os.OpenFile(path+unfinished, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return "", refused("%s exists: another backup writes it, or one has left it behind", path+unfinished)
	}
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
		File: path, Encrypted: encrypted, ClusterID: h.ClusterID, LedgerID: h.Chain.LedgerID, Epoch: max(snapshot.FirstEpoch, h.Epoch), Index: h.Index, Term: h.Term,
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
	return reportOf(path, h, encrypted), errors.Join(containerError(err), file.Close())
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
	_, encrypted, err := snapshot.Inspect(file, secrets)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return BackupReport{File: path, Encrypted: encrypted}, errors.Join(containerError(err), file.Close())
	}
	bar := newBar(terminal)
	summary, err := snapshot.Verify(ctx, file, snapshot.Verification{
		Dir: filepath.Dir(path), Schema: schema, Sums: Sums, Newest: fsm.NewestVersion, Secrets: secrets,
		Progress: func(step string, done, total int64) { bar.show(step, uint64(done), uint64(max(0, total))) },
		Check:    checkState(ctx, salt),
	})
	bar.clear()
	r = reportOf(path, summary.Header, encrypted)
	r.SHA256, r.Bytes, r.Sums, r.Rows = hex.EncodeToString(summary.SHA256[:]), summary.Bytes, summary.Footer.Sums, summary.Footer.Counts
	r.Verified = err == nil
	return r, errors.Join(containerError(err), file.Close())
}

// Print writes the report as JSON, for people and programs alike.
func (r BackupReport) Print(out io.Writer) error {
	return PrintJSON(out, r)
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
		if len(wrong) == 0 {
			return nil
		}
		return &unsound{v.report.Code(), errors.Join(wrong...)}
	}
}

// unsound is what a check has found in a container that is whole.
type unsound struct {
	code int
	err  error
}

func (u *unsound) Error() string { return u.err.Error() }

// VerifyCode is the exit code of a verified container, in the family of verify.
func VerifyCode(err error) int {
	var usage Usage
	var found *unsound
	var refusal *RefusedError
	switch {
	case err == nil:
		return VerifyOK
	case errors.As(err, &found):
		return found.code
	case errors.As(err, &usage), !errors.As(err, &refusal):
		return VerifyUsage
	}
	return VerifyDamaged
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
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return "", refused("%s exists: a key is never overwritten", path)
	}
	if err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	secret, recipient, err := snapshot.GenerateKey()
	if err == nil {
		_, err = file.WriteString("# recipient: " + recipient + "\n" + secret + "\n")
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("make key: %w", err), os.Remove(path))
	}
	return recipient, syncDir(filepath.Dir(filepath.Clean(path)))
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
