package store

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSoundFilesAreSound lets trees grow, shrink and vanish in every way, with
// short and long keys, small and large values and hundreds of partitions, and
// verifies the file after each flush: a healthy node is never stopped.
func TestSoundFilesAreSound(t *testing.T) {
	t.Parallel()
	for seed := range uint64(soakCount(12)) {
		random := rand.New(rand.NewPCG(seed, 20))
		a := newAtlas(t)
		db, err := Open(Options{
			Path: filepath.Join(t.TempDir(), "state.db"), Schema: a.schema, Stamp: []byte("atlas"), FlushInterval: time.Hour,
			Fatal: func(err error) { t.Error(err) }, Logger: slog.New(slog.DiscardHandler), mapFloor: 1 << 20, verifyLimit: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		width, value := 1+random.IntN(300), 1<<random.IntN(14)
		for round := range 12 {
			b := db.Begin()
			a.upheave(random, b, round, width, value)
			b.Merge()
			db.Commit(Applied{Index: db.Published() + 1})
			if err := db.Flush(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			v := db.Latest()
			v.CheckPages(func(err error) { t.Fatalf("seed %d, round %d: %v", seed, round, err) })
			v.Check(func(p Problem) { t.Fatalf("seed %d, round %d: %v", seed, round, p) }, func(Checked) {})
			v.Close()
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// upheave puts or deletes a random share of a random range of rows.
func (a *atlas) upheave(random *rand.Rand, b *Batch, round, width, value int) {
	const ids = 2000
	first := random.IntN(ids)
	last := min(ids, first+1<<random.IntN(11))
	deleted := random.IntN(3) == 0
	share := 1 + random.IntN(10)
	for i := first; i < last; i++ {
		if random.IntN(10) >= share {
			continue
		}
		id := fmt.Sprintf("%0*d", width, i)
		if deleted {
			a.notes.Delete(b, ID(id))
			continue
		}
		row := visit{ID: id, City: strings.Repeat("c", random.IntN(value))}
		a.notes.Put(b, row)
		if i%7 == 0 {
			a.log.Add(b, row)
		}
		if i%5 == 0 {
			a.visits.Put(b, Time(int64(round*40+random.IntN(60))*Hour), row)
		}
	}
	if random.IntN(3) == 0 {
		a.visits.Drop(b, Time(int64(round*40-random.IntN(100))*Hour))
	}
}
