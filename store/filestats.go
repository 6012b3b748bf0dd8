package store

import (
	"fmt"
	"time"
)

// FileStats describes the state file for metrics. Its values are not of one
// instant.
type FileStats struct {
	Bytes    int64 // of the file on the disk
	Free     int64 // of its pages that hold nothing, those that a reader still needs included
	Freelist int64 // of the list of those pages
	// Reads counts the read transactions; the database itself keeps one.
	Reads int
	// Oldest is how long the oldest reader has kept a transaction that a flush
	// has replaced: its pages cannot be used again. Zero without such a reader.
	Oldest time.Duration
}

// FileStats looks at the file that is served. It fails only if the system does
// not tell the file's size.
func (db *DB) FileStats() (FileStats, error) {
	b := db.hold()
	defer db.release(b)
	info, err := b.file.bytes.Stat()
	if err != nil {
		return FileStats{}, fmt.Errorf("measure %s: %w", db.options.Path, err)
	}
	now := b.file.bolt.Stats()
	return FileStats{
		Bytes: info.Size(), Free: int64(now.FreePageN+now.PendingPageN) * int64(b.file.bolt.Info().PageSize),
		Freelist: int64(now.FreelistInuse), Reads: now.OpenTxN, Oldest: db.oldestRead(time.Now()),
	}, nil
}

func (db *DB) oldestRead(now time.Time) (oldest time.Duration) {
	db.viewMu.Lock()
	defer db.viewMu.Unlock()
	for _, replaced := range db.older {
		oldest = max(oldest, now.Sub(replaced))
	}
	return oldest
}
