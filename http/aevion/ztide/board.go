package ztide

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"coffer/fsm"
	"coffer/fsm/reputation"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) boardRoutes() []api.Route {
	return []api.Route{
		api.Get("/leaderboard", a.leaderboard, api.Spec{Summary: "Top scores", Auth: api.Public, Codes: []string{api.CodeInvalidCursor}}),
		api.Get("/rank/{userId}", a.rank, api.Spec{Summary: "Public rank and score of a user", Auth: api.Public}),
		api.Get("/stats", a.stats, api.Spec{Summary: "Distribution", Auth: api.Public}),
		api.Get("/health", a.health, api.Spec{Summary: "Liveness and ranked-user count", Auth: api.Public, Read: fsm.Stale}),
	}
}

type boardRequest struct {
	Cursor api.Cursor `query:"cursor"`
	Limit  int        `query:"limit" clamp:"50,10000" doc:"Users per page, at most 100"`
	Rank   string     `query:"rank" validate:"max=64" doc:"Label of a rank, in any letter case"`
	Since  api.Time   `query:"since" doc:"Ranks by what was earned since, at most 31 days back"`
}

// pageLimit is how many users a page of the board shows to all but older clients.
const pageLimit = 100

type leaderView struct {
	Position    int64    `json:"position"`
	UserID      store.ID `json:"userId"`
	Score       int64    `json:"score"`
	EventCount  int64    `json:"eventCount"`
	Rank        string   `json:"rank"`
	LastEventAt api.Time `json:"lastEventAt"`
}

type boardResponse struct {
	Leaderboard []leaderView `json:"leaderboard"`
	Entries     []leaderView `json:"entries"`
	Total       int64        `json:"total"`
	Next        api.Cursor   `json:"nextCursor,omitzero"`
}

// boardCursor is a place on the board: how many stand before it, and on the
// board of all time behind which row of the index it is.
type boardCursor struct {
	position int64
	after    store.Cursor
}

func (b boardCursor) encode() api.Cursor {
	return api.Cursor(append(binary.BigEndian.AppendUint64(nil, uint64(b.position)), b.after...))
}

// parseBoardCursor reads a place on the board of all time, or of a span.
func parseBoardCursor(cursor api.Cursor, span bool) (boardCursor, error) {
	if len(cursor) == 0 {
		return boardCursor{}, nil
	}
	if len(cursor) < 8 || cursor[0]&0x80 != 0 || span != (len(cursor) == 8) {
		return boardCursor{}, store.ErrCursor
	}
	return boardCursor{int64(binary.BigEndian.Uint64(cursor)), store.Cursor(cursor[8:])}, nil
}

func (a *Area) leaderboard(c *api.Call, in boardRequest) (out boardResponse, err error) {
	start, err := parseBoardCursor(in.Cursor, !in.Since.IsZero())
	if err != nil {
		return out, err
	}
	if !a.Legacy() {
		in.Limit = min(in.Limit, pageLimit)
	}
	err = c.Read(func(v *store.View) error {
		ladder := reputation.Ladder(v)
		in.Rank = rankNamed(ladder, in.Rank)
		wanted := func(score int64) bool { return in.Rank == "" || reputation.RankOf(ladder, score).ID == in.Rank }
		if in.Since.IsZero() {
			out = board(v, ladder, start, in.Limit, wanted)
			out.Total = a.statistics.of(v).total(in.Rank)
			return nil
		}
		since := max(in.Since.Store(), store.Time(aevion.Now(c)).Add(-31*store.Day))
		out = boardSince(v, ladder, since, start, in.Limit, wanted)
		return nil
	})
	out.Entries = out.Leaderboard
	return out, err
}

// rankNamed is the id of a rank in the letter case of the ladder.
func rankNamed(ladder []reputation.Rank, name string) string {
	for _, rank := range ladder {
		if strings.EqualFold(rank.ID, name) {
			return rank.ID
		}
	}
	return name
}

// board pages through the index of all scores.
func board(v *store.View, ladder []reputation.Rank, start boardCursor, limit int, wanted func(int64) bool) boardResponse {
	out := boardResponse{Leaderboard: []leaderView{}}
	at := start
	for cursor, s := range reputation.Leaders(v, start.after) {
		if wanted(s.Score) {
			if len(out.Leaderboard) == limit {
				out.Next = at.encode()
				break
			}
			out.Leaderboard = append(out.Leaderboard, leaderOf(ladder, at.position+1, s))
		}
		at.position++
		at.after = append(at.after[:0:0], cursor...)
	}
	return out
}

func leaderOf(ladder []reputation.Rank, position int64, s reputation.Score) leaderView {
	return leaderView{position, s.User, s.Score, s.Events, reputation.RankOf(ladder, s.Score).ID, api.Time(s.LastAt)}
}

// boardSince ranks by the weights of the events since a time.
func boardSince(v *store.View, ladder []reputation.Rank, since store.Time, start boardCursor, limit int, wanted func(int64) bool) boardResponse {
	sums := map[store.ID]*reputation.Score{}
	for number := reputation.Since(v, since); number < reputation.EventCount(v); number++ {
		e := reputation.EventAt(v, number)
		s := sums[e.User]
		if s == nil {
			s = &reputation.Score{User: e.User}
			sums[e.User] = s
		}
		s.Score, s.Events, s.LastAt = s.Score+e.Weight, s.Events+1, e.At
	}
	out := boardResponse{Leaderboard: []leaderView{}}
	ranked := make([]reputation.Score, 0, len(sums))
	for _, s := range sums {
		ranked = append(ranked, *s)
		if wanted(s.Score) {
			out.Total++
		}
	}
	slices.SortFunc(ranked, func(a, b reputation.Score) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.LastAt, b.LastAt), cmp.Compare(a.User, b.User))
	})
	for at := start.position; at < int64(len(ranked)); at++ {
		if !wanted(ranked[at].Score) {
			continue
		}
		if len(out.Leaderboard) == limit {
			out.Next = boardCursor{position: at}.encode()
			break
		}
		out.Leaderboard = append(out.Leaderboard, leaderOf(ladder, at+1, ranked[at]))
	}
	return out
}

type rankRequest struct {
	UserID string `path:"userId" validate:"max=200"`
}

type rankResponse struct {
	UserID      string   `json:"userId"`
	Score       int64    `json:"score"`
	EventCount  int64    `json:"eventCount"`
	Rank        rankView `json:"rank"`
	RankLabel   string   `json:"rankLabel"`
	LastEventAt api.Time `json:"lastEventAt" nullable:"true"`
}

func (a *Area) rank(c *api.Call, in rankRequest) (out rankResponse, err error) {
	err = c.Read(func(v *store.View) error {
		s := reputation.Of(v, store.ID(in.UserID))
		rank := reputation.RankOf(reputation.Ladder(v), s.Score)
		out = rankResponse{in.UserID, s.Score, s.Events, rankOf(rank), label(rank.ID), api.Time(s.LastAt)}
		return nil
	})
	return out, err
}

type healthResponse struct {
	aevion.ModuleHealth
	RankedUsers int64 `json:"rankedUsers"`
}

func (a *Area) health(c *api.Call, _ api.Empty) (out healthResponse, err error) {
	out.ModuleHealth, err = aevion.Alive(c, "ztide", func(v *store.View) error {
		out.RankedUsers = reputation.TotalsOf(v).Users
		return nil
	})
	return out, err
}
