package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"
)

// The meta bucket holds what is known about the whole file.
const (
	metaBucket = "store.meta"
	fileFormat = 1
)

var (
	metaRows   = &bucket{name: metaBucket, kind: rowBucket, seed: checksumSeed(metaBucket)}
	formatKey  = []byte("format")
	stampKey   = []byte("stamp")
	appliedKey = []byte("applied")
	floorKey   = []byte("floor/") // followed by the name of a partitioned bucket
)

// ErrInUse is returned when another process holds the file.
var ErrInUse = errors.New("the state file is in use by another process")

// ErrStamp is returned for a state file of another data directory.
var ErrStamp = errors.New("the state file belongs to another data directory")

// A file is mapped once with room to grow: a later remapping must wait until
// no view is open.
const mapFloor = 1 << (30 + 6*(^uint(0)>>63)) // 64 GiB, on 32-bit machines 1 GiB

func mappedBytes(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return mapFloor
	}
	return max(mapFloor, 4*int(info.Size()))
}

func boltOptions(mapped int) *bbolt.Options {
	return &bbolt.Options{
		Timeout:         time.Second,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapped,
	}
}

// openFile opens or creates the bbolt file. A damaged one is an error, never a
// crash: bbolt maps the file, so reading past its end faults.
func openFile(o Options, mapped int, readOnly bool) (file *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			file, err = nil, fmt.Errorf("open %s: the file is damaged: %v", o.Path, fault)
		}
	}()
	if _, err := os.Stat(o.Path); errors.Is(err, os.ErrNotExist) && !readOnly {
		if err := createFile(o); err != nil {
			return nil, fmt.Errorf("create %s: %w", o.Path, err)
		}
	}
	options := boltOptions(mapped)
	options.ReadOnly, options.PreLoadFreelist = readOnly, readOnly
	file, err = bbolt.Open(o.Path, 0o600, options)
	if errors.Is(err, bberrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: %w", o.Path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Path, err)
	}
	if err := checkFile(file, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Path, err), file.Close())
	}
	return file, nil
}

// createFile builds an empty file aside and moves it into place, so that a
// crash leaves either no file or a whole one.
func createFile(o Options) error {
	temporary := o.Path + ".new"
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	file, err := bbolt.Open(temporary, 0o600, boltOptions(0))
	if err != nil {
		return err
	}
	if err := file.Update(func(tx *bbolt.Tx) error { return initialise(tx, o) }); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(temporary, o.Path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(o.Path))
}

func initialise(tx *bbolt.Tx, o Options) error {
	meta, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	if err := putMeta(meta, formatKey, binary.BigEndian.AppendUint32(nil, fileFormat)); err != nil {
		return err
	}
	if err := putMeta(meta, stampKey, o.Stamp); err != nil {
		return err
	}
	return putMeta(meta, appliedKey, Encode(Applied{}))
}

// checkFile makes sure that the file is whole and meant for this directory,
// then adds the buckets a newer program declares.
func checkFile(file *bbolt.DB, o Options) error {
	err := file.View(func(tx *bbolt.Tx) error {
		info, err := os.Stat(o.Path)
		if err != nil {
			return err
		}
		if info.Size() < tx.Size() {
			return fmt.Errorf("the file is cut off: %d of %d bytes", info.Size(), tx.Size())
		}
		if err := checkMeta(tx, o.Stamp); err != nil {
			return err
		}
		return refuseUnknown(tx, o.Schema)
	})
	if err != nil || file.IsReadOnly() {
		return err
	}
	return file.Update(func(tx *bbolt.Tx) error {
		for _, b := range o.Schema.ranked {
			if _, err := tx.CreateBucketIfNotExists([]byte(b.name)); err != nil {
				return fmt.Errorf("create bucket %s: %w", b.name, err)
			}
		}
		return nil
	})
}

func checkMeta(tx *bbolt.Tx, stamp []byte) error {
	format, err := readMeta(tx, formatKey)
	if err != nil {
		return err
	}
	if len(format) != 4 || binary.BigEndian.Uint32(format) != fileFormat {
		return fmt.Errorf("file format %x is not %d, the one this program knows", format, fileFormat)
	}
	stored, err := readMeta(tx, stampKey)
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, stamp) {
		return fmt.Errorf("%w: stamped %x, expected %x", ErrStamp, stored, stamp)
	}
	_, err = readApplied(tx)
	return err
}

func refuseUnknown(tx *bbolt.Tx, schema *Schema) error {
	known := map[string]bool{metaBucket: true}
	for _, b := range schema.ranked {
		known[b.name] = true
	}
	return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if !known[string(name)] {
			return fmt.Errorf("unknown bucket %q: written by a newer program?", name)
		}
		return nil
	})
}

func putMeta(meta *bbolt.Bucket, key, value []byte) error {
	return meta.Put(key, metaRows.appendSealed(nil, key, value))
}

func readMeta(tx *bbolt.Tx, key []byte) ([]byte, error) {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return nil, fmt.Errorf("bucket %s is missing: not a state file", metaBucket)
	}
	sealed := meta.Get(key)
	if sealed == nil {
		return nil, fmt.Errorf("%s: row %s is missing", metaBucket, key)
	}
	value, err := metaRows.open(key, sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: row %s: %w", metaBucket, key, err)
	}
	return value, nil
}

func readApplied(tx *bbolt.Tx) (Applied, error) {
	value, err := readMeta(tx, appliedKey)
	if err != nil {
		return Applied{}, err
	}
	var applied Applied
	if err := Decode(value, &applied); err != nil {
		return Applied{}, fmt.Errorf("%s: row %s: %w", metaBucket, appliedKey, err)
	}
	return applied, nil
}

// readFloor returns the first partition that still counts, 0 for all.
func readFloor(tx *bbolt.Tx, b *bucket) int64 {
	if b.kind != partitionBucket {
		return 0
	}
	key := append(append([]byte(nil), floorKey...), b.name...)
	sealed := tx.Bucket([]byte(metaBucket)).Get(key)
	if sealed == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(metaRows.mustOpen(key, sealed)))
}

func putFloor(meta *bbolt.Bucket, b *bucket, floor int64) error {
	key := append(append([]byte(nil), floorKey...), b.name...)
	return putMeta(meta, key, binary.BigEndian.AppendUint64(nil, uint64(floor)))
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
