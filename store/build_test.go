package store

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// built writes rows to a new file.
func (a *archive) built(t testing.TB, path string, rows []Row, applied Applied) {
	t.Helper()
	b, err := Build(a.buildOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Finish(applied); err != nil {
		t.Fatal(err)
	}
}

func (a *archive) buildOptions(path string) Options {
	return Options{
		Path: path, Schema: a.schema, Stamp: []byte("atlas"), FlushInterval: time.Hour,
		Logger: slog.New(slog.DiscardHandler),
	}
}

func TestBuildMakesTheSameState(t *testing.T) {
	a, db := lived(t, 11, func(entry int) bool { return entry%2 == 0 })
	rows, applied := rowsOf(t, db)
	path := filepath.Join(t.TempDir(), "built.db")
	a.built(t, path, rows, applied)
	other := a.openAt(t, path)
	v := other.Latest()
	defer v.Close()
	v.Check(func(p Problem) { t.Error(p) }, func(Checked) {})
	v.CheckPages(func(err error) { t.Error(err) })
	if got := a.dump(v); got != a.states[13] || v.Index() != 13 {
		t.Error("the built file reads otherwise")
	}
	again, _ := rowsOf(t, other)
	if !slices.EqualFunc(again, rows, sameRow) {
		t.Error("the built file is exported otherwise")
	}
	// Both go on in the same way.
	for _, each := range []*DB{db, other} {
		a.churn(each, rand.New(rand.NewPCG(4, 4)), 60)
		a.drop(each, 6)
		if err := each.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := rowsOf(t, db)
	second, _ := rowsOf(t, other)
	if !slices.EqualFunc(first, second, sameRow) {
		t.Error("the built file went another way")
	}
}

func TestBuildOfManyTransactions(t *testing.T) {
	a := &archive{atlas: newAtlas(t)}
	path := filepath.Join(t.TempDir(), "built.db")
	b, err := Build(a.buildOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	value, count := bytes.Repeat([]byte("v"), 9000), 5000 // 45 MB
	for i := range count {
		key := journalKey(uint64(i))
		if err := b.Add(Row{"atlas.log", key, a.log.bucket.appendSealed(nil, key, value)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Finish(Applied{Index: 1}); err != nil {
		t.Fatal(err)
	}
	db, err := Inspect(a.buildOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v := db.Latest()
	defer v.Close()
	v.CheckPages(func(err error) { t.Error(err) })
	if length := a.log.Length(v); length != uint64(count) {
		t.Errorf("%d rows, want %d", length, count)
	}
}

func TestBuildRefuses(t *testing.T) {
	a := &archive{atlas: newAtlas(t)}
	sealed := func(b *bucket, key string) Row {
		return Row{b.name, []byte(key), b.appendSealed(nil, []byte(key), []byte("value"))}
	}
	hour := func(h int64, key string) string { return string(appendHour(nil, h)) + key }
	floor := func(name string, h int64) Row {
		key := []byte("floor/" + name)
		return Row{metaBucket, key, metaRows.appendSealed(nil, key, appendHour(nil, h))}
	}
	damaged := sealed(a.notes.bucket, "a")
	damaged.Sealed[0] ^= 1
	moved := sealed(a.notes.bucket, "a")
	moved.Bucket = "atlas.cities"
	for name, c := range map[string]struct {
		rows []Row
		want error
	}{
		"a row twice":                {[]Row{sealed(a.notes.bucket, "a"), sealed(a.notes.bucket, "a")}, errRowOrder},
		"rows out of order":          {[]Row{sealed(a.notes.bucket, "b"), sealed(a.notes.bucket, "a")}, errRowOrder},
		"buckets out of order":       {[]Row{sealed(a.notes.bucket, "b"), sealed(a.cities.bucket, "a")}, errRowOrder},
		"an empty key":               {[]Row{sealed(a.notes.bucket, "")}, nil},
		"an unknown bucket":          {[]Row{{"atlas.other", []byte("a"), []byte("12345")}}, nil},
		"a damaged row":              {[]Row{damaged}, errChecksum},
		"a row of another bucket":    {[]Row{moved}, errChecksum},
		"a row without a checksum":   {[]Row{{"atlas.notes", []byte("a"), []byte("1")}}, errShortRow},
		"a journal from 1":           {[]Row{sealed(a.log.bucket, hour(1, ""))}, errJournalKey},
		"a journal with a hole":      {[]Row{sealed(a.log.bucket, hour(0, "")), sealed(a.log.bucket, hour(2, ""))}, errJournalKey},
		"a journal key of nine":      {[]Row{sealed(a.log.bucket, hour(0, "x"))}, errJournalKey},
		"a partition without a key":  {[]Row{sealed(a.visits.bucket, hour(4, ""))}, errPartitionName},
		"a partition before time":    {[]Row{sealed(a.visits.bucket, hour(-4, "x"))}, errPartitionName},
		"a partition below a floor":  {[]Row{sealed(a.visits.bucket, hour(4, "x")), floor("atlas.visits", 5)}, errBelow},
		"a floor of no partition":    {[]Row{floor("atlas.notes", 5)}, errRowName},
		"a floor of an unknown name": {[]Row{floor("atlas.other", 5)}, errRowName},
		"a floor of zero":            {[]Row{floor("atlas.visits", 0)}, errRowName},
		"a row about the file":       {[]Row{sealed(metaRows, "stamp")}, errRowName},
	} {
		t.Run(name, func(t *testing.T) {
			a.refusesRows(t, c.rows, c.want)
		})
	}
	if _, err := Build(a.buildOptions(t.TempDir())); err == nil {
		t.Error("built over something that exists")
	}
}

// refusesRows builds a file of rows that cannot be one, and expects none to be left.
func (a *archive) refusesRows(t *testing.T, rows []Row, want error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "built.db")
	b, err := Build(a.buildOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err == nil {
			err = b.Add(r)
		}
	}
	if err == nil {
		err = b.Finish(Applied{Index: 1})
	}
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	if err := b.Discard(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(path + "*"); left != nil {
		t.Errorf("%v is left", left)
	}
}

func TestAnUnfinishedFileIsEmpty(t *testing.T) {
	a, db := lived(t, 2, func(int) bool { return false })
	rows, _ := rowsOf(t, db)
	path := filepath.Join(t.TempDir(), "built.db")
	b, err := Build(a.buildOptions(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := b.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.commit(); err != nil {
		t.Fatal(err)
	}
	crashed := a.place(t, mustRead(t, path))
	if err := b.Discard(); err != nil {
		t.Fatal(err)
	}
	other, err := Inspect(a.buildOptions(crashed))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if applied, err := other.DurableApplied(); err != nil || applied.Index != 0 {
		t.Errorf("index %d, %v", applied.Index, err)
	}
}

// FuzzBuild puts rows with right checksums: whatever is accepted is a file that
// every check finds sound.
func FuzzBuild(f *testing.F) {
	a := &archive{atlas: newAtlas(f)}
	names := append([]string{metaBucket, "atlas.other"}, func() (all []string) {
		for _, b := range a.schema.ranked {
			all = append(all, b.name)
		}
		return all
	}()...)
	hour := appendHour(nil, 7)
	f.Add(uint8(2), []byte("a"), []byte("1"), uint8(2), []byte("b"), []byte("2"))
	f.Add(uint8(5), journalKey(0), []byte("1"), uint8(5), journalKey(1), []byte("2"))
	f.Add(uint8(7), append(hour, 'k'), []byte("1"), uint8(0), []byte("floor/atlas.visits"), hour)
	f.Fuzz(func(t *testing.T, first uint8, key, value []byte, second uint8, nextKey, nextValue []byte) {
		path := filepath.Join(t.TempDir(), "built.db")
		b, err := Build(a.buildOptions(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []Row{{names[int(first)%len(names)], key, value}, {names[int(second)%len(names)], nextKey, nextValue}} {
			sealing := &bucket{name: r.Bucket, seed: checksumSeed(r.Bucket)}
			r.Sealed = sealing.appendSealed(nil, r.Key, r.Sealed)
			if err := b.Add(r); err != nil {
				if err := b.Discard(); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
		if b.Finish(Applied{Index: 1}) != nil {
			return
		}
		db, err := Inspect(a.buildOptions(path))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		v := db.Latest()
		defer v.Close()
		v.CheckPages(func(err error) { t.Error(err) })
	})
}
