package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// DB is one node's state. One goroutine writes it through batches and Commit;
// any goroutine may open views.
type DB struct {
	options Options
	schema  *Schema
	file    *bbolt.DB

	// mu guards the layers: merges, freezing, copying a tree for a view and the
	// switch to a flushed file. The writer holds it from its first merge of an
	// entry until Commit, so no view ever shows half an entry.
	mu        sync.Mutex
	live      *View // the writer's layers; live.active is the generation being filled
	base      *base // of live; changed by the flusher only
	mapped    int   // bytes of the file that are mapped
	writing   bool  // the writer is inside an entry and holds mu
	unfrozen  *sync.Cond
	demanded  bool // somebody waits for a flush
	failed    error
	published atomic.Uint64 // index of the last committed entry
	durable   atomic.Uint64 // index of the last flushed entry
	unflushed atomic.Int64  // bytes of both generations

	viewMu   sync.Mutex
	viewIdle *sync.Cond
	shared   *View // the newest copy made for readers
	draining bool  // the file is about to be mapped anew

	write   *Batch // reused by the writer
	warm    []any  // by rank: decoded rows the writer touched lately
	filters []*partitionFilters

	wake    chan struct{}
	flusher sync.WaitGroup
	builder sync.WaitGroup
	stop    chan struct{}
}

// Open opens or creates the database and starts its flusher.
func Open(o Options) (*DB, error) {
	db, err := open(o, false)
	if err != nil {
		return nil, err
	}
	db.write = newBatch(db)
	db.buildFilters()
	db.flusher.Go(db.runFlusher)
	return db, nil
}

// Inspect opens an existing file for reading only, such as one of a stopped
// node. It shows the state of the last flush; Begin, Flush and Commit are not
// for it.
func Inspect(o Options) (*DB, error) { return open(o, true) }

func open(o Options, readOnly bool) (*DB, error) {
	o.setDefaults()
	mapped := mappedBytes(o.Path)
	file, err := openFile(o, mapped, readOnly)
	if err != nil {
		return nil, err
	}
	db := &DB{
		options: o,
		schema:  o.Schema,
		file:    file,
		mapped:  mapped,
		warm:    make([]any, len(o.Schema.ranked)),
		filters: make([]*partitionFilters, len(o.Schema.ranked)),
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
	}
	db.unfrozen = sync.NewCond(&db.mu)
	db.viewIdle = sync.NewCond(&db.viewMu)
	if err := db.openLive(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return db, nil
}

func (db *DB) openLive() (err error) {
	defer func() {
		if damage, ok := recover().(Corruption); ok {
			err = damage
		}
	}()
	b, err := db.openBase()
	if err != nil {
		return err
	}
	applied, err := readApplied(b.tx)
	if err != nil {
		return errors.Join(err, b.tx.Rollback())
	}
	before := &generation{tails: make([]tail, len(b.ends)), floors: b.floors, applied: applied}
	for i, end := range b.ends {
		before.tails[i].first = end
	}
	db.base = b
	db.live = &View{db: db, base: b, active: newGeneration(before)}
	db.published.Store(applied.Index)
	db.durable.Store(applied.Index)
	return nil
}

// Published is the index of the last entry that views can show.
func (db *DB) Published() uint64 { return db.published.Load() }

// Durable is the index state.db holds on disk.
func (db *DB) Durable() uint64 { return db.durable.Load() }

// DurableApplied is the Applied that state.db holds on disk.
func (db *DB) DurableApplied() (applied Applied, err error) {
	err = db.file.View(func(tx *bbolt.Tx) error {
		applied, err = readApplied(tx)
		return err
	})
	return applied, err
}

// Unflushed is how many bytes are applied but not yet in the file.
func (db *DB) Unflushed() int64 { return db.unflushed.Load() }

// View opens a snapshot of at least the given index, which must be published.
// A view that is new enough is shared; else the newest state is copied.
func (db *DB) View(index uint64) *View {
	if v := db.sharedView(index); v != nil {
		return v
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if v := db.sharedView(index); v != nil {
		return v
	}
	return db.copyLive()
}

// Latest opens a snapshot of the last published entry.
func (db *DB) Latest() *View { return db.View(db.Published()) }

func (db *DB) sharedView(index uint64) *View {
	db.viewMu.Lock()
	defer db.viewMu.Unlock()
	for db.draining {
		db.viewIdle.Wait()
	}
	if db.shared == nil || db.shared.Index() < index {
		return nil
	}
	return db.pin(db.shared)
}

// copyLive makes the new shared view. The caller holds mu.
func (db *DB) copyLive() *View {
	copied := &View{db: db, base: db.live.base, frozen: db.live.frozen, active: db.live.active.snapshot()}
	db.viewMu.Lock()
	defer db.viewMu.Unlock()
	db.shared = copied
	return db.pin(copied)
}

// pin hands out one more use of a view's layers. The caller holds viewMu.
func (db *DB) pin(v *View) *View {
	v.base.refs++
	return &View{db: db, base: v.base, frozen: v.frozen, active: v.active}
}

// release ends one use of a base; the last one ends its transaction.
func (db *DB) release(b *base) {
	db.viewMu.Lock()
	b.refs--
	last := b.refs == 0
	db.viewIdle.Broadcast()
	db.viewMu.Unlock()
	if last {
		// A read transaction has nothing to lose: Rollback only unpins its pages.
		_ = b.tx.Rollback()
	}
}

// Commit ends one log entry: what was merged since the last call becomes
// visible as the state of applied.Index. It waits while the disk is far behind.
func (db *DB) Commit(applied Applied) {
	db.beginEntry()
	g := db.live.active
	g.applied = applied.clone()
	if g.born.IsZero() {
		g.born = time.Now()
	}
	db.unflushed.Store(db.pendingBytes())
	full := g.memory.bytes >= db.options.FlushBytes || db.options.FlushInterval < 0
	if full {
		db.freezeOrWait()
	}
	db.published.Store(applied.Index)
	db.writing = false
	db.mu.Unlock()
	if full {
		db.signal()
	}
	if db.options.FlushInterval < 0 {
		db.AwaitDurable(applied.Index)
	}
}

// beginEntry takes the writer's mutex until Commit.
func (db *DB) beginEntry() {
	if db.writing {
		return
	}
	db.mu.Lock()
	db.writing = true
}

func (db *DB) pendingBytes() int64 {
	bytes := db.live.active.memory.bytes
	if db.live.frozen != nil {
		bytes += db.live.frozen.memory.bytes
	}
	return bytes
}

// freezeOrWait makes the full generation the frozen one. While the one before
// it is still being written, it waits: memory is bounded by two generations.
func (db *DB) freezeOrWait() {
	for db.live.frozen != nil && db.failed == nil {
		db.unfrozen.Wait()
	}
	if db.failed == nil {
		db.freeze()
	}
}

// freeze starts a new generation at an entry boundary. The caller holds mu and
// has seen that nothing is frozen.
func (db *DB) freeze() {
	full := db.live.active
	db.live = &View{db: db, base: db.live.base, frozen: full, active: newGeneration(full)}
}

func (db *DB) stopping() bool {
	select {
	case <-db.stop:
		return true
	default:
		return false
	}
}

// signal wakes the flusher; one pending signal is enough.
func (db *DB) signal() {
	select {
	case db.wake <- struct{}{}:
	default:
	}
}

// Flush returns once everything published so far is durable in the file.
func (db *DB) Flush() error {
	index := db.Published()
	db.mu.Lock()
	db.demanded = true
	db.mu.Unlock()
	db.signal()
	return db.AwaitDurable(index)
}

// AwaitDurable flushes as needed and returns once the file holds an index.
func (db *DB) AwaitDurable(index uint64) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	for db.durable.Load() < index && db.failed == nil {
		db.demanded = true
		db.signal()
		db.unfrozen.Wait()
	}
	return db.failed
}

// Close flushes and closes the file. Views must be closed before.
func (db *DB) Close() error {
	if db.write == nil {
		return db.Abandon()
	}
	err := db.Flush()
	return errors.Join(err, db.Abandon())
}

// Abandon closes the file without a last flush, as a crash would leave it.
func (db *DB) Abandon() error {
	close(db.stop)
	db.signal()
	db.flusher.Wait()
	db.builder.Wait()
	db.release(db.base)
	if err := db.file.Close(); err != nil {
		return fmt.Errorf("close %s: %w", db.options.Path, err)
	}
	return nil
}
