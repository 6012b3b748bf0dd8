package veilnetx

import (
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
	Meta           jsontext.Value `json:"meta,omitzero" validate:"object"`
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
	Offset         int      `query:"offset" validate:"min=0" doc:"Matches to skip, from the newest; a cursor is behind them"`
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
		w.skip, w.since, w.uncounted = uint64(in.Offset), wanted.since, wanted.empty()
		out.Entries = w.page(in.Limit, wanted.matches)
		out.Total, out.Next = w.total(), w.next()
		return nil
	})
	return out, err
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
			out.Integrity, out.RecomputedHash = "broken", hashOf(checked.Fault.Expected)
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
	prefix
	Limit  int        `query:"limit" clamp:"20,50"`
	Cursor api.Cursor `query:"cursor"`
}

// prefix is how the hash of an entry begins, or that of the entry before it.
type prefix struct {
	Hash string `query:"hash" mod:"trim,lower" validate:"required,min=4,max=64" doc:"4 to 64 hexadecimal digits"`
}

// Check wants hexadecimal digits and nothing else.
func (p *prefix) Check() *api.Violation {
	if strings.Trim(p.Hash, "0123456789abcdef") != "" {
		return &api.Violation{Field: "hash", Reason: "must be hexadecimal"}
	}
	return nil
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
		out.Matches = w.page(in.Limit, func(f *ledger.Fact) bool {
			return strings.HasPrefix(f.Entry.Chain.String(), in.Hash) || strings.HasPrefix(f.Entry.Prev.String(), in.Hash)
		})
		for i := range out.Matches {
			out.Matches[i].Meta = nil
		}
		out.Total, out.Next = w.total(), w.next()
		return nil
	})
	return out, err
}
