package http

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

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
	// Backup writes a hot copy of the state, encrypted to recipients if there are
	// any, and returns the SHA-256 of what it has written, in hexadecimal.
	Backup func(ctx context.Context, to io.Writer, recipients []string) (sum string, err error)
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
	all.HandleFunc("GET /admin/v1/backup", o.backup)
	all.Handle("/", mux)
	if o.Profiles {
		all.HandleFunc("/debug/pprof/", pprof.Index)
		all.HandleFunc("/debug/pprof/profile", pprof.Profile)
		all.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return all, nil
}

// backup streams a container. A client must throw away what comes without the
// trailer: the status is sent before the copy has ended.
func (o *AdminOptions) backup(w http.ResponseWriter, r *http.Request) {
	const trailer = "Coffer-Backup-Sha256"
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Time{}); err != nil {
		o.Logger.Warn("a backup may be cut by the write limit", "err", err)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", trailer)
	started := &firstWrite{Writer: w}
	sum, err := o.Backup(r.Context(), started, r.URL.Query()["recipient"])
	switch {
	case err == nil:
		w.Header().Set(trailer, sum)
	case !started.done:
		w.Header().Del("Trailer")
		o.refuseBackup(w, err)
	default:
		o.Logger.Error("backup failed", "err", err)
		panic(http.ErrAbortHandler) // the client sees that the stream was cut
	}
}

// refuseBackup answers before anything was written. What no operator has caused
// is logged and not told.
func (o *AdminOptions) refuseBackup(w http.ResponseWriter, err error) {
	status, problem := http.StatusInternalServerError, map[string]any{"code": api.CodeInternal, "title": "The backup was not made."}
	if refusal, known := fsm.AsRejection(err); known {
		status = http.StatusConflict
		if refusal.Kind == fsm.Invalid {
			status = http.StatusUnprocessableEntity
		}
		problem["code"] = refusal.Code
		if reason, ok := refusal.Detail("reason"); ok {
			problem["reason"] = reason.Text
		}
	} else {
		o.Logger.Error("backup failed", "err", err)
	}
	problem["status"] = status
	w.Header().Set("Content-Type", api.ProblemDetailsMedia)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(problem); err != nil {
		o.Logger.Warn("a refusal was not sent", "err", err)
	}
}

// firstWrite notes that something was written.
type firstWrite struct {
	io.Writer
	done bool
}

func (f *firstWrite) Write(p []byte) (int, error) {
	f.done = true
	return f.Writer.Write(p)
}
