package veilnetx

import (
	"encoding/binary"

	"coffer/fsm/ledger"
	"coffer/http/api"
	"coffer/store"
)

// maxExamined is how many entries one call looks at.
const maxExamined = 65_536

// walk goes back along the chain, one page per call. It counts matches over all
// pages, so that every page tells the same total.
type walk struct {
	v         *store.View
	skip      uint64     // matches before the first page
	since     store.Time // the walk ends before
	uncounted bool       // everything matches, so the chain itself counts
	examines  int        // entries at most

	at   place // entry looked at
	end  place // last entry of the page
	more bool  // a match follows the page
	cut  bool  // the limit of a call was reached
}

// place is an entry on the way and how many matches there are down to it.
type place struct{ height, matches uint64 }

func newWalk(v *store.View, after store.Cursor) (*walk, error) {
	w := &walk{v: v, at: place{height: ledger.Size(v) + 1}, examines: maxExamined}
	if len(after) == 0 {
		return w, nil
	}
	if len(after) != 16 {
		return nil, store.ErrCursor
	}
	w.at = place{binary.BigEndian.Uint64(after), binary.BigEndian.Uint64(after[8:])}
	if w.at.height == 0 || w.at.height > ledger.Size(v)+1 || w.at.matches > ledger.Size(v) {
		return nil, store.ErrCursor
	}
	return w, nil
}

// page returns the next matches, and goes on to count those behind them.
func (w *walk) page(limit int, matches func(*ledger.Fact) bool) []entryView {
	page := []entryView{}
	for f := range w.newest {
		if !matches(f) {
			continue
		}
		w.at.matches++
		switch {
		case w.at.matches <= w.skip:
		case len(page) < limit:
			page = append(page, viewOf(f))
			w.end = w.at
		default:
			w.more = true
		}
		if w.more && w.uncounted {
			break
		}
	}
	return page
}

// newest visits entries from the newest back to a time.
func (w *walk) newest(yield func(*ledger.Fact) bool) {
	for examined := 0; w.at.height > 1; examined++ {
		if examined == w.examines {
			w.cut = true
			return
		}
		w.at.height--
		f := ledger.FactAt(w.v, w.at.height-1)
		if store.Time(f.Entry.Time) < w.since || !yield(&f) {
			return
		}
	}
}

// total is how many matches there are, or so far if the walk was cut.
func (w *walk) total() uint64 {
	if w.uncounted {
		return ledger.Size(w.v)
	}
	return w.at.matches
}

// next is where the page behind a full one begins, or where a call was cut.
func (w *walk) next() api.Cursor {
	switch {
	case w.more:
		return w.end.cursor()
	case w.cut:
		return w.at.cursor()
	}
	return nil
}

func (p place) cursor() api.Cursor {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, p.height), p.matches)
}
