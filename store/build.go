package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// Builder writes a new state file from rows in the order of Export.Rows. Until
// Finish the file is at index 0 and not durable. It belongs to one goroutine.
type Builder struct {
	options Options
	file    *bbolt.DB
	tx      *bbolt.Tx
	bytes   int // put since the transaction began
	memory  arena

	declared *bucket
	rows     *bbolt.Bucket // of the bucket or partition
	hour     []byte        // of the partition
	last     []byte        // key of the row before, in the same bucket
	first    map[*bucket]int64
	floors   map[*bucket]int64
}

// buildBytes is how much a transaction of a Builder takes: memory is bounded.
const buildBytes = 16 << 20

// buildFill leaves room in pages, which are written in order but grow at random
// places later.
const buildFill = 0.9

var (
	errRowOrder = errors.New("the row does not follow the one before")
	errRowName  = errors.New("the row says nothing that belongs to a state")
	errBelow    = errors.New("a partition lies below the first one that counts")
)

// Build begins a file at Options.Path, where none may be.
func Build(o Options) (*Builder, error) {
	o.setDefaults()
	if _, err := os.Lstat(o.Path); !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("build %s: the file exists", o.Path), err)
	}
	file, err := bbolt.Open(o.Path, 0o600, &bbolt.Options{
		Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoSync: true, NoGrowSync: true, InitialMmapSize: o.mapFloor,
	})
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", o.Path, err)
	}
	b := &Builder{options: o, file: file, first: map[*bucket]int64{}, floors: map[*bucket]int64{}}
	if err := file.Update(func(tx *bbolt.Tx) error { return initialise(tx, o) }); err != nil {
		return nil, errors.Join(fmt.Errorf("build %s: %w", o.Path, err), b.Discard())
	}
	return b, nil
}

// Add puts the next row. A row that is damaged, out of order, of an unknown
// bucket or under a key that its bucket cannot hold is refused.
func (b *Builder) Add(r Row) error {
	if err := b.add(r); err != nil {
		return fmt.Errorf("row %x of %q: %w", r.Key, r.Bucket, err)
	}
	return nil
}

func (b *Builder) add(r Row) error {
	if err := b.enter(r); err != nil {
		return err
	}
	if err := b.declared.verify(nil, r.Key, r.Sealed); err != nil {
		return err
	}
	if b.declared == metaRows {
		return b.addFloor(r)
	}
	if err := b.begin(); err != nil {
		return err
	}
	key := r.Key
	switch b.declared.kind {
	case journalBucket:
		if len(key) != 8 || binary.BigEndian.Uint64(key) != b.sequence() {
			return errJournalKey
		}
	case partitionBucket:
		if err := b.openPartition(key); err != nil {
			return err
		}
		key = key[8:]
	}
	if b.rows == nil {
		b.rows = b.tx.Bucket([]byte(b.declared.name))
		b.rows.FillPercent = b.fill()
	}
	if err := b.rows.Put(key, append(b.memory.grow(len(r.Sealed)), r.Sealed...)); err != nil {
		return err
	}
	b.last = append(b.last[:0], r.Key...)
	if b.bytes += len(r.Key) + len(r.Sealed) + rowOverhead; b.bytes >= buildBytes {
		return b.commit()
	}
	return nil
}

// enter finds the bucket of a row and makes sure that it follows the one before.
func (b *Builder) enter(r Row) error {
	if b.declared != nil && b.declared.name == r.Bucket {
		if bytes.Compare(r.Key, b.last) <= 0 {
			return errRowOrder
		}
		return nil
	}
	if b.declared != nil && r.Bucket < b.declared.name {
		return errRowOrder
	}
	declared := b.options.Schema.names[r.Bucket]
	if declared == nil {
		return errors.New("unknown bucket: written by a newer program?")
	}
	b.declared, b.rows, b.hour, b.last = declared, nil, nil, b.last[:0]
	return nil
}

// sequence is what the next key of a journal must be.
func (b *Builder) sequence() uint64 {
	if len(b.last) == 0 {
		return 0
	}
	return binary.BigEndian.Uint64(b.last) + 1
}

func (b *Builder) fill() float64 {
	if b.declared.kind == journalBucket {
		return appendFill
	}
	return buildFill
}

func (b *Builder) begin() (err error) {
	if b.tx == nil {
		b.tx, err = b.file.Begin(true)
	}
	return err
}

func (b *Builder) openPartition(key []byte) (err error) {
	if len(key) <= 8 || key[0]&0x80 != 0 {
		return errPartitionName
	}
	if b.rows != nil && bytes.Equal(b.hour, key[:8]) {
		return nil
	}
	if _, known := b.first[b.declared]; !known {
		b.first[b.declared] = int64(binary.BigEndian.Uint64(key))
	}
	b.hour = append(b.hour[:0], key[:8]...)
	b.rows, err = b.tx.Bucket([]byte(b.declared.name)).CreateBucketIfNotExists(b.hour)
	if err == nil {
		b.rows.FillPercent = b.fill()
	}
	return err
}

func (b *Builder) addFloor(r Row) error {
	name, isFloor := bytes.CutPrefix(r.Key, floorKey)
	declared := b.options.Schema.named(name)
	if !isFloor || declared == nil || declared.kind != partitionBucket || len(r.Sealed) != 8+checksumLength {
		return errRowName
	}
	floor := int64(binary.BigEndian.Uint64(r.Sealed))
	if floor <= 0 {
		return errRowName
	}
	b.floors[declared] = floor
	b.last = append(b.last[:0], r.Key...)
	return nil
}

func (b *Builder) commit() error {
	if b.tx == nil {
		return nil
	}
	tx := b.tx
	b.tx, b.rows, b.bytes, b.memory = nil, nil, 0, arena{}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Finish writes Applied and makes the file durable, its name included.
func (b *Builder) Finish(applied Applied) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("build %s: %w", b.options.Path, err), b.Discard())
		}
	}()
	for declared, first := range b.first {
		if first < b.floors[declared] {
			return fmt.Errorf("%s: %w", declared.name, errBelow)
		}
	}
	if err := b.begin(); err != nil {
		return err
	}
	meta := b.tx.Bucket([]byte(metaBucket))
	for declared, floor := range b.floors {
		if err := putFloor(meta, declared, floor); err != nil {
			return err
		}
	}
	if err := putMeta(meta, appliedKey, Encode(applied)); err != nil {
		return err
	}
	if err := b.commit(); err != nil {
		return err
	}
	if err := b.file.Sync(); err != nil {
		return err
	}
	if err := b.file.Close(); err != nil {
		return err
	}
	b.file = nil
	return syncDirectory(filepath.Dir(b.options.Path))
}

// Discard removes the file, also a finished one.
func (b *Builder) Discard() error {
	var failures []error
	if b.tx != nil {
		failures = append(failures, b.tx.Rollback())
		b.tx = nil
	}
	if b.file != nil {
		failures = append(failures, b.file.Close())
		b.file = nil
	}
	if err := os.Remove(b.options.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}
