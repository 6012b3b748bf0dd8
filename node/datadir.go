package node

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Identity is what node.json says: who this data directory belongs to.
type Identity struct {
	NodeID    string `json:"nodeId"`
	ClusterID string `json:"clusterId"`
	LedgerID  string `json:"ledgerId"`
	// Joined tells that the node did not found its cluster: it waits to be added.
	Joined bool `json:"joined,omitempty"`
	// Boots counts the starts. A count below what peers have seen says that the
	// directory is an old copy.
	Boots uint64 `json:"boots"`
	// Started is set once the node has opened its files: from then on they must
	// be there.
	Started bool `json:"started"`
	// Epoch says why the directory was made anew, for the record that its first
	// leader makes; nil if it was not.
	Epoch *EpochNote `json:"epoch,omitempty"`
}

// EpochNote is what began an epoch: a restore or a recovery.
type EpochNote struct {
	Number uint32 `json:"number"`
	Reason string `json:"reason"`
}

// stamp binds state.db to its directory and to every id in node.json.
func (i Identity) stamp() []byte { return []byte(i.ClusterID + "/" + i.NodeID + "/" + i.LedgerID) }

// RefusedError says why a data directory is not opened. An operator decides.
type RefusedError struct {
	Reason string
	cause  error // may be nil
}

func (e *RefusedError) Error() string { return "refused: " + e.Reason }

// Unwrap returns what was found.
func (e *RefusedError) Unwrap() error { return e.cause }

func refused(format string, values ...any) error {
	return &RefusedError{Reason: fmt.Sprintf(format, values...)}
}

// dataDir is an opened and locked data directory.
type dataDir struct {
	path     string
	lock     *os.File
	Identity Identity
}

const (
	identityFile = "node.json"
	lockFile     = "lock"
	stateFile    = "state.db"
	logFile      = "raft.db"
	secretsDir   = "secrets"
	snapshotDir  = "snap"
	unfinished   = ".new" // ends the name of a file while it is written
	// makingFile is there while a directory is made, until it has a node.json: until
	// then all in it is nobody's. It holds the id that the node is to have.
	makingFile = "making"
)

// openDataDir locks the directory and reads or makes its identity.
func openDataDir(path, ledgerID string) (*dataDir, error) {
	if err := makeDir(path); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(path, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return nil, err
	}
	d := &dataDir{path: path, lock: lock}
	err = d.removeUnfinished()
	if err == nil {
		err = d.checkMade()
	}
	if err == nil {
		err = d.identify(ledgerID)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// emptyDataDir locks a directory that is no node's yet, and notes that it is being
// made for that id, or for one of its own. What an attempt before this one has
// left is removed; without a wish it had the same id.
func emptyDataDir(path, nodeID string) (*dataDir, error) {
	if err := makeDir(path); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(path, os.O_CREATE|os.O_RDWR)
	if err != nil {
		return nil, err
	}
	d := &dataDir{path: path, lock: lock}
	if err := d.startMaking(nodeID); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *dataDir) startMaking(nodeID string) error {
	if err := d.removeUnfinished(); err != nil {
		return err
	}
	before, err := d.isHalfMade()
	if err != nil {
		return err
	}
	if nodeID == "" {
		nodeID = before
	}
	if before != "" {
		if err := d.clear(); err != nil {
			return err
		}
	}
	if name, found := d.hasFiles(); found {
		return refused("%s is not empty: it holds %s", d.path, name)
	}
	if nodeID == "" {
		nodeID = "node-" + randomHex(4)
	}
	d.Identity.NodeID = nodeID
	return writeDurably(d.file(makingFile), []byte(nodeID+"\n"))
}

// isHalfMade returns for whom a directory was begun, empty if it was not, or is
// complete.
func (d *dataDir) isHalfMade() (nodeID string, err error) {
	text, err := os.ReadFile(d.file(makingFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", makingFile, err)
	}
	if d.has(identityFile) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), nil
}

// clear removes everything but the lock; the note of the making goes last.
func (d *dataDir) clear() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("clear %s: %w", d.path, err)
	}
	for _, entry := range entries {
		if name := entry.Name(); name != lockFile && name != makingFile {
			if err := os.RemoveAll(d.file(name)); err != nil {
				return fmt.Errorf("clear %s: %w", d.path, err)
			}
		}
	}
	return d.removeMaking()
}

// finish makes the directory a node's: its identity is the last thing it gets.
func (d *dataDir) finish() error {
	if err := d.save(); err != nil {
		return err
	}
	return d.removeMaking()
}

func (d *dataDir) removeMaking() error {
	if err := os.Remove(d.file(makingFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", makingFile, err)
	}
	return syncDir(d.path)
}

// makeDir makes a directory whose name is as durable as what will be in it.
func makeDir(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(path)))
}

// lockDir keeps every other process out of the directory until the lock is
// closed, or this process ends.
func lockDir(path string, flags int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockFile), flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = refused("data directory %s is in use by another process", path)
	default:
		err = fmt.Errorf("lock data directory: %w", err)
	}
	return nil, errors.Join(err, lock.Close())
}

// removeUnfinished removes small files that a crash has left half written.
func (d *dataDir) removeUnfinished() error {
	for _, pattern := range []string{identityFile, makingFile, filepath.Join(secretsDir, "*")} {
		left, err := filepath.Glob(d.file(pattern + unfinished))
		if err != nil {
			return fmt.Errorf("look for unfinished files: %w", err)
		}
		for _, path := range left {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove unfinished file: %w", err)
			}
		}
	}
	return nil
}

// checkMade refuses a directory that was begun by a join or a restore and is not
// complete.
func (d *dataDir) checkMade() error {
	begun, err := d.isHalfMade()
	switch {
	case err != nil:
		return err
	case begun != "":
		return refused("%s was never completed for %s: join or restore once more, which removes what is left, or empty it", d.path, begun)
	case d.has(makingFile):
		return d.removeMaking()
	}
	return nil
}

// close gives the lock back.
func (d *dataDir) close() error { return d.lock.Close() }

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

func (d *dataDir) has(name string) bool {
	_, err := os.Stat(d.file(name))
	return err == nil
}

// identify reads node.json, or makes one in a directory without files.
func (d *dataDir) identify(ledgerID string) error {
	stored, err := readIdentity(d.path)
	switch {
	case err == nil:
		d.Identity = stored
		return d.checkIdentity(ledgerID)
	case !errors.Is(err, os.ErrNotExist):
		return err
	case d.has(stateFile) || d.has(logFile):
		return refused("%s holds data but no %s: is a file missing?", d.path, identityFile)
	}
	d.Identity = Identity{NodeID: "node-" + randomHex(4), ClusterID: randomHex(16), LedgerID: ledgerID}
	if ledgerID == "" {
		d.Identity.LedgerID = "coffer.local/" + d.Identity.ClusterID
	}
	return d.save()
}

func (d *dataDir) checkIdentity(ledgerID string) error {
	if ledgerID != "" && ledgerID != d.Identity.LedgerID {
		return refused("the ledger is %s and never gets another name, --ledger-id says %s", d.Identity.LedgerID, ledgerID)
	}
	for _, name := range []string{stateFile, logFile} {
		if d.Identity.Started && !d.has(name) {
			return refused("%s has vanished from %s: this node has forgotten what it promised and must not come back under its id", name, d.path)
		}
	}
	return nil
}

// markStarted notes that both files exist from now on, and the number of the
// start.
func (d *dataDir) markStarted(boot uint64) error {
	d.Identity.Started, d.Identity.Boots = true, boot
	return d.save()
}

func (d *dataDir) save() error {
	encoded, err := json.MarshalIndent(d.Identity, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", identityFile, err)
	}
	return writeDurably(d.file(identityFile), append(encoded, '\n'))
}

func readIdentity(dir string) (Identity, error) {
	var i Identity
	text, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		return i, fmt.Errorf("read %s: %w", identityFile, err)
	}
	if err := json.Unmarshal(text, &i); err != nil {
		return i, refused("%s is damaged: %v", identityFile, err)
	}
	if i.NodeID == "" || i.ClusterID == "" || i.LedgerID == "" {
		return i, refused("%s is damaged: an id is missing", identityFile)
	}
	return i, nil
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	// crypto/rand never fails: the runtime stops the program instead.
	_, _ = rand.Read(random)
	return hex.EncodeToString(random)
}

// writeDurably writes a small file whole or not at all: aside, fsync, rename,
// fsync of the directory.
func writeDurably(path string, content []byte) error {
	temporary := path + unfinished
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return errors.Join(directory.Sync(), directory.Close())
}
