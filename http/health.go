package http

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

// withHealth answers what belongs to no surface, and hands all else on.
func withHealth(surfaces http.Handler, o Options) http.Handler {
	health := Health(o.Reasons)
	browser := v5emb.NewHandlerWithConfig(swgui.Config{
		Title: "Coffer", SwaggerJSON: "/api/openapi.json", BasePath: "/docs",
		ShowTopBar: false, HideCurl: false, JsonEditor: false,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/livez" || path == "/readyz":
			health.ServeHTTP(w, r)
		case path == "/metrics" && o.Metrics != nil:
			o.Metrics.ServeHTTP(w, r)
		case path == "/docs" || strings.HasPrefix(path, "/docs/"):
			browser.ServeHTTP(w, r)
		default:
			surfaces.ServeHTTP(w, r)
		}
	})
}

// Role is what a balancer wants of a node; readiness is judged by it.
type Role string

// The roles of /readyz.
const (
	RoleAny       Role = ""           // reads and writes, here or forwarded
	RoleLeader    Role = "leader"     // writes without a way round
	RoleStaleRead Role = "stale-read" // reads of a state that may be a little old
)

// Health answers liveness and readiness on any listener.
func Health(reasons func(Role) []string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, health{Status: "ok"}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Query()["role"]
		role := RoleAny
		if len(asked) == 1 {
			role = Role(asked[0])
		}
		if len(asked) > 1 || role != RoleAny && role != RoleLeader && role != RoleStaleRead {
			answer(w, http.StatusBadRequest, health{Status: "unknown role", Reasons: []string{"role must be leader or stale-read"}})
			return
		}
		ready(w, reasons(role))
	})
	return mux
}

type health struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
}

// ready is 200 only if there is no reason against it.
func ready(w http.ResponseWriter, reasons []string) {
	if len(reasons) == 0 {
		answer(w, http.StatusOK, health{Status: "ready"})
		return
	}
	answer(w, http.StatusServiceUnavailable, health{Status: "not ready", Reasons: reasons})
}

func answer(w http.ResponseWriter, status int, body health) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that has left does not need the rest.
	_ = json.NewEncoder(w).Encode(body)
}
