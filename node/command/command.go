// Package command is the command line: flags, environment and help of every verb
// in one struct, and the exit codes. What a verb does is done elsewhere.
package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/alecthomas/kong"

	"coffer/node"
)

// program is the command line: flags, environment and help in one struct.
type program struct {
	Dev      devCommand      `cmd:"" help:"Run one voter in development mode, the same code as production."`
	Serve    serveCommand    `cmd:"" help:"Run a node in production mode."`
	Init     initCommand     `cmd:"" help:"Make the first node of a cluster, or let a stopped sole node take peers."`
	Join     joinCommand     `cmd:"" help:"Make a further node of a cluster, with a token."`
	Token    tokenCommand    `cmd:"" help:"Let another node join."`
	Cluster  clusterCommand  `cmd:"" help:"See and change who belongs to the cluster."`
	Backup   backupCommand   `cmd:"" help:"Make, inspect, verify and restore backups."`
	Audit    auditCommand    `cmd:"" help:"See what operators have asked."`
	Alarm    alarmCommand    `cmd:"" help:"See and end alarms."`
	Cert     certCommand     `cmd:"" help:"Certificates of the cluster port."`
	Recover  recoverCommand  `cmd:"" help:"After a lost quorum: see what a stopped node has left, or go on with it alone."`
	Check    checkCommand    `cmd:"" help:"Check files of a stopped node: pages, rows, log and invariants."`
	Compact  compactCommand  `cmd:"" help:"Write the state of a stopped node anew, without free pages."`
	Verify   verifyCommand   `cmd:"" help:"Recompute everything that can be recomputed from the files of a stopped node."`
	Bench    benchCommand    `cmd:"" help:"Measure a node: rates, latencies, ratios to PostgreSQL."`
	Settings settingsCommand `cmd:"" help:"Show and change the business values of a running node."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// Build is what the program was built with.
type Build struct {
	Version string
	PeerSQL fs.FS // scripts that give PostgreSQL the same job, for the benchmark
}

// Run parses the command line and runs it; it returns the exit code.
func Run(ctx context.Context, build Build, arguments []string) int {
	var p program
	parser, err := kong.New(&p,
		kong.Name("coffer"),
		kong.Description("A fintech appliance in one binary: wallets and a provable ledger, replicated, with no external database."),
		kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(build),
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
	if errors.Is(err, node.ErrStorage) {
		return node.ExitStorage
	}
	return node.CodeOf(err)
}

type versionCommand struct{}

func (versionCommand) Run(build Build) error {
	fmt.Println("coffer", build.Version)
	return nil
}
