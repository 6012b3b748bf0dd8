package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// TestRefused lists files that no node may start on, and what it says.
func TestRefused(t *testing.T) {
	a := newArchive(t)
	random := rand.New(rand.NewPCG(3, 3))
	garbage := make([]byte, 100_000)
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	headless := bytes.Clone(a.file)
	clear(headless[:2*os.Getpagesize()])
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"an empty file":          {nil, "the file is empty"},
		"one byte":               {[]byte{1}, "open"},
		"garbage":                {garbage, "invalid database"},
		"zeros":                  {make([]byte, 100_000), "invalid database"},
		"a text":                 {[]byte(strings.Repeat("state ", 5000)), "invalid database"},
		"no meta page":           {headless, "invalid database"},
		"another format":         {a.edited(t, setFormat(2)), "file format 00000002 is not 1"},
		"a format of five bytes": {a.edited(t, setFormatBytes([]byte{0, 0, 0, 1, 1})), "file format"},
		"an unknown bucket":      {a.edited(t, createBucket("atlas.rivers")), `unknown bucket "atlas.rivers"`},
		"no meta bucket":         {a.edited(t, deleteBucket(metaBucket)), "store.meta is missing"},
		"no stamp":               {a.edited(t, deleteMeta(stampKey)), "row stamp is missing"},
		"no applied entry":       {a.edited(t, deleteMeta(appliedKey)), "row applied is missing"},
		"an unreadable entry":    {a.edited(t, setMeta(appliedKey, []byte{0xff})), "row applied"},
	} {
		t.Run(name, func(t *testing.T) { a.refuses(t, c.file, "atlas", c.says) })
	}
	t.Run("another stamp", func(t *testing.T) {
		a.refuses(t, a.file, "other", ErrStamp.Error())
	})
	t.Run("no file", func(t *testing.T) {
		if _, err := Inspect(Options{Path: filepath.Join(t.TempDir(), "state.db"), Schema: a.schema}); !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	})
}

// refuses opens a file in every way and leaves it as it was.
func (a *archive) refuses(t *testing.T, file []byte, stamp, says string) {
	path := a.place(t, file)
	for name, open := range map[string]func(Options) (*DB, error){"open": Open, "inspect": Inspect} {
		db, err := open(Options{Path: path, Schema: a.schema, Stamp: []byte(stamp)})
		if err == nil {
			t.Errorf("%s: %v", name, db.Close())
			continue
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, expected %q", name, err, says)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(after, file) {
		t.Errorf("the file was changed: %v", err)
	}
}

// edited returns the file after a change made with bbolt.
func (a *archive) edited(t *testing.T, edit func(*bbolt.Tx) error) []byte {
	t.Helper()
	path := a.place(t, a.file)
	file, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Update(edit), file.Close()); err != nil {
		t.Fatal(err)
	}
	bytes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func setMeta(key, value []byte) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return putMeta(tx.Bucket([]byte(metaBucket)), key, value) }
}

func setFormatBytes(format []byte) func(*bbolt.Tx) error { return setMeta(formatKey, format) }

func setFormat(format uint32) func(*bbolt.Tx) error {
	return setFormatBytes(binary.BigEndian.AppendUint32(nil, format))
}

func createBucket(name string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte(name))
		return err
	}
}

func deleteBucket(name string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(name)) }
}

func deleteMeta(key []byte) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(metaBucket)).Delete(key) }
}

// TestBucketAmongRows has a bucket where rows belong, which bbolt would take
// for a row that is not there.
func TestBucketAmongRows(t *testing.T) {
	a := newArchive(t)
	path := a.place(t, a.edited(t, func(tx *bbolt.Tx) error {
		_, err := tx.Bucket([]byte("atlas.notes")).CreateBucket([]byte("inner"))
		return err
	}))
	o := Options{Path: path, Schema: a.schema, Stamp: []byte("atlas")}
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), errElement.Error()) {
		t.Fatal(err)
	}
	db, err := Inspect(o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v := db.Latest()
	defer v.Close()
	var problems []Problem
	v.Check(func(p Problem) { problems = append(problems, p) }, func(Checked) {})
	if len(problems) != 1 || problems[0].Bucket != "atlas.notes" || string(problems[0].Key) != "inner" {
		t.Fatal(problems)
	}
}

// TestTruncated cuts the file off at many lengths.
func TestTruncated(t *testing.T) {
	a := newArchive(t)
	page := os.Getpagesize()
	lengths := []int{1, 15, 16, 79, 80, page - 1, page, page + 1, 2*page - 1, 2 * page, 2*page + 1, 3 * page, len(a.file) - page, len(a.file) - 1}
	random := rand.New(rand.NewPCG(4, 4))
	for range soakCount(60) {
		lengths = append(lengths, 1+random.IntN(len(a.file)-1))
	}
	for _, length := range lengths {
		a.refuses(t, a.file[:length], "atlas", "open")
	}
}

// TestOpenTwice refuses a file that is open already.
func TestOpenTwice(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	path := a.place(t, a.file)
	db := a.open(t, path, 1<<20)
	for name, open := range map[string]func(Options) (*DB, error){"open": Open, "inspect": Inspect} {
		if _, err := open(Options{Path: path, Schema: a.schema, Stamp: []byte("atlas")}); !errors.Is(err, ErrInUse) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNewBuckets opens a file with a schema that declares more, small or large.
func TestNewBuckets(t *testing.T) {
	a := newArchive(t)
	rivers := NewTable("atlas.rivers", func(v *visit) ID { return ID(v.ID) })
	schema, err := NewSchema(append([]Shape{rivers}, a.schema.shapes...)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int64{0, -1} {
		path := a.place(t, a.file)
		db, err := Open(Options{Path: path, Schema: schema, Stamp: []byte("atlas"), verifyLimit: limit})
		if err != nil {
			t.Fatal(err)
		}
		v := db.Latest()
		if got := a.dump(v); got != a.states[v.Index()] || rivers.Has(v, "volga") {
			t.Fatal("the old rows do not read as before")
		}
		v.Close()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		a.refuses(t, mustRead(t, path), "atlas", `unknown bucket "atlas.rivers"`)
	}
}
