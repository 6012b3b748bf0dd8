package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
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
	if err := putMeta(meta, appliedKey, Encode(Applied{})); err != nil {
		return err
	}
	for _, b := range o.Schema.ranked {
		if _, err := tx.CreateBucket([]byte(b.name)); err != nil {
			return err
		}
	}
	return nil
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
