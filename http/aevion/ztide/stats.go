package ztide

import (
	"math/big"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm/reputation"
	"coffer/fsm/settings"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

// distribution is how all scores are spread.
type distribution struct {
	totals  reputation.Totals
	ranks   []reputation.Rank
	perRank map[string]int64
	top     *int64
	median  int64
}

// total is how many users stand on a rank, or all.
func (d *distribution) total(rank string) int64 {
	if rank == "" {
		return d.totals.Users
	}
	return d.perRank[rank]
}

// statistics remembers the distribution while neither scores nor ranks change:
// it is public, and reads every score.
type statistics struct {
	mu       sync.Mutex
	events   int64
	revision uint64
	latest   *distribution
}

func (s *statistics) of(v *store.View) *distribution {
	totals, revision := reputation.TotalsOf(v), settings.Revision(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil || s.events != totals.Events || s.revision != revision {
		s.latest, s.events, s.revision = distribute(v, totals), totals.Events, revision
	}
	return s.latest
}

func distribute(v *store.View, totals reputation.Totals) *distribution {
	d := &distribution{totals: totals, ranks: reputation.Ladder(v), perRank: map[string]int64{}}
	for _, rank := range d.ranks {
		d.perRank[rank.ID] = 0
	}
	middle := (totals.Users - 1) / 2 // from the top; the lower one of two is next
	var place, upper int64
	for score := range reputation.AllScores(v) {
		if place == 0 {
			top := score
			d.top = &top
		}
		d.perRank[reputation.RankOf(d.ranks, score).ID]++
		if place == middle {
			upper, d.median = score, score
		}
		if place == middle+1 && totals.Users%2 == 0 {
			d.median = (upper + score) / 2
		}
		place++
	}
	return d
}

type stepView struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Min   int64  `json:"min"`
}

type statsResponse struct {
	Service     string           `json:"service"`
	ActiveUsers int64            `json:"active_users"`
	TotalEvents int64            `json:"total_events"`
	TotalWeight int64            `json:"total_weight"`
	TopScore    *int64           `json:"top_score"`
	Ranks       []stepView       `json:"ranks"`
	PerRank     map[string]int64 `json:"perRank"`
	MeanScore   jsontext.Value   `json:"mean_score" doc:"Number with two decimals"`
	MedianScore int64            `json:"median_score"`
	Events24h   int64            `json:"events_24h"`
}

func (a *Area) stats(c *api.Call, _ api.Empty) (out statsResponse, err error) {
	err = c.Read(func(v *store.View) error {
		d := a.statistics.of(v)
		out = statsResponse{
			Service: "ztide", ActiveUsers: d.totals.Users, TotalEvents: d.totals.Events, TotalWeight: d.totals.Weight,
			TopScore: d.top, PerRank: d.perRank, MeanScore: mean(d.totals), MedianScore: d.median,
		}
		for _, rank := range d.ranks {
			out.Ranks = append(out.Ranks, stepView{rank.ID, label(rank.ID), rank.Min})
		}
		dayAgo := store.Time(aevion.Now(c)).Add(-store.Day)
		out.Events24h = int64(reputation.EventCount(v) - reputation.Since(v, dayAgo))
		return nil
	})
	return out, err
}

// mean is the average score with two decimals.
func mean(t reputation.Totals) jsontext.Value {
	if t.Users == 0 {
		return jsontext.Value("0.00")
	}
	text := new(big.Rat).SetFrac64(t.Weight, t.Users).FloatString(2)
	return jsontext.Value(text)
}
