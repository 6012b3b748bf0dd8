package store

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// scrubStep is how many leaves are verified before the scrub rests as long as
// that took. Each step reads the file as it is by then, so no page has to be
// kept for it.
const scrubStep = 512

// errStopped ends work in the background when the database closes.
var errStopped = errors.New("stopped")

// runScrub does in the background what would make opening a large file slow:
// it verifies the pages that Open has not and builds the partition filters.
func (db *DB) runScrub(filters []filterWork) {
	err := db.scrub(filters)
	if err != nil && !errors.Is(err, errStopped) {
		db.fail(fmt.Errorf("scrub %s: %w", db.options.Path, err))
	}
}

func (db *DB) scrub(filters []filterWork) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = faultError(fault)
		}
	}()
	sound := db.account()
	close(db.accounted)
	for _, w := range filters {
		db.buildFilter(w)
		if db.stopping() {
			return errStopped
		}
	}
	if sound {
		return nil
	}
	return db.scrubRows()
}

// account makes sure that a flush finds only pages free that are, unless the
// whole file is known to be sound.
func (db *DB) account() (sound bool) {
	b := db.hold()
	defer db.release(b)
	if b.file.sound.Load() {
		return true
	}
	accountPages(b.pages, db.schema, func(err error) { Corrupt(rootName, nil, err) })
	return false
}

// scrubRows verifies all rows, tree by tree.
func (db *DB) scrubRows() error {
	started := time.Now()
	for i, declared := range db.schema.ranked {
		if declared.kind != partitionBucket {
			if err := db.scrubTree(func(b *base) (fileRows, bool) { return b.rows[i], true }); err != nil {
				return err
			}
			continue
		}
		for _, hour := range db.storedHours(rank(i)) {
			name := appendHour(nil, hour)
			if err := db.scrubTree(func(b *base) (fileRows, bool) { return b.rows[i].partition(name) }); err != nil {
				return err
			}
		}
	}
	b := db.hold()
	defer db.release(b)
	b.file.sound.Store(true)
	db.options.Logger.Info("the state file is sound", "bytes", b.tx.Size(), "took", time.Since(started))
	return nil
}

func (db *DB) storedHours(r rank) []int64 {
	b := db.hold()
	defer db.release(b)
	return b.rows[r].hours()
}

// scrubTree verifies one tree step by step.
func (db *DB) scrubTree(open func(*base) (rows fileRows, found bool)) error {
	for next := []byte{}; next != nil; {
		started := time.Now()
		next = db.scrubLeaves(open, next)
		select {
		case <-db.stop:
			return errStopped
		case <-time.After(time.Since(started)):
		}
	}
	return nil
}

func (db *DB) scrubLeaves(open func(*base) (fileRows, bool), from []byte) (next []byte) {
	b := db.hold()
	defer db.release(b)
	rows, found := open(b)
	if !found {
		return nil // dropped meanwhile
	}
	return rows.cover(from, scrubStep, false)
}
