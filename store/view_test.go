package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestPanicInALoop makes sure that a panic of whoever reads rows is his own,
// not damage, which would stop the node.
func TestPanicInALoop(t *testing.T) {
	a, db := pagedAtlas(t)
	b := db.Begin()
	a.log.Add(b, visit{ID: "1"})
	b.Merge()
	db.Commit(Applied{Index: db.Published() + 1})
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	v := db.Latest()
	defer v.Close()
	for name, loop := range map[string]func(){
		"table": func() {
			for range a.cities.Scan(v, All{}, nil) {
				panic("mine")
			}
		},
		"index": func() {
			for range a.byCountry.Scan(v, Text("kz"), nil) {
				panic("mine")
			}
		},
		"index keys": func() {
			for range a.byCountry.Keys(v, All{}, nil) {
				panic("mine")
			}
		},
		"journal": func() {
			for range a.log.Scan(v, 0, 1) {
				panic("mine")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != "mine" {
					t.Errorf("the panic became %v", got)
				}
			}()
			loop()
		})
	}
}

func TestClosedView(t *testing.T) {
	a, db := pagedAtlas(t)
	v := db.Latest()
	v.Close()
	v.Close()
	if v.Index() != 90 || v.Applied().Index != 90 {
		t.Error("a closed view has forgotten its index")
	}
	defer func() {
		if damage := recover(); damage == nil {
			t.Error("a closed view was read")
		} else if _, ok := damage.(Corruption); ok {
			t.Error("a closed view is no damage")
		}
	}()
	a.cities.Get(v, "city-001")
}

// TestViewsAreShared opens no second copy for an index that one has.
func TestViewsAreShared(t *testing.T) {
	_, db := pagedAtlas(t)
	v, w := db.View(3), db.Latest()
	defer v.Close()
	defer w.Close()
	if v.active != w.active || v.Index() != 90 {
		t.Fatal("two copies of one state")
	}
}

// TestSteadyOverwriteDoesNotGrowTheFile flushes the same rows again and again
// with views coming and going: pages that no view needs are used again.
func TestSteadyOverwriteDoesNotGrowTheFile(t *testing.T) {
	a := newAtlas(t)
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(Options{
		Path: path, Schema: a.schema, Stamp: []byte("atlas"), FlushInterval: time.Hour,
		Fatal: func(err error) { t.Error(err) }, mapFloor: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[int]int64{}
	var held *View
	for round := range 120 {
		b := db.Begin()
		for i := range 300 {
			a.notes.Put(b, visit{ID: fmt.Sprint(i), City: fmt.Sprint(round)})
		}
		b.Merge()
		db.Commit(Applied{Index: db.Published() + 1})
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		if held != nil {
			held.Close()
		}
		held = db.Latest()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes[round] = info.Size()
		if used := held.base.tx.Size(); round > 10 && used > 500_000 {
			t.Fatalf("%d bytes are used in round %d", used, round)
		}
	}
	held.Close()
	if sizes[119] > sizes[20] {
		t.Fatalf("the file grew from %d to %d bytes", sizes[20], sizes[119])
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
