package http

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/http/auth"
	"coffer/http/secret"
	"coffer/store"
)

// Options are what the server needs from its node.
type Options struct {
	Proposer fsm.Proposer
	Reader   fsm.Reader
	Latest   func() *store.View // the newest state of this node
	Epoch    func() uint32
	Blind    func(identifier string) string
	BodyHash func(message []byte) [32]byte
	Verify   func(v *store.View, from, to uint64) (ledger.Verified, error)

	JWTSecret  string
	ServiceKey string // of reputation events; empty matches nothing
	Encryption string // key of personal data at rest; empty stores it plain

	TrustProxy bool
	Hosts      []string // names this server answers for; all when empty
	Version    string
	Reasons    func(Role) []string // why the node is not ready; empty means ready
	Metrics    http.Handler        // nil keeps them off this listener
	Logger     *slog.Logger        // of the access log and of causes
	Observe    api.Observer
	Fatal      func(error)
	Strict     bool // for tests: refuse answers that routes do not declare
}

// New makes the public handler: all surfaces, their documents, liveness.
func New(o Options) (http.Handler, error) {
	values := &cached{latest: o.Latest}
	tokens, err := auth.NewTokens(auth.Options{Secret: []byte(o.JWTSecret), Lifetime: values.lifetime})
	if err != nil {
		return nil, err
	}
	key, err := auth.NewServiceKey("ztide", "X-Ztide-Service-Key", nonEmpty(o.ServiceKey), errServiceKey)
	if err != nil {
		return nil, err
	}
	deps, err := dependencies(o, tokens, values)
	if err != nil {
		return nil, err
	}
	all := surfaces(deps, values, []api.Scheme{tokens.Scheme(), key.Scheme("serviceKey")}, o.Version)
	mux, err := api.NewMux(api.Options{
		Surfaces: all, Reader: o.Reader, Authorise: authorise, BodyHash: o.BodyHash, Epoch: o.Epoch,
		Proxies: api.Proxies{LastHop: o.TrustProxy}, Hosts: o.Hosts, Logger: o.Logger, Observe: o.Observe, Fatal: o.Fatal,
		Fallback: aevion.Envelope{}, Strict: o.Strict,
	})
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	return withHealth(aevion.OlderRequests(mux, values.legacy), o), nil
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// errServiceKey answers a wrong service key.
var errServiceKey = &api.Problem{Kind: fsm.Forbidden, Code: "admin_or_service_key_required"}

// authorise checks an actor's session in the view that a handler reads.
func authorise(v *store.View, who fsm.Actor, _ string) error { return identity.Authorize(v, who) }

func dependencies(o Options, tokens *auth.Tokens, values *cached) (aevion.Deps, error) {
	passwords, err := secret.NewPasswords(secret.PasswordOptions{})
	if err != nil {
		return aevion.Deps{}, err
	}
	fields, err := secret.NewFields(o.Encryption, nil)
	if err != nil {
		return aevion.Deps{}, err
	}
	return aevion.Deps{
		Proposer: o.Proposer, Passwords: passwords, Fields: fields, Blind: o.Blind, Verify: o.Verify, Legacy: values.legacy,
		Issue: func(user aevion.Holder, session store.ID, at store.Time, lifetime time.Duration) (string, error) {
			issued := at.Std()
			return tokens.Issue(auth.Claims{
				Subject: user.ID, Email: user.Email, Role: user.Role, Session: string(session),
				Issued: issued, Expires: issued.Add(lifetime),
			})
		},
		Times: func(authorization string) (issued, expires int64, err error) {
			token, err := auth.Bearer(&http.Request{Header: http.Header{"Authorization": {authorization}}})
			if err != nil {
				return 0, 0, err
			}
			claims, err := tokens.Verify(token)
			return claims.Issued.Unix(), claims.Expires.Unix(), err
		},
	}, nil
}
