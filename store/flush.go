package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// appendFill is how full pages are left in buckets that only grow at the end.
const appendFill = 0.95

// mapMargin is the growth allowed for besides the rows of one flush.
const mapMargin = 64 << 20

// runFlusher writes generations to the file until the database closes.
func (db *DB) runFlusher() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(db.untilOld())
		select {
		case <-db.stop:
			return
		case <-db.wake:
		case <-timer.C:
		}
		if err := db.flushDue(); err != nil {
			db.fail(err)
			return
		}
	}
}

// untilOld is how long the active generation may still wait for a flush.
func (db *DB) untilOld() time.Duration {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.live.active.empty() || db.options.FlushInterval < 0 {
		return time.Hour
	}
	return max(0, time.Until(db.live.active.born.Add(db.options.FlushInterval)))
}

// flushDue freezes what is old or demanded and writes what is frozen.
func (db *DB) flushDue() error {
	db.mu.Lock()
	g := db.live.active
	old := !g.empty() && db.options.FlushInterval >= 0 && time.Since(g.born) >= db.options.FlushInterval
	if db.live.frozen == nil && !g.empty() && (old || db.demanded) {
		db.freeze()
		db.demanded = false
	}
	if g.empty() && db.live.frozen == nil {
		db.demanded = false
		db.unfrozen.Broadcast()
	}
	frozen := db.live.frozen
	db.mu.Unlock()
	if frozen == nil {
		return nil
	}
	return db.flush(frozen)
}

// flush makes one frozen generation durable, then lets views read it from the
// file. A crash before the commit leaves the file at the index before; the raft
// log holds the rest.
func (db *DB) flush(g *generation) error {
	started := time.Now()
	if db.outgrown(g) {
		return db.flushDrained(g, started)
	}
	if err := db.writeGeneration(g); err != nil {
		return err
	}
	fresh, err := db.openBase()
	if err != nil {
		return err
	}
	db.mu.Lock()
	old := db.base
	db.switchBase(fresh, g)
	db.mu.Unlock()
	db.release(old)
	db.observe(g, started)
	return nil
}

// switchBase drops the frozen generation in the same moment as its rows become
// readable from the file. The caller holds mu.
func (db *DB) switchBase(fresh *base, g *generation) {
	db.base = fresh
	db.live = &View{db: db, base: fresh, active: db.live.active}
	db.durable.Store(g.applied.Index)
	db.unflushed.Store(db.pendingBytes())
	db.viewMu.Lock()
	db.shared = nil
	db.viewMu.Unlock()
	db.unfrozen.Broadcast()
}

func (db *DB) observe(g *generation, started time.Time) {
	db.options.Observe(Flushed{Index: g.applied.Index, Bytes: g.memory.bytes, Took: time.Since(started)})
}

// outgrown tells whether writing g could make bbolt map the file anew, which
// waits until no read transaction is open.
func (db *DB) outgrown(g *generation) bool {
	return db.base.tx.Size()+3*g.memory.bytes+mapMargin > int64(db.mapped)
}

// flushDrained flushes while no view is open: readers and the writer wait.
func (db *DB) flushDrained(g *generation, started time.Time) error {
	db.drain()
	defer db.mu.Unlock()
	db.options.Logger.Info("the state file has outgrown its mapping", "bytes", db.base.tx.Size())
	if err := db.remapped(g); err != nil {
		return err
	}
	db.viewMu.Lock()
	db.draining = false
	db.viewIdle.Broadcast()
	db.viewMu.Unlock()
	db.observe(g, started)
	return nil
}

// drain returns with mu held when no view and no batch is open.
func (db *DB) drain() {
	db.viewMu.Lock()
	db.draining, db.shared = true, nil
	db.viewMu.Unlock()
	for {
		db.mu.Lock()
		db.viewMu.Lock()
		if db.base.refs == 1 {
			db.viewMu.Unlock()
			return
		}
		db.mu.Unlock()
		db.viewIdle.Wait()
		db.viewMu.Unlock()
	}
}

// remapped closes the only read transaction left, flushes and opens a new one.
func (db *DB) remapped(g *generation) error {
	if err := db.base.tx.Rollback(); err != nil {
		return fmt.Errorf("end the read transaction: %w", err)
	}
	if err := db.writeGeneration(g); err != nil {
		return err
	}
	fresh, err := db.openBase()
	if err != nil {
		return err
	}
	db.mapped = max(db.mapped, 2*int(fresh.tx.Size()))
	db.switchBase(fresh, g)
	return nil
}

// writeGeneration writes all rows and Applied in one fsynced transaction.
func (db *DB) writeGeneration(g *generation) error {
	tx, err := db.file.Begin(true)
	if err != nil {
		return fmt.Errorf("begin a flush: %w", err)
	}
	if err := db.writeRows(tx, g); err != nil {
		_ = tx.Rollback()
		return fmt.Errorf("write a flush: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit a flush: %w", err)
	}
	return nil
}

func (db *DB) writeRows(tx *bbolt.Tx, g *generation) error {
	if err := db.writeTree(tx, g); err != nil {
		return err
	}
	for i, b := range db.schema.ranked {
		if err := writeTail(tx, b, g.tails[i]); err != nil {
			return err
		}
		if err := writeFloor(tx, b, g.floors[i]); err != nil {
			return err
		}
	}
	return putMeta(tx.Bucket([]byte(metaBucket)), appliedKey, Encode(g.applied))
}

// writeTree puts the rows of tables, indexes and partitions in key order.
func (db *DB) writeTree(tx *bbolt.Tx, g *generation) error {
	w := treeWriter{tx: tx, schema: db.schema, floors: g.floors, rank: -1}
	var err error
	g.tree.Scan(func(it item) bool {
		err = w.write(it)
		return err == nil
	})
	return err
}

// treeWriter remembers the bucket of the row before, since rows come sorted.
type treeWriter struct {
	tx     *bbolt.Tx
	schema *Schema
	floors []int64
	rank   int
	bucket *bbolt.Bucket
	hour   int64
	hours  *bbolt.Bucket // parent of the partitions, for a partitioned bucket
}

func (w *treeWriter) write(it item) error {
	r := int(it.key[0])<<8 | int(it.key[1])
	declared := w.schema.ranked[r]
	key := []byte(it.key[rankLength:])
	if r != w.rank {
		w.rank, w.hour, w.bucket = r, -1, w.tx.Bucket([]byte(declared.name))
		w.hours = w.bucket
	}
	if declared.kind == partitionBucket {
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
		return w.bucket.Delete(key)
	}
	return w.bucket.Put(key, it.value)
}

func (w *treeWriter) openPartition(hour int64, name []byte) (err error) {
	if w.hour == hour {
		return nil
	}
	w.hour = hour
	w.bucket, err = w.hours.CreateBucketIfNotExists(name)
	return err
}

func writeTail(tx *bbolt.Tx, b *bucket, t tail) error {
	if len(t.rows) == 0 {
		return nil
	}
	rows := tx.Bucket([]byte(b.name))
	rows.FillPercent = appendFill
	for i, row := range t.rows {
		if err := rows.Put(binary.BigEndian.AppendUint64(nil, t.first+uint64(i)), row); err != nil {
			return err
		}
	}
	return nil
}

// writeFloor deletes the partitions below the floor, whole.
func writeFloor(tx *bbolt.Tx, b *bucket, floor int64) error {
	if b.kind != partitionBucket || floor <= readFloor(tx, b) {
		return nil
	}
	parent := tx.Bucket([]byte(b.name))
	var old [][]byte
	cursor := parent.Cursor()
	for name, _ := cursor.First(); name != nil; name, _ = cursor.Next() {
		if int64(binary.BigEndian.Uint64(name)) >= floor {
			break
		}
		old = append(old, append([]byte(nil), name...))
	}
	for _, name := range old {
		if err := parent.DeleteBucket(name); err != nil {
			return err
		}
	}
	return putFloor(tx.Bucket([]byte(metaBucket)), b, floor)
}

// fail records a failed flush: the file still holds the state of Durable, the
// raft log the rest, and nothing more is acknowledged by this process.
func (db *DB) fail(err error) {
	db.mu.Lock()
	db.failed = err
	db.unfrozen.Broadcast()
	db.mu.Unlock()
	db.options.Fatal(fmt.Errorf("flush %s: %w", db.options.Path, err))
}
