package veilnetx

import (
	"encoding/binary"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

const forbidden = fsm.Forbidden

// errEntry answers an entry that is not there.
var errEntry = fsm.Reject(fsm.NotFound, "entry_not_found")

func (a *Area) entryRoutes() []api.Route {
	return []api.Route{
		a.appendRoute(),
		api.Get("/entries", a.entries, api.Spec{
			Summary: "List entries, newest first", Auth: api.Public, Codes: []string{api.CodeInvalidCursor},
			Description: "A call examines at most 65,536 entries; a list that stops there carries nextCursor, and its total counts the matches so far.",
		}),
		api.Get("/entries/{id}", a.entry, api.Spec{
			Summary: "One entry with chain context", Auth: api.Public,
			Rejections: fsm.Rejections{errEntry}, NotFound: errEntry,
		}),
		api.Get("/search", a.search, api.Spec{Summary: "Find entries by hash prefix", Auth: api.Public, Codes: []string{api.CodeInvalidCursor}}),
	}
}

// maxExamined is how many entries one call looks at.
const maxExamined = 65_536

type entryView struct {
	ID             string         `json:"id"`
	SequenceNumber uint64         `json:"sequenceNumber"`
	Height         uint64         `json:"height"`
	Module         string         `json:"module"`
	Kind           string         `json:"kind"`
	BlindedFrom    string         `json:"blindedFrom"`
	BlindedTo      string         `json:"blindedTo"`
	AmountCents    int64          `json:"amountCents"`
	Currency       string         `json:"currency"`
	Meta           jsontext.Value `json:"meta,omitzero"`
	PrevHash       string         `json:"prevHash"`
	EntryHash      string         `json:"entryHash"`
	CreatedAt      api.Time       `json:"createdAt"`
}

func viewOf(f *ledger.Fact) entryView {
	return entryView{
		ID: f.ID, SequenceNumber: f.Entry.Index + 1, Height: f.Entry.Index + 1, Module: f.Module, Kind: f.Kind,
		BlindedFrom: f.From, BlindedTo: f.To, AmountCents: f.Amount, Currency: f.Currency, Meta: jsontext.Value(f.Meta),
		PrevHash: f.Entry.Prev.String(), EntryHash: f.Entry.Chain.String(), CreatedAt: api.Time(f.Entry.Time),
	}
}

type entriesRequest struct {
	aevion.Page
	Offset         int      `query:"offset" validate:"min=0" doc:"Instead of a cursor: matches to skip"`
	Kind           string   `query:"kind"`
	Module         string   `query:"module"`
	ActorUserID    string   `query:"actorUserId" validate:"max=200" doc:"Blinded by the server before comparing"`
	FromIdentifier string   `query:"fromIdentifier" validate:"max=500" doc:"Blinded by the server before comparing"`
	Since          api.Time `query:"since"`
	Until          api.Time `query:"until"`
}

type entriesResponse struct {
	Entries []entryView `json:"entries"`
	Total   uint64      `json:"total"`
	Next    api.Cursor  `json:"nextCursor,omitzero"`
}

// filter is what a list of entries looks for; unknown words do not filter.
type filter struct {
	kind, module, actor, from string
	since, until              store.Time
}

func (a *Area) filterOf(in *entriesRequest) filter {
	f := filter{since: in.Since.Store(), until: in.Until.Store()}
	if known(externalKinds, in.Kind) || known(platformKinds, in.Kind) {
		f.kind = in.Kind
	}
	if known(modules, in.Module) {
		f.module = in.Module
	}
	if in.ActorUserID != "" {
		f.actor = a.Blind(ledger.ActorIdentifier(in.ActorUserID))
	}
	if in.FromIdentifier != "" {
		f.from = a.Blind(in.FromIdentifier)
	}
	return f
}

// platformKinds are the kinds that only the platform writes.
var platformKinds = []string{"mask-charge", "governance-decision", "match", "seal", "salt-rotate", "epoch"}

func known(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// empty tells that every entry matches.
func (f *filter) empty() bool { return *f == filter{} }

func (f *filter) matches(e *ledger.Fact) bool {
	return (f.kind == "" || e.Kind == f.kind) && (f.module == "" || e.Module == f.module) &&
		(f.from == "" || e.From == f.from) && (f.until == 0 || store.Time(e.Entry.Time) <= f.until) &&
		(f.actor == "" || e.Public("actor") == f.actor)
}

func (a *Area) entries(c *api.Call, in entriesRequest) (out entriesResponse, err error) {
	wanted := a.filterOf(&in)
	err = c.Read(func(v *store.View) error {
		w, err := newWalk(v, in.After())
		if err != nil {
			return err
		}
		out.Entries = []entryView{}
		skip := in.Offset
		for f := range w.newest(wanted.since) {
			if !wanted.matches(f) {
				continue
			}
			out.Total++
			if skip > 0 {
				skip--
				continue
			}
			if len(out.Entries) < in.Limit {
				out.Entries = append(out.Entries, viewOf(f))
				w.mark()
			} else if wanted.empty() {
				break // no need to count what the chain counts
			}
		}
		out.Next = w.next(len(out.Entries) == in.Limit && out.Total > uint64(in.Offset+in.Limit))
		if wanted.empty() {
			out.Total = ledger.Size(v)
		}
		return nil
	})
	return out, err
}

// walk goes back along the chain and knows where a page ended.
type walk struct {
	v      *store.View
	at     uint64 // height of the entry looked at
	marked uint64 // height of the last entry of the page
	cut    bool   // the limit of a call was reached
}

func newWalk(v *store.View, after store.Cursor) (*walk, error) {
	w := &walk{v: v, at: ledger.Size(v) + 1}
	if len(after) == 0 {
		return w, nil
	}
	if len(after) != 8 {
		return nil, store.ErrCursor
	}
	w.at = binary.BigEndian.Uint64(after)
	if w.at == 0 || w.at > ledger.Size(v)+1 {
		return nil, store.ErrCursor
	}
	return w, nil
}

// newest visits entries from the newest back to a time.
func (w *walk) newest(since store.Time) func(func(*ledger.Fact) bool) {
	return func(yield func(*ledger.Fact) bool) {
		for examined := 0; w.at > 1; examined++ {
			if examined == maxExamined {
				w.cut = true
				return
			}
			w.at--
			f := ledger.FactAt(w.v, w.at-1)
			if store.Time(f.Entry.Time) < since || !yield(&f) {
				return
			}
		}
	}
}

func (w *walk) mark() { w.marked = w.at }

// next is where the page behind a full one begins, or where a call was cut.
func (w *walk) next(full bool) api.Cursor {
	switch {
	case full:
		return binary.BigEndian.AppendUint64(nil, w.marked)
	case w.cut:
		return binary.BigEndian.AppendUint64(nil, w.at)
	}
	return nil
}

type entryRequest struct {
	ID string `path:"id" validate:"id"`
}

type neighbour struct {
	ID        string `json:"id"`
	Height    uint64 `json:"height"`
	EntryHash string `json:"entryHash"`
}

type entryResponse struct {
	Entry          entryView `json:"entry"`
	Integrity      string    `json:"integrity"`
	RecomputedHash string    `json:"recomputedHash"`
	Context        struct {
		Prev *neighbour `json:"prev"`
		Next *neighbour `json:"next"`
	} `json:"context"`
}

func (a *Area) entry(c *api.Call, in entryRequest) (out entryResponse, err error) {
	err = c.Read(func(v *store.View) error {
		f, ok := ledger.FindEntry(v, in.ID)
		if !ok {
			return errEntry
		}
		index := f.Entry.Index
		checked, err := a.Verify(v, index, index+1)
		if err != nil {
			return err
		}
		out.Entry, out.Integrity, out.RecomputedHash = viewOf(&f), "ok", f.Entry.Chain.String()
		if checked.Fault != nil {
			out.Integrity, out.RecomputedHash = "broken", checked.Fault.Expected
		}
		out.Context.Prev, out.Context.Next = neighbourOf(v, index-1), neighbourOf(v, index+1)
		return nil
	})
	return out, err
}

func neighbourOf(v *store.View, index uint64) *neighbour {
	if index >= ledger.Size(v) { // also the one before the first
		return nil
	}
	f := ledger.FactAt(v, index)
	return &neighbour{f.ID, index + 1, f.Entry.Chain.String()}
}

type searchRequest struct {
	Hash   string     `query:"hash" mod:"trim,lower" validate:"required,min=4,max=64,hexadecimal"`
	Limit  int        `query:"limit" clamp:"20,50"`
	Cursor api.Cursor `query:"cursor"`
}

type searchResponse struct {
	Query struct {
		Hash  string `json:"hash"`
		Limit int    `json:"limit"`
	} `json:"query"`
	Matches []entryView `json:"matches"`
	Total   uint64      `json:"total"`
	Next    api.Cursor  `json:"nextCursor,omitzero"`
}

func (a *Area) search(c *api.Call, in searchRequest) (out searchResponse, err error) {
	out.Query.Hash, out.Query.Limit = in.Hash, in.Limit
	err = c.Read(func(v *store.View) error {
		w, err := newWalk(v, in.Cursor.Store())
		if err != nil {
			return err
		}
		out.Matches = []entryView{}
		for f := range w.newest(0) {
			if !strings.HasPrefix(f.Entry.Chain.String(), in.Hash) && !strings.HasPrefix(f.Entry.Prev.String(), in.Hash) {
				continue
			}
			out.Total++
			if len(out.Matches) < in.Limit {
				view := viewOf(f)
				view.Meta = nil
				out.Matches = append(out.Matches, view)
				w.mark()
			}
		}
		out.Next = w.next(out.Total > uint64(in.Limit))
		return nil
	})
	return out, err
}
