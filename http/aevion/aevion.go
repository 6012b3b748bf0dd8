// Package aevion is what the areas of the AEVION surface share: its envelope,
// its codes, amounts named after their currency, and lists.
package aevion

import (
	"time"

	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/http/api"
	"coffer/http/secret"
	"coffer/store"
)

// Deps is what the areas need from the node.
type Deps struct {
	Proposer  fsm.Proposer
	Passwords *secret.Passwords
	Fields    *secret.Fields // encryption of personal data at rest
	// Issue makes the token of a session that begins at a time.
	Issue func(user Holder, session store.ID, at store.Time, lifetime time.Duration) (string, error)
	// Times reads from an Authorization header when its token was issued and when
	// it expires.
	Times func(authorization string) (issued, expires int64, err error)
	// Blind hides an identifier as the chain does.
	Blind func(identifier string) string
	// Verify recomputes entries of the chain, from and to being indexes.
	Verify func(v *store.View, from, to uint64) (ledger.Verified, error)
	// Legacy tells that answers also carry the older spellings.
	Legacy func() bool
}

// Holder is whom a token names.
type Holder struct {
	ID, Email, Role string
}

// Envelope is the form of all answers of the area with a prefix.
func (d *Deps) Envelope(prefix string) Envelope { return Envelope{d.Legacy, prefix} }

// Surface joins areas to the surface.
func Surface(limits api.Limits, schemes []api.Scheme, areas ...api.Area) api.Surface {
	return api.Surface{Name: "aevion", Areas: areas, Schemes: schemes, Limits: limits}
}

// Area completes an area with what all of this surface have in common.
func (d *Deps) Area(a api.Area) api.Area {
	a.Envelope = d.Envelope(a.Prefix)
	own := a.Codes
	a.Codes = api.Codes{}
	for code, answer := range codes {
		a.Codes[code] = answer
	}
	for code, answer := range own {
		a.Codes[code] = answer
	}
	return a
}
