package ledger

import (
	"encoding/binary"
	"iter"

	"coffer/ledgerchain"
	"coffer/store"
)

// position is a place in a history: newest first by height, then by leg.
type position struct {
	height uint64
	leg    int
}

func (p position) cursor() store.Cursor {
	return append(binary.BigEndian.AppendUint64(nil, p.height), byte(p.leg))
}

func parsePosition(cursor store.Cursor) (position, error) {
	if len(cursor) != 9 {
		return position{}, store.ErrCursor
	}
	return position{height: binary.BigEndian.Uint64(cursor), leg: int(cursor[8])}, nil
}

// MaxExamined bounds the rows one page of a history looks at.
const MaxExamined = 5000

// History is the list of movements of one account, or of all accounts of one
// user, linked through the chain.
type History struct {
	r       store.Reader
	account store.ID
	owner   store.ID
	last    uint64
	since   store.Time
}

// Since is the history without movements before a time.
func (h History) Since(at store.Time) History {
	h.since = at
	return h
}

// HistoryOf is the history of an account.
func HistoryOf(r store.Reader, account store.ID) History {
	a, _ := accounts.Get(r, account)
	return History{r: r, account: account, last: a.Last}
}

// HistoryOfOwner is the history of all accounts of a user.
func HistoryOfOwner(r store.Reader, user store.ID) History {
	o, _ := owners.Get(r, user)
	return History{r: r, owner: user, last: o.Last}
}

// Page returns the next movements that keep accepts, newest first. It looks at
// no more than MaxExamined rows, so a page may be short and still have a next.
func (h History) Page(after store.Cursor, limit int, keep func(*Movement) bool) (page []Movement, next store.Cursor, err error) {
	page = []Movement{}
	start, err := h.start(after)
	if err != nil {
		return nil, nil, err
	}
	examined := 0
	seen := position{}
	for at, m := range h.walk(start) {
		if len(page) == limit || examined == MaxExamined {
			return page, seen.cursor(), nil
		}
		if at.height != seen.height {
			examined++
		}
		seen = at
		if keep(&m) {
			page = append(page, m)
		}
	}
	return page, nil, nil
}

// start is where a page begins: at the newest row, or in the row of the cursor
// behind its leg.
func (h History) start(after store.Cursor) (position, error) {
	if len(after) == 0 {
		return position{height: h.last, leg: maxLegs}, nil
	}
	p, err := parsePosition(after)
	if err != nil {
		return position{}, err
	}
	if p.height == 0 || p.height > h.last || !h.holds(p) {
		return position{}, store.ErrCursor
	}
	return p, nil
}

// holds tells that a row is part of this history, so that nobody walks from a
// row of somebody else.
func (h History) holds(p position) bool {
	f := FactAt(h.r, p.height-1)
	return p.leg < len(f.Legs) && h.owns(f.Legs[p.leg].Account)
}

func (h History) owns(account store.ID) bool {
	if h.owner == "" {
		return account == h.account
	}
	a, ok := accounts.Get(h.r, account)
	return ok && a.Owner == h.owner
}

// walk visits movements behind a position, following the links. An erased row
// ends it.
func (h History) walk(start position) iter.Seq2[position, Movement] {
	return func(yield func(position, Movement) bool) {
		at := start
		for at.height != 0 {
			f := FactAt(h.r, at.height-1)
			if store.Time(f.Entry.Time) < h.since {
				return
			}
			var earlier uint64
			for leg := len(f.Legs) - 1; leg >= 0; leg-- {
				if !h.owns(f.Legs[leg].Account) {
					continue
				}
				earlier = h.earlier(f.row.Link(leg))
				if leg < at.leg && !yield(position{at.height, leg}, f.movement(leg)) {
					return
				}
			}
			at = position{height: earlier, leg: maxLegs}
		}
	}
}

func (h History) earlier(link ledgerchain.Link) uint64 {
	if h.owner == "" {
		return link.Account
	}
	return link.Owner
}

// Find returns the movement with a transaction id, if the id is right in every
// bit.
func Find(r store.Reader, id string) (Movement, bool) {
	index, leg, tag, err := ledgerchain.ParseTransactionID(id)
	if err != nil || index >= ledgerchain.Size(r) {
		return Movement{}, false
	}
	f := FactAt(r, index)
	if int(leg) >= len(f.Legs) || ledgerchain.TransactionTag(f.row.Blind()) != tag {
		return Movement{}, false
	}
	return f.movement(int(leg)), true
}
