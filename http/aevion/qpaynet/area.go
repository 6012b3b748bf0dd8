// Package qpaynet is the wallet area of the AEVION surface: wallets, deposits,
// withdrawals, transfers, KYC and their administration, below /api/qpaynet.
package qpaynet

import (
	"coffer/fsm/identity"
	"coffer/fsm/settings"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

// Area answers /api/qpaynet.
type Area struct{ aevion.Deps }

const prefix = "/api/qpaynet"

// New makes the area.
func New(deps aevion.Deps) api.Area {
	a := &Area{deps}
	var routes []api.Route
	for _, group := range [][]api.Route{
		a.walletRoutes(), a.paymentRoutes(), a.transferRoutes(), a.transactionRoutes(),
		a.kycRoutes(), a.overviewRoutes(), a.adminRoutes(),
	} {
		routes = append(routes, group...)
	}
	return deps.Area(api.Area{
		Name: "qpaynet", Prefix: prefix, Tag: "QPayNet", Codes: codes, Routes: routes,
	})
}

// user is the id of whoever asks.
func user(c *api.Call) store.ID { return store.ID(c.Actor().ID) }

// mayAdminister refuses whoever is not on the allow-list of this area.
func mayAdminister(v *store.View, c *api.Call) error {
	if !identity.IsAdmin(v, c.Actor(), settings.QPayNetAdmins) {
		return identity.ErrNotAdmin
	}
	return nil
}
