package store

import "sync/atomic"

// Reader is what rows are read from: a View, a *Batch, or a type that embeds
// one of them.
type Reader interface {
	layers() *View
	batch() *Batch // nil for a view
}

// View is a consistent snapshot of all layers at one log index. Any number of
// goroutines may read it; close it soon, since it pins pages of the file.
type View struct {
	db     *DB
	base   *base
	frozen *generation // nil when nothing is being flushed
	active *generation
	closed atomic.Bool
}

func (v *View) layers() *View {
	if v.closed.Load() {
		panic("store: the view is closed")
	}
	return v
}

func (v *View) batch() *Batch { return nil }

// Applied tells the log entry this view is the result of.
func (v *View) Applied() Applied { return v.active.applied.clone() }

// Index is the log index of this view, without the rest of Applied.
func (v *View) Index() uint64 { return v.active.applied.Index }

// Close releases the view. Rows read from it as raw bytes are gone with it.
func (v *View) Close() {
	if v.closed.Swap(true) {
		return
	}
	v.db.release(v.base)
}

// get returns the sealed row under key, newest layer first.
func (v *View) get(b *bucket, key []byte) ([]byte, bool) {
	var room [96]byte
	ranked := append(appendRank(room[:0], v.db.schema.rank(b)), key...)
	if value, found := v.active.get(ranked); found {
		return value, value != nil
	}
	if v.frozen != nil {
		if value, found := v.frozen.get(ranked); found {
			return value, value != nil
		}
	}
	return v.base.rows[v.db.schema.rank(b)].get(key)
}

// View opens a snapshot of at least the given index, which must be published.
// A view that is new enough is shared; else the newest state is copied. Close
// it before you open another: while the file is mapped anew, views wait for
// those still open.
func (db *DB) View(index uint64) *View {
	if v := db.sharedView(index); v != nil {
		return v
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.torn {
		Corrupt(rootName, nil, errTorn)
	}
	return db.copyLive(index)
}

// Latest opens a snapshot of the last published entry.
func (db *DB) Latest() *View { return db.View(db.Published()) }

func (db *DB) sharedView(index uint64) *View {
	db.viewMu.Lock()
	defer db.viewMu.Unlock()
	db.awaitMapped()
	if db.shared == nil || db.shared.Index() < index {
		return nil
	}
	return db.pin(db.shared)
}

// copyLive makes the new shared view, unless somebody just has. The caller
// holds mu, so it must not wait for a new mapping, which needs mu.
func (db *DB) copyLive(index uint64) *View {
	db.viewMu.Lock()
	defer db.viewMu.Unlock()
	if db.shared == nil || db.shared.Index() < index {
		db.shared = &View{db: db, base: db.live.base, frozen: db.live.frozen, active: db.live.active.snapshot()}
	}
	return db.pin(db.shared)
}

// hold keeps the newest base open until it is released.
func (db *DB) hold() *base {
	db.viewMu.Lock()
	defer db.viewMu.Unlock()
	db.awaitMapped()
	db.base.refs++
	return db.base
}

// awaitMapped waits while the file is mapped anew. The caller holds viewMu, and
// no base.
func (db *DB) awaitMapped() {
	for db.draining {
		db.viewIdle.Wait()
	}
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
	if !last {
		return
	}
	// A read transaction has nothing to lose: Rollback only unpins its pages.
	_ = b.tx.Rollback()
	db.viewMu.Lock()
	delete(db.older, b)
	db.viewIdle.Broadcast()
	db.viewMu.Unlock()
}
