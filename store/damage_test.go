package store

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestArchive makes sure that the file the damage tests use has what they are
// to damage.
func TestArchive(t *testing.T) {
	a := newArchive(t)
	db, err := Inspect(Options{Path: a.place(t, a.file), Schema: a.schema, Stamp: []byte("atlas")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v := db.Latest()
	defer v.Close()
	if got := a.dump(v); got != a.states[v.Index()] {
		t.Fatal("the file does not read as it was written")
	}
	notes := v.base.rows[a.schema.rank(a.notes.bucket)].rows.Stats()
	log := v.base.rows[a.schema.rank(a.log.bucket)].rows.Stats()
	free, err := v.base.pages.freePages()
	if notes.Depth < 3 || log.LeafOverflowN == 0 || len(free) < 10 || err != nil {
		t.Fatalf("depth %d, overflow %d, free %d, %v", notes.Depth, log.LeafOverflowN, len(free), err)
	}
	for _, hour := range []int64{1, 9} {
		p, found := v.base.rows[a.schema.rank(a.visits.bucket)].partition(appendHour(nil, hour))
		if !found || (p.rows.Root() == 0) != (hour == 9) {
			t.Fatalf("partition %d: %v, root %d", hour, found, p.rows.Root())
		}
	}
}

// verdict is how a damaged file answered.
type verdict string

const (
	refused  verdict = "refused at open"
	found    verdict = "found on reading"
	halted   verdict = "told to Fatal"
	harmless verdict = "read as written"
)

// read opens a damaged file for reading and reads all of it.
func (a *archive) inspect(t testing.TB, path string) (v verdict, err error) {
	db, err := Inspect(Options{Path: path, Schema: a.schema, Stamp: []byte("atlas")})
	if err != nil {
		return refused, nil
	}
	defer db.Close()
	view := db.Latest()
	defer view.Close()
	damaged := false
	view.Check(func(Problem) { damaged = true }, func(Checked) {})
	view.CheckPages(func(error) { damaged = true })
	if v, err = a.judge(view); v == harmless && damaged {
		v = found
	}
	return v, err
}

func (a *archive) judge(r *View) (v verdict, err error) {
	defer onCorruption(func(Corruption) { v, err = found, nil })
	if a.dump(r) != a.states[r.Index()] {
		return "", fmt.Errorf("a wrong answer at index %d", r.Index())
	}
	return harmless, nil
}

// serve opens a damaged file as a node does, reads it, writes to it and reads
// again. With limit below zero nothing is verified at open.
func (a *archive) serve(t testing.TB, path string, limit int64, seed uint64) (verdict, error) {
	var fatal fatalError
	options := Options{
		Path: path, Schema: a.schema, Stamp: []byte("atlas"), FlushBytes: 1 << 30, FlushInterval: time.Hour,
		Fatal: fatal.set, Logger: slog.New(slog.DiscardHandler), verifyLimit: limit,
	}
	db, err := Open(options)
	if err != nil {
		return refused, nil
	}
	v, err := a.serveOpen(db, seed)
	if v == harmless {
		db.scrubber.Wait()
	}
	closed := db.Close()
	switch {
	case v != harmless || err != nil:
		return v, err
	case fatal.get() != nil:
		return halted, nil
	case closed != nil:
		return "", closed
	}
	options.verifyLimit = 0
	if db, err = Open(options); err != nil {
		return "", fmt.Errorf("a damaged file was written on: %w", err)
	}
	return harmless, db.Close()
}

func (a *archive) serveOpen(db *DB, seed uint64) (v verdict, err error) {
	view := db.Latest()
	v, err = a.judge(view)
	view.Close()
	if v != harmless {
		return v, err
	}
	defer onCorruption(func(Corruption) { v, err = found, nil })
	random := rand.New(rand.NewPCG(seed, 1))
	a.churn(db, random, 40)
	b := db.Begin()
	a.visits.Drop(b, Time(3*Hour))
	b.Merge()
	db.Commit(Applied{Index: db.Published() + 1, Term: 1})
	view = db.Latest()
	expected := a.dump(view)
	view.Close()
	if db.Flush() != nil {
		return halted, nil
	}
	view = db.Latest()
	defer view.Close()
	if a.dump(view) != expected {
		return "", errors.New("a flush changed what is read")
	}
	return harmless, nil
}

type fatalError struct {
	mu  sync.Mutex
	err error
}

func (f *fatalError) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fatalError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// flip changes 1 to 64 bytes. Half of the files are hit where bbolt looks
// first: in the headers of pages and of their elements.
func flip(random *rand.Rand, file []byte) []byte {
	damaged := slices.Clone(file)
	page := os.Getpagesize()
	span := 1 + random.IntN(3)
	for range 1 + random.IntN(1<<random.IntN(7)) {
		at := random.IntN(len(file))
		switch span {
		case 2: // headers
			at = at/page*page + random.IntN(96)
		case 3: // the meta pages
			at = random.IntN(2*page) % (page + 80)
		}
		damaged[at] ^= byte(1 + random.IntN(255))
	}
	return damaged
}

// TestFlippedBytes is bit rot at rest: the file is refused or the damage found,
// or everything reads as it was written. It never answers wrongly and never
// crashes the process.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	verdicts := map[string]int{}
	for seed := range uint64(soakCount(300)) {
		random := rand.New(rand.NewPCG(seed, 14))
		damaged := flip(random, a.file)
		ways := []struct {
			name string
			try  func(path string) (verdict, error)
		}{
			{"inspected", func(path string) (verdict, error) { return a.inspect(t, path) }},
			{"served small", func(path string) (verdict, error) { return a.serve(t, path, 0, seed) }},
			{"served large", func(path string) (verdict, error) { return a.serve(t, path, -1, seed) }},
		}
		way := ways[seed%3]
		v, err := way.try(a.place(t, damaged))
		if err != nil {
			t.Fatalf("seed %d, %s: %v", seed, way.name, err)
		}
		verdicts[way.name+", "+string(v)]++
	}
	t.Log(verdicts)
}

// TestEveryPageIsAccountedFor changes the free list, a branch and the length of
// a leaf so that each page by itself looks right.
func TestEveryPageIsAccountedFor(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	p := pagesOf(t, a.file)
	for seed := range uint64(soakCount(100)) {
		random := rand.New(rand.NewPCG(seed, 16))
		damaged, what := a.misplace(random, p)
		db, err := Inspect(Options{Path: a.place(t, damaged), Schema: a.schema, Stamp: []byte("atlas")})
		if err != nil {
			continue
		}
		v := db.Latest()
		complaints := 0
		accountPages(v.base.pages, a.schema, func(error) { complaints++ })
		if complaints == 0 {
			t.Fatalf("seed %d: %s was not found", seed, what)
		}
		v.Close()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// misplace moves an entry of the free list, or a child of a branch, to another
// page.
func (a *archive) misplace(random *rand.Rand, p *pages) (damaged []byte, what string) {
	free, _ := p.freePages()
	for {
		damaged = slices.Clone(a.file)
		id := uint64(2 + random.IntN(int(p.head.high-2)))
		page := filePage(damaged[int(id)*p.size:][:p.size])
		if slices.Contains(free, id) || page.count() == 0 {
			continue
		}
		i := random.IntN(page.count())
		switch page.kind() {
		case freelistPage:
			what = fmt.Sprintf("entry %d of the free list", i)
			entry := page[pageHeader+8*i:]
			fileOrder.PutUint64(entry, fileOrder.Uint64(entry)+1)
		case branchPage:
			what = fmt.Sprintf("child %d of page %d", i, id)
			fileOrder.PutUint64(page[pageHeader+elementSize*i+8:], 2+random.Uint64N(p.head.high-2))
		default:
			continue
		}
		if !slices.Equal(damaged, a.file) {
			return damaged, what
		}
	}
}

// TestCutOffWhileOpen truncates the file of a running node, as a failing disk
// would make its pages unreadable: whoever reads or flushes finds damage, the
// process does not crash.
func TestCutOffWhileOpen(t *testing.T) {
	a := newArchive(t)
	path := a.place(t, a.file)
	var fatal fatalError
	db, err := Open(Options{
		Path: path, Schema: a.schema, Stamp: []byte("atlas"), FlushInterval: time.Hour, Fatal: fatal.set,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	db.scrubber.Wait()
	v := db.Latest()
	if err := os.Truncate(path, 2*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(){
		"get":     func() { a.notes.Get(v, archiveID(4)) },
		"visit":   func() { a.visits.Get(v, archiveID(4)) },
		"journal": func() { a.log.At(v, 0) },
		"table": func() {
			for range a.notes.Scan(v, All{}, nil) {
				continue
			}
		},
		"index": func() {
			for range a.byCountry.Keys(v, All{}, nil) {
				continue
			}
		},
		"journal rows": func() {
			for range a.log.Scan(v, 0, 10) {
				continue
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if _, ok := recover().(Corruption); !ok {
					t.Error("no damage was found")
				}
			}()
			read()
		})
	}
	found := 0
	v.Check(func(Problem) { found++ }, func(Checked) {})
	v.CheckPages(func(error) { found++ })
	v.Close()
	b := db.Begin()
	for i := range 50 {
		a.notes.Put(b, visit{ID: string(archiveID(i * 7))})
	}
	b.Merge()
	db.Commit(Applied{Index: db.Published() + 1})
	if err := db.Flush(); err == nil || fatal.get() == nil || found == 0 {
		t.Errorf("flush: %v, Fatal: %v, %d findings", err, fatal.get(), found)
	}
	if err := db.Abandon(); err != nil {
		t.Log(err)
	}
}
