package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestTimePrintsThreeDecimals(t *testing.T) {
	at := TimeOf(time.Date(2026, 3, 4, 5, 6, 7, 89_999_999, time.UTC))
	if got, want := at.String(), "2026-03-04T05:06:07.089Z"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestKeysSortLikeTheirValues(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a, b := Time(random.Int64())-Time(random.Int64()), Time(random.Int64())-Time(random.Int64())
		if (a < b) != (string(a.appendKey(nil)) < string(b.appendKey(nil))) {
			t.Fatalf("times %d and %d sort wrongly", a, b)
		}
		newest := string(Newest(a).appendKey(nil)) < string(Newest(b).appendKey(nil))
		if a != b && newest != (a > b) {
			t.Fatalf("newest of %d and %d sort wrongly", a, b)
		}
	}
}

func TestKeysReadBack(t *testing.T) {
	key := PairOf(PairOf(ID("wal_1"), Newest(-5)), PairOf(Text("a@b.c"), PairOf(Time(7), Uint64(9))))
	encoded := append(key.appendKey(nil), 0xff)
	got, rest, ok := key.cutKey(encoded)
	if !ok || len(rest) != 1 {
		t.Fatalf("cut: ok %v, rest %x", ok, rest)
	}
	if diff := gocmp.Diff(key, got); diff != "" {
		t.Fatal(diff)
	}
	for i := range len(encoded) - 1 {
		if _, _, ok := key.cutKey(encoded[:i]); ok {
			t.Fatalf("a key of %d bytes was read from %d", len(encoded)-1, i)
		}
	}
}

// FuzzKey cuts keys from anything: what is cut is written as it was, and order
// is that of the values.
func FuzzKey(f *testing.F) {
	type key = Pair[Pair[Text, Newest], Pair[Bytes16, Pair[Uint64, Time]]]
	f.Add(key{}.appendKey(nil), key{}.appendKey([]byte("a")))
	f.Add([]byte("text without end"), []byte{0})
	f.Fuzz(func(t *testing.T, x, y []byte) {
		a, rest, ok := key{}.cutKey(x)
		if !ok {
			return
		}
		if got := a.appendKey(nil); string(got)+string(rest) != string(x) {
			t.Fatalf("%x was cut to %x and %x", x, got, rest)
		}
		b, _, ok := key{}.cutKey(y)
		if !ok {
			return
		}
		want := cmp.Compare(a.First.First, b.First.First)
		for _, next := range []int{
			cmp.Compare(b.First.Second, a.First.Second),
			bytes.Compare(a.Second.First[:], b.Second.First[:]),
			cmp.Compare(a.Second.Second.First, b.Second.Second.First),
			cmp.Compare(a.Second.Second.Second, b.Second.Second.Second),
		} {
			if want == 0 {
				want = next
			}
		}
		if got := bytes.Compare(a.appendKey(nil), b.appendKey(nil)); got != want {
			t.Fatalf("%v and %v compare as %d, not %d", a, b, got, want)
		}
	})
}

func TestTextKeysHaveNoZeroByte(t *testing.T) {
	for _, k := range []Prefix{Text("a\x00b"), ID("\x00"), PairOf(Uint64(1), Text("\x00"))} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v became a key", k)
				}
			}()
			k.appendKey(nil)
		}()
	}
}

// A key that no file could take, or that no other could sort beside, is refused
// where it is put: found at the next flush, it would stop every node for good.
func TestKeysThatCannotBeWritten(t *testing.T) {
	a, db := pagedAtlas(t)
	long := string(bytes.Repeat([]byte{'k'}, MaxKey))
	for name, put := range map[string]func(b *Batch){
		"a primary key that is too long":   func(b *Batch) { a.cities.Put(b, city{Name: long}) },
		"a primary key with a zero byte":   func(b *Batch) { a.cities.Put(b, city{Name: "a\x00b"}) },
		"an index key that is too long":    func(b *Batch) { a.cities.Put(b, city{Name: "a", Country: long, People: 1}) },
		"an index key with a zero byte":    func(b *Batch) { a.cities.Put(b, city{Name: "a", Country: "k\x00", People: 1}) },
		"a partition key that is too long": func(b *Batch) { a.visits.Put(b, 0, visit{ID: long}) },
	} {
		t.Run(name, func(t *testing.T) {
			func() {
				b := db.Begin()
				defer b.Discard()
				defer func() {
					if recover() == nil {
						t.Error("it was taken")
					}
				}()
				a.cities.Put(b, city{Name: "kept out", Country: "kz"})
				put(b)
			}()
			sum := sha256.New()
			db.WriteSet(sum)
			db.Commit(Applied{Index: db.Published() + 1})
			if !bytes.Equal(sum.Sum(nil), sha256.New().Sum(nil)) {
				t.Error("the command has left something")
			}
		})
	}
}
