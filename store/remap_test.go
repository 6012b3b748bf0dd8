package store

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const remapAccounts = 50

// bankEntry writes what can be told from an index alone: entry i sets account i
// mod 50 to i, appends one row and remembers one request of hour i/100.
func (k *bank) bankEntry(db *DB, filler string) {
	index := db.Published() + 1
	b := db.Begin()
	k.accounts.Put(b, account{ID: accountID(int(index % remapAccounts)), Balance: int64(index)})
	k.entries.Append(b, append(binary.BigEndian.AppendUint64(nil, index), filler...))
	var id Bytes16
	binary.BigEndian.PutUint64(id[:], index)
	k.requests.Put(b, Time(int64(index/100)*Hour), request{ID: id})
	b.Merge()
	db.Commit(Applied{Index: index})
}

// checkBank compares a view with what its index tells.
func (k *bank) checkBank(t testing.TB, v *View) {
	index := v.Index()
	if got := k.entries.Length(v); got != index {
		t.Errorf("%d rows at index %d", got, index)
	}
	for i := index; i > 0 && i+60 > index; i-- {
		row := k.entries.Get(v, i-1)
		if binary.BigEndian.Uint64(row) != i {
			t.Errorf("row %d at index %d is another", i-1, index)
		}
		a, found := k.accounts.Get(v, accountID(int(i%remapAccounts)))
		if want := int64(i); i+remapAccounts > index && (!found || a.Balance != want) {
			t.Errorf("account %d at index %d: %d, not %d", i%remapAccounts, index, a.Balance, want)
		}
		var id Bytes16
		binary.BigEndian.PutUint64(id[:], i)
		if _, found := k.requests.Get(v, id); !found {
			t.Errorf("request %d is not known at index %d", i, index)
		}
	}
}

// TestRemap lets the file outgrow its mapping again and again, with readers,
// one of which opens views while it holds others: nothing is lost, and nobody
// waits for ever.
func TestRemap(t *testing.T) {
	k := newBank(t)
	path := filepath.Join(t.TempDir(), "state.db")
	o := Options{
		Path: path, Schema: k.schema, Stamp: []byte("bank"), FlushBytes: 50_000, FlushInterval: time.Hour,
		Fatal: func(err error) { t.Error(err) }, Logger: slog.New(slog.DiscardHandler),
		mapFloor: 64 << 10, patience: 5 * time.Millisecond,
	}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for open(written) {
				v := db.Latest()
				k.checkBank(t, v)
				v.Close()
			}
		})
	}
	readers.Go(func() {
		for open(written) {
			outer := db.Latest()
			inner := db.Latest()
			k.checkBank(t, inner)
			if _, err := db.DurableApplied(); err != nil {
				t.Error(err)
			}
			inner.Close()
			k.checkBank(t, outer)
			outer.Close()
		}
	})
	filler := strings.Repeat("f", 4000)
	for range 800 {
		k.bankEntry(db, filler)
	}
	close(written)
	readers.Wait()
	mapped := db.mapped
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if mapped < 4<<20 {
		t.Fatalf("only %d bytes are mapped: it was not mapped anew", mapped)
	}
	db = k.open(t, path, 1<<20)
	v := db.Latest()
	k.checkBank(t, v)
	v.Check(func(p Problem) { t.Error(p) }, func(Checked) {})
	v.CheckPages(func(err error) { t.Error(err) })
	v.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRemapWaitsForViews holds a view until the flusher has given up on it at
// least once: views can be opened meanwhile, and the flush ends when it closes.
func TestRemapWaitsForViews(t *testing.T) {
	k := newBank(t)
	flushed := make(chan Flushed, 100)
	db, err := Open(Options{
		Path: filepath.Join(t.TempDir(), "state.db"), Schema: k.schema, Stamp: []byte("bank"), FlushInterval: time.Hour,
		Fatal: func(err error) { t.Error(err) }, Logger: slog.New(slog.DiscardHandler), Observe: func(f Flushed) { flushed <- f },
		mapFloor: 64 << 10, patience: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	k.bankEntry(db, "first")
	held := db.Latest()
	k.bankEntry(db, strings.Repeat("f", 1<<20))
	done := make(chan error)
	go func() { done <- db.Flush() }()
	for range 20 {
		until(t, "a drain", func() bool {
			db.viewMu.Lock()
			defer db.viewMu.Unlock()
			return db.draining
		})
		v := db.Latest() // waits while it drains, then is let in
		k.checkBank(t, v)
		v.Close()
		k.checkBank(t, held)
	}
	if len(flushed) > 0 {
		t.Fatal("the file was mapped anew under an open view")
	}
	held.Close()
	if err := errors.Join(<-done, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFailedRemap finds the file gone when it is to be mapped anew.
func TestFailedRemap(t *testing.T) {
	k := newBank(t)
	fatal := make(chan error, 10)
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(Options{
		Path: path, Schema: k.schema, Stamp: []byte("bank"), FlushInterval: time.Hour,
		Fatal: func(err error) { fatal <- err }, Logger: slog.New(slog.DiscardHandler), mapFloor: 64 << 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".gone"); err != nil {
		t.Fatal(err)
	}
	k.bankEntry(db, strings.Repeat("f", 1<<20))
	if err := db.Flush(); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := <-fatal; !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := db.Close(); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// TestCloseWhileWaitingToRemap stops a node whose flusher waits for a view: the
// flush is given up, which is no failure.
func TestCloseWhileWaitingToRemap(t *testing.T) {
	k := newBank(t)
	db, err := Open(Options{
		Path: filepath.Join(t.TempDir(), "state.db"), Schema: k.schema, Stamp: []byte("bank"), FlushInterval: time.Hour,
		Fatal: func(err error) { t.Error(err) }, Logger: slog.New(slog.DiscardHandler),
		mapFloor: 64 << 10, patience: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	held := db.Latest()
	k.bankEntry(db, strings.Repeat("f", 1<<20))
	flushed, closed := make(chan error), make(chan error)
	go func() { flushed <- db.Flush() }()
	until(t, "a drain", func() bool {
		db.viewMu.Lock()
		defer db.viewMu.Unlock()
		return db.draining
	})
	go func() { closed <- db.Abandon() }()
	<-db.stop
	held.Close()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := <-flushed; err != nil && !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}
