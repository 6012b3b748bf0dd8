package api

import (
	"errors"
	"net/http"
	"slices"

	"coffer/fsm"
)

// ErrNoCredential is what Scheme.Identify returns when the request carries no
// credential of its kind.
var ErrNoCredential = errors.New("no credential")

// Scheme is one kind of credential of a surface. Identify reads the request and
// never the state; any error but ErrNoCredential refuses the credential, and a
// *Problem is answered as it is.
type Scheme struct {
	Name     string // in OpenAPI, such as "bearerAuth"
	Identify func(*http.Request) (fsm.Actor, error)

	// How OpenAPI describes it: either a bearer token with its format, or the
	// header that carries a key.
	BearerFormat string
	Header       string
	Description  string
}

// Auth says which credentials open a route. Its zero value is refused at
// start, so that nobody forgets it.
type Auth struct {
	schemes  []string
	declared bool
}

// The policies most routes have.
var (
	// Public routes answer anybody, and their handlers see nobody. A credential
	// only decides the rate tier.
	Public = Auth{declared: true}
	// Bearer routes need a token of the scheme "bearerAuth".
	Bearer = Require("bearerAuth")
)

// Require makes a policy: one of the schemes. The first one that the request
// carries decides, in the order given here.
func Require(schemes ...string) Auth {
	if len(schemes) == 0 {
		panic("api: Require names no scheme; say Public")
	}
	return Auth{schemes: slices.Clone(schemes), declared: true}
}

// Schemes names the schemes of the policy; a public route has none.
func (a Auth) Schemes() []string { return slices.Clone(a.schemes) }

// Public tells that anybody may call.
func (a Auth) Public() bool { return a.declared && len(a.schemes) == 0 }

// identify tries schemes in order and says why a protected route refuses. It
// refuses nothing by itself: the request has to be counted first.
func identify(r *http.Request, schemes []Scheme) (fsm.Actor, *Problem) {
	for i := range schemes {
		actor, err := schemes[i].Identify(r)
		if err == nil {
			return actor, nil
		}
		if errors.Is(err, ErrNoCredential) {
			continue
		}
		var problem *Problem
		if !errors.As(err, &problem) {
			problem = &Problem{Kind: fsm.Unauthenticated, Code: CodeAuthRequired, Cause: err}
		}
		return fsm.Actor{}, problem
	}
	return fsm.Actor{}, &Problem{Kind: fsm.Unauthenticated, Code: CodeAuthRequired}
}
