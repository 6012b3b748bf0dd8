package store

import (
	"errors"
	"fmt"
	"time"
)

// remap closes the file and opens it with twice as much of it mapped. bbolt
// would wait for all readers to end, and so do we, but in a way that ends: it
// is tried again when a reader will not go because it waits for another view.
func (db *DB) remap() error {
	for !db.drain() {
		select {
		case <-db.stop:
			return errStopped
		case <-time.After(db.options.patience):
		}
	}
	defer db.mu.Unlock()
	defer db.readmit()
	db.options.Logger.Info("the state file has outgrown its mapping", "bytes", db.base.tx.Size())
	sound := db.file.sound
	if err := errors.Join(db.base.tx.Rollback(), db.file.bolt.Close()); err != nil {
		return fmt.Errorf("close the file: %w", err)
	}
	db.mapped *= 2
	file, err := openWritable(db.options.Path, db.mapped)
	if err != nil {
		return err
	}
	file.sound = sound
	fresh, err := openBase(file, db.schema)
	if err != nil {
		return errors.Join(err, file.bolt.Close())
	}
	db.file, db.base = file, fresh
	db.live = &View{db: db, base: fresh, frozen: db.live.frozen, active: db.live.active}
	return nil
}

// drain keeps new views waiting until no view and no batch is open, and returns
// with mu held. It gives up after a while, for a reader may wait for a second
// view while it holds one.
func (db *DB) drain() bool {
	late := time.Now().Add(db.options.patience)
	alarm := time.AfterFunc(db.options.patience, func() {
		db.viewMu.Lock()
		defer db.viewMu.Unlock()
		db.viewIdle.Broadcast()
	})
	defer alarm.Stop()
	db.viewMu.Lock()
	db.draining, db.shared = true, nil
	db.viewMu.Unlock()
	for {
		db.mu.Lock()
		db.viewMu.Lock()
		if db.base.refs == 1 && len(db.older) == 0 {
			db.viewMu.Unlock()
			return true
		}
		db.mu.Unlock()
		if !time.Now().Before(late) {
			db.viewMu.Unlock()
			db.readmit()
			return false
		}
		db.viewIdle.Wait()
		db.viewMu.Unlock()
	}
}

// readmit lets views be opened again.
func (db *DB) readmit() {
	db.viewMu.Lock()
	db.draining, db.shared = false, nil
	db.viewIdle.Broadcast()
	db.viewMu.Unlock()
}
