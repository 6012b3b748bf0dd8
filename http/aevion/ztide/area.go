// Package ztide is the reputation area of the AEVION surface: scores, ranks and
// the leaderboard, below /api/ztide.
package ztide

import (
	"net/http"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/http/aevion"
	"coffer/http/api"
)

// Area answers /api/ztide.
type Area struct {
	aevion.Deps
	statistics statistics
}

// ServiceKey is the scheme of the key that other services ingest events with.
const ServiceKey = "serviceKey"

// New makes the area.
func New(deps aevion.Deps) api.Area {
	a := &Area{Deps: deps}
	routes := append(a.eventRoutes(), a.boardRoutes()...)
	return deps.Area(api.Area{
		Name: "ztide", Prefix: "/api/ztide", Tag: "Z-Tide", Codes: codes, Routes: routes,
		Rejections: fsm.Rejections{identity.ErrAuthRequired},
	})
}

var codes = api.Codes{
	"admin_or_service_key_required": {Status: http.StatusForbidden, Message: "This needs the service key or an administrator of Z-Tide."},
	"streak_cooldown":               {Status: http.StatusTooManyRequests, Message: "The daily point was claimed less than 20 hours ago."},
	"invalid_source_module":         {Status: http.StatusBadRequest, Message: "This source module is not known."},
	"invalid_kind":                  {Status: http.StatusBadRequest, Message: "A kind without a default weight needs an explicit weight."},
	"meta_too_large":                {Status: http.StatusBadRequest, Message: "meta is larger than 4096 bytes."},
}
