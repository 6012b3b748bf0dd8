// Command coffer is a fintech appliance in one binary: a node, its tools and
// its benchmark. This file is the command line and nothing but wiring.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"coffer/node"
	"coffer/node/bench"
)

// version is set by the build.
var version = "dev"

//go:embed testdata/bench/*.sql
var peerSQL embed.FS

// program is the command line: flags, environment and help in one struct.
type program struct {
	Dev      devCommand      `cmd:"" help:"Run one voter in development mode, the same code as production."`
	Serve    serveCommand    `cmd:"" help:"Run a node in production mode."`
	Verify   verifyCommand   `cmd:"" help:"Recompute everything that can be recomputed from the files of a stopped node."`
	Bench    benchCommand    `cmd:"" help:"Measure a node: rates, latencies, ratios to PostgreSQL."`
	Settings settingsCommand `cmd:"" help:"Show and change the business values of a running node."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run parses the command line and runs it; it returns the exit code.
func run(ctx context.Context, arguments []string) int {
	var p program
	parser, err := kong.New(&p,
		kong.Name("coffer"),
		kong.Description("A fintech appliance in one binary: wallets and a provable ledger, replicated, with no external database."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "coffer:", err)
		return node.ExitFailed
	}
	parsed, err := parser.Parse(arguments)
	if err != nil {
		fmt.Fprintln(os.Stderr, "coffer:", err)
		return node.ExitUsage
	}
	return exitCode(parsed.Run())
}

// coded is an error with an exit code of its own. Its text is printed already
// when it is empty.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string {
	if c.err == nil {
		return ""
	}
	return c.err.Error()
}

func exitCode(err error) int {
	var c coded
	switch {
	case err == nil:
		return node.ExitOK
	case errors.As(err, &c):
		if c.err != nil {
			fmt.Fprintln(os.Stderr, "coffer:", c.err)
		}
		return c.code
	}
	fmt.Fprintln(os.Stderr, "coffer:", err)
	return node.CodeOf(err)
}

type devCommand struct {
	node.Config
	Tour bool `help:"Walk the main job once through the API and print each call; on an empty directory only."`
}

func (d *devCommand) Run(ctx context.Context) error {
	if err := d.Complete(node.Development, os.LookupEnv); err != nil {
		return err
	}
	d.Version = version
	var serving func(context.Context, *node.Node) error
	if d.Tour {
		serving = func(ctx context.Context, n *node.Node) error { return node.Tour(ctx, n, os.Stdout) }
	}
	return node.Run(ctx, d.Config, serving)
}

type serveCommand struct {
	node.Config
}

func (s *serveCommand) Run(ctx context.Context) error {
	if err := s.Complete(node.Production, os.LookupEnv); err != nil {
		return err
	}
	s.Version = version
	return node.Run(ctx, s.Config, nil)
}

type verifyCommand struct {
	DataDir  string   `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the stopped node."`
	SaltFile string   `name:"salt-file" placeholder:"FILE" help:"Chain salt. Default: VEILNETX_SALT, else the one development made."`
	Only     []string `placeholder:"CHECK" help:"Checks to run: pages, rows, log, chain, tree, balances, invariants. Default all."`
	JSON     bool     `name:"json" help:"Print the report as JSON."`
}

func (v *verifyCommand) Run(ctx context.Context) error {
	code, err := node.VerifyCommand(ctx, node.VerifyFlags{
		DataDir: v.DataDir, SaltFile: v.SaltFile, Only: v.Only, JSON: v.JSON, Out: os.Stdout, Progress: os.Stderr,
	}, os.LookupEnv)
	if err != nil || code != 0 {
		return coded{code, err}
	}
	return nil
}

type benchCommand struct {
	Only          []string      `placeholder:"ID" help:"Benchmarks to run, such as P1,P3. Default all."`
	URL           string        `name:"url" placeholder:"URL" help:"Measure a running node instead of one of our own."`
	Dir           string        `placeholder:"DIR" help:"Where temporary directories go."`
	Keep          bool          `help:"Leave the temporary directory behind."`
	JSON          bool          `name:"json" help:"Print the report as JSON."`
	Users         int           `help:"Owners of all wallets." default:"4"`
	Wallets       int           `help:"Wallets of P1, P3 and P10." default:"10000"`
	GrowthWallets int           `help:"Wallets of P7." default:"100000"`
	Growth        int64         `help:"Transfers that P7 loads." default:"10000000"`
	Load          int64         `help:"Least transfers on disk for P6 and P8." default:"1000000"`
	Clients       int           `help:"Connections of P1 and P10." default:"64"`
	BatchClients  int           `help:"Batch requests in flight." default:"4"`
	Duration      time.Duration `help:"Of P1 and P10, each." default:"20s"`
	BatchDuration time.Duration `help:"Of P3." default:"60s"`
	NoPostgres    bool          `name:"no-postgres" help:"Do not measure PostgreSQL even if it is installed."`
}

func (b *benchCommand) Run(ctx context.Context) error {
	sql, err := fs.Sub(peerSQL, "testdata/bench")
	if err != nil {
		return err
	}
	return bench.Run(ctx, bench.Options{
		Only: b.Only, URL: b.URL, Dir: b.Dir, Keep: b.Keep, JSON: b.JSON, Users: b.Users, Wallets: b.Wallets,
		GrowthWallets: b.GrowthWallets, Growth: b.Growth, Load: b.Load, Clients: b.Clients, BatchClients: b.BatchClients,
		Duration: b.Duration, BatchDuration: b.BatchDuration, SkipPostgres: b.NoPostgres, SQL: sql, Progress: os.Stderr,
	}, os.Stdout)
}

type settingsCommand struct {
	DataDir string               `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the running node."`
	List    settingsListCommand  `cmd:"" help:"All settings with default and origin."`
	Get     settingsGetCommand   `cmd:"" help:"One value."`
	Set     settingsSetCommand   `cmd:"" help:"Change one value for all nodes at once."`
	Reset   settingsResetCommand `cmd:"" help:"Take one value back to its default."`
}

type settingsListCommand struct{}

func (settingsListCommand) Run(ctx context.Context, s *settingsCommand) error {
	return node.ListSettings(ctx, s.DataDir, os.Stdout)
}

type settingsGetCommand struct {
	Name string `arg:"" help:"Name of the setting."`
}

func (g *settingsGetCommand) Run(ctx context.Context, s *settingsCommand) error {
	return node.GetSetting(ctx, s.DataDir, g.Name, os.Stdout)
}

type settingsSetCommand struct {
	Name  string `arg:"" help:"Name of the setting."`
	Value string `arg:"" help:"New value."`
}

func (c *settingsSetCommand) Run(ctx context.Context, s *settingsCommand) error {
	return node.SetSetting(ctx, s.DataDir, c.Name, &c.Value, os.Stdout)
}

type settingsResetCommand struct {
	Name string `arg:"" help:"Name of the setting."`
}

func (c *settingsResetCommand) Run(ctx context.Context, s *settingsCommand) error {
	return node.SetSetting(ctx, s.DataDir, c.Name, nil, os.Stdout)
}

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Println("coffer", version)
	return nil
}
