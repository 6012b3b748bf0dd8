package veilnetx

import (
	"slices"
	"testing"

	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/store"
)

// TestPagesOfAWalkGoOnWhereTheyWereCut reads lists with every page size, offset
// and number of entries that a call may examine. Together the pages hold all
// matches once, and the last one tells how many there are.
func TestPagesOfAWalkGoOnWhereTheyWereCut(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	b.Register("ann@example.org")
	for _, kind := range []string{"mint", "burn", "burn", "burn", "mint", "mint", "burn", "burn", "burn", "burn", "mint"} {
		fsmtest.Must(b.Machine, ledger.AppendExternal, ledger.External{Kind: kind, To: "alice", Amount: 5, Currency: "USD", Meta: []byte("{}")})
	}
	v := b.View()
	defer v.Close()
	all := map[string][]uint64{"mint": {11, 6, 5, 1}, "fee": nil, "": {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}}
	for kind, want := range all {
		for limit := 1; limit <= 12; limit++ {
			for examines := 1; examines <= 12; examines++ {
				for offset := range 6 {
					r := reading{kind: kind, limit: limit, examines: examines, offset: offset}
					got := r.read(t, v, len(want))
					if rest := want[min(offset, len(want)):]; !slices.Equal(got, rest) {
						t.Fatalf("%+v gives %v, want %v", r, got, rest)
					}
				}
			}
		}
	}
}

// reading is one way to read a list.
type reading struct {
	kind                    string // empty for all
	limit, examines, offset int
}

// read follows the cursors of a list to its end.
func (r reading) read(t *testing.T, v *store.View, total int) (heights []uint64) {
	t.Helper()
	var after store.Cursor
	for pages := 0; ; pages++ {
		w, err := newWalk(v, after)
		if err != nil || pages > 20 {
			t.Fatalf("%+v, page %d: %v", r, pages, err)
		}
		w.skip, w.uncounted, w.examines = uint64(r.offset), r.kind == "", r.examines
		page := w.page(r.limit, func(f *ledger.Fact) bool { return r.kind == "" || f.Kind == r.kind })
		if len(page) > r.limit {
			t.Fatalf("%+v: a page of %d", r, len(page))
		}
		for i := range page {
			heights = append(heights, page[i].Height)
		}
		next := w.next()
		if len(next) == 0 {
			if w.total() != uint64(total) {
				t.Fatalf("%+v counts %d, want %d", r, w.total(), total)
			}
			return heights
		}
		after = next.Store()
	}
}
