package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// stateFile is an open state.db: what bbolt needs to read and write it, and
// what is needed to read its pages past bbolt.
type stateFile struct {
	bolt  *bbolt.DB
	bytes *os.File     // the one bbolt has open
	sound *atomic.Bool // every page was verified since the database was opened
}

// base is one read transaction of the file, shared by all views of its time.
type base struct {
	tx     *bbolt.Tx
	file   *stateFile
	pages  *pages
	rows   []fileRows // by rank
	ends   []uint64   // by rank: length of each journal
	floors []int64    // by rank
	refs   int        // guarded by DB.viewMu; the database holds one
}

// openBase begins a read transaction. What it reads is verified before, unless
// the whole file is known to be sound.
func openBase(file *stateFile, schema *Schema) (b *base, err error) {
	tx, err := file.bolt.Begin(false)
	if err != nil {
		return nil, fmt.Errorf("begin a read transaction: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	defer onCorruption(func(damage Corruption) { b, err = nil, damage })
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	n := len(schema.ranked)
	b = &base{tx: tx, file: file, rows: make([]fileRows, n), ends: make([]uint64, n), floors: make([]int64, n), refs: 1}
	if b.pages, err = openPages(file, tx); err != nil {
		return nil, err
	}
	if !file.sound.Load() {
		b.pages.verifyBuckets(schema, panicOn)
	}
	for i, declared := range schema.ranked {
		if err := b.openRows(rank(i), declared); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// openPages finds the meta page of a transaction. It is still there as long as
// no newer one has committed twice.
func openPages(file *stateFile, tx *bbolt.Tx) (*pages, error) {
	p := &pages{file: file.bytes, size: file.bolt.Info().PageSize}
	page := make([]byte, pageHeader+headSize)
	if _, err := file.bytes.ReadAt(page, int64(tx.ID()%2)*int64(p.size)); err != nil {
		return nil, fmt.Errorf("read the meta page: %w", err)
	}
	var err error
	if p.head, err = parseHead(page); err != nil {
		return nil, err
	}
	if p.head.transaction != uint64(tx.ID()) {
		return nil, errHead
	}
	return p, nil
}

func (b *base) openRows(r rank, declared *bucket) error {
	defer asCorruption(declared, nil)
	rows := b.tx.Bucket([]byte(declared.name))
	if rows == nil {
		return fmt.Errorf("bucket %s is missing", declared.name)
	}
	b.rows[r] = fileRows{base: b, bucket: declared, rows: rows, parent: declared.kind == partitionBucket}
	if declared.kind == journalBucket {
		b.ends[r] = b.rows[r].journalEnd()
	}
	b.floors[r] = readFloor(b.tx, declared)
	return nil
}

// fileRows are the rows of one bucket or partition as one base sees them.
type fileRows struct {
	base   *base
	bucket *bucket
	hour   []byte // of a partition: its checksums cover it
	parent bool   // its rows are partitions
	rows   *bbolt.Bucket
}

// get reads one row of the file. bbolt asserts what its pages must look like;
// such a panic is damage.
func (f fileRows) get(key []byte) (value []byte, found bool) {
	f.cover(key, 1, false)
	defer asCorruption(f.bucket, key)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	value = f.rows.Get(key)
	return value, value != nil
}

// cover verifies the leaf that holds key, or would, and the way to it; with
// leaves, that many from it on. It returns the first key not covered, nil at
// the end. In a sound file there is nothing to do.
func (f fileRows) cover(key []byte, leaves int, wide bool) (next []byte) {
	if f.base.file.sound.Load() || f.rows.Root() == 0 {
		return nil // an inline bucket was verified with the page it is in
	}
	w := newWalk(f.base.pages)
	w.from, w.leaves, w.wide = key, leaves, wide
	w.report = func(key []byte, err error) {
		Corrupt(f.bucket.name, append(append([]byte(nil), f.hour...), key...), err)
	}
	if f.parent {
		w.inner = func(name []byte) (*bucket, []byte, error) { return f.bucket, name, checkHour(name) }
	} else {
		w.bucket, w.prefix = f.bucket, f.hour
	}
	return w.run(uint64(f.rows.Root()))
}

// partition returns one partition; found is false if the file has none of that
// hour.
func (f fileRows) partition(hour []byte) (p fileRows, found bool) {
	f.cover(hour, 1, false)
	defer asCorruption(f.bucket, hour)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	rows := f.rows.Bucket(hour)
	return fileRows{base: f.base, bucket: f.bucket, hour: hour, rows: rows}, rows != nil
}

// hours lists the partitions, oldest first.
func (f fileRows) hours() (hours []int64) {
	for l := f.seek(nil); l.key != nil; l.next() {
		hours = append(hours, int64(binary.BigEndian.Uint64(l.key)))
	}
	return hours
}

var errPartitionName = errors.New("partition name is not an hour")

func checkHour(name []byte) error {
	if len(name) != 8 {
		return errPartitionName
	}
	return nil
}

var errJournalKey = errors.New("journal key is not a sequence number")

// lastJournalKey is at or behind every key of a journal.
var lastJournalKey = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func (f fileRows) journalEnd() uint64 {
	f.cover(lastJournalKey, 1, false)
	defer asCorruption(f.bucket, nil)
	last, _ := f.rows.Cursor().Last()
	if last == nil {
		return 0
	}
	if len(last) != 8 {
		Corrupt(f.bucket.name, last, errJournalKey)
	}
	return binary.BigEndian.Uint64(last) + 1
}

// fileLayer visits the rows of one bucket or partition of the file. Its cursor
// only ever moves within leaves that were verified.
type fileLayer struct {
	rows       fileRows
	cursor     *bbolt.Cursor
	key, value []byte
	end        []byte // first key behind the current leaf; nil if there is none, or nothing to verify
	ahead      []byte // first key behind the leaf after it
}

// seek starts at the first key that is not before start.
func (f fileRows) seek(start []byte) *fileLayer {
	l := &fileLayer{rows: f, ahead: f.cover(start, 1, false)}
	l.coverNext()
	defer asCorruption(f.bucket, start)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	l.cursor = f.rows.Cursor()
	l.key, l.value = l.cursor.Seek(start)
	l.coverMore()
	return l
}

func (l *fileLayer) next() {
	defer asCorruption(l.rows.bucket, l.key)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	l.key, l.value = l.cursor.Next()
	l.coverMore()
}

// coverMore keeps the leaf ahead of the current one verified.
func (l *fileLayer) coverMore() {
	for l.end != nil && l.key != nil && bytes.Compare(l.key, l.end) >= 0 {
		l.coverNext()
	}
}

// coverNext verifies the leaf ahead.
func (l *fileLayer) coverNext() {
	l.end = l.ahead
	if l.end != nil {
		l.ahead = l.rows.cover(l.end, 1, false)
	}
}

func (l *fileLayer) peek() (key, value []byte, ok bool) { return l.key, l.value, l.key != nil }
func (l *fileLayer) close()                             {}
