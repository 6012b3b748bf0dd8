package http

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	Reasons func(Role) []string
	Metrics http.Handler
	// Backup writes a hot copy of the state, encrypted to recipients if there are
	// any, and returns the SHA-256 of what it has written, in hexadecimal.
	Backup func(ctx context.Context, to io.Writer, recipients []string) (sum string, err error)
	// Stall is how long a client of a backup may take nothing; 30 s when zero.
	Stall time.Duration
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
	who, err := o.Deps.Identify(r)
	if err != nil {
		o.refuseBackup(w, err)
		return
	}
	started := &backupWriter{Writer: w, control: http.NewResponseController(w), stall: cmp.Or(o.Stall, defaultStall)}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", trailer)
	recipients := r.URL.Query()["recipient"]
	sum, err := o.Backup(r.Context(), started, recipients)
	if started.done { // it has left the node
		about := fmt.Sprintf("sha256 %s for %d recipients", sum, len(recipients))
		o.Deps.Note(r.Context(), who, r.Header.Get(api.HeaderReason), "backup", about, err)
		err = errors.Join(err, started.move())
	}
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
	var known *api.Problem
	if refusal, ok := fsm.AsRejection(err); ok || errors.As(err, &known) {
		if ok {
			known = api.ProblemOf(refusal, false)
		}
		status = http.StatusConflict
		if known.Kind == fsm.Invalid {
			status = http.StatusUnprocessableEntity
		}
		if known.Code == admin.ErrOperator.Code {
			status = http.StatusBadRequest
		}
		problem["code"] = known.Code
		for _, f := range known.Fields {
			problem[f.Name] = f.Value
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

// backupWriter notes that something was written, and lets a client take as long
// as it likes while it takes something at all: whoever stops would keep the only
// backup of the node for ever.
type backupWriter struct {
	io.Writer
	control *http.ResponseController
	stall   time.Duration
	done    bool
}

// defaultStall is how long a client may take nothing.
const defaultStall = 30 * time.Second

// move gives the client the whole time again.
func (b *backupWriter) move() error {
	if err := b.control.SetWriteDeadline(time.Now().Add(b.stall)); err != nil {
		return fmt.Errorf("move the limit of a write: %w", err)
	}
	return nil
}

func (b *backupWriter) Write(p []byte) (int, error) {
	if err := b.move(); err != nil {
		return 0, err
	}
	b.done = true
	return b.Writer.Write(p)
}
