package store

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type city struct {
	Name    string `cbor:"1,keyasint"`
	Country string `cbor:"2,keyasint"`
	People  int64  `cbor:"3,keyasint"`
	Code    string `cbor:"4,keyasint,omitempty"`
}

type visit struct {
	ID   string `cbor:"1,keyasint"`
	City string `cbor:"2,keyasint"`
}

// atlas is a small schema with every shape.
type atlas struct {
	cities    *Table[Text, city]
	byCountry *Index[Text, city, Pair[Text, Uint64]]
	byCode    *Unique[Text, city, Text]
	notes     *Table[ID, visit]
	log       *Journal[visit]
	visits    *Partitioned[ID, visit]
	schema    *Schema
	unproven  bool // open it as a large file, of which nothing is verified before, and keep few rows decoded
}

func newAtlas(t testing.TB) *atlas {
	a := &atlas{}
	a.cities = NewTable("atlas.cities", func(c *city) Text { return Text(c.Name) })
	a.byCountry = AddIndex(a.cities, "country", func(c *city) (Pair[Text, Uint64], bool) {
		return PairOf(Text(c.Country), Uint64(c.People)), c.People > 0
	})
	a.byCode = AddUnique(a.cities, "code", func(c *city) (Text, bool) { return Text(c.Code), c.Code != "" })
	a.notes = NewTable("atlas.notes", func(v *visit) ID { return ID(v.ID) })
	a.log = NewJournal[visit]("atlas.log")
	a.visits = NewPartitioned("atlas.visits", func(v *visit) ID { return ID(v.ID) })
	var err error
	a.schema, err = NewSchema(a.visits, a.log, a.notes, a.cities)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *atlas) open(t testing.TB, path string, flushBytes int64) *DB {
	o := Options{
		Path: path, Schema: a.schema, Stamp: []byte("atlas"),
		FlushBytes: flushBytes, FlushInterval: time.Hour,
		Fatal: func(err error) { t.Error(err) }, Logger: slog.New(slog.DiscardHandler),
	}
	if a.unproven {
		o.verifyLimit, o.knownRows = -1, 3
	}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// model is what the database must look like, as plain maps.
type model struct {
	index  uint64
	cities map[string]city
	notes  map[string]visit
	log    []visit
	visits map[int64]map[string]visit
	floor  int64
}

func newModel() *model {
	return &model{cities: map[string]city{}, notes: map[string]visit{}, visits: map[int64]map[string]visit{}}
}

func (m *model) clone() *model {
	c := &model{index: m.index, cities: maps.Clone(m.cities), notes: maps.Clone(m.notes),
		log: slices.Clone(m.log), visits: map[int64]map[string]visit{}, floor: m.floor}
	for hour, rows := range m.visits {
		c.visits[hour] = maps.Clone(rows)
	}
	return c
}

func (m *model) country(name string) []city {
	var found []city
	for _, c := range m.cities {
		if c.Country == name && c.People > 0 {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b city) int {
		if a.People != b.People {
			return int(a.People - b.People)
		}
		return compareText(a.Name, b.Name)
	})
	return found
}

func compareText(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// compare reads everything the model knows through a reader.
func (a *atlas) compare(t testing.TB, r Reader, m *model) {
	t.Helper()
	var all []city
	for _, c := range a.cities.Scan(r, All{}, nil) {
		all = append(all, c)
	}
	want := slices.SortedFunc(maps.Values(m.cities), func(x, y city) int { return compareText(x.Name, y.Name) })
	if diff := cmp.Diff(want, all); diff != "" {
		t.Fatalf("cities at %d (-want +got):\n%s", m.index, diff)
	}
	for _, country := range countries {
		var got []city
		for _, c := range a.byCountry.Scan(r, Text(country), nil) {
			got = append(got, c)
		}
		if diff := cmp.Diff(m.country(country), got); diff != "" {
			t.Fatalf("cities of %s at %d (-want +got):\n%s", country, m.index, diff)
		}
	}
	for i := range codes {
		code := fmt.Sprint("c", i)
		got, found := a.byCode.Get(r, Text(code))
		at := slices.IndexFunc(want, func(c city) bool { return c.Code == code })
		if found != (at >= 0) || found && got != want[at] {
			t.Fatalf("code %s at %d: %v %v", code, m.index, got, found)
		}
	}
	a.compareRest(t, r, m)
}

func (a *atlas) compareRest(t testing.TB, r Reader, m *model) {
	t.Helper()
	for i := range names {
		id := fmt.Sprint("n", i)
		got, found := a.notes.Get(r, ID(id))
		want, expected := m.notes[id]
		if found != expected || got != want {
			t.Fatalf("note %s at %d: got %v %v, want %v %v", id, m.index, got, found, want, expected)
		}
		got, found = a.visits.Get(r, ID(id))
		want, expected = m.visit(id)
		if found != expected || got != want {
			t.Fatalf("visit %s at %d: got %v %v, want %v %v", id, m.index, got, found, want, expected)
		}
	}
	if got := a.log.Length(r); got != uint64(len(m.log)) {
		t.Fatalf("log length at %d: got %d, want %d", m.index, got, len(m.log))
	}
	for i, want := range m.log {
		if got := a.log.At(r, uint64(i)); got != want {
			t.Fatalf("log row %d at %d: got %v, want %v", i, m.index, got, want)
		}
	}
}

func (m *model) visit(id string) (visit, bool) {
	for _, hour := range slices.Backward(slices.Sorted(maps.Keys(m.visits))) {
		if row, ok := m.visits[hour][id]; ok && hour >= m.floor {
			return row, true
		}
	}
	return visit{}, false
}

var countries = []string{"kz", "us", "de"}

const (
	names = 12
	codes = 5
)

// mutate does one random command to the batch and to the model.
func (a *atlas) mutate(random *rand.Rand, b *Batch, m *model) {
	name := fmt.Sprint("n", random.IntN(names))
	hour := int64(m.index/7) + int64(random.IntN(3))
	switch random.IntN(8) {
	case 0, 1, 2:
		a.putCity(random, b, m, name)
	case 3:
		a.cities.Delete(b, Text(name))
		delete(m.cities, name)
	case 4:
		row := visit{ID: name, City: fmt.Sprint(random.IntN(1000))}
		a.notes.Put(b, row)
		m.notes[name] = row
	case 5:
		a.notes.Delete(b, ID(name))
		delete(m.notes, name)
	case 6:
		row := visit{ID: name, City: fmt.Sprint(random.IntN(1000))}
		a.log.Add(b, row)
		m.log = append(m.log, row)
	case 7:
		if hour < m.floor {
			return
		}
		row := visit{ID: name, City: fmt.Sprint(random.IntN(1000))}
		a.visits.Put(b, Time(hour*Hour), row)
		if m.visits[hour] == nil {
			m.visits[hour] = map[string]visit{}
		}
		m.visits[hour][name] = row
	}
}

func (a *atlas) putCity(random *rand.Rand, b *Batch, m *model, name string) {
	row := city{Name: name, Country: countries[random.IntN(3)], People: int64(random.IntN(5))}
	if random.IntN(2) == 0 {
		row.Code = fmt.Sprint("c", random.IntN(codes))
	}
	for other, c := range m.cities {
		if other != name && row.Code != "" && c.Code == row.Code {
			row.Code = ""
		}
	}
	a.cities.Put(b, row)
	m.cities[name] = row
}

// entry applies one log entry of a few commands; some are rejected.
func (a *atlas) entry(t testing.TB, random *rand.Rand, db *DB, m *model) [32]byte {
	sum := sha256.New()
	m.index++
	for range 1 + random.IntN(3) {
		b := db.Begin()
		attempt := m.clone()
		for range random.IntN(6) {
			a.mutate(random, b, attempt)
		}
		if random.IntN(4) == 0 {
			a.compare(t, b, attempt)
		}
		if random.IntN(4) == 0 {
			b.Discard()
			continue
		}
		b.Merge()
		*m = *attempt
	}
	if random.IntN(10) == 0 {
		b := db.Begin()
		m.floor = max(m.floor, int64(m.index/7)-2)
		a.visits.Drop(b, Time(m.floor*Hour))
		b.Merge()
	}
	db.WriteSet(sum)
	db.Commit(Applied{Index: m.index, Term: 1})
	return [32]byte(sum.Sum(nil))
}

// TestModel runs random histories against plain maps: views held across later
// writes and flushes, rejected batches, restarts and lost flushes.
func TestModel(t *testing.T) {
	t.Parallel()
	entries := 250
	if raceDetector {
		entries = 120
	}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { runModel(t, seed, entries) })
	}
}

func FuzzModel(f *testing.F) {
	f.Add(uint64(99), uint16(60))
	f.Fuzz(func(t *testing.T, seed uint64, entries uint16) { runModel(t, seed, int(entries%400)) })
}

type held struct {
	view  *View
	model *model
}

func runModel(t *testing.T, seed uint64, entries int) {
	random := rand.New(rand.NewPCG(seed, 77))
	a := newAtlas(t)
	a.unproven = seed%2 == 1
	path := filepath.Join(t.TempDir(), "state.db")
	db := a.open(t, path, 2000)
	m := newModel()
	snapshots := []*model{m.clone()}
	var views []held
	release := func() {
		for _, h := range views {
			a.compare(t, h.view, h.model)
			h.view.Close()
		}
		views = nil
	}
	for range entries {
		a.entry(t, random, db, m)
		snapshots = append(snapshots, m.clone())
		switch random.IntN(12) {
		case 0, 1, 2:
			v := db.Latest()
			a.compare(t, v, m)
			views = append(views, held{v, m.clone()})
		case 3:
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		case 4:
			release()
		case 5:
			release()
			db, m = a.restart(t, random, db, path, snapshots)
			snapshots = snapshots[:m.index+1]
		}
	}
	release()
	a.finish(t, db, m)
}

// restart closes the database, or crashes it; then the file is at an older
// index and the model goes back to it.
func (a *atlas) restart(t *testing.T, random *rand.Rand, db *DB, path string, snapshots []*model) (*DB, *model) {
	closing := db.Close
	if random.IntN(2) == 0 {
		closing = db.Abandon
	}
	if err := closing(); err != nil {
		t.Fatal(err)
	}
	db = a.open(t, path, 2000)
	v := db.Latest()
	defer v.Close()
	m := snapshots[v.Index()].clone()
	a.compare(t, v, m)
	return db, m
}

// finish checks the whole file.
func (a *atlas) finish(t testing.TB, db *DB, m *model) {
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	v := db.Latest()
	a.compare(t, v, m)
	v.Check(func(p Problem) { t.Error(p) }, func(Checked) {})
	v.CheckPages(func(err error) { t.Error(err) })
	v.Close()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
