package store

import (
	"errors"
	"fmt"
)

// ErrClosed is returned to those who wait for a flush of a closed database.
var ErrClosed = errors.New("the database is closed")

// errTorn is why nothing is flushed when the writer died within an entry.
var errTorn = errors.New("the writer stopped in the middle of an entry")

// Close flushes and closes the file. The writer has stopped and views are
// closed before. If the writer stopped in the middle of an entry, such as on
// damage, the file keeps the state it has and Close says so.
func (db *DB) Close() error {
	if db.write == nil {
		return db.Abandon()
	}
	err := db.dropOpenEntry()
	if err == nil {
		err = db.Flush()
	}
	return errors.Join(err, db.Abandon())
}

// Abandon closes the file without a last flush, as a crash would leave it.
// Only the first call of it or Close does anything.
func (db *DB) Abandon() (err error) {
	db.stopOnce.Do(func() { err = db.abandon() })
	return err
}

func (db *DB) abandon() error {
	close(db.stop)
	if db.write != nil {
		_ = db.dropOpenEntry() // nothing is flushed anyway
	}
	db.flusher.Wait()
	db.scrubber.Wait()
	db.mu.Lock()
	if db.failed == nil {
		db.failed = ErrClosed
	}
	db.unfrozen.Broadcast()
	db.mu.Unlock()
	db.release(db.base)
	if err := db.file.bolt.Close(); err != nil {
		return fmt.Errorf("close %s: %w", db.options.Path, err)
	}
	return nil
}

// dropOpenEntry ends what the writer left open. Half an entry is neither
// flushed nor shown: it may be one half of a movement.
func (db *DB) dropOpenEntry() error {
	if db.write.under != nil {
		db.write.forget()
	}
	if !db.writing {
		return nil
	}
	db.writing, db.torn = false, true
	if db.failed == nil {
		db.failed = errTorn
	}
	db.unfrozen.Broadcast()
	db.mu.Unlock()
	return errTorn
}
