package auth

import (
	"errors"
	"fmt"
	"time"

	"coffer/fsm/identity"
	"coffer/fsm/settings"
	"coffer/http/api"
	"coffer/http/secret"
	"coffer/store"
)

type loginRequest struct {
	Email    string `json:"email" validate:"required" mod:"trim,lower"`
	Password string `json:"password" validate:"required,max=200"`
}

// login verifies the password here, at the door; the log opens the session if
// the credential is still the one verified.
func (a *Area) login(c *api.Call, in loginRequest) (loginResponse, error) {
	found, err := a.verify(c, in.Password, func(v *store.View) (identity.User, bool) { return identity.ByEmail(v, in.Email) })
	if err != nil {
		return loginResponse{}, err
	}
	if !found.right {
		return loginResponse{}, a.refuse(c, found.user, "login.failed")
	}
	done, err := identity.StartSession.Submit(c, a.Proposer, identity.Login{
		Surface: identity.AEVION, User: found.user, Version: found.version,
	})
	if err != nil {
		return loginResponse{}, err
	}
	return a.loggedIn(done, found.lifetime)
}

// verified is what the door knows about an attempt to prove a password.
type verified struct {
	user     store.ID // empty for nobody
	version  uint64   // of the credential
	right    bool
	lifetime time.Duration
}

// verify takes the same time for right, wrong and unknown.
func (a *Area) verify(c *api.Call, password string, find func(*store.View) (identity.User, bool)) (found verified, err error) {
	var hash string
	err = c.Read(func(v *store.View) error {
		found.lifetime = time.Duration(settings.TokenLifetime.Of(v)) * time.Microsecond
		u, ok := find(v)
		if !ok {
			return nil
		}
		credential, ok := identity.CredentialOf(v, identity.AEVION, u.ID)
		if ok {
			found.user, found.version, hash = u.ID, credential.Version, credential.Hash
		}
		return nil
	})
	if err != nil {
		return found, err
	}
	if hash == "" {
		return found, busy(a.Passwords.VerifyNobody(c, password))
	}
	found.right, _, err = a.Passwords.Verify(c, hash, password)
	return found, busy(err)
}

// busy tells a client to come back when too many others wait for a hash.
func busy(err error) error {
	if errors.Is(err, secret.ErrBusy) {
		return fmt.Errorf("%w: %w", api.ErrNotApplied, err)
	}
	return err
}

// refuse answers a wrong password and puts the attempt on the trail of the user
// it was aimed at. Nobody's attempt goes to the log too, where it leaves no
// trace: else the time of an answer would tell which e-mails have accounts.
func (a *Area) refuse(c *api.Call, user store.ID, action string) error {
	if _, err := identity.RecordFailure.Submit(c, a.Proposer, identity.Failure{User: user, Action: action}); err != nil {
		return err
	}
	return identity.ErrBadCredentials
}

type passwordRequest struct {
	Current string `json:"currentPassword" validate:"required,max=200"`
	New     string `json:"newPassword" validate:"required,min=6,max=200"`
}

type passwordResponse struct {
	Changed bool `json:"changed"`
}

func (a *Area) changePassword(c *api.Call, in passwordRequest) (passwordResponse, error) {
	found, err := a.verifyActor(c, in.Current)
	if err != nil {
		return passwordResponse{}, err
	}
	if !found.right {
		return passwordResponse{}, a.refuse(c, found.user, "password.change.failed")
	}
	hash, err := a.Passwords.Hash(c, in.New)
	if err != nil {
		return passwordResponse{}, busy(err)
	}
	_, err = identity.SetPassword.Submit(c, a.Proposer, identity.ChangePassword{
		Surface: identity.AEVION, Version: found.version, Hash: hash,
	})
	return passwordResponse{Changed: true}, err
}

// verifyActor verifies the password of whoever asks.
func (a *Area) verifyActor(c *api.Call, password string) (verified, error) {
	return a.verify(c, password, func(v *store.View) (identity.User, bool) {
		return identity.Active(v, store.ID(c.Actor().ID))
	})
}
