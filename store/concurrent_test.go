package store

import (
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// history is the models of recent entries, for readers on other goroutines.
type history struct {
	mu     sync.Mutex
	models map[uint64]*model
}

func (h *history) add(m *model) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.models[m.index] = m
}

func (h *history) at(index uint64) *model {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.models[index]
}

// TestConcurrentReaders has readers compare all they can read with the model
// of their view's entry, while one goroutine writes, the file is flushed by
// size, age and demand, views are held across flushes and all is checked.
func TestConcurrentReaders(t *testing.T) {
	t.Parallel()
	entries := 250
	if raceDetector {
		entries = 100
	}
	for seed, interval := range []time.Duration{time.Hour, time.Millisecond, -1} {
		t.Run(interval.String(), func(t *testing.T) {
			a := newAtlas(t)
			db, err := Open(Options{
				Path: filepath.Join(t.TempDir(), "state.db"), Schema: a.schema, Stamp: []byte("atlas"),
				FlushBytes: 3000, FlushInterval: interval, Fatal: func(err error) { t.Error(err) },
			})
			if err != nil {
				t.Fatal(err)
			}
			m := newModel()
			past := &history{models: map[uint64]*model{0: m.clone()}}
			written := make(chan struct{})
			var readers sync.WaitGroup
			for reader := range uint64(3) {
				readers.Go(func() { a.readAlong(t, db, past, written, rand.New(rand.NewPCG(reader, 3))) })
			}
			readers.Go(func() {
				for open(written) {
					if err := db.Flush(); err != nil {
						t.Error(err)
					}
				}
			})
			readers.Go(func() {
				for open(written) {
					v := db.Latest()
					v.CheckPages(func(err error) { t.Error(err) })
					v.Check(func(p Problem) { t.Error(p) }, func(Checked) {})
					v.Close()
				}
			})
			random := rand.New(rand.NewPCG(uint64(seed), 4))
			if interval < 0 {
				entries = 60
			}
			for range entries {
				a.entryUnseen(t, random, db, m, past)
			}
			close(written)
			readers.Wait()
			a.finish(t, db, m)
		})
	}
}

// open tells that a channel is not closed.
func open(done chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// entryUnseen applies one entry whose model readers know before they can see
// it.
func (a *atlas) entryUnseen(t testing.TB, random *rand.Rand, db *DB, m *model, past *history) {
	m.index++
	for range 1 + random.IntN(3) {
		b := db.Begin()
		attempt := m.clone()
		for range random.IntN(6) {
			a.mutate(random, b, attempt)
		}
		if random.IntN(10) == 0 {
			a.compare(t, b, attempt)
		}
		if random.IntN(4) == 0 {
			b.Discard()
			continue
		}
		b.Merge()
		*m = *attempt
	}
	past.add(m.clone())
	db.Commit(Applied{Index: m.index, Term: 1})
}

// readAlong opens, compares and closes views, some of them much later.
func (a *atlas) readAlong(t testing.TB, db *DB, past *history, written chan struct{}, random *rand.Rand) {
	var views []*View
	for open(written) {
		published := db.Published()
		v := db.View(published)
		if v.Index() < published {
			t.Errorf("a view at %d, %d was published", v.Index(), published)
		}
		views = append(views, v)
		seen := views[random.IntN(len(views))]
		a.compare(t, seen, past.at(seen.Index()))
		if random.IntN(3) == 0 {
			a.dryRun(t, seen, past.at(seen.Index()).clone(), random)
		}
		for len(views) > 0 && random.IntN(4) > 0 {
			i := random.IntN(len(views))
			views[i].Close()
			views = append(views[:i], views[i+1:]...)
		}
	}
	for _, v := range views {
		a.compare(t, v, past.at(v.Index()))
		v.Close()
	}
}

// dryRun writes into a batch over a view, which nobody else must see.
func (a *atlas) dryRun(t testing.TB, v *View, m *model, random *rand.Rand) {
	b := v.Try()
	for range 4 {
		a.mutate(random, b, m)
	}
	a.compare(t, b, m)
	b.Discard()
}
