package store

import (
	"log/slog"
	"time"
)

// Options say where a database lives and how much memory it may hold back
// from the file.
type Options struct {
	Path          string        // of state.db
	Schema        *Schema       // every bucket the file may hold
	Stamp         []byte        // of the data directory; a file stamped otherwise is refused
	FlushBytes    int64         // size at which a generation is frozen; 64 MiB when zero
	FlushInterval time.Duration // age at which it is; 1 s when zero, every entry when negative
	Logger        *slog.Logger  // slog.Default when nil
	// Fatal is told of a failed flush or of damage found in the background,
	// once. The state in memory must not be served any more; the process exits.
	// Panics when nil.
	Fatal func(error)
	// Observe is told of each flush that reached the disk; may be nil.
	Observe func(Flushed)

	mapFloor    int           // bytes that are mapped at least
	verifyLimit int64         // size up to which a file is verified before it is opened
	knownRows   int           // decoded rows of a table that the writer keeps, at most twice
	patience    time.Duration // how long readers wait for those that keep the file from being mapped anew
}

// Flushed describes one finished flush.
type Flushed struct {
	Index uint64        // now durable in the file
	Bytes int64         // of rows and keys
	Took  time.Duration // freeze to fsync
}

const (
	defaultFlushBytes    = 64 << 20
	defaultFlushInterval = time.Second
	defaultVerifyLimit   = 256 << 20
	defaultKnownRows     = 128 << 10
	defaultPatience      = time.Second
)

func (o *Options) setDefaults() {
	if o.FlushBytes == 0 {
		o.FlushBytes = defaultFlushBytes
	}
	if o.FlushInterval == 0 {
		o.FlushInterval = defaultFlushInterval
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(err) }
	}
	if o.Observe == nil {
		o.Observe = func(Flushed) {}
	}
	if o.mapFloor == 0 {
		o.mapFloor = defaultMapFloor
	}
	if o.verifyLimit == 0 {
		o.verifyLimit = defaultVerifyLimit
	}
	if o.knownRows == 0 {
		o.knownRows = defaultKnownRows
	}
	if o.patience == 0 {
		o.patience = defaultPatience
	}
}
