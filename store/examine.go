package store

import (
	"errors"
	"fmt"
	"io"
)

// examined is what is known of a file before it is opened for writing.
type examined struct {
	sound   bool     // all of it was verified
	missing []string // buckets a newer program declares
}

// examine verifies a small file whole, of a large one the pages that all reads
// begin with; before a write, the use of every page, too.
func examine(o Options) (e examined, err error) {
	file, err := openReadable(o)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, file.bolt.Close()) }()
	tx, err := file.bolt.Begin(false)
	if err != nil {
		return e, fmt.Errorf("open %s: %w", o.Path, err)
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	defer onCorruption(func(damage Corruption) { err = fmt.Errorf("open %s: %w", o.Path, damage) })
	p, err := openPages(file, tx)
	if err != nil {
		return e, fmt.Errorf("open %s: %w", o.Path, err)
	}
	for _, b := range o.Schema.ranked {
		if tx.Bucket([]byte(b.name)) == nil {
			e.missing = append(e.missing, b.name)
		}
	}
	switch {
	case tx.Size() <= o.verifyLimit:
		e.sound = true
		readAhead(file.bytes, tx.Size())
		p.verifyAll(o.Schema, panicOn)
	case len(e.missing) > 0:
		accountPages(p, o.Schema, func(err error) { Corrupt(rootName, nil, err) })
	}
	return e, nil
}

// readAhead reads the file once in order, so that what follows in the order of
// keys finds it in the cache of the system.
func readAhead(file io.ReaderAt, size int64) {
	// A failure shows again where the page is needed.
	_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{io.NewSectionReader(file, 0, size)}, make([]byte, 1<<20))
}
