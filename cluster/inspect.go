package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// The buckets of raft-boltdb.
const (
	bucketLog  = "logs"
	bucketConf = "conf"
)

// openInspected opens raft.db for reading, under a lock that keeps writers away, and inspects all its pages.
// It returns the extent of its log and whether the last write was torn.
func openInspected(path string) (bolt *raftboltdb.BoltStore, held extent, torn bool, err error) {
	bolt, err = openReadOnly(path)
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, extent{}, false, refuse(err, "raft.db is in use by another process")
	}
	if err != nil {
		return nil, extent{}, false, judgeError(err)
	}
	held, torn, err = inspectFile(path)
	if err != nil {
		return nil, extent{}, false, errors.Join(judgeError(err), bolt.Close())
	}
	return bolt, held, torn, nil
}

// judgeError tells a file that cannot be read just now from one that is damaged.
func judgeError(err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return fmt.Errorf("read raft.db: %w", err)
	}
	return refuse(err, "raft.db is damaged or not a raft log")
}

func inspectFile(path string) (held extent, torn bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return extent{}, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return extent{}, false, err
	}
	return inspect(file, info.Size())
}

// inspect verifies the structure of the file and that its log has no holes.
// A torn meta page is no damage: the last write never finished, bbolt falls back to the one before.
func inspect(file io.ReaderAt, size int64) (held extent, torn bool, err error) {
	f, err := openBoltFile(file, size)
	if err != nil {
		return extent{}, false, err
	}
	held, err = f.log()
	return held, f.damaged, err
}

// log walks all pages and returns the extent of the log.
func (f *boltFile) log() (held extent, err error) {
	found := 0
	err = f.tree(f.root, nil, nil, 0, func(bucket item) error {
		found++
		switch name := string(bucket.key); {
		case !bucket.bucket || (name != bucketLog && name != bucketConf):
			return fmt.Errorf("unknown bucket %q, another program wrote it", name)
		case name == bucketConf:
			return f.bucket(bucket, promise)
		default:
			return f.bucket(bucket, held.find)
		}
	})
	if err == nil && found != 2 {
		err = errors.New("buckets are missing, another program wrote it")
	}
	return held, err
}

// bucket visits the items of a bucket, which is a tree of its own or lies inline in its value.
func (f *boltFile) bucket(b item, visit func(item) error) error {
	if b.size < bucketSize {
		return fmt.Errorf("bucket %q is damaged", b.key)
	}
	if b.size > f.pageSize { // only small buckets are inline
		return fmt.Errorf("bucket %q has a header of %d bytes", b.key, b.size)
	}
	value, err := b.value()
	if err != nil {
		return fmt.Errorf("bucket %q: %w", b.key, err)
	}
	if root := order.Uint64(value); root != 0 {
		if b.size != bucketSize {
			return fmt.Errorf("bucket %q is inline and elsewhere", b.key)
		}
		return f.tree(root, nil, nil, maxTreeDepth, visit)
	}
	content := value[bucketSize:]
	p, err := newPage(sliceReader(content), 0, content, int64(len(content)), 1)
	if err != nil {
		return fmt.Errorf("bucket %q: %w", b.key, err)
	}
	if p.flags != leafPage {
		return fmt.Errorf("bucket %q: inline page is no leaf", b.key)
	}
	return p.leaf(nil, nil, visit)
}

func plain(i item) error {
	if i.bucket {
		return fmt.Errorf("nested bucket %q", i.key)
	}
	return nil
}

// promise accepts what a node has promised. A promise under a damaged name would be a forgotten one.
func promise(i item) error {
	if err := plain(i); err != nil {
		return err
	}
	switch string(i.key) {
	case keyIdentity, keyCurrentTerm, keyVote:
		return nil
	}
	return fmt.Errorf("unknown key %q", i.key)
}

// find adds the log entry stored under i, which must continue the extent.
func (e *extent) find(i item) error {
	if err := plain(i); err != nil {
		return err
	}
	if len(i.key) != 8 {
		return fmt.Errorf("log key %x is no index", i.key)
	}
	index := binary.BigEndian.Uint64(i.key)
	if index == 0 || (e.first != 0 && index != e.last()+1) {
		return fmt.Errorf("log entry %d does not follow entry %d", index, e.last())
	}
	e.push(index, int(i.size))
	return nil
}

// sliceReader reads from bytes in memory.
type sliceReader []byte

// ReadAt implements io.ReaderAt.
func (s sliceReader) ReadAt(b []byte, offset int64) (int, error) {
	if offset < 0 || offset > int64(len(s)) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(b, s[offset:])
	if n < len(b) {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}
