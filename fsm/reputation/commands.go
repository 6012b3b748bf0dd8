package reputation

import (
	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/outbox"
	"coffer/fsm/settings"
	"coffer/store"
)

// Rejections of the reputation commands.
var (
	ErrNotAllowed = fsm.Reject(fsm.Forbidden, "admin_or_service_key_required")
	ErrCooldown   = fsm.Reject(fsm.Limited, "streak_cooldown")
)

// Ingest is the input of IngestEvent.
type Ingest struct {
	User   store.ID `cbor:"1,keyasint"`
	Kind   string   `cbor:"2,keyasint"`
	Source string   `cbor:"3,keyasint"`
	Weight int64    `cbor:"4,keyasint"`
	Meta   string   `cbor:"5,keyasint,omitempty"`
}

// IngestEvent adds an event from outside. A service key or an administrator of
// Z-Tide may.
var IngestEvent = fsm.Command[Ingest, Added]{
	Name: "reputation.ingest/1", Rejects: fsm.Rejections{ErrNotAllowed},
}

func ingest(ctx *fsm.Context, c Ingest) (Added, error) {
	if ctx.Actor.Kind != fsm.Service && !identity.IsAdmin(ctx, ctx.Actor, settings.ZTideAdmins) {
		return Added{}, ErrNotAllowed
	}
	added := Add(ctx, Event{User: c.User, Kind: c.Kind, Source: c.Source, Weight: c.Weight, Meta: c.Meta})
	emitScored(ctx, c.User, c.Kind, c.Weight, added)
	return added, nil
}

func emitScored(ctx *fsm.Context, user store.ID, kind string, weight int64, added Added) {
	outbox.Emit(ctx, outbox.Event{Kind: "reputation.scored", Users: []store.ID{user}, Facts: []fsm.Detail{
		fsm.Text("kind", kind), fsm.Number("delta", weight), fsm.Number("score", added.Score),
		fsm.Text("previousRank", added.Previous.ID), fsm.Text("newRank", added.Rank.ID),
	}})
}

// StreakCooldown is how long after a login point the next one is refused.
const StreakCooldown = 20 * store.Hour

// ClaimStreak gives the acting user the daily login point.
var ClaimStreak = fsm.Command[fsm.Nothing, Added]{
	Name: "reputation.claim_streak/1", Rejects: fsm.Rejections{identity.ErrAuthRequired, ErrCooldown},
}

func claimStreak(ctx *fsm.Context, _ fsm.Nothing) (Added, error) {
	if ctx.Actor.Kind != fsm.User {
		return Added{}, identity.ErrAuthRequired
	}
	user := store.ID(ctx.Actor.ID)
	s := Of(ctx, user)
	if next := s.StreakAt.Add(StreakCooldown); s.StreakAt != 0 && ctx.Now < next {
		return Added{}, ErrCooldown.With(fsm.Text("nextAvailableAt", next.String()))
	}
	weight, _ := Weight("login-streak")
	added := Add(ctx, Event{User: user, Kind: "login-streak", Source: "auth", Weight: weight})
	s = Of(ctx, user)
	s.StreakAt = ctx.Now
	scores.Put(ctx, s)
	emitScored(ctx, user, "login-streak", weight, added)
	return added, nil
}
