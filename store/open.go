package store

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Open opens or creates the database and starts its flusher. A file of up to
// 256 MiB is verified whole; of a larger one what is used is verified as it is
// used, until a scrub in the background has read all. A damaged file is
// refused; damage found later is told to Options.Fatal.
func Open(o Options) (*DB, error) {
	o.setDefaults()
	mapped := o.mappedBytes()
	file, err := openState(o, mapped)
	if err != nil {
		return nil, err
	}
	db, err := newDB(o, file)
	if err != nil {
		return nil, err
	}
	if db.filters, err = notedFilters(db.base, db.schema); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Path, err), db.Abandon())
	}
	db.mapped = mapped
	db.write = newBatch(db)
	db.flusher.Go(db.runFlusher)
	filters := db.filterWork()
	db.scrubber.Go(func() { db.runScrub(filters) })
	return db, nil
}

// Inspect opens an existing file for reading only, such as one of a stopped
// node. It shows the state of the last flush; Begin, Flush and Commit are not
// for it.
func Inspect(o Options) (*DB, error) {
	o.setDefaults()
	file, err := openReadable(o)
	if err != nil {
		return nil, err
	}
	return newDB(o, file)
}

func newDB(o Options, file *stateFile) (*DB, error) {
	db := &DB{
		options:   o,
		schema:    o.Schema,
		file:      file,
		filters:   make([]*partitionFilters, len(o.Schema.ranked)),
		wake:      make(chan struct{}, 1),
		accounted: make(chan struct{}),
		stop:      make(chan struct{}),
		older:     map[*base]time.Time{},
	}
	db.unfrozen = sync.NewCond(&db.mu)
	db.viewIdle = sync.NewCond(&db.viewMu)
	if err := db.openLive(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Path, err), file.bolt.Close())
	}
	return db, nil
}

func (db *DB) openLive() (err error) {
	b, err := openBase(db.file, db.schema)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.tx.Rollback())
		}
	}()
	defer onCorruption(func(damage Corruption) { err = damage })
	applied, err := readApplied(b.tx)
	if err != nil {
		return err
	}
	db.base = b
	db.live = &View{db: db, base: b, active: emptyGeneration(b, applied)}
	db.published.Store(applied.Index)
	db.durable.Store(applied.Index)
	return nil
}

// emptyGeneration is what a database starts with over a file.
func emptyGeneration(b *base, applied Applied) *generation {
	before := &generation{tails: make([]tail, len(b.ends)), floors: b.floors, applied: applied}
	for i, end := range b.ends {
		before.tails[i].first = end
	}
	return newGeneration(before)
}
