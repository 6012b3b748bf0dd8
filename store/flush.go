package store

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	bberrors "go.etcd.io/bbolt/errors"
)

// runFlusher writes generations to the file until the database closes.
func (db *DB) runFlusher() {
	select {
	case <-db.stop:
		return
	case <-db.accounted:
	}
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
		err := db.flushDue()
		if errors.Is(err, errStopped) {
			return
		}
		if err != nil {
			db.fail(fmt.Errorf("flush %s: %w", db.options.Path, err))
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
	frozen, failed := db.live.frozen, db.failed
	db.mu.Unlock()
	if failed != nil {
		return failed
	}
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
	err := db.writeGeneration(g)
	for errors.Is(err, bberrors.ErrMaxSizeReached) {
		if err = db.remap(); err == nil {
			err = db.writeGeneration(g)
		}
	}
	if err != nil {
		return err
	}
	fresh, err := openBase(db.file, db.schema)
	if err != nil {
		return err
	}
	db.mu.Lock()
	old := db.base
	db.switchBase(fresh, g)
	db.mu.Unlock()
	db.release(old)
	db.options.Observe(Flushed{Index: g.applied.Index, Bytes: g.memory.bytes, Took: time.Since(started)})
	return nil
}

// switchBase drops the frozen generation in the same moment as its rows become
// readable from the file. The caller holds mu.
func (db *DB) switchBase(fresh *base, g *generation) {
	db.live = &View{db: db, base: fresh, active: db.live.active}
	db.durable.Store(g.applied.Index)
	db.unflushed.Store(db.pendingBytes())
	db.viewMu.Lock()
	db.older[db.base] = time.Now()
	db.base, db.shared = fresh, nil
	db.viewMu.Unlock()
	db.unfrozen.Broadcast()
}

// writeGeneration writes all rows and Applied in one fsynced transaction. If
// bbolt finds what it would not expect, the file stays as it was.
func (db *DB) writeGeneration(g *generation) (err error) {
	tx, err := db.file.bolt.Begin(true)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = errors.Join(fmt.Errorf("bbolt gave up: %w", faultError(fault)), tx.Rollback())
		}
	}()
	if err := db.writeRows(tx, g); err != nil {
		return errors.Join(fmt.Errorf("write rows: %w", err), tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// fail records a failed flush or damage, and tells of the first. The file still
// holds the state of Durable, the raft log the rest, and nothing more is
// acknowledged by this process.
func (db *DB) fail(err error) {
	db.mu.Lock()
	first := db.failed == nil
	if first {
		db.failed = err
	}
	db.unfrozen.Broadcast()
	db.mu.Unlock()
	if first {
		db.options.Fatal(err)
	}
}
