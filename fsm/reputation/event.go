package reputation

import (
	"math"
	"sort"

	"coffer/fsm"
	"coffer/fsm/outbox"
	"coffer/fsm/settings"
	"coffer/store"
)

// Event is one change of a score. Events are never changed or removed.
type Event struct {
	ID     store.ID     `cbor:"1,keyasint"`
	User   store.ID     `cbor:"2,keyasint"`
	Kind   string       `cbor:"3,keyasint"`
	Source string       `cbor:"4,keyasint"`
	Weight int64        `cbor:"5,keyasint"`
	Meta   string       `cbor:"6,keyasint,omitempty"` // a JSON object, as given
	At     store.Time   `cbor:"7,keyasint"`
	Facts  []fsm.Detail `cbor:"8,keyasint,omitempty"` // of platform events: ids of the chain entry
	Before uint64       `cbor:"9,keyasint,omitempty"` // number + 1 of the user's event before
	Score  int64        `cbor:"10,keyasint"`          // of the user after it
}

var events = store.NewJournal[Event]("reputation.events")

// weights are the default weights of known kinds, in order of the alphabet
// (contract, Reputation).
var weights = []settings.Pair{
	{Name: "build-hire", Number: 15},
	{Name: "bureau-cert", Number: 10},
	{Name: "helpful-comment", Number: 2},
	{Name: "login-streak", Number: 1},
	{Name: "qchaingov-author", Number: 5},
	{Name: "qchaingov-voter", Number: 1},
	{Name: "qcontract-share", Number: 3},
	{Name: "qgood-donation", Number: 5},
	{Name: "qgood-donor", Number: 4},
	{Name: "qgood-organizer", Number: 2},
	{Name: "qmaskcard-risk-flag", Number: -2},
	{Name: "qpaynet-active", Number: 1},
	{Name: "qpaynet-deposit", Number: 2},
	{Name: "qpaynet-payout", Number: 3},
	{Name: "qright-protect", Number: 5},
	{Name: "qsign-sign", Number: 2},
	{Name: "referral-success", Number: 20},
}

// Kinds lists the kinds with a default weight, sorted.
func Kinds() []string {
	kinds := make([]string, len(weights))
	for i, w := range weights {
		kinds[i] = w.Name
	}
	return kinds
}

// Sources lists the modules events may come from.
var Sources = []string{
	"auth", "build", "bureau", "qgood", "qcontract", "qsign", "qright", "qpaynet", "qmaskcard", "qchaingov",
	"veilnetx", "cyberchess", "qcore", "external",
}

// Weight returns the default weight of a kind.
func Weight(kind string) (int64, bool) {
	for _, w := range weights {
		if w.Name == kind {
			return w.Number, true
		}
	}
	return 0, false
}

// Added is what one event did to a score.
type Added struct {
	Event    store.ID   `cbor:"1,keyasint"`
	Score    int64      `cbor:"2,keyasint"`
	Previous Rank       `cbor:"3,keyasint"`
	Rank     Rank       `cbor:"4,keyasint"`
	At       store.Time `cbor:"5,keyasint"`
}

// Add changes a user's score within any command. A change of rank is an event
// of its own for the outside.
func Add(ctx *fsm.Context, e Event) Added {
	s := Of(ctx, e.User)
	e.ID, e.At, e.Before = ctx.NewID("evt"), ctx.Now, s.Last
	steps := stepsOf(ctx)
	added := Added{Event: e.ID, Previous: rankIn(steps, s.Score), At: ctx.Now}

	addTotals(ctx, e.Weight, s.Events == 0)
	e.Score = saturate(s.Score, e.Weight)
	s.Last = events.Add(ctx, e) + 1
	s.Score, s.Events, s.LastAt = e.Score, s.Events+1, ctx.Now
	scores.Put(ctx, s)

	added.Score, added.Rank = s.Score, rankIn(steps, s.Score)
	if added.Rank != added.Previous {
		outbox.Emit(ctx, outbox.Event{Kind: "reputation.rank_changed", Users: []store.ID{e.User}, Facts: []fsm.Detail{
			fsm.Text("previousRank", added.Previous.ID), fsm.Text("newRank", added.Rank.ID), fsm.Number("score", s.Score),
		}})
	}
	return added
}

func addTotals(ctx *fsm.Context, weight int64, first bool) {
	t := TotalsOf(ctx)
	t.Events++
	t.Weight = saturate(t.Weight, weight)
	if first {
		t.Users++
	}
	totals.Put(ctx, t)
}

// saturate adds and stops at the ends of int64: a score is no money.
func saturate(a, b int64) int64 {
	sum := a + b
	if b > 0 && sum < a {
		return math.MaxInt64
	}
	if b < 0 && sum > a {
		return math.MinInt64
	}
	return sum
}

// Recent returns a user's latest events, newest first.
func Recent(r store.Reader, user store.ID, limit int) []Event {
	list := []Event{}
	for at := Of(r, user).Last; at != 0 && len(list) < limit; {
		e := events.At(r, at-1)
		list = append(list, e)
		at = e.Before
	}
	return list
}

// Since is the number of the first event at or after a time; events are in
// order of time.
func Since(r store.Reader, at store.Time) uint64 {
	length := events.Length(r)
	return uint64(sort.Search(int(length), func(i int) bool { return events.At(r, uint64(i)).At >= at }))
}

// EventCount is the number of all events.
func EventCount(r store.Reader) uint64 { return events.Length(r) }

// EventAt returns the event of a number below EventCount.
func EventAt(r store.Reader, number uint64) Event { return events.At(r, number) }
