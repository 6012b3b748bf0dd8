package store

import (
	"sync"
	"sync/atomic"
	"time"
)

// DB is one node's state. One goroutine writes it through batches and Commit;
// any goroutine may open views.
type DB struct {
	options Options
	schema  *Schema

	// mu guards the layers: merges, freezing, copying a tree for a view and the
	// switch to a flushed file. The writer holds it from its first merge of an
	// entry until Commit, so no view ever shows half an entry.
	mu        sync.Mutex
	live      *View // the writer's layers; live.active is the generation being filled
	writing   bool  // the writer is inside an entry and holds mu
	unfrozen  *sync.Cond
	demanded  bool          // somebody waits for a flush
	failed    error         // nothing is flushed any more
	torn      bool          // the last entry was never ended: half of it must not be seen
	published atomic.Uint64 // index of the last committed entry
	durable   atomic.Uint64 // index of the last flushed entry
	unflushed atomic.Int64  // bytes of both generations

	// viewMu guards the use of bases. It may be taken while mu is held.
	viewMu   sync.Mutex
	viewIdle *sync.Cond
	base     *base               // of live; changed by the flusher only, with mu held, too
	older    map[*base]time.Time // bases before it that are still used, and when they were replaced
	shared   *View               // the newest copy made for readers
	draining bool                // the file is about to be mapped anew

	file   *stateFile // the flusher's
	mapped int        // bytes of the file that are mapped

	write   *Batch // reused by the writer
	filters []*partitionFilters

	wake      chan struct{}
	accounted chan struct{} // closed when no page that is in use counts as free: a flush may write
	flusher   sync.WaitGroup
	scrubber  sync.WaitGroup
	stop      chan struct{}
	stopOnce  sync.Once
}

// Published is the index of the last entry that views can show.
func (db *DB) Published() uint64 { return db.published.Load() }

// Durable is the index state.db holds on disk.
func (db *DB) Durable() uint64 { return db.durable.Load() }

// DurableApplied is the Applied that state.db holds on disk.
func (db *DB) DurableApplied() (Applied, error) {
	b := db.hold()
	defer db.release(b)
	return readApplied(b.tx)
}

// Unflushed is how many bytes are applied but not yet in the file.
func (db *DB) Unflushed() int64 { return db.unflushed.Load() }

// Commit ends one log entry: what its commands have merged becomes visible as
// the state of applied.Index. It waits while the disk is far behind.
func (db *DB) Commit(applied Applied) {
	if !db.writing {
		db.WriteSet(nil)
	}
	g := db.live.active
	g.applied = applied.clone()
	first := g.empty()
	if first {
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
	if full || first {
		db.signal() // from the first entry on its age counts
	}
	if db.options.FlushInterval < 0 {
		_ = db.AwaitDurable(applied.Index) // a failed flush is told to Fatal
	}
}

// beginEntry takes the writer's mutex, from WriteSet until Commit.
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
	if db.durable.Load() < index {
		return db.failed
	}
	return nil
}
