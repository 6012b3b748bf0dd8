package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// diary is the smallest database: one journal.
type diary struct {
	*DB
	pages *RawJournal
	fatal chan error
}

func openDiary(t testing.TB, path string, o Options) *diary {
	d := &diary{pages: NewRawJournal("diary.pages"), fatal: make(chan error, 10)}
	schema, err := NewSchema(d.pages)
	if err != nil {
		t.Fatal(err)
	}
	o.Path, o.Schema, o.Stamp = path, schema, []byte("diary")
	o.Fatal = func(err error) { d.fatal <- err }
	if d.DB, err = Open(o); err != nil {
		t.Fatal(err)
	}
	return d
}

// write commits an entry of one page.
func (d *diary) write(page string) {
	b := d.Begin()
	d.pages.Append(b, []byte(page))
	b.Merge()
	d.Commit(Applied{Index: d.Published() + 1})
}

func (d *diary) close(t testing.TB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-d.fatal:
		t.Fatal(err)
	default:
	}
}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); !condition(); runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// TestBackPressure commits faster than a slow disk flushes: Commit waits, and
// no more than two generations are held in memory.
func TestBackPressure(t *testing.T) {
	const limit, entry = 100_000, 2_000
	var d *diary
	var flushes, full atomic.Int64
	var written atomic.Bool
	d = openDiary(t, filepath.Join(t.TempDir(), "state.db"), Options{
		FlushBytes: limit, FlushInterval: time.Hour,
		Observe: func(Flushed) {
			flushes.Add(1)
			for !written.Load() && d.Unflushed() < 2*limit {
				runtime.Gosched()
			}
			full.Add(1)
		},
	})
	most := int64(0)
	for range 1000 {
		d.write(strings.Repeat("x", entry))
		most = max(most, d.Unflushed())
	}
	written.Store(true)
	if most > 2*limit+2*entry {
		t.Errorf("%d bytes were held back, two generations are %d", most, 2*limit)
	}
	d.close(t)
	if flushes.Load() < 10 || full.Load() < 10 {
		t.Errorf("%d flushes, %d of them slow", flushes.Load(), full.Load())
	}
}

func TestDurableAtCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	d := openDiary(t, path, Options{FlushInterval: -1})
	for i := range uint64(20) {
		d.write(fmt.Sprint("page ", i))
		applied, err := d.DurableApplied()
		if err != nil || d.Durable() != i+1 || applied.Index != i+1 || d.Unflushed() != 0 {
			t.Fatalf("after entry %d: durable %d, applied %d, unflushed %d, %v", i+1, d.Durable(), applied.Index, d.Unflushed(), err)
		}
	}
	if err := d.Abandon(); err != nil {
		t.Fatal(err)
	}
	d = openDiary(t, path, Options{FlushInterval: -1})
	v := d.Latest()
	if d.pages.Length(v) != 20 || string(d.pages.Get(v, 19)) != "page 19" {
		t.Fatal("pages are lost")
	}
	v.Close()
	d.close(t)
}

func TestFlushByAge(t *testing.T) {
	flushed := make(chan Flushed, 10)
	d := openDiary(t, filepath.Join(t.TempDir(), "state.db"), Options{
		FlushInterval: time.Millisecond, Observe: func(f Flushed) { flushed <- f },
	})
	for i := range uint64(3) {
		d.write("page")
		if f := <-flushed; f.Index != i+1 || f.Bytes == 0 || f.Took <= 0 {
			t.Fatalf("%+v after entry %d", f, i+1)
		}
	}
	d.close(t)
}

func TestFlushOnDemand(t *testing.T) {
	flushes := atomic.Int64{}
	d := openDiary(t, filepath.Join(t.TempDir(), "state.db"), Options{
		FlushInterval: time.Hour, Observe: func(Flushed) { flushes.Add(1) },
	})
	for i := range uint64(5) {
		for range 2 { // the second has nothing to do
			if err := d.Flush(); err != nil || d.Durable() != i {
				t.Fatalf("durable %d at %d: %v", d.Durable(), i, err)
			}
		}
		d.write("page")
		if d.Durable() != i {
			t.Fatal("it was flushed before it was asked for")
		}
	}
	var waiting sync.WaitGroup
	for index := range uint64(6) {
		waiting.Go(func() {
			if err := d.AwaitDurable(index); err != nil || d.Durable() < index {
				t.Errorf("durable %d, waited for %d: %v", d.Durable(), index, err)
			}
		})
	}
	waiting.Wait()
	d.close(t)
	if flushes.Load() != 5 {
		t.Errorf("%d flushes for 5 entries", flushes.Load())
	}
}

// TestFailedFlush takes the file away from under a flush: Fatal is told once,
// those who wait get the error, nobody hangs and the file stays as it was.
func TestFailedFlush(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	d := openDiary(t, path, Options{FlushBytes: 1000, FlushInterval: time.Hour})
	d.write("kept")
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := d.file.bytes.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 { // some wait for the flush of those before
		d.write(strings.Repeat("lost", 100))
	}
	fatal := <-d.fatal
	if !errors.Is(fatal, os.ErrClosed) || !strings.Contains(fatal.Error(), path) {
		t.Fatal(fatal)
	}
	if err := d.AwaitDurable(2); !errors.Is(fatal, err) {
		t.Fatal(err)
	}
	if err := d.AwaitDurable(1); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(); err == nil {
		t.Fatal("a flush after a failed one")
	}
	if err := d.Close(); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	if len(d.fatal) > 0 {
		t.Fatal("Fatal was told twice")
	}
	d = openDiary(t, path, Options{})
	v := d.Latest()
	if v.Index() != 1 || d.pages.Length(v) != 1 {
		t.Fatalf("the file is at %d", v.Index())
	}
	v.Close()
	d.close(t)
}

// TestFailedCommitIsNotDurable commits with a flush each and a broken file.
func TestFailedCommitIsNotDurable(t *testing.T) {
	d := openDiary(t, filepath.Join(t.TempDir(), "state.db"), Options{FlushInterval: -1})
	if err := d.file.bytes.Close(); err != nil {
		t.Fatal(err)
	}
	d.write("lost")
	<-d.fatal
	if d.Durable() != 0 {
		t.Fatal("it is not durable")
	}
	if err := d.Close(); err == nil {
		t.Fatal("no error")
	}
}

func TestWaitersEndWithTheDatabase(t *testing.T) {
	d := openDiary(t, filepath.Join(t.TempDir(), "state.db"), Options{FlushInterval: time.Hour})
	d.write("page")
	waited := make(chan error)
	go func() { waited <- d.AwaitDurable(99) }()
	until(t, "somebody waits", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.demanded || d.Durable() == 1
	})
	if err := d.Abandon(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := errors.Join(d.Abandon(), d.AwaitDurable(0)); err != nil {
		t.Fatal(err)
	}
	if err := d.AwaitDurable(99); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestCloseTwice(t *testing.T) {
	d := openDiary(t, filepath.Join(t.TempDir(), "state.db"), Options{})
	d.write("page")
	d.close(t)
	d.close(t)
}

// TestWriterDiesWithinAnEntry stops the writer with half an entry merged or a
// batch open, as damage does: the half is neither flushed nor shown, and
// nobody hangs.
func TestWriterDiesWithinAnEntry(t *testing.T) {
	for name, die := range map[string]func(*diary){
		"with a batch open": func(d *diary) { d.pages.Append(d.Begin(), []byte("half")) },
		"with half an entry": func(d *diary) {
			b := d.Begin()
			d.pages.Append(b, []byte("half"))
			b.Merge()
		},
		"with half an entry and a batch open": func(d *diary) {
			b := d.Begin()
			d.pages.Append(b, []byte("half"))
			b.Merge()
			d.Begin()
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			d := openDiary(t, path, Options{FlushInterval: time.Hour})
			d.write("whole")
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
			die(d)
			torn := d.writing
			looked := make(chan any)
			go func() {
				defer func() { looked <- recover() }()
				v := d.View(1)
				defer v.Close()
				if d.pages.Length(v) != 1 {
					t.Error("half an entry is seen")
				}
			}()
			if !torn {
				if damage := <-looked; damage != nil {
					t.Fatal(damage)
				}
			}
			if err := d.Close(); errors.Is(err, errTorn) != torn {
				t.Fatal(err)
			}
			if torn {
				if _, refused := (<-looked).(Corruption); !refused {
					t.Fatal("a view of half an entry")
				}
			}
			d = openDiary(t, path, Options{})
			v := d.Latest()
			if v.Index() != 1 || d.pages.Length(v) != 1 {
				t.Fatalf("index %d, %d pages", v.Index(), d.pages.Length(v))
			}
			v.Close()
			d.close(t)
		})
	}
}
