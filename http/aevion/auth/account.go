package auth

import (
	"net/http"
	"strings"
	"time"

	"coffer/fsm/identity"
	"coffer/fsm/settings"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) accountRoutes() []api.Route {
	return []api.Route{
		api.Post("/register", a.register, api.Spec{
			Summary: "Create an account", Auth: api.Public, Status: http.StatusCreated,
			Rejections: identity.RegisterUser.Rejects,
		}),
		api.Post("/login", a.login, api.Spec{
			Summary: "Exchange e-mail and password for a token", Auth: api.Public, Rate: api.RateStrict,
			Rejections: identity.StartSession.Rejects,
		}),
		api.Get("/me", a.me, api.Spec{Summary: "Current profile", Auth: api.Bearer}),
		api.Patch("/me", a.rename, api.Spec{
			Summary: "Change the display name", Auth: api.Bearer, Rejections: identity.RenameUser.Rejects,
		}),
		api.Post("/password/change", a.changePassword, api.Spec{
			Summary: "Change the password; all other sessions end", Auth: api.Bearer, Rejections: identity.SetPassword.Rejects,
		}),
		api.Delete("/account", a.deleteAccount, api.Spec{
			Summary:     "Delete the own account",
			Description: "What identifies the user is removed, history stays. Wallets with money are frozen.",
			Auth:        api.Bearer, Rejections: identity.DeleteAccount.Rejects,
		}),
	}
}

type registerRequest struct {
	Email    string `json:"email" validate:"required,mail" mod:"trim,lower" doc:"At most 254 characters, compared without letter case"`
	Password string `json:"password" validate:"required,min=6,max=200"`
	Name     string `json:"name,omitempty" validate:"max=200" mod:"trim" doc:"Default: the e-mail up to the @"`
}

type userView struct {
	ID    store.ID `json:"id"`
	Email string   `json:"email"`
	Name  string   `json:"name"`
	Role  string   `json:"role"`
}

type loginResponse struct {
	Token     string   `json:"token"`
	SessionID store.ID `json:"sessionId"`
	User      userView `json:"user"`
}

func (a *Area) register(c *api.Call, in registerRequest) (loginResponse, error) {
	if in.Name == "" {
		in.Name, _, _ = strings.Cut(in.Email, "@")
	}
	hash, err := a.Passwords.Hash(c, in.Password)
	if err != nil {
		return loginResponse{}, err
	}
	lifetime, err := a.lifetime(c)
	if err != nil {
		return loginResponse{}, err
	}
	done, err := identity.RegisterUser.Submit(c, a.Proposer, identity.Register{
		Surface: identity.AEVION, Email: in.Email, Name: in.Name, Hash: hash,
	})
	if err != nil {
		return loginResponse{}, err
	}
	return a.loggedIn(done, lifetime)
}

// lifetime is how long a token of now is good.
func (a *Area) lifetime(c *api.Call) (lifetime time.Duration, err error) {
	err = c.Read(func(v *store.View) error {
		lifetime = time.Duration(settings.TokenLifetime.Of(v)) * time.Microsecond
		return nil
	})
	return lifetime, err
}

func (a *Area) loggedIn(done identity.LoggedIn, lifetime time.Duration) (loginResponse, error) {
	u := done.User
	token, err := a.Issue(aevion.Holder{ID: string(u.ID), Email: u.Email, Role: u.Role}, done.Session, store.Time(done.At), lifetime)
	if err != nil {
		return loginResponse{}, err
	}
	return loginResponse{Token: token, SessionID: done.Session, User: userView{u.ID, u.Email, u.Name, u.Role}}, nil
}

type loginRequest struct {
	Email    string `json:"email" validate:"required" mod:"trim,lower"`
	Password string `json:"password" validate:"required,max=200"`
}

// login verifies the password here, at the door; the log opens the session if
// the credential is still the one verified.
func (a *Area) login(c *api.Call, in loginRequest) (loginResponse, error) {
	found, err := a.verify(c, in.Email, in.Password)
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
func (a *Area) verify(c *api.Call, email, password string) (found verified, err error) {
	var hash string
	err = c.Read(func(v *store.View) error {
		found.lifetime = time.Duration(settings.TokenLifetime.Of(v)) * time.Microsecond
		u, ok := identity.ByEmail(v, email)
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
		return found, a.Passwords.VerifyNobody(c, password)
	}
	found.right, _, err = a.Passwords.Verify(c, hash, password)
	return found, err
}

// refuse answers a wrong password and puts the attempt on the trail of the user
// it was aimed at.
func (a *Area) refuse(c *api.Call, user store.ID, action string) error {
	if user == "" {
		return identity.ErrBadCredentials
	}
	if _, err := identity.RecordFailure.Submit(c, a.Proposer, identity.Failure{User: user, Action: action}); err != nil {
		return err
	}
	return identity.ErrBadCredentials
}

type profileView struct {
	userView
	CreatedAt       api.Time `json:"createdAt"`
	EmailVerifiedAt api.Time `json:"emailVerifiedAt"`
}

type tokenView struct {
	Subject string `json:"sub"`
	Email   string `json:"email"`
	Role    string `json:"role"`
	Session string `json:"sid"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
}

type meResponse struct {
	User    profileView `json:"user"`
	Email   string      `json:"email"`
	Payload tokenView   `json:"tokenPayload"`
}

func (a *Area) me(c *api.Call, _ api.Empty) (out meResponse, err error) {
	err = c.Read(func(v *store.View) error {
		u, _ := identity.Get(v, store.ID(c.Actor().ID))
		out.User = profileView{
			userView: userView{u.ID, u.Email, u.Name, u.Role}, CreatedAt: api.Time(u.CreatedAt), EmailVerifiedAt: api.Time(u.VerifiedAt),
		}
		out.Email = u.Email
		out.Payload.Role = u.Role
		return nil
	})
	if err != nil {
		return meResponse{}, err
	}
	who := c.Actor()
	out.Payload.Subject, out.Payload.Email, out.Payload.Session = who.ID, who.Email, who.Session
	out.Payload.Issued, out.Payload.Expires, err = a.Times(strings.TrimPrefix(c.Header("Authorization"), "Bearer "))
	return out, err
}

type renameRequest struct {
	Name string `json:"name" validate:"required,min=1,max=200" mod:"trim"`
}

type renameResponse struct {
	Updated bool   `json:"updated"`
	Name    string `json:"name"`
}

func (a *Area) rename(c *api.Call, in renameRequest) (renameResponse, error) {
	u, err := identity.RenameUser.Submit(c, a.Proposer, identity.Rename{Name: in.Name})
	return renameResponse{Updated: true, Name: u.Name}, err
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
		return passwordResponse{}, err
	}
	_, err = identity.SetPassword.Submit(c, a.Proposer, identity.ChangePassword{
		Surface: identity.AEVION, Version: found.version, Hash: hash,
	})
	return passwordResponse{Changed: true}, err
}

// verifyActor verifies the password of whoever asks.
func (a *Area) verifyActor(c *api.Call, password string) (verified, error) {
	return a.verify(c, c.Actor().Email, password)
}

type deleteRequest struct {
	Password string `json:"password,omitempty" validate:"max=200" doc:"Verified when given"`
}

type deleteResponse struct {
	Deleted bool `json:"deleted"`
}

func (a *Area) deleteAccount(c *api.Call, in deleteRequest) (deleteResponse, error) {
	request := identity.Delete{Surface: identity.AEVION}
	if in.Password != "" {
		found, err := a.verifyActor(c, in.Password)
		if err != nil {
			return deleteResponse{}, err
		}
		if !found.right {
			return deleteResponse{}, identity.ErrBadCredentials
		}
		request.Verified, request.Version = true, found.version
	}
	_, err := identity.DeleteAccount.Submit(c, a.Proposer, request)
	return deleteResponse{Deleted: true}, err
}
