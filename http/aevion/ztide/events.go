package ztide

import (
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"coffer/fsm"
	"coffer/fsm/reputation"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) eventRoutes() []api.Route {
	return []api.Route{
		api.Post("/events", a.ingest, api.Spec{
			Summary: "Ingest a reputation event", Auth: api.Require(ServiceKey, "bearerAuth"), Idempotent: true,
			Status: http.StatusCreated, Rejections: reputation.IngestEvent.Rejects,
			Codes: []string{"invalid_source_module", "invalid_kind", "meta_too_large"},
		}),
		api.Get("/me", a.me, api.Spec{Summary: "Own score, rank and the last 50 events", Auth: api.Bearer}),
		api.Post("/me/login-streak", a.claim, api.Spec{
			Summary: "Claim the daily login point", Auth: api.Bearer, Status: http.StatusCreated,
			Rejections: reputation.ClaimStreak.Rejects,
		}),
	}
}

type eventRequest struct {
	UserID string `json:"userId" validate:"required,min=1,max=200"`
	eventKind
	source
	Weight api.Integer    `json:"weight,omitzero" validate:"min=-1000,max=1000" doc:"Default: that of the kind"`
	Meta   jsontext.Value `json:"meta,omitzero" validate:"object" doc:"Any object of at most 4096 bytes"`
}

// eventKind is what kind of event it is.
type eventKind struct {
	Kind string `json:"kind" validate:"required,max=64"`
}

// Check wants a kind of the right form.
func (k *eventKind) Check() *api.Violation {
	if kindForm(k.Kind) {
		return nil
	}
	return &api.Violation{Field: "kind", Reason: "must be 2 to 64 of a-z, 0-9 and -"}
}

// source is the module an event comes from.
type source struct {
	SourceModule string `json:"sourceModule" validate:"required"`
}

// Check wants a known module.
func (s *source) Check() *api.Violation {
	if slices.Contains(reputation.Sources, s.SourceModule) {
		return nil
	}
	return &api.Violation{Field: "sourceModule", Reason: "is not known", Code: "invalid_source_module",
		Fields: []api.Field{{Name: "allowed", Value: reputation.Sources}}}
}

// maxMeta is how many bytes of compact JSON the meta of an event may have.
const maxMeta = 4096

// Check wants a weight for the kind, and a small meta.
func (r *eventRequest) Check() *api.Violation {
	if _, known := reputation.Weight(r.Kind); !known && !r.Weight.Set {
		return &api.Violation{Field: "kind", Reason: "has no default weight", Code: "invalid_kind",
			Fields: []api.Field{{Name: "allowed", Value: reputation.Kinds()}}}
	}
	if len(r.Meta) > maxMeta {
		return &api.Violation{Field: "meta", Reason: "must have at most 4096 bytes", Code: "meta_too_large",
			Fields: []api.Field{{Name: "maxBytes", Value: int64(maxMeta)}}}
	}
	return nil
}

// kindForm is ^[a-z0-9][a-z0-9-]{1,63}$.
func kindForm(kind string) bool {
	for i := range len(kind) {
		c := kind[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0) {
			return false
		}
	}
	return len(kind) >= 2
}

type eventResponse struct {
	EventID      store.ID `json:"eventId"`
	NewScore     int64    `json:"newScore"`
	PreviousRank string   `json:"previousRank"`
	NewRank      string   `json:"newRank"`
	Promoted     bool     `json:"promoted"`
	Demoted      bool     `json:"demoted"`
	UserID       string   `json:"userId"`
	Kind         string   `json:"kind"`
	SourceModule string   `json:"sourceModule"`
	Weight       int64    `json:"weight"`
	CreatedAt    api.Time `json:"createdAt"`

	rank reputation.Rank
}

// Older is the rank as older clients know it.
func (r eventResponse) Older() []aevion.OlderMember {
	return []aevion.OlderMember{{Name: "rank", Value: rankOf(r.rank)}}
}

func (a *Area) ingest(c *api.Call, in eventRequest) (eventResponse, error) {
	weight, _ := reputation.Weight(in.Kind)
	if in.Weight.Set {
		weight = in.Weight.Value
	}
	done, err := reputation.IngestEvent.Submit(c, a.Proposer, reputation.Ingest{
		User: store.ID(in.UserID), Kind: in.Kind, Source: in.SourceModule, Weight: weight, Meta: string(in.Meta),
	})
	return eventResponse{
		EventID: done.Event, NewScore: done.Score, PreviousRank: done.Previous.ID, NewRank: done.Rank.ID,
		Promoted: done.Rank.Min > done.Previous.Min, Demoted: done.Rank.Min < done.Previous.Min,
		UserID: in.UserID, Kind: in.Kind, SourceModule: in.SourceModule, Weight: weight, CreatedAt: api.Time(done.At),
		rank: done.Rank,
	}, err
}

type rankView struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Min   int64  `json:"min"`
	Next  *int64 `json:"next"`
}

func rankOf(r reputation.Rank) rankView {
	view := rankView{ID: r.ID, Label: label(r.ID), Min: r.Min}
	if r.Next != 0 {
		view.Next = &r.Next
	}
	return view
}

// label is a rank's id with a capital letter.
func label(id string) string {
	if id == "" {
		return ""
	}
	if c := id[0]; c >= 'a' && c <= 'z' {
		return string(c-'a'+'A') + id[1:]
	}
	return id
}

type eventView struct {
	ID           store.ID       `json:"id"`
	Kind         string         `json:"kind"`
	SourceModule string         `json:"sourceModule"`
	Weight       int64          `json:"weight"`
	Meta         jsontext.Value `json:"meta" validate:"object"`
	CreatedAt    api.Time       `json:"createdAt"`
}

type meResponse struct {
	UserID       string      `json:"userId"`
	Score        int64       `json:"score"`
	Rank         rankView    `json:"rank"`
	RankLabel    string      `json:"rankLabel"`
	EventCount   int64       `json:"eventCount"`
	LastEventAt  api.Time    `json:"lastEventAt" nullable:"true"`
	RecentEvents []eventView `json:"recentEvents"`
}

// recentEvents is how many events a user sees.
const recentEvents = 50

func (a *Area) me(c *api.Call, _ api.Empty) (out meResponse, err error) {
	id := store.ID(c.Actor().ID)
	err = c.Read(func(v *store.View) error {
		s := reputation.Of(v, id)
		rank := reputation.RankOf(reputation.Ladder(v), s.Score)
		out = meResponse{UserID: string(id), Score: s.Score, Rank: rankOf(rank), RankLabel: label(rank.ID),
			EventCount: s.Events, LastEventAt: api.Time(s.LastAt), RecentEvents: []eventView{}}
		for _, e := range reputation.Recent(v, id, recentEvents) {
			view := eventView{e.ID, e.Kind, e.Source, e.Weight, jsontext.Value(e.Meta), api.Time(e.At)}
			if e.Meta == "" {
				if view.Meta, err = factsOf(e); err != nil {
					return err
				}
			}
			out.RecentEvents = append(out.RecentEvents, view)
		}
		return nil
	})
	return out, err
}

// factsOf is the meta of events the platform itself has made.
func factsOf(e reputation.Event) (jsontext.Value, error) {
	return api.AppendJSON(nil, aevion.Members(e.Facts))
}

type claimResponse struct {
	OK     bool     `json:"ok"`
	UserID string   `json:"userId"`
	Kind   string   `json:"kind"`
	Weight int64    `json:"weight"`
	Score  int64    `json:"score"`
	Rank   rankView `json:"rank"`
}

func (a *Area) claim(c *api.Call, _ api.Empty) (claimResponse, error) {
	done, err := reputation.ClaimStreak.Submit(c, a.Proposer, fsm.Nothing{})
	weight, _ := reputation.Weight("login-streak")
	return claimResponse{OK: true, UserID: c.Actor().ID, Kind: "login-streak", Weight: weight, Score: done.Score, Rank: rankOf(done.Rank)}, err
}
