package identity

import (
	"iter"

	"coffer/fsm"
	"coffer/store"
)

// Session is one login. A token is good while its session is.
type Session struct {
	ID         store.ID   `cbor:"1,keyasint"`
	User       store.ID   `cbor:"2,keyasint"`
	Surface    Surface    `cbor:"3,keyasint"`
	CreatedAt  store.Time `cbor:"4,keyasint"`
	LastActive store.Time `cbor:"5,keyasint"` // to a few minutes
	IP         string     `cbor:"6,keyasint,omitempty"`
	Agent      string     `cbor:"7,keyasint,omitempty"`
	RevokedAt  store.Time `cbor:"8,keyasint,omitempty"`
}

var (
	sessions       = store.NewTable("identity.sessions", func(s *Session) store.ID { return s.ID })
	sessionsByUser = store.AddIndex(sessions, "user", func(s *Session) (store.Pair[store.ID, store.Newest], bool) {
		return store.PairOf(s.User, store.Newest(s.CreatedAt)), true
	})
)

// ErrAuthRequired answers an actor whose session does not hold.
var ErrAuthRequired = fsm.Reject(fsm.Unauthenticated, "auth_required")

// Authorize checks in one view that an actor's session holds. Actors without a
// session are none of its business.
func Authorize(r store.Reader, who fsm.Actor) error {
	if who.Kind != fsm.User {
		return nil
	}
	s, ok := sessions.Get(r, store.ID(who.Session))
	if !ok || s.RevokedAt != 0 || s.User != store.ID(who.ID) {
		return ErrAuthRequired
	}
	return nil
}

// activityStep is how exact LastActive is: one write per step, not per request.
const activityStep = 5 * store.Minute

// before refuses every command of a session that does not hold.
func before(ctx *fsm.Context) error {
	if ctx.Actor.Kind != fsm.User {
		return nil
	}
	if err := Authorize(ctx, ctx.Actor); err != nil {
		return err
	}
	s, _ := sessions.Get(ctx, store.ID(ctx.Actor.Session))
	if s.LastActive.Add(activityStep) <= ctx.Now {
		s.LastActive = ctx.Now
		sessions.Put(ctx, s)
	}
	return nil
}

// Sessions visits a user's sessions on a surface, newest first.
func Sessions(r store.Reader, surface Surface, user store.ID) iter.Seq[Session] {
	return func(yield func(Session) bool) {
		for _, s := range sessionsByUser.Scan(r, user, nil) {
			if s.Surface == surface && !yield(s) {
				return
			}
		}
	}
}

// MaxSessions is how many sessions of a user are kept, open or not. A login
// beyond forgets the oldest ones, which ends them.
const MaxSessions = 100

// open starts a session for the actor's address and program.
func open(ctx *fsm.Context, surface Surface, user store.ID) Session {
	forgetOldest(ctx, user, MaxSessions-1)
	s := Session{
		ID: ctx.NewID("ses"), User: user, Surface: surface,
		CreatedAt: ctx.Now, LastActive: ctx.Now, IP: ctx.Actor.IP, Agent: ctx.Actor.Agent,
	}
	sessions.Put(ctx, s)
	return s
}

// forgetOldest keeps so many of a user's sessions, the newest.
func forgetOldest(ctx *fsm.Context, user store.ID, kept int) {
	var old []store.ID
	for _, s := range sessionsByUser.Scan(ctx, user, nil) {
		if kept--; kept < 0 {
			old = append(old, s.ID)
		}
	}
	for _, id := range old {
		sessions.Delete(ctx, id)
	}
}

// everySurface makes revoke end the sessions of all surfaces.
const everySurface Surface = ""

// revoke ends a user's sessions on a surface except one; it returns how many.
func revoke(ctx *fsm.Context, surface Surface, user, except store.ID) int64 {
	var open []Session
	for _, s := range sessionsByUser.Scan(ctx, user, nil) {
		if s.RevokedAt == 0 && s.ID != except && (surface == everySurface || s.Surface == surface) {
			open = append(open, s)
		}
	}
	for _, s := range open {
		s.RevokedAt = ctx.Now
		sessions.Put(ctx, s)
	}
	return int64(len(open))
}
