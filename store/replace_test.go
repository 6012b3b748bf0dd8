package store

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// replacement is a file at a later index than the database it is for.
func replacement(t testing.TB, a *archive, dir string, index uint64) (path string, rows []Row, dump string) {
	t.Helper()
	b, db := lived(t, 42, func(int) bool { return false })
	rows, applied := rowsOf(t, db)
	applied.Index, applied.Term, applied.Installed = index, 5, true
	path = filepath.Join(dir, "next.db")
	a.built(t, path, rows, applied)
	return path, rows, b.states[13]
}

func TestReplaceServesTheNewState(t *testing.T) {
	a, db := lived(t, 1, func(entry int) bool { return entry == 4 })
	path := db.options.Path
	before := db.Latest()
	a.churn(db, newRandom(), 30) // is dropped
	next, rows, dump := replacement(t, a, filepath.Dir(path), 20)
	if err := db.Replace(next); err != nil {
		t.Fatal(err)
	}
	if got := a.dump(before); got != a.states[13] {
		t.Error("an open view changed")
	}
	if db.Published() != 20 || db.Durable() != 20 || db.Unflushed() != 0 {
		t.Errorf("published %d, durable %d, unflushed %d", db.Published(), db.Durable(), db.Unflushed())
	}
	v := db.Latest()
	if got := a.dump(v); got != dump || v.Applied().Term != 5 || !v.Applied().Installed {
		t.Error("the new state is not served")
	}
	v.Close()
	before.Close()
	if _, err := os.Stat(next); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still under its old name: %v", err)
	}
	goesOn(t, a, db, rows)
}

// goesOn writes to a replaced state, opens it again and compares it with a
// database that never was anything else.
func goesOn(t *testing.T, a *archive, db *DB, rows []Row) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alone.db")
	a.built(t, path, rows, Applied{Index: 20, Term: 5, Installed: true})
	alone := a.openAt(t, path)
	for _, each := range []*DB{db, alone} {
		random := rand.New(rand.NewPCG(8, 8))
		for range 3 {
			a.churn(each, random, 50)
		}
		if err := each.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	want, _ := rowsOf(t, alone)
	got, _ := rowsOf(t, db)
	if !slices.EqualFunc(got, want, sameRow) {
		t.Error("the replaced state went another way")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := a.openAt(t, db.options.Path)
	if got, applied := rowsOf(t, again); !slices.EqualFunc(got, want, sameRow) || applied.Index != 23 {
		t.Errorf("opened again at index %d", applied.Index)
	}
}

func TestReplaceRefusesAndServesOn(t *testing.T) {
	a, db := lived(t, 1, func(int) bool { return false })
	dir := filepath.Dir(db.options.Path)
	behind, _, _ := replacement(t, a, dir, 12)
	if err := db.Replace(behind); !errors.Is(err, ErrBehind) {
		t.Errorf("a state behind: %v", err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	o := a.buildOptions(foreign)
	o.Stamp = []byte("other")
	b, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Finish(Applied{Index: 50}); err != nil {
		t.Fatal(err)
	}
	if err := db.Replace(foreign); !errors.Is(err, ErrStamp) {
		t.Errorf("a state of another directory: %v", err)
	}
	if err := db.Replace(filepath.Join(dir, "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	busy := db.Begin()
	if err := db.Replace(behind); err == nil {
		t.Error("replaced under an open batch")
	}
	busy.Discard()
	a.churn(db, newRandom(), 20)
	if err := db.Flush(); err != nil || db.Durable() != 14 {
		t.Errorf("at %d: %v", db.Durable(), err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// TestReplaceFailsAtTheRename keeps the old state in service.
func TestReplaceFailsAtTheRename(t *testing.T) {
	a, db := lived(t, 1, func(int) bool { return false })
	next, _, _ := replacement(t, a, filepath.Dir(db.options.Path), 20)
	path := db.options.Path
	db.options.Path = filepath.Join(t.TempDir(), "none", "state.db")
	if err := db.Replace(next); err == nil {
		t.Fatal("renamed into a directory that is not there")
	}
	db.options.Path = path
	a.churn(db, newRandom(), 20)
	if err := db.Flush(); err != nil || db.Durable() != 14 {
		t.Errorf("at %d: %v", db.Durable(), err)
	}
}

func TestReplaceTwiceUnderReaders(t *testing.T) {
	a, db := lived(t, 1, func(int) bool { return false })
	var readers sync.WaitGroup
	stop, first := make(chan struct{}), make(chan struct{}, 4)
	want := map[uint64]string{13: a.states[13]}
	next, _, dump := replacement(t, a, t.TempDir(), 30)
	want[30], want[40] = dump, dump
	for range 4 {
		readers.Go(func() {
			seen := uint64(0)
			for {
				v := db.Latest()
				older := v.Index()
				if older < seen || a.dump(v) != want[older] {
					t.Errorf("index %d after %d, or another state", older, seen)
				}
				seen = older
				v.Close()
				select {
				case first <- struct{}{}:
				default:
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	<-first
	if err := db.Replace(next); err != nil {
		t.Error(err)
	}
	<-first
	again, _, _ := replacement(t, a, t.TempDir(), 40)
	if err := db.Replace(again); err != nil {
		t.Error(err)
	}
	close(stop)
	readers.Wait()
	if err := db.AwaitDurable(35); err != nil || db.Published() != 40 {
		t.Errorf("at %d: %v", db.Published(), err)
	}
}

// TestReplaceClosesTheOldFileBehindItsLastReader makes sure that no reader
// waits for another when it ends.
func TestReplaceClosesTheOldFileBehindItsLastReader(t *testing.T) {
	a, db := lived(t, 1, func(int) bool { return false })
	one := db.Latest()
	a.churn(db, newRandom(), 20)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	two := db.Latest()
	old := db.file
	next, _, _ := replacement(t, a, filepath.Dir(db.options.Path), 20)
	if err := db.Replace(next); err != nil {
		t.Fatal(err)
	}
	one.Close()
	two.Close()
	if err := old.bolt.Close(); err != nil { // waits for the other one
		t.Error(err)
	}
}
