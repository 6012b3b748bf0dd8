package reputation

import (
	"fmt"

	"coffer/fsm"
	"coffer/store"
)

// Module is the domain for the list of all domains.
func Module() fsm.Module {
	return fsm.Module{
		Name:     "reputation",
		Tables:   []store.Shape{scores, totals, events},
		Commands: []fsm.Handler{fsm.Handle(IngestEvent, ingest), fsm.Handle(ClaimStreak, claimStreak)},
		Invariants: []fsm.Invariant{
			{Name: "scores are the sums of their events", Check: scoresAddUp},
			{Name: "totals are the sums of all scores", Check: totalsAddUp},
		},
	}
}

func scoresAddUp(v *store.View) error {
	type sum struct{ score, events int64 }
	sums := map[store.ID]sum{}
	var last store.Time
	for i := range EventCount(v) {
		e := EventAt(v, i)
		if e.At < last {
			return fmt.Errorf("event %d is older than the one before", i)
		}
		last = e.At
		s := sums[e.User]
		sums[e.User] = sum{saturate(s.score, e.Weight), s.events + 1}
	}
	for _, s := range scores.Scan(v, store.All{}, nil) {
		if want := sums[s.User]; want.score != s.Score || want.events != s.Events {
			return fmt.Errorf("score of %s is %d after %d events, they say %d after %d",
				s.User, s.Score, s.Events, want.score, want.events)
		}
		delete(sums, s.User)
	}
	if len(sums) > 0 {
		return fmt.Errorf("%d users have events but no score", len(sums))
	}
	return nil
}

func totalsAddUp(v *store.View) error {
	var want Totals
	for _, s := range scores.Scan(v, store.All{}, nil) {
		want.Users++
		want.Events += s.Events
		want.Weight = saturate(want.Weight, s.Score)
	}
	if have := TotalsOf(v); have != want {
		return fmt.Errorf("totals are %+v, the scores give %+v", have, want)
	}
	return nil
}
