package identity

import (
	"coffer/fsm"
	"coffer/store"
)

// EndSession is the input of RevokeSession.
type EndSession struct {
	Session store.ID `cbor:"1,keyasint"`
	Action  string   `cbor:"2,keyasint"` // "logout" or "session.revoke", for the trail
}

// RevokeSession ends one of the acting user's sessions.
var RevokeSession = fsm.Command[EndSession, fsm.Nothing]{
	Name: "identity.revoke_session/1", Rejects: fsm.Rejections{ErrNoSession},
}

func revokeSession(ctx *fsm.Context, c EndSession) (fsm.Nothing, error) {
	s, ok := sessions.Get(ctx, c.Session)
	if !ok || ctx.Actor.Kind != fsm.User || s.User != store.ID(ctx.Actor.ID) || s.RevokedAt != 0 {
		return fsm.Nothing{}, ErrNoSession
	}
	s.RevokedAt = ctx.Now
	sessions.Put(ctx, s)
	Audit(ctx, AuthTrail, s.User, c.Action, fsm.Text("sessionId", string(s.ID)))
	return fsm.Nothing{}, nil
}

// EndSessions is the input of RevokeOthers.
type EndSessions struct {
	Surface Surface `cbor:"1,keyasint"`
}

// Revoked says how many sessions ended.
type Revoked struct {
	Count int64 `cbor:"1,keyasint"`
}

// RevokeOthers ends all sessions of the acting user but the current one.
var RevokeOthers = fsm.Command[EndSessions, Revoked]{Name: "identity.revoke_others/1", Rejects: fsm.Rejections{ErrAuthRequired}}

func revokeOthers(ctx *fsm.Context, c EndSessions) (Revoked, error) {
	u, err := actor(ctx)
	if err != nil {
		return Revoked{}, err
	}
	count := revoke(ctx, c.Surface, u.ID, store.ID(ctx.Actor.Session))
	Audit(ctx, AuthTrail, u.ID, "logout-all", fsm.Number("revokedCount", count))
	return Revoked{Count: count}, nil
}

// Delete is the input of DeleteAccount. The door has verified the password,
// when one was given, against the credential of this version.
type Delete struct {
	Surface  Surface `cbor:"1,keyasint"`
	Verified bool    `cbor:"2,keyasint,omitempty"`
	Version  uint64  `cbor:"3,keyasint,omitempty"`
}

// DeleteAccount removes what identifies the acting user and ends all sessions.
// History stays. Other domains follow through AccountDeleted.
var DeleteAccount = fsm.Command[Delete, fsm.Nothing]{
	Name: "identity.delete_account/1", Rejects: fsm.Rejections{ErrAuthRequired, ErrBadCredentials},
}

// AccountDeleted tells other domains in the same batch.
var AccountDeleted = fsm.NewHook[store.ID]("identity.account_deleted")

func deleteAccount(ctx *fsm.Context, c Delete) (fsm.Nothing, error) {
	u, err := actor(ctx)
	if err != nil {
		return fsm.Nothing{}, err
	}
	credential, _ := CredentialOf(ctx, c.Surface, u.ID)
	if c.Verified && credential.Version != c.Version {
		return fsm.Nothing{}, ErrBadCredentials
	}
	u.Email, u.Name, u.DeletedAt = "", "", ctx.Now
	users.Put(ctx, u)
	credentials.Delete(ctx, store.PairOf(store.Text(c.Surface), u.ID))
	revoke(ctx, everySurface, u.ID, "")
	countUsers(ctx, -1)
	Audit(ctx, AuthTrail, u.ID, "account.delete")
	return fsm.Nothing{}, AccountDeleted.Fire(ctx, u.ID)
}
