package http

import (
	"log/slog"
	"net/http"
	"net/http/pprof"

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
	// Profiles serves Go profiles below /debug/pprof/.
	Profiles bool
	Logger   *slog.Logger
	Fatal    func(error)
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
	all := http.NewServeMux()
	all.Handle("/livez", Health(o.Reasons))
	all.Handle("/readyz", Health(o.Reasons))
	all.Handle("/metrics", o.Metrics)
	all.Handle("/", mux)
	if o.Profiles {
		all.HandleFunc("/debug/pprof/", pprof.Index)
		all.HandleFunc("/debug/pprof/profile", pprof.Profile)
		all.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return all, nil
}
