package store

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	if diff := cmp.Diff(key, got); diff != "" {
		t.Fatal(diff)
	}
	for i := range len(encoded) - 1 {
		if _, _, ok := key.cutKey(encoded[:i]); ok {
			t.Fatalf("a key of %d bytes was read from %d", len(encoded)-1, i)
		}
	}
}
