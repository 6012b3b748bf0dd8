package store

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestCursorText(t *testing.T) {
	for _, c := range []Cursor{nil, {0}, []byte("kz\x00almaty\x00"), bytes.Repeat([]byte{0xff}, 1024)} {
		got, err := ParseCursor(c.String())
		if err != nil || !bytes.Equal(got, c) {
			t.Errorf("%x came back as %x, %v", c, got, err)
		}
	}
	for _, text := range []string{"a", "====", "QQ==", "Q Q", "QR", strings.Repeat("A", 1368), "\u00e4"} {
		if _, err := ParseCursor(text); !errors.Is(err, ErrCursor) {
			t.Errorf("%q was read: %v", text, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("a3oAYWxtYXR5AA")
	f.Add("QR")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCursor(text)
		if err == nil && strings.TrimRight(c.String(), "\r\n") != strings.NewReplacer("\r", "", "\n", "").Replace(text) {
			t.Fatalf("%q and %q are the same cursor", text, c.String())
		}
	})
}

// pagedAtlas is a database with 30 cities in each of three countries, half of
// them in the file.
func pagedAtlas(t testing.TB) (*atlas, *DB) {
	a := newAtlas(t)
	db := a.open(t, filepath.Join(t.TempDir(), "state.db"), 1<<20)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range 90 {
		a.addCity(db, i)
		if i == 45 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a, db
}

func (a *atlas) addCity(db *DB, i int) {
	b := db.Begin()
	a.cities.Put(b, city{Name: fmt.Sprintf("city-%03d", i), Country: countries[i%3], People: int64(1 + i/20)})
	b.Merge()
	db.Commit(Applied{Index: db.Published() + 1})
}

// TestPagingWhileRowsAreAdded reads a country page by page while cities are
// added before, between and behind: no city that was there at the start is
// missed or seen twice.
func TestPagingWhileRowsAreAdded(t *testing.T) {
	for _, limit := range []int{1, 2, 7, 29, 30, 31, 500} {
		a, db := pagedAtlas(t)
		seen := map[string]int{}
		var cursor Cursor
		for page := 0; ; page++ {
			v := db.Latest()
			rows, next := Collect(a.byCountry.Scan(v, Text("kz"), cursor), limit)
			v.Close()
			if len(rows) > limit {
				t.Fatalf("a page of %d rows, limit %d", len(rows), limit)
			}
			for _, c := range rows {
				seen[c.Name]++
			}
			if next == nil {
				break
			}
			if cursor, _ = ParseCursor(next.String()); !bytes.Equal(cursor, next) {
				t.Fatal("the cursor did not survive its text")
			}
			a.addCity(db, 1000+page*3)
		}
		for i := range 90 {
			name := fmt.Sprintf("city-%03d", i)
			if want := 1 - min(1, i%3); seen[name] != want {
				t.Fatalf("limit %d: %s was seen %d times, not %d", limit, name, seen[name], want)
			}
		}
		for name, times := range seen {
			if times != 1 {
				t.Fatalf("limit %d: %s was seen %d times", limit, name, times)
			}
		}
	}
}

func TestPageLimits(t *testing.T) {
	rows := func(yield func(Cursor, int) bool) {
		for i := 0; yield(Cursor{byte(i >> 8), byte(i)}, i); i++ {
		}
	}
	for limit, want := range map[int]int{-5: 1, 0: 1, 1: 1, 499: 499, 500: 500, 501: 500, 1 << 40: 500} {
		page, next := Collect(rows, limit)
		if len(page) != want || !bytes.Equal(next, Cursor{byte((want - 1) >> 8), byte(want - 1)}) {
			t.Errorf("limit %d: %d rows, next %x", limit, len(page), next)
		}
	}
	if page, next := Collect(func(func(Cursor, int) bool) {}, 10); page == nil || len(page) != 0 || next != nil {
		t.Error("an empty page is not empty, or not the last")
	}
}

// FuzzScanCursor starts scans at cursors nobody has given: no panic, and only
// rows of the prefix behind the cursor.
func FuzzScanCursor(f *testing.F) {
	a, db := pagedAtlas(f)
	v := db.Latest()
	f.Cleanup(v.Close)
	f.Add("kz", []byte("\x00\x00\x00\x00\x00\x00\x00\x02city-033\x00"))
	f.Add("us", []byte{})
	f.Add("", []byte{0xff})
	f.Add("k", bytes.Repeat([]byte{0}, 40000))
	f.Fuzz(func(t *testing.T, country string, cursor []byte) {
		if strings.Contains(country, "\x00") {
			return
		}
		last := Cursor(cursor)
		for at, c := range a.byCountry.Scan(v, Text(country), last) {
			if c.Country != country || len(last) > 0 && bytes.Compare(at, last) <= 0 {
				t.Fatalf("row %v at %x after %x", c, at, last)
			}
			last = append(last[:0:0], at...)
		}
		for _, c := range a.cities.Scan(v, All{}, cursor) {
			if len(cursor) > 0 && c.Name+"\x00" <= string(cursor) {
				t.Fatalf("row %v after %x", c, cursor)
			}
		}
	})
}
