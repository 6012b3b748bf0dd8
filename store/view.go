package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// Reader is what rows are read from: a View, a *Batch, or a type that embeds
// one of them.
type Reader interface {
	layers() *View
	batch() *Batch // nil for a view
}

// View is a consistent snapshot of all layers at one log index. Any number of
// goroutines may read it; close it soon, since it pins pages of the file.
type View struct {
	db     *DB
	base   *base
	frozen *generation // nil when nothing is being flushed
	active *generation
	closed atomic.Bool
}

func (v *View) layers() *View { return v }
func (v *View) batch() *Batch { return nil }

// Applied tells the log entry this view is the result of.
func (v *View) Applied() Applied { return v.active.applied.clone() }

// Index is the log index of this view, without the rest of Applied.
func (v *View) Index() uint64 { return v.active.applied.Index }

// Close releases the view. Rows read from it as raw bytes are gone with it.
func (v *View) Close() {
	if v.closed.Swap(true) {
		return
	}
	v.db.release(v.base)
}

// get returns the sealed row under key, newest layer first.
func (v *View) get(b *bucket, key []byte) ([]byte, bool) {
	var room [96]byte
	ranked := append(appendRank(room[:0], v.db.schema.rank(b)), key...)
	if value, found := v.active.get(ranked); found {
		return value, value != nil
	}
	if v.frozen != nil {
		if value, found := v.frozen.get(ranked); found {
			return value, value != nil
		}
	}
	return v.base.get(v.db.schema.rank(b), b, key)
}

// base is one read transaction of the file, shared by all views of its time.
type base struct {
	tx      *bbolt.Tx
	buckets []*bbolt.Bucket // by rank
	ends    []uint64        // by rank: length of each journal
	floors  []int64         // by rank
	refs    int             // guarded by DB.viewMu; the database holds one
}

func (db *DB) openBase() (*base, error) {
	tx, err := db.file.Begin(false)
	if err != nil {
		return nil, fmt.Errorf("begin a read transaction of %s: %w", db.options.Path, err)
	}
	b := &base{
		tx:      tx,
		buckets: make([]*bbolt.Bucket, len(db.schema.ranked)),
		ends:    make([]uint64, len(db.schema.ranked)),
		floors:  make([]int64, len(db.schema.ranked)),
		refs:    1,
	}
	for i, declared := range db.schema.ranked {
		b.buckets[i] = tx.Bucket([]byte(declared.name))
		if b.buckets[i] == nil {
			return nil, errors.Join(fmt.Errorf("bucket %s is missing", declared.name), tx.Rollback())
		}
		if declared.kind == journalBucket {
			b.ends[i] = journalEnd(declared, b.buckets[i])
		}
		b.floors[i] = readFloor(tx, declared)
	}
	return b, nil
}

func journalEnd(declared *bucket, rows *bbolt.Bucket) uint64 {
	last, _ := rows.Cursor().Last()
	if last == nil {
		return 0
	}
	if len(last) != 8 {
		Corrupt(declared.name, last, errors.New("journal key is not a sequence number"))
	}
	return binary.BigEndian.Uint64(last) + 1
}

// get reads one row of the file. bbolt asserts what its pages must look like;
// such a panic is damage.
func (b *base) get(r rank, declared *bucket, key []byte) (value []byte, found bool) {
	defer asCorruption(declared, key)
	value = b.buckets[r].Get(key)
	return value, value != nil
}

func asCorruption(declared *bucket, key []byte) {
	switch damage := recover().(type) {
	case nil:
	case Corruption:
		panic(damage)
	default:
		Corrupt(declared.name, key, fmt.Errorf("page: %v", damage))
	}
}
