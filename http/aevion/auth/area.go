// Package auth is the identity area of the AEVION surface: accounts, logins,
// sessions and their audit trail, below /api/auth.
package auth

import (
	"net/http"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/http/aevion"
	"coffer/http/api"
)

// Area answers /api/auth.
type Area struct{ aevion.Deps }

// New makes the area.
func New(deps aevion.Deps) api.Area {
	a := &Area{deps}
	routes := a.accountRoutes()
	routes = append(routes, a.sessionRoutes()...)
	routes = append(routes, healthRoutes()...)
	return deps.Area(api.Area{
		Name: "auth", Prefix: "/api/auth", Tag: "Auth", Codes: codes, Routes: routes,
		Rejections: fsm.Rejections{identity.ErrAuthRequired},
	})
}

var codes = api.Codes{
	"email_already_exists": {Status: http.StatusConflict, Message: "An account with this e-mail exists already."},
	"invalid_credentials":  {Status: http.StatusUnauthorized, Message: "E-mail or password is wrong."},
	"session_not_found":    {Status: http.StatusNotFound, Code: "not_found", Message: "There is no such open session."},
}
