package store

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"
)

// appendFill is how full pages are left in buckets that only grow at the end.
const appendFill = 0.95

// writeRows writes a generation into an open transaction. bbolt takes over what
// it finds in the pages it changes, so these are verified first: else a damaged
// page would be made whole around the rows it has lost.
func (db *DB) writeRows(tx *bbolt.Tx, g *generation) error {
	if err := db.writeTree(tx, g); err != nil {
		return err
	}
	for i := range db.schema.ranked {
		if err := writeTail(tx, db.base.rows[i], g.tails[i]); err != nil {
			return err
		}
		if err := writeFloor(tx, db.base.rows[i], g.floors[i]); err != nil {
			return err
		}
	}
	return putMeta(tx.Bucket([]byte(metaBucket)), appliedKey, Encode(g.applied))
}

// writeTree puts the rows of tables, indexes and partitions in key order.
func (db *DB) writeTree(tx *bbolt.Tx, g *generation) error {
	w := treeWriter{tx: tx, base: db.base, floors: g.floors, rank: -1}
	var err error
	g.tree.Scan(func(it item) bool {
		err = w.write(it)
		return err == nil
	})
	return err
}

// treeWriter remembers the bucket of the row before, since rows come sorted.
type treeWriter struct {
	tx      *bbolt.Tx
	base    *base // the file as it is before
	floors  []int64
	rank    int
	bucket  *bbolt.Bucket
	hour    int64
	hours   *bbolt.Bucket // parent of the partitions, for a partitioned bucket
	covered coverage
}

func (w *treeWriter) write(it item) error {
	r := int(it.key[0])<<8 | int(it.key[1])
	stored := w.base.rows[r]
	key := bytesOf(it.key[rankLength:]) // bbolt copies it
	if r != w.rank {
		w.rank, w.hour, w.bucket = r, -1, w.tx.Bucket([]byte(stored.bucket.name))
		w.hours, w.covered = w.bucket, coverage{rows: stored}
	}
	if stored.parent {
		hour := int64(binary.BigEndian.Uint64(key))
		if hour < w.floors[r] {
			return nil
		}
		if err := w.openPartition(hour, key[:8]); err != nil {
			return err
		}
		key = key[8:]
	}
	if it.value == nil {
		w.covered.remove(key)
		return w.bucket.Delete(key)
	}
	w.covered.put(key)
	return w.bucket.Put(key, it.value)
}

func (w *treeWriter) openPartition(hour int64, name []byte) (err error) {
	if w.hour == hour {
		return nil
	}
	w.hour = hour
	stored, found := w.base.rows[w.rank].partition(name)
	w.covered = coverage{rows: stored, done: !found}
	w.bucket, err = w.hours.CreateBucketIfNotExists(name)
	return err
}

// coverage verifies the leaves that are about to change, in key order.
type coverage struct {
	rows fileRows
	next []byte // first key not covered
	done bool   // everything from here on is
}

func (c *coverage) put(key []byte) {
	if !c.done && (c.next == nil || bytes.Compare(key, c.next) >= 0) {
		c.next = c.rows.cover(key, 1, false)
		c.done = c.next == nil
	}
}

// remove covers the leaves on both sides, too: one that becomes small is merged
// with them.
func (c *coverage) remove(key []byte) {
	if c.rows.rows != nil {
		c.rows.cover(key, 2, true)
	}
}

// writeTail appends to a journal, whose last leaf was verified with the base.
func writeTail(tx *bbolt.Tx, stored fileRows, t tail) error {
	if len(t.rows) == 0 {
		return nil
	}
	rows := tx.Bucket([]byte(stored.bucket.name))
	rows.FillPercent = appendFill
	key := make([]byte, 8) // bbolt copies it
	for i, row := range t.rows {
		binary.BigEndian.PutUint64(key, t.first+uint64(i))
		if err := rows.Put(key, row); err != nil {
			return err
		}
	}
	return nil
}

// writeFloor deletes the partitions below the floor, whole.
func writeFloor(tx *bbolt.Tx, stored fileRows, floor int64) error {
	if !stored.parent || floor <= readFloor(tx, stored.bucket) {
		return nil
	}
	parent := tx.Bucket([]byte(stored.bucket.name))
	for _, hour := range stored.hours() {
		if hour >= floor {
			break
		}
		name := appendHour(nil, hour)
		if old, found := stored.partition(name); found {
			old.cover(nil, allLeaves, false)
		}
		if err := parent.DeleteBucket(name); err != nil {
			return err
		}
	}
	return putFloor(tx.Bucket([]byte(metaBucket)), stored.bucket, floor)
}
