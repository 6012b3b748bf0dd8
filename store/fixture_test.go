package store

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// soakCount is how often a randomised test repeats: a quick number, ten times
// that with SOAK.
func soakCount(quick int) int {
	switch {
	case os.Getenv("SOAK") != "":
		return 10 * quick
	case raceDetector:
		return max(1, quick/5)
	}
	return quick
}

// dump is the digest of everything a reader can see, by every way of reading.
func (a *archive) dump(r Reader) string {
	sum := sha256.New()
	for _, c := range a.cities.Scan(r, All{}, nil) {
		sum.Write(Encode(&c))
		got, found := a.cities.Get(r, Text(c.Name))
		fmt.Fprint(sum, found, got == c)
		if c.Code != "" {
			holder, found := a.byCode.Get(r, Text(c.Code))
			fmt.Fprint(sum, found, holder == c)
		}
	}
	for key, name := range a.byCountry.Keys(r, All{}, nil) {
		fmt.Fprint(sum, key, name)
	}
	for _, n := range a.notes.Scan(r, All{}, nil) {
		sum.Write(Encode(&n))
	}
	for i := range a.log.Length(r) {
		row := a.log.At(r, i)
		sum.Write(Encode(&row))
	}
	for i := 0; i < a.notesCount; i += 3 {
		_, known := a.notes.Get(r, archiveID(i))
		v, visited := a.visits.Get(r, archiveID(i))
		fmt.Fprint(sum, known, visited)
		sum.Write(Encode(&v))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// archive is a state file of many pages of every kind, and what it may be read
// as: the state of its last flush or, when that one's meta page is gone, of the
// flush before.
type archive struct {
	*atlas
	notesCount int // rows of the largest table; the others follow
	file       []byte
	states     map[uint64]string // dumps by index
}

// archiveID is long, so that a branch page holds few.
func archiveID(i int) ID { return ID(fmt.Sprintf("note-%05d-%0100d", i*7, i)) }

// newArchive builds a file with trees of three levels, overflow pages, a free
// list, partitions inline and of many pages.
func newArchive(t testing.TB) *archive {
	a := &archive{atlas: newAtlas(t), notesCount: 600, states: map[uint64]string{}}
	path := filepath.Join(t.TempDir(), "state.db")
	db := a.open(t, path, 1<<30)
	random := rand.New(rand.NewPCG(5, 5))
	a.fill(db, random)
	a.note(t, db)
	a.churn(db, random, 400)
	a.note(t, db)
	a.churn(db, random, 60)
	a.note(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	a.file = trimmed(t, mustRead(t, path))
	return a
}

// trimmed is a file up to the last page ever used: bbolt makes it larger.
func trimmed(t testing.TB, file []byte) []byte {
	p := pagesOf(t, file)
	return file[:int(p.head.high)*p.size]
}

// pagesOf reads the pages of an undamaged file.
func pagesOf(t testing.TB, file []byte) *pages {
	size := os.Getpagesize()
	head, err := parseHead(file)
	other, otherErr := parseHead(file[size:])
	if err != nil || otherErr == nil && other.transaction > head.transaction {
		head, err = other, otherErr
	}
	if err != nil {
		t.Fatal(err)
	}
	return &pages{file: bytes.NewReader(file), size: size, head: head}
}

func mustRead(t testing.TB, path string) []byte {
	bytes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func (a *archive) note(t testing.TB, db *DB) {
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	v := db.Latest()
	defer v.Close()
	a.states[v.Index()] = a.dump(v)
}

func (a *archive) fill(db *DB, random *rand.Rand) {
	b := db.Begin()
	for i := range a.notesCount / 6 {
		a.cities.Put(b, archiveCity(i, random))
	}
	for i := range a.notesCount {
		a.notes.Put(b, visit{ID: string(archiveID(i)), City: fmt.Sprint(random.IntN(1000))})
		a.visits.Put(b, Time(int64(i%5+1)*Hour), visit{ID: string(archiveID(i)), City: fmt.Sprint(i)})
	}
	a.visits.Put(b, Time(9*Hour), visit{ID: string(archiveID(3)), City: "inline"})
	for i := range a.notesCount / 3 {
		a.log.Add(b, visit{ID: fmt.Sprint(i), City: strings.Repeat("x", random.IntN(90))})
	}
	a.log.Add(b, visit{ID: "large", City: strings.Repeat("large", 4000)})
	b.Merge()
	db.Commit(Applied{Index: 1, Term: 1, Membership: []byte("members")})
}

func archiveCity(i int, random *rand.Rand) city {
	c := city{Name: fmt.Sprintf("city-%04d", i), Country: countries[i%3], People: int64(random.IntN(1000))}
	if i%2 == 0 {
		c.Code = fmt.Sprint("code", i)
	}
	return c
}

// churn overwrites, deletes and appends a few rows, as one entry.
func (a *archive) churn(db *DB, random *rand.Rand, changes int) {
	b := db.Begin()
	for range changes {
		i := random.IntN(a.notesCount)
		switch random.IntN(5) {
		case 0:
			a.notes.Delete(b, archiveID(i))
		case 1:
			a.notes.Put(b, visit{ID: string(archiveID(i)), City: fmt.Sprint(random.IntN(1000))})
		case 2:
			a.cities.Put(b, archiveCity(i%(a.notesCount/6), random))
		case 3:
			a.visits.Put(b, Time(int64(3+random.IntN(6))*Hour), visit{ID: string(archiveID(i)), City: "again"})
		case 4:
			a.log.Add(b, visit{ID: fmt.Sprint(i), City: "added"})
		}
	}
	b.Merge()
	db.Commit(Applied{Index: db.Published() + 1, Term: 1})
}

// place writes bytes as the state file of a new directory.
func (a *archive) place(t testing.TB, file []byte) (path string) {
	path = filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(5, 5)) }
