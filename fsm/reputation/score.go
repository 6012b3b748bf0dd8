package reputation

import (
	"iter"

	"coffer/fsm/settings"
	"coffer/store"
)

// Score is a user's standing. A user of the platform need not exist.
type Score struct {
	User   store.ID   `cbor:"1,keyasint"`
	Score  int64      `cbor:"2,keyasint"`
	Events int64      `cbor:"3,keyasint"`
	LastAt store.Time `cbor:"4,keyasint,omitempty"`
	Last   uint64     `cbor:"5,keyasint,omitempty"` // number + 1 of the latest event
	// StreakAt is when the daily login point was claimed last.
	StreakAt store.Time `cbor:"6,keyasint,omitempty"`
}

// standing orders scores: highest first, then the earlier last event, then the
// user.
type standing = store.Pair[descending, store.Time]

// descending orders numbers from the highest to the lowest.
type descending = store.Newest

// Totals are sums over all users.
type Totals struct {
	Users  int64 `cbor:"1,keyasint"`
	Events int64 `cbor:"2,keyasint"`
	Weight int64 `cbor:"3,keyasint"`
}

var (
	scores      = store.NewTable("reputation.scores", func(s *Score) store.ID { return s.User })
	leaderboard = store.AddIndex(scores, "standing", func(s *Score) (standing, bool) {
		return store.PairOf(descending(s.Score), s.LastAt), true
	})
	totals = store.NewTable("reputation.totals", func(*Totals) store.ID { return "totals" })
)

// Of returns a user's score; an unknown one has zero.
func Of(r store.Reader, user store.ID) Score {
	s, ok := scores.Get(r, user)
	if !ok {
		return Score{User: user}
	}
	return s
}

// TotalsOf returns the sums over all users.
func TotalsOf(r store.Reader) Totals {
	t, _ := totals.Get(r, "totals")
	return t
}

// Leaders visits all scores, best first.
func Leaders(r store.Reader, after store.Cursor) iter.Seq2[store.Cursor, Score] {
	return leaderboard.Scan(r, store.All{}, after)
}

// AllScores visits the plain scores, best first, without reading the rows.
func AllScores(r store.Reader) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for key := range leaderboard.Keys(r, store.All{}, nil) {
			if !yield(int64(key.First)) {
				return
			}
		}
	}
}

// Rank is a step of the ladder.
type Rank struct {
	ID   string `cbor:"1,keyasint"`
	Min  int64  `cbor:"2,keyasint"`
	Next int64  `cbor:"3,keyasint,omitempty"` // score of the next step, 0 on the last one
}

// legacyLadder is the one of older clients (contract, Reputation).
var legacyLadder = []settings.Pair{
	{Name: "seedling", Number: 0}, {Name: "current", Number: 50}, {Name: "wave", Number: 200}, {Name: "stream", Number: 750},
	{Name: "tide", Number: 2500}, {Name: "river", Number: 8000}, {Name: "ocean", Number: 25_000},
}

// stepsOf lists the ladder in force: what an operator has set, else what the
// clients of this ledger know.
func stepsOf(r store.Reader) []settings.Pair {
	if settings.Compat.Of(r) == settings.Legacy && !settings.RankLadder.IsSet(r) {
		return legacyLadder
	}
	return settings.RankLadder.Of(r)
}

// Ladder returns the ranks in force, lowest first.
func Ladder(r store.Reader) []Rank {
	steps := stepsOf(r)
	ladder := make([]Rank, len(steps))
	for i := range steps {
		ladder[i] = rankAt(steps, i)
	}
	return ladder
}

func rankAt(steps []settings.Pair, i int) Rank {
	rank := Rank{ID: steps[i].Name, Min: steps[i].Number}
	if i+1 < len(steps) {
		rank.Next = steps[i+1].Number
	}
	return rank
}

// rankIn is RankOf without making the ladder.
func rankIn(steps []settings.Pair, score int64) Rank {
	at := 0
	for at+1 < len(steps) && score >= steps[at+1].Number {
		at++
	}
	return rankAt(steps, at)
}

// RankOf returns the step a score stands on. Scores below the first bound stand
// on the lowest step.
func RankOf(ladder []Rank, score int64) Rank {
	rank := ladder[0]
	for _, step := range ladder[1:] {
		if score < step.Min {
			break
		}
		rank = step
	}
	return rank
}
