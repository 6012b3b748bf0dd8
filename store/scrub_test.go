package store

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestScrub flips one bit of one row in each kind of tree of a large file and
// reads nothing: the scrub finds it and tells, once.
func TestScrub(t *testing.T) {
	a := newArchive(t)
	p := pagesOf(t, a.file)
	trees := map[string]uint64{"a partition": a.partitionRoot(t, 2)}
	for _, b := range p.verifyBuckets(a.schema, panicOn) {
		if b := a.schema.named(b.name); b.kind == partitionBucket {
			continue
		}
		trees[string(b.name)] = b.root
	}
	if len(trees) != 6 {
		t.Fatal(trees)
	}
	for name, root := range trees {
		t.Run(name, func(t *testing.T) {
			file := slices.Clone(a.file)
			all := leaves(t, p, root)
			leaf := filePage(file[int(all[len(all)/2])*p.size:][:p.size])
			_, key, value := leaf.leaf(leaf.count() / 2)
			value[len(value)-1] ^= 0x10
			fatal := make(chan error, 10)
			db := a.openLarge(t, a.place(t, file), fatal)
			db.scrubber.Wait()
			var damage Corruption
			err := <-fatal
			if !errors.As(err, &damage) || !strings.HasSuffix(string(damage.Key), string(key)) || !strings.Contains(err.Error(), "scrub") {
				t.Fatal(err)
			}
			if db.base.file.sound.Load() || len(fatal) > 0 {
				t.Fatal("the file counts as sound")
			}
			a.addCity(db, 1)
			if err := db.Close(); !errors.As(err, &damage) {
				t.Fatalf("closed with %v", err)
			}
		})
	}
}

func (a *archive) openLarge(t *testing.T, path string, fatal chan error) *DB {
	db, err := Open(Options{
		Path: path, Schema: a.schema, Stamp: []byte("atlas"), FlushInterval: time.Hour,
		Fatal: func(err error) { fatal <- err }, Logger: slog.New(slog.DiscardHandler), verifyLimit: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestScrubEnds verifies a sound file while it is written and flushed.
func TestScrubEnds(t *testing.T) {
	a := newArchive(t)
	fatal := make(chan error, 10)
	path := a.place(t, a.file)
	db := a.openLarge(t, path, fatal)
	random := newRandom()
	for sound := db.file.sound; !sound.Load(); {
		a.churn(db, random, 30)
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil || len(fatal) > 0 {
		t.Fatal(err)
	}
	db = a.open(t, path, 1<<20) // verified whole
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCloseWithinAScrub does not wait for the whole file.
func TestCloseWithinAScrub(t *testing.T) {
	a := newArchive(t)
	for range 20 {
		fatal := make(chan error, 10)
		db := a.openLarge(t, a.place(t, a.file), fatal)
		if err := db.Close(); err != nil || len(fatal) > 0 {
			t.Fatal(err)
		}
	}
}
