package store

import (
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestCheck changes one thing in a sound file, with a right checksum, and
// expects the check to name it.
func TestCheck(t *testing.T) {
	a := newArchive(t)
	city4 := archiveCity(4, newRandom())
	for name, c := range map[string]struct {
		edit func(*bbolt.Tx) error
		want []string // bucket and problem
	}{
		"nothing": {func(*bbolt.Tx) error { return nil }, nil},
		"a row that cannot be read": {a.sealed(a.notes.bucket, archiveID(1).appendKey(nil), []byte{0xff}),
			[]string{"atlas.notes: decode"}},
		"a row under another's key": {a.sealed(a.notes.bucket, archiveID(1).appendKey(nil), Encode(&visit{ID: "other"})),
			[]string{"atlas.notes: " + errWrongKey.Error()}},
		"a row under no key": {a.sealed(a.notes.bucket, []byte("zzz"), Encode(&visit{ID: "zzz"})),
			[]string{"atlas.notes: " + errWrongKey.Error()}},
		"an index entry too many": {a.sealed(a.byCountry.bucket, PairOf(PairOf(Text("kz"), Uint64(7)), Text("nowhere")).appendKey(nil), []byte{}),
			[]string{"atlas.cities/country: 101 entries for 100 rows"}},
		"an index entry missing": {a.removed(a.byCode.bucket, Text(city4.Code).appendKey(nil)),
			[]string{"atlas.cities/code: " + errMissingEntry.Error(), "atlas.cities/code: 49 entries for 50 rows"}},
		"an index entry of another row": {a.sealed(a.byCode.bucket, Text(city4.Code).appendKey(nil), Text("city-0006").appendKey(nil)),
			[]string{"atlas.cities/code: " + errMissingEntry.Error()}},
		"a gap in a journal": {a.removed(a.log.bucket, journalKey(100)),
			[]string{"atlas.log: " + errJournalKey.Error()}},
		"a journal row that cannot be read": {a.sealed(a.log.bucket, journalKey(100), []byte{0xff}),
			[]string{"atlas.log: decode"}},
		"a partition that is no hour": {func(tx *bbolt.Tx) error {
			_, err := tx.Bucket([]byte("atlas.visits")).CreateBucket([]byte("later"))
			return err
		}, []string{"atlas.visits: " + errPartitionName.Error()}},
		"a row of another hour": {func(tx *bbolt.Tx) error {
			key := archiveID(3).appendKey(nil)
			value := a.visits.bucket.appendSealed(nil, append(appendHour(nil, 8), key...), Encode(&visit{ID: string(archiveID(3))}))
			return tx.Bucket([]byte("atlas.visits")).Bucket(appendHour(nil, 9)).Put(key, value)
		}, []string{"atlas.visits: " + errChecksum.Error()}},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.problems(t, a.place(t, a.edited(t, c.edit)))
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// sealed is an edit that puts a row with its right checksum.
func (a *archive) sealed(b *bucket, key, value []byte) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(b.name)).Put(key, b.appendSealed(nil, key, value))
	}
}

func (a *archive) removed(b *bucket, key []byte) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(b.name)).Delete(key) }
}

func (a *archive) problems(t *testing.T, path string) (all []string) {
	db, err := Inspect(Options{Path: path, Schema: a.schema, Stamp: []byte("atlas")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v := db.Latest()
	defer v.Close()
	v.Check(func(p Problem) { all = append(all, p.Bucket+": "+p.Err.Error()) }, func(Checked) {})
	return all
}

// TestIndexWithoutRow reads through an index entry whose row is gone: that is
// damage, not an absent row.
func TestIndexWithoutRow(t *testing.T) {
	a := newArchive(t)
	path := a.place(t, a.edited(t, a.removed(a.cities.bucket, Text("city-0004").appendKey(nil))))
	db, err := Inspect(Options{Path: path, Schema: a.schema, Stamp: []byte("atlas")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v := db.Latest()
	defer v.Close()
	for name, read := range map[string]func(){
		"unique": func() { a.byCode.Get(v, "code4") },
		"index": func() {
			for range a.byCountry.Scan(v, All{}, nil) {
				continue
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if damage, ok := recover().(Corruption); !ok || damage.Err != errDangling {
					t.Errorf("got %v", damage)
				}
			}()
			read()
		})
	}
}

// FuzzDamagedFile changes a file in any way: it is refused, or read as written.
func FuzzDamagedFile(f *testing.F) {
	a := newArchive(f)
	f.Add(uint32(16), []byte{0xff})
	f.Add(uint32(4096*2+10), []byte{0})
	f.Add(uint32(4096*3+8), []byte{1, 0, 5})
	f.Add(uint32(len(a.file)-4096), []byte("state state state"))
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		file := slices.Clone(a.file)
		for i, b := range change[:min(len(change), 64)] {
			file[(int(at)+i*37)%len(file)] ^= b
		}
		if _, err := a.inspect(t, a.place(t, file)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.serve(t, a.place(t, file), -1, 1); err != nil {
			t.Fatal(err)
		}
	})
}
