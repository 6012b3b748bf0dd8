package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
)

// rowsOf lists a whole state as it is exported.
func rowsOf(t testing.TB, db *DB) (rows []Row, applied Applied) {
	t.Helper()
	e, err := db.Export()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	err = e.Rows(func(r Row) error {
		rows = append(rows, Row{r.Bucket, bytes.Clone(r.Key), bytes.Clone(r.Sealed)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, e.Applied()
}

func sameRow(a, b Row) bool {
	return a.Bucket == b.Bucket && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Sealed, b.Sealed)
}

// merge ends one entry of a test.
func (a *archive) merge(b *Batch, db *DB) {
	b.Merge()
	db.Commit(Applied{Index: db.Published() + 1, Term: 1})
}

// drop is an entry that drops the partitions before an hour.
func (a *archive) drop(db *DB, hour int64) {
	b := db.Begin()
	a.visits.Drop(b, Time(hour*Hour))
	a.merge(b, db)
}

// openAt opens a file as a database that flushes when told.
func (a *archive) openAt(t testing.TB, path string) *DB {
	t.Helper()
	db := a.open(t, path, 1<<30)
	t.Cleanup(func() { _ = db.Abandon() })
	return db
}

// lived is a database after a seeded history with flushes where flush says so.
func lived(t testing.TB, seed uint64, flush func(entry int) bool) (*archive, *DB) {
	t.Helper()
	a := &archive{atlas: newAtlas(t), notesCount: 120, states: map[uint64]string{}}
	db := a.openAt(t, filepath.Join(t.TempDir(), "state.db"))
	random := rand.New(rand.NewPCG(seed, 1))
	a.fill(db, random)
	for entry := range 12 {
		if entry == 6 {
			a.drop(db, 3)
		} else {
			a.churn(db, random, 40)
		}
		if flush(entry) {
			a.note(t, db)
		}
	}
	a.note(t, db)
	return a, db
}

func TestExportDoesNotDependOnFlushes(t *testing.T) {
	for seed := range uint64(5) {
		_, every := lived(t, seed, func(int) bool { return true })
		_, never := lived(t, seed, func(int) bool { return false })
		random := rand.New(rand.NewPCG(seed, 2))
		_, some := lived(t, seed, func(int) bool { return random.IntN(3) == 0 })
		want, applied := rowsOf(t, every)
		if applied.Index != 13 || len(want) < 300 {
			t.Fatalf("seed %d: %d rows at %d", seed, len(want), applied.Index)
		}
		for _, other := range []*DB{never, some} {
			got, _ := rowsOf(t, other)
			if !slices.EqualFunc(got, want, sameRow) {
				t.Fatalf("seed %d: two histories of flushes export differently", seed)
			}
		}
	}
}

func TestExportIsSortedAndSealed(t *testing.T) {
	_, db := lived(t, 7, func(int) bool { return true })
	rows, _ := rowsOf(t, db)
	buckets := map[string]int{}
	for i, r := range rows {
		buckets[r.Bucket]++
		if err := CheckRow(r); err != nil {
			t.Errorf("row %d: %v", i, err)
		}
		if i > 0 && (rows[i-1].Bucket > r.Bucket || rows[i-1].Bucket == r.Bucket && bytes.Compare(rows[i-1].Key, r.Key) >= 0) {
			t.Fatalf("row %d of %s does not follow the one before", i, r.Bucket)
		}
	}
	if len(buckets) != 7 || buckets[metaBucket] != 1 {
		t.Errorf("buckets %v, want all six and one floor", buckets)
	}
}

func TestExportIsTheStateOfTheLastFlush(t *testing.T) {
	a, db := lived(t, 3, func(int) bool { return false })
	want := a.states[13]
	a.churn(db, newRandom(), 50)
	e, err := db.Export()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	a.churn(db, newRandom(), 50)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := a.dump(e.View()); got != want || e.Applied().Index != 13 || db.Durable() != 15 {
		t.Errorf("exported index %d, the file is at %d", e.Applied().Index, db.Durable())
	}
}

func TestExportKnowsHowMuchIsUsed(t *testing.T) {
	a, db := lived(t, 3, func(int) bool { return true })
	used := func() int64 {
		e, err := db.Export()
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		bytes, err := e.Used()
		if err != nil || bytes > e.Size() {
			t.Fatalf("%d of %d bytes, %v", bytes, e.Size(), err)
		}
		return bytes
	}
	before := used()
	b := db.Begin()
	for i := range a.notesCount {
		a.notes.Delete(b, archiveID(i))
		a.visits.Drop(b, Time(9*Hour))
	}
	a.merge(b, db)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if after := used(); after > before*3/4 {
		t.Errorf("%d bytes are used after most rows are gone, %d before", after, before)
	}
}

func TestExportEndsWithTheFirstError(t *testing.T) {
	_, db := lived(t, 3, func(int) bool { return false })
	e, err := db.Export()
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	full, visited := errors.New("no room"), 0
	err = e.Rows(func(Row) error {
		if visited++; visited == 10 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || visited != 10 {
		t.Errorf("%v after %d rows", err, visited)
	}
}

// TestExportNeverGivesDamagedRows flips bytes below an open database of which
// nothing was verified before.
func TestExportNeverGivesDamagedRows(t *testing.T) {
	a := newArchive(t)
	sound, err := Inspect(Options{Path: a.place(t, a.file), Schema: a.schema, Stamp: []byte("atlas")})
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	want, _ := rowsOf(t, sound)
	refused := 0
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 9))
		file := bytes.Clone(a.file)
		file[random.IntN(len(file))] ^= byte(1 + random.IntN(255))
		got, err := exported(a, a.place(t, file))
		if err != nil {
			refused++
			continue
		}
		// What stays unseen is a page that is not used, or the newer meta page
		// with the state before left.
		if got.applied.Index == uint64(len(a.states)) && !slices.EqualFunc(got.rows, want, sameRow) {
			t.Fatalf("seed %d: other rows without an error", seed)
		}
	}
	if refused < 8 {
		t.Errorf("%d of 60 damaged files were refused", refused)
	}
}

type exportedState struct {
	rows    []Row
	applied Applied
}

func exported(a *archive, path string) (state exportedState, err error) {
	db, err := Inspect(Options{Path: path, Schema: a.schema, Stamp: []byte("atlas")})
	if err != nil {
		return state, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	e, err := db.Export()
	if err != nil {
		return state, err
	}
	defer e.Close()
	state.applied = e.Applied()
	err = e.Rows(func(r Row) error {
		state.rows = append(state.rows, Row{r.Bucket, bytes.Clone(r.Key), bytes.Clone(r.Sealed)})
		return nil
	})
	return state, err
}
