package snapshot

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"coffer/store"
)

// receipt stands for a received state that is verified and durable, but not
// installed. It is what raft hands to the machine's Restore.
type receipt struct {
	virtual *Virtual
	meta    raft.SnapshotMeta
	path    string
	summary Summary
	applied store.Applied
	begun   time.Time // with the first byte
	told    sync.Once
}

// end tells how it went, once; the first one knows why.
func (r *receipt) end(err error) {
	r.told.Do(func() { r.virtual.config.Observe.Received(time.Since(r.begun), err) })
}

// Read refuses: the bytes have become a file already.
func (r *receipt) Read([]byte) (int, error) {
	return 0, errors.New("a received snapshot is installed, not read")
}

// Close removes the file unless it was installed.
func (r *receipt) Close() error {
	r.end(errUnasked)
	if err := os.Remove(r.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove a received snapshot: %w", err)
	}
	return nil
}

// Install puts a received state in the place of the one that is served. The
// stream is what raft gave to Restore; the caller is the goroutine that writes
// the database, and has cancelled every Point. On return the database is at the
// Applied returned, durably. After an error it is as before, unless its Fatal
// was told.
func Install(stream io.ReadCloser) (store.Applied, error) {
	for {
		switch s := stream.(type) {
		case *receipt:
			applied, err := s.virtual.install(s)
			s.end(err)
			return applied, err
		case raft.ReadCloserWrapper:
			stream = s.WrappedReadCloser()
		default:
			return store.Applied{}, errors.New("install a snapshot: it was not received by this store")
		}
	}
}

// Marker says that an install had begun when the process ended.
type Marker struct {
	Index  uint64 `json:"index"`
	Term   uint64 `json:"term"`
	SHA256 string `json:"sha256"` // of the stream
}

const markerFile = "install.json"

func (v *Virtual) install(r *receipt) (store.Applied, error) {
	marker := Marker{Index: r.applied.Index, Term: r.applied.Term, SHA256: hex.EncodeToString(r.summary.SHA256[:])}
	if err := writeMarker(v.config.Dir, marker); err != nil {
		return store.Applied{}, fmt.Errorf("install a snapshot: %w", err)
	}
	v.config.reached("marked")
	if err := v.config.DB.Replace(r.path); err != nil {
		return store.Applied{}, errors.Join(fmt.Errorf("install a snapshot: %w", err), removeMarker(v.config.Dir))
	}
	v.config.reached("replaced")
	v.config.Logger.Info("snapshot installed", "index", r.applied.Index, "term", r.applied.Term,
		"epoch", r.applied.Epoch, "bytes", r.summary.Bytes, "sha256", marker.SHA256)
	if err := removeMarker(v.config.Dir); err != nil {
		// The state is in place and served; Clean removes the marker.
		v.config.Logger.Warn("the marker of an install was not removed", "err", err)
	}
	v.config.reached("done")
	return r.applied, nil
}

func (c *Config) reached(step string) {
	if c.reach != nil {
		c.reach(step)
	}
}

func writeMarker(dir string, m Marker) error {
	encoded, err := json.Marshal(m)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, markerFile)
	if err := writeSynced(path+".new", append(encoded, '\n')); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}

func removeMarker(dir string) error {
	if err := os.Remove(filepath.Join(dir, markerFile)); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(path string, content []byte) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
