// Package veilnetx is the ledger area of the AEVION surface: the public chain of
// entries, its head and its verification, below /api/veilnetx-ledger.
package veilnetx

import (
	"net/http"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/http/aevion"
	"coffer/http/api"
)

// Area answers /api/veilnetx-ledger and the older /api/veilnetx.
type Area struct {
	aevion.Deps
	verifications verifications
}

// New makes the area and the one of the older paths.
func New(deps aevion.Deps) []api.Area {
	a := &Area{Deps: deps}
	routes := append(a.entryRoutes(), a.chainRoutes()...)
	area := func(name, prefix string, routes []api.Route) api.Area {
		return deps.Area(api.Area{
			Name: name, Prefix: prefix, Tag: "VeilNetX Ledger", Codes: codes, Routes: routes,
			Rejections: fsm.Rejections{identity.ErrAuthRequired},
		})
	}
	return []api.Area{
		area("veilnetx-ledger", "/api/veilnetx-ledger", routes),
		area("veilnetx", "/api/veilnetx", a.olderRoutes()),
	}
}

var codes = api.Codes{
	"entry_not_found":    {Status: http.StatusNotFound, Message: "There is no such entry."},
	"module_reserved":    {Status: http.StatusForbidden, Message: "Only the platform writes entries of this module."},
	"invalid_module":     {Status: http.StatusBadRequest, Message: "This module is not known."},
	"invalid_kind":       {Status: http.StatusBadRequest, Message: "This kind is not known."},
	"invalid_currency":   {Status: http.StatusBadRequest, Message: "currency must be three letters."},
	"meta_too_large":     {Status: http.StatusBadRequest, Message: "meta is larger than 4096 bytes."},
	"ledger_not_founded": {Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "The ledger is not founded yet."},
}
