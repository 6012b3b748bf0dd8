package identity

import (
	"strings"

	"coffer/fsm"
	"coffer/store"
)

// User is one identity. E-mails are lower case; a deleted user has none.
type User struct {
	ID         store.ID   `cbor:"1,keyasint"`
	Email      string     `cbor:"2,keyasint,omitempty"`
	Name       string     `cbor:"3,keyasint,omitempty"`
	Role       string     `cbor:"4,keyasint"`
	CreatedAt  store.Time `cbor:"5,keyasint"`
	VerifiedAt store.Time `cbor:"6,keyasint,omitempty"` // of the e-mail
	DeletedAt  store.Time `cbor:"7,keyasint,omitempty"`
}

// RoleUser is the role of everybody; administrators are named by settings.
const RoleUser = "USER"

// Surface names an API surface with credentials of its own.
type Surface string

// AEVION is the surface of wallets, masks, chain, reputation and governance.
const AEVION Surface = "aevion"

// Credential is a user's password on one surface, hashed at the door.
type Credential struct {
	Surface   Surface    `cbor:"1,keyasint"`
	User      store.ID   `cbor:"2,keyasint"`
	Hash      string     `cbor:"3,keyasint"` // argon2id, with its parameters
	Version   uint64     `cbor:"4,keyasint"` // rises with each change
	ChangedAt store.Time `cbor:"5,keyasint"`
}

type credentialKey = store.Pair[store.Text, store.ID]

var (
	users       = store.NewTable("identity.users", func(u *User) store.ID { return u.ID })
	byEmail     = store.AddUnique(users, "email", func(u *User) (store.Text, bool) { return store.Text(u.Email), u.Email != "" })
	credentials = store.NewTable("identity.credentials", func(c *Credential) credentialKey {
		return store.PairOf(store.Text(c.Surface), c.User)
	})
)

// FoldEmail is the one form in which e-mails are stored and compared.
func FoldEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// Get returns a user, a deleted one too.
func Get(r store.Reader, id store.ID) (User, bool) { return users.Get(r, id) }

// ByEmail returns the user with an e-mail, whatever its letter case.
func ByEmail(r store.Reader, email string) (User, bool) {
	folded := FoldEmail(email)
	if strings.IndexByte(folded, 0) >= 0 {
		return User{}, false
	}
	return byEmail.Get(r, store.Text(folded))
}

// CredentialOf returns a user's credential on a surface.
func CredentialOf(r store.Reader, surface Surface, user store.ID) (Credential, bool) {
	return credentials.Get(r, store.PairOf(store.Text(surface), user))
}

// Active returns the user unless it is deleted or unknown.
func Active(r store.Reader, id store.ID) (User, bool) {
	u, ok := users.Get(r, id)
	return u, ok && u.DeletedAt == 0
}

// actor returns the acting user. Only users have identities to change.
func actor(ctx *fsm.Context) (User, error) {
	if ctx.Actor.Kind != fsm.User {
		return User{}, ErrAuthRequired
	}
	u, ok := Active(ctx, store.ID(ctx.Actor.ID))
	if !ok {
		return User{}, ErrAuthRequired
	}
	return u, nil
}
