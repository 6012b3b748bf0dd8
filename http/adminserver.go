package http

import (
	"log/slog"
	"net/http"

	"coffer/fsm"
	"coffer/http/admin"
	"coffer/http/api"
	"coffer/store"
)

// AdminOptions are what the admin listener needs from its node.
type AdminOptions struct {
	Reader  fsm.Reader
	Deps    admin.Deps
	Epoch   func() uint32
	Reasons func() []string
	Metrics http.Handler
	Logger  *slog.Logger
	Fatal   func(error)
}

// NewAdmin makes the handler of the admin listener.
func NewAdmin(o AdminOptions) (http.Handler, error) {
	mux, err := api.NewMux(api.Options{
		Surfaces: []api.Surface{admin.Surface(o.Deps)}, Reader: o.Reader, Epoch: o.Epoch,
		Authorise: func(*store.View, fsm.Actor, string) error { return nil },
		Logger:    o.Logger, Fatal: o.Fatal,
	})
	if err != nil {
		return nil, err
	}
	health := Health(o.Reasons)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/livez", "/readyz":
			health.ServeHTTP(w, r)
		case "/metrics":
			o.Metrics.ServeHTTP(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	}), nil
}
