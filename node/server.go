package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"coffer/cluster"
	"coffer/fsm/ledger"
	"coffer/fsm/settings"
	coffer "coffer/http"
	"coffer/http/admin"
	"coffer/http/api"
	"coffer/store"
)

// server is the two listeners of a node: the public API and the admin socket.
type server struct {
	public, admin *http.Server
	address       string
	socket        string
}

const adminSocket = "admin.sock"

// openServer serves both listeners. The public one answers health and refuses
// the rest until the node is ready.
func (n *Node) openServer() error {
	if err := n.watchPublicCredentials(); err != nil {
		return err
	}
	n.metrics.watch(n)
	metrics := promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{})
	public, err := n.publicHandler(metrics)
	if err != nil {
		return err
	}
	operators, err := coffer.NewAdmin(coffer.AdminOptions{
		Reader: n, Deps: admin.Deps{Proposer: n, Status: n.status, Cluster: n, User: userOf, Describe: n.describe, Logger: n.logger}, Epoch: n.epoch, Reasons: n.Reasons,
		Backup: n.Backup, Metrics: metrics, Profiles: n.config.Pprof, Logger: n.logger, Fatal: n.fatal,
	})
	if err != nil {
		return err
	}
	n.server, err = n.listen(public, operators)
	return err
}

func (n *Node) publicHandler(metrics http.Handler) (http.Handler, error) {
	access := n.logger
	if !n.config.AccessLog {
		access = slog.New(quiet{n.logger.Handler()})
	}
	o := coffer.Options{
		Proposer: n, Reader: n, Latest: n.db.Latest, Epoch: n.epoch, Blind: n.salt.Blind,
		BodyHash: func(message []byte) [32]byte { return n.salt.BodyHash(message) },
		Verify: func(v *store.View, from, to uint64) (ledger.Verified, error) {
			return ledger.Verify(v, n.salts, from, to)
		},
		JWTSecret: string(n.config.Secrets.JWT), ServiceKey: string(n.config.Secrets.ZTideKey),
		Encryption: string(n.config.Secrets.Encryption), TrustProxy: n.config.TrustProxy,
		Version: n.config.Version, Reasons: n.Reasons, Logger: access, Fatal: n.fatal, Strict: n.config.Strict,
		Observe: api.Observer{Started: n.metrics.httpInflight.Inc, Finished: n.metrics.answered},
	}
	if n.config.Mode == settings.Development {
		o.Metrics = metrics
	}
	return coffer.New(o)
}

// quiet drops records of requests that went well.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (n *Node) listen(public, operators http.Handler) (*server, error) {
	listener, err := net.Listen("tcp", n.config.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", n.config.HTTPAddr, err)
	}
	listener = netutil.LimitListener(listener, connections(n.config.Connections))
	s := &server{
		public: api.NewHTTPServer(public, n.logger), admin: api.NewHTTPServer(operators, n.logger),
		address: listener.Addr().String(), socket: n.dir.file(adminSocket),
	}
	s.admin.ConnContext = withUser
	socket, err := listenSocket(s.socket)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	serve := s.public.Serve
	if n.config.TLSCert != "" {
		s.public.TLSConfig = n.publicTLS()
		serve = func(l net.Listener) error { return s.public.ServeTLS(l, "", "") }
	}
	go n.serve(func() error { return serve(listener) })
	go n.serve(func() error { return s.admin.Serve(socket) })
	return s, nil
}

// connections is how many clients may be connected when so many are wished: peers,
// files and operators keep half of the descriptors.
func connections(wished int) int {
	var files syscall.Rlimit
	half := 1 << 20 // if the system says nothing, or that there is no limit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		half = int(min(files.Cur/2, uint64(half)))
	}
	if wished == 0 {
		return half
	}
	return min(wished, half)
}

// serve runs a listener to its end; one that ends by itself ends the node.
func (n *Node) serve(run func() error) {
	if err := run(); !errors.Is(err, http.ErrServerClosed) {
		n.fatal(fmt.Errorf("listener failed: %w", err))
	}
}

// inFlight is how long requests under way may take to end.
const inFlight = 10 * time.Second

// stop takes no more requests and waits for those under way, bounded.
func (s *server) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, inFlight)
	defer cancel()
	var failures []error
	for _, listener := range []*http.Server{s.public, s.admin} {
		err := listener.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.Join(fmt.Errorf("requests under way were cut: %w", err), listener.Close())
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// URL is where the public API answers.
func (n *Node) URL() string {
	scheme := "http"
	if n.config.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + n.server.address
}

// status is what the admin API tells about this node.
func (n *Node) status() admin.Status {
	id, s := n.dir.Identity, n.cluster.Status()
	return admin.Status{
		NodeID: id.NodeID, ClusterID: id.ClusterID, LedgerID: id.LedgerID, Version: n.config.Version, Mode: n.config.Mode,
		State: s.State, Leader: s.Leader, Term: s.Term, Commit: s.Commit, Applied: s.Applied, Flushed: n.db.Durable(),
		LogFirst: s.LogFirst, LogLast: s.LogLast, LogBytes: s.LogBytes, Reasons: append([]string{}, n.Reasons(coffer.RoleAny)...),
	}
}

// apiError wraps what the cluster says in the words of the API.
func apiError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrTooLarge):
		return fmt.Errorf("%w: %w", api.ErrTooLarge, err)
	case errors.Is(err, cluster.ErrUnknown):
		return fmt.Errorf("%w: %w", api.ErrOutcomeUnknown, err)
	case errors.Is(err, cluster.ErrNotApplied), errors.Is(err, cluster.ErrNotLeader), errors.Is(err, cluster.ErrNotReady),
		errors.Is(err, cluster.ErrNoMajority):
		return fmt.Errorf("%w: %w", api.ErrNotApplied, err)
	}
	return err
}
