package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrBehind is returned for a state older than the one that is served.
var ErrBehind = errors.New("the state is behind the one that is served")

// Replace puts a file made with Build, of the same schema and stamp, in the
// place of the one that is open and serves its state from then on. The writer
// calls it between entries. What was not flushed is dropped; views that are
// open keep what they see. If it fails with the file still in its place, the
// old state is served on; otherwise Fatal is told.
func (db *DB) Replace(path string) error {
	if db.write == nil || db.write.under != nil || db.writing || db.torn {
		return errors.New("replace the state file: the writer is busy")
	}
	next, err := db.openNext(path)
	if err != nil {
		return fmt.Errorf("replace the state file: %w", err)
	}
	db.pause()
	if err := db.replaceable(); err != nil {
		return errors.Join(fmt.Errorf("replace the state file: %w", err), next.close())
	}
	if err := os.Rename(path, db.options.Path); err != nil {
		db.resume()
		return errors.Join(fmt.Errorf("replace the state file: %w", err), next.close())
	}
	if err := syncDirectory(filepath.Dir(db.options.Path)); err != nil {
		err = fmt.Errorf("replace the state file: %w", err)
		db.fail(err)
		return errors.Join(err, next.close())
	}
	old, before := db.file, db.base
	db.adopt(next)
	db.resume()
	db.release(before)
	go db.closeWhenUnread(old)
	return nil
}

// nextState is an opened file that is about to be served.
type nextState struct {
	file    *stateFile
	mapped  int
	base    *base
	applied Applied
	filters []*partitionFilters
}

func (n *nextState) close() error {
	return errors.Join(n.base.tx.Rollback(), n.file.bolt.Close())
}

// openNext opens and verifies a file as Open does, and reads what is needed to
// serve it.
func (db *DB) openNext(path string) (*nextState, error) {
	o := db.options
	o.Path = path
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	n := &nextState{mapped: o.mappedBytes()}
	var err error
	if n.file, err = openState(o, n.mapped); err != nil {
		return nil, err
	}
	if n.base, err = openBase(n.file, db.schema); err != nil {
		return nil, errors.Join(err, n.file.bolt.Close())
	}
	n.applied, err = readApplied(n.base.tx)
	if err == nil && n.applied.Index < db.Published() {
		err = fmt.Errorf("%w: %d, not %d", ErrBehind, n.applied.Index, db.Published())
	}
	if err == nil {
		n.filters, err = notedFilters(n.base, db.schema)
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// pause ends all work in the background.
func (db *DB) pause() {
	close(db.stop)
	db.flusher.Wait()
	db.scrubber.Wait()
	db.stop = make(chan struct{})
}

// replaceable refuses when the state in memory must not be trusted any more.
func (db *DB) replaceable() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.failed
}

// resume starts the work in the background.
func (db *DB) resume() {
	db.accounted = make(chan struct{})
	filters := db.filterWork()
	db.flusher.Go(db.runFlusher)
	db.scrubber.Go(func() { db.runScrub(filters) })
	db.signal()
}

// adopt serves another file. Both generations are dropped with the old one.
func (db *DB) adopt(n *nextState) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.file, db.mapped = n.file, n.mapped
	db.live = &View{db: db, base: n.base, active: emptyGeneration(n.base, n.applied)}
	db.demanded = false
	db.write, db.filters = newBatch(db), n.filters
	db.viewMu.Lock()
	db.older[db.base] = time.Now()
	db.base, db.shared = n.base, nil
	db.viewMu.Unlock()
	db.published.Store(n.applied.Index)
	db.durable.Store(n.applied.Index)
	db.unflushed.Store(0)
	db.unfrozen.Broadcast()
}

// closeWhenUnread closes a file that was replaced after its last reader ended:
// bbolt would make every one but the last wait.
func (db *DB) closeWhenUnread(old *stateFile) {
	db.viewMu.Lock()
	for old.bolt.Stats().OpenTxN > 0 {
		db.viewIdle.Wait()
	}
	db.viewMu.Unlock()
	if err := old.bolt.Close(); err != nil {
		db.options.Logger.Warn("the state file before was not closed", "err", err)
	}
}
