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
		return loginResponse{}, busy(err)
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

type profileView struct {
	userView
	CreatedAt       api.Time `json:"createdAt"`
	EmailVerifiedAt api.Time `json:"emailVerifiedAt" nullable:"true"`
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
	out.Payload.Issued, out.Payload.Expires, err = a.Times(c.Header("Authorization"))
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

type deleteRequest struct {
	Password api.Optional[string] `json:"password,omitzero" validate:"max=200" doc:"Verified when given"`
}

type deleteResponse struct {
	Deleted bool `json:"deleted"`
}

func (a *Area) deleteAccount(c *api.Call, in deleteRequest) (deleteResponse, error) {
	request := identity.Delete{Surface: identity.AEVION}
	if in.Password.Given() {
		found, err := a.verifyActor(c, in.Password.Value)
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
