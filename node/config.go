package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"time"

	"coffer/fsm/settings"
)

// Config holds facts of this machine. Business values are settings in the
// replicated state; an environment variable of that name is only a wish.
type Config struct {
	DataDir     string        `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of all files of this node."`
	HTTPAddr    string        `name:"http-addr" env:"COFFER_HTTP_ADDR,AEVION_LISTEN" default:"127.0.0.1:4001" placeholder:"HOST:PORT" help:"Address of the public API."`
	Cluster     string        `name:"cluster-addr" env:"COFFER_CLUSTER_ADDR" placeholder:"HOST:PORT" help:"Address of the cluster port, for a node with peers."`
	Advertise   string        `name:"cluster-advertise" env:"COFFER_CLUSTER_ADVERTISE" placeholder:"HOST:PORT" help:"Address under which peers reach the cluster port. Default: --cluster-addr."`
	WAN         bool          `name:"wan" env:"COFFER_WAN" help:"Clocks for round trips of up to 60 ms between nodes."`
	LedgerID    string        `name:"ledger-id" env:"COFFER_LEDGER_ID" placeholder:"NAME" help:"Permanent name of the ledger, fixed by the first start. Default coffer.local/<cluster id>."`
	TLSCert     string        `name:"tls-cert" env:"COFFER_TLS_CERT" type:"path" placeholder:"FILE" help:"Certificate of the public API, PEM. Without one it listens on loopback only."`
	TLSKey      string        `name:"tls-key" env:"COFFER_TLS_KEY" type:"path" placeholder:"FILE" help:"Key of the certificate, PEM."`
	Plain       bool          `name:"plain-http" env:"COFFER_PLAIN_HTTP" help:"Allow plain HTTP on other than loopback addresses, behind a proxy that ends TLS."`
	TrustProxy  bool          `name:"trust-proxy" env:"AEVION_TRUST_PROXY" help:"The last hop of X-Forwarded-For is the client: a proxy of yours adds it."`
	LogLevel    slog.Level    `name:"log-level" env:"COFFER_LOG_LEVEL" default:"info" help:"Lowest level that is logged: debug, info, warn, error."`
	AccessLog   bool          `name:"access-log" env:"COFFER_ACCESS_LOG" default:"true" negatable:"" help:"Log every request."`
	Pprof       bool          `name:"pprof" env:"COFFER_PPROF" help:"Serve Go profiles on the admin socket, below /debug/pprof/."`
	DrainDelay  time.Duration `name:"drain-delay" env:"COFFER_DRAIN_DELAY" default:"0s" help:"How long a stopping node still serves while it reports not ready."`
	FlushBytes  int64         `name:"flush-bytes" env:"COFFER_FLUSH_BYTES" default:"67108864" help:"Bytes of new state in memory that start a flush to state.db."`
	FlushEvery  time.Duration `name:"flush-interval" env:"COFFER_FLUSH_INTERVAL" default:"1s" help:"Age of new state in memory that starts a flush; 0 flushes before every answer."`
	LogBudget   int64         `name:"log-budget" env:"COFFER_LOG_BUDGET" default:"1073741824" help:"Bytes of log entries that raft.db may keep."`
	DiskReserve int64         `name:"disk-reserve" env:"COFFER_DISK_RESERVE" default:"67108864" help:"Bytes of free disk below which the node stops; business writes stop at four times that. 0 does not look."`
	BackupRate  int64         `name:"backup-rate" env:"COFFER_BACKUP_RATE" default:"67108864" help:"Bytes a second that a backup copies at most, for the sake of the load beside it; 0 is no limit."`
	Connections int           `name:"max-connections" env:"COFFER_MAX_CONNECTIONS" default:"16384" help:"Connections to the public API; more wait. Never above half of the file descriptors; 0 is that half."`
	MaxMemory   int64         `name:"max-memory" env:"COFFER_MAX_MEMORY" default:"805306368" help:"Soft limit of the process's heap in bytes; 0 is none."`

	// Probation is for rehearsals and tests: a cluster that nobody can bring up in seconds is not rehearsed.
	Probation time.Duration `name:"probation" env:"COFFER_PROBATION" default:"10s" hidden:"" help:"How long a node must be healthy before it may vote. Shorter only in rehearsals."`

	Mode        string            `kong:"-"` // settings.Development or settings.Production
	Secrets     Secrets           `kong:"-"`
	Environment map[string]string `kong:"-"` // wishes for settings, by name
	Logger      *slog.Logger      `kong:"-"` // made from LogLevel when nil
	Version     string            `kong:"-"` // of the program
	Strict      bool              `kong:"-"` // for tests: answers that a route does not declare are failures
	// Exit ends the process after a storage failure; os.Exit when nil.
	Exit func(code int) `kong:"-"`
}

var ledgerName = regexp.MustCompile(`^[\x21-\x2a\x2c-\x7e]{1,200}$`)

// validate reports every mistake at once. It is not exported, because kong would
// call it before the environment is read.
func (c *Config) validate() error {
	var mistakes []error
	require := func(ok bool, format string, values ...any) {
		if !ok {
			mistakes = append(mistakes, fmt.Errorf(format, values...))
		}
	}
	require(c.DataDir != "", "--data-dir is empty")
	require(c.LedgerID == "" || ledgerName.MatchString(c.LedgerID),
		"--ledger-id %q: 1 to 200 printable characters without space and +", c.LedgerID)
	require(c.Cluster != "" || c.Advertise == "" && !c.WAN, "--cluster-advertise and --wan need --cluster-addr")
	mistakes = append(mistakes, checkHostPort("--cluster-addr", c.Cluster), checkHostPort("--cluster-advertise", c.Advertise))
	require((c.TLSCert == "") == (c.TLSKey == ""), "--tls-cert and --tls-key belong together")
	require(c.FlushBytes >= 1<<20 && c.FlushBytes <= 1<<30, "--flush-bytes %d is not between 1 MiB and 1 GiB", c.FlushBytes)
	require(c.FlushEvery >= 0 && c.FlushEvery <= time.Minute, "--flush-interval %v is not between 0 and 1m", c.FlushEvery)
	require(c.LogBudget >= 64<<20, "--log-budget %d is below 64 MiB", c.LogBudget)
	require(c.BackupRate == 0 || c.BackupRate >= 1<<20, "--backup-rate %d is below 1 MiB", c.BackupRate)
	require(c.Connections >= 0, "--max-connections %d is negative", c.Connections)
	require(c.MaxMemory == 0 || c.MaxMemory >= 128<<20, "--max-memory %d is below 128 MiB", c.MaxMemory)
	require(c.DrainDelay >= 0 && c.DrainDelay <= time.Minute, "--drain-delay %v is not between 0 and 1m", c.DrainDelay)
	require(c.Probation >= 0 && c.Probation <= time.Hour, "--probation %v is not between 0 and 1h", c.Probation)
	require(c.Mode == settings.Development || c.Mode == settings.Production,
		"AEVION_ENV %q is neither %s nor %s", c.Mode, settings.Development, settings.Production)
	mistakes = append(mistakes, c.checkAddress())
	for name, text := range c.Environment {
		setting, known := settings.Find(name)
		if !known {
			continue
		}
		if err := setting.Check(text); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s %q: %w", name, text, err))
		}
	}
	mistakes = append(mistakes, c.Secrets.check(c.Mode))
	return errors.Join(mistakes...)
}

// checkHostPort takes an address, or none.
func checkHostPort(flag, address string) error {
	if address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s %q is not HOST:PORT", flag, address)
	}
	return nil
}

// checkAddress allows plain HTTP on loopback only, unless told otherwise.
func (c *Config) checkAddress() error {
	host, _, err := net.SplitHostPort(c.HTTPAddr)
	if err != nil {
		return fmt.Errorf("--http-addr %q is not HOST:PORT", c.HTTPAddr)
	}
	if c.TLSCert != "" || c.Plain || host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--http-addr %s is not a loopback address: give --tls-cert and --tls-key, or --plain-http behind a proxy", c.HTTPAddr)
}

func (c *Config) exit(code int) {
	if c.Exit == nil {
		os.Exit(code)
	}
	c.Exit(code)
}
