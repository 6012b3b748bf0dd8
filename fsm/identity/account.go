package identity

import (
	"coffer/fsm"
	"coffer/store"
)

// Rejections of the account commands.
var (
	ErrEmailTaken     = fsm.Reject(fsm.Conflict, "email_already_exists")
	ErrBadCredentials = fsm.Reject(fsm.Unauthenticated, "invalid_credentials")
	ErrNoSession      = fsm.Reject(fsm.NotFound, "session_not_found")
)

// Register is the input of RegisterUser. The password is already hashed.
type Register struct {
	Surface Surface `cbor:"1,keyasint"`
	Email   string  `cbor:"2,keyasint"` // folded
	Name    string  `cbor:"3,keyasint"`
	Hash    string  `cbor:"4,keyasint"`
}

// LoggedIn is a user with a fresh session.
type LoggedIn struct {
	User    User     `cbor:"1,keyasint"`
	Session store.ID `cbor:"2,keyasint"`
	At      int64    `cbor:"3,keyasint"` // log time in microseconds
}

// RegisterUser creates an identity with one credential and opens a session.
var RegisterUser = fsm.Command[Register, LoggedIn]{
	Name: "identity.register/1", Rejects: fsm.Rejections{ErrEmailTaken},
}

func register(ctx *fsm.Context, c Register) (LoggedIn, error) {
	if _, taken := ByEmail(ctx, c.Email); taken {
		return LoggedIn{}, ErrEmailTaken
	}
	u := User{ID: ctx.NewID("usr"), Email: c.Email, Name: c.Name, Role: RoleUser, CreatedAt: ctx.Now}
	users.Put(ctx, u)
	credentials.Put(ctx, Credential{Surface: c.Surface, User: u.ID, Hash: c.Hash, Version: 1, ChangedAt: ctx.Now})
	countUsers(ctx, 1)
	s := open(ctx, c.Surface, u.ID)
	Audit(ctx, AuthTrail, u.ID, "register")
	return LoggedIn{User: u, Session: s.ID, At: int64(ctx.Now)}, nil
}

// Login is the input of StartSession: the door has verified the password
// against the credential of this version.
type Login struct {
	Surface Surface  `cbor:"1,keyasint"`
	User    store.ID `cbor:"2,keyasint"`
	Version uint64   `cbor:"3,keyasint"`
}

// StartSession opens a session. It refuses when the credential has changed
// since the door looked.
var StartSession = fsm.Command[Login, LoggedIn]{
	Name: "identity.start_session/1", Rejects: fsm.Rejections{ErrBadCredentials},
}

func startSession(ctx *fsm.Context, c Login) (LoggedIn, error) {
	u, ok := Active(ctx, c.User)
	credential, known := CredentialOf(ctx, c.Surface, c.User)
	if !ok || !known || credential.Version != c.Version {
		return LoggedIn{}, ErrBadCredentials
	}
	s := open(ctx, c.Surface, u.ID)
	Audit(ctx, AuthTrail, u.ID, "login")
	return LoggedIn{User: u, Session: s.ID, At: int64(ctx.Now)}, nil
}

// Failure is the input of RecordFailure.
type Failure struct {
	User   store.ID `cbor:"1,keyasint"`
	Action string   `cbor:"2,keyasint"` // "login.failed" or "password.change.failed"
}

// RecordFailure puts a failed attempt on the trail of the user it was aimed at.
var RecordFailure = fsm.Command[Failure, fsm.Nothing]{Name: "identity.record_failure/1"}

func recordFailure(ctx *fsm.Context, c Failure) (fsm.Nothing, error) {
	if _, ok := Active(ctx, c.User); ok {
		Audit(ctx, AuthTrail, c.User, c.Action)
	}
	return fsm.Nothing{}, nil
}

// Rename is the input of RenameUser.
type Rename struct {
	Name string `cbor:"1,keyasint"`
}

// RenameUser changes the display name of the acting user.
var RenameUser = fsm.Command[Rename, User]{Name: "identity.rename/1", Rejects: fsm.Rejections{ErrAuthRequired}}

func rename(ctx *fsm.Context, c Rename) (User, error) {
	u, err := actor(ctx)
	if err != nil {
		return User{}, err
	}
	u.Name = c.Name
	users.Put(ctx, u)
	Audit(ctx, AuthTrail, u.ID, "profile.update")
	return u, nil
}

// ChangePassword is the input of SetPassword: the door has verified the old
// password against the credential of this version and hashed the new one.
type ChangePassword struct {
	Surface Surface `cbor:"1,keyasint"`
	Version uint64  `cbor:"2,keyasint"`
	Hash    string  `cbor:"3,keyasint"`
}

// SetPassword replaces the acting user's password and ends all other sessions.
var SetPassword = fsm.Command[ChangePassword, fsm.Nothing]{
	Name: "identity.set_password/1", Rejects: fsm.Rejections{ErrAuthRequired, ErrBadCredentials},
}

func setPassword(ctx *fsm.Context, c ChangePassword) (fsm.Nothing, error) {
	u, err := actor(ctx)
	if err != nil {
		return fsm.Nothing{}, err
	}
	credential, ok := CredentialOf(ctx, c.Surface, u.ID)
	if !ok || credential.Version != c.Version {
		return fsm.Nothing{}, ErrBadCredentials
	}
	credential.Hash, credential.Version, credential.ChangedAt = c.Hash, c.Version+1, ctx.Now
	credentials.Put(ctx, credential)
	revoke(ctx, c.Surface, u.ID, store.ID(ctx.Actor.Session))
	Audit(ctx, AuthTrail, u.ID, "password.change")
	return fsm.Nothing{}, nil
}
