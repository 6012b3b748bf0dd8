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
	Init     initCommand     `cmd:"" help:"Make the first node of a cluster, or let a stopped sole node take peers."`
	Join     joinCommand     `cmd:"" help:"Make a further node of a cluster, with a token."`
	Token    tokenCommand    `cmd:"" help:"Let another node join."`
	Cluster  clusterCommand  `cmd:"" help:"See and change who belongs to the cluster."`
	Backup   backupCommand   `cmd:"" help:"Make, inspect, verify and restore backups."`
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
	if errors.Is(err, node.ErrStorage) {
		return node.ExitStorage
	}
	return node.CodeOf(err)
}

type devCommand struct {
	node.Config
	Nodes int  `placeholder:"N" help:"Run a cluster of so many nodes on this machine, each in a directory below the data directory."`
	Tour  bool `help:"Walk the main job once through the API and print each call; on an empty directory only."`
}

func (d *devCommand) Run(ctx context.Context) error {
	if err := d.Complete(node.Development, os.LookupEnv); err != nil {
		return err
	}
	d.Version = version
	if d.Nodes > 1 {
		return node.RunFleet(ctx, d.Config, d.Nodes, os.Stdout)
	}
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
	Nodes         int           `placeholder:"N" help:"Measure a cluster of so many nodes on this machine instead: P2, P4, P9, failover, rejoin."`
}

func (b *benchCommand) Run(ctx context.Context) error {
	sql, err := fs.Sub(peerSQL, "testdata/bench")
	if err != nil {
		return err
	}
	return bench.Run(ctx, bench.Options{
		Only: b.Only, URL: b.URL, Dir: b.Dir, Keep: b.Keep, JSON: b.JSON, Users: b.Users, Wallets: b.Wallets,
		GrowthWallets: b.GrowthWallets, Growth: b.Growth, Load: b.Load, Clients: b.Clients, BatchClients: b.BatchClients,
		Duration: b.Duration, BatchDuration: b.BatchDuration, Nodes: b.Nodes, SkipPostgres: b.NoPostgres, SQL: sql, Progress: os.Stderr,
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

type initCommand struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory to make."`
	Cluster string `name:"cluster" placeholder:"NAME" help:"Permanent name of the ledger. Default coffer.local/<cluster id>."`
}

func (c *initCommand) Run() error {
	id, err := node.Init(node.InitFlags{DataDir: c.DataDir, LedgerID: c.Cluster})
	if err != nil {
		return err
	}
	fmt.Printf("%s is node %s, the first of cluster %s with ledger %s.\nStart it with coffer serve --cluster-addr HOST:PORT.\n",
		c.DataDir, id.NodeID, id.ClusterID, id.LedgerID)
	return nil
}

type joinCommand struct {
	DataDir   string        `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory to make."`
	Token     string        `env:"COFFER_TOKEN" required:"" placeholder:"TOKEN" help:"From coffer token create."`
	Peer      string        `required:"" placeholder:"HOST:PORT" help:"Cluster port of a member."`
	Advertise string        `name:"cluster-addr" env:"COFFER_CLUSTER_ADVERTISE,COFFER_CLUSTER_ADDR" required:"" placeholder:"HOST:PORT" help:"Address under which the members will reach this node."`
	NodeID    string        `name:"node-id" placeholder:"ID" help:"Name of this node for good. Default: made up."`
	Timeout   time.Duration `default:"30s" help:"How long the cluster may take to answer."`
}

func (c *joinCommand) Run(ctx context.Context) error {
	secrets, err := node.SecretsFrom(os.LookupEnv)
	if err != nil {
		return node.Usage{Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	id, err := node.Join(ctx, node.JoinFlags{
		DataDir: c.DataDir, Token: c.Token, Peer: c.Peer, Advertise: c.Advertise, NodeID: c.NodeID, Secrets: secrets,
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s is node %s of cluster %s.\nStart it with coffer serve --cluster-addr %s, then coffer cluster promote %s.\n",
		c.DataDir, id.NodeID, id.ClusterID, c.Advertise, id.NodeID)
	return nil
}

// running names the node that a command talks to.
type running struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of a running node."`
}

func (r running) operator() *node.Operator { return node.NewOperator(r.DataDir) }

type tokenCommand struct {
	Create struct {
		running
		TTL    time.Duration `name:"ttl" default:"30m" help:"How long the token is good, up to 24h."`
		NodeID string        `name:"node-id" placeholder:"ID" help:"The only node that may use it."`
	} `cmd:"" help:"Print a token that lets one node join. It is shown once."`
}

func (t *tokenCommand) Run(ctx context.Context) error {
	token, err := t.Create.operator().NewToken(ctx, t.Create.NodeID, t.Create.TTL)
	if err == nil {
		fmt.Println(token)
	}
	return err
}

type clusterCommand struct {
	running
	Status   clusterStatusCommand   `cmd:"" help:"All members and what they say of themselves."`
	Members  clusterMembersCommand  `cmd:"" help:"One line per member, for scripts."`
	Promote  clusterChangeCommand   `cmd:"" help:"Give non-voters a vote, back to back."`
	Demote   clusterChangeCommand   `cmd:"" help:"Take a node's vote away."`
	Remove   clusterChangeCommand   `cmd:"" help:"Remove a node for good: its id never comes back."`
	Transfer clusterTransferCommand `cmd:"" help:"Let another voter lead."`
	Finalize clusterFinalizeCommand `cmd:"" name:"finalize-upgrade" help:"Put a state-machine version in force. There is no way back."`
}

type clusterStatusCommand struct {
	JSON bool `name:"json" help:"Print all that is known as JSON."`
}

func (s *clusterStatusCommand) Run(ctx context.Context, c *clusterCommand) error {
	if s.JSON {
		members, err := c.operator().Members(ctx)
		if err != nil {
			return err
		}
		return node.PrintJSON(os.Stdout, members)
	}
	return node.ShowCluster(ctx, c.DataDir, os.Stdout)
}

type clusterMembersCommand struct{}

func (clusterMembersCommand) Run(ctx context.Context, c *clusterCommand) error {
	return node.ShowMembers(ctx, c.DataDir, os.Stdout)
}

type clusterChangeCommand struct {
	Nodes []string `arg:"" help:"Ids of the nodes."`
	Prev  int64    `name:"prev-index" help:"Only if the membership is still that of this log entry. Default: what it is now."`
}

func (p *clusterChangeCommand) Run(ctx context.Context, parsed *kong.Context, c *clusterCommand) error {
	done, err := c.operator().ChangeMembers(ctx, parsed.Selected().Name, p.Prev, p.Nodes...)
	if err == nil {
		fmt.Println("membership of entry", done)
	}
	return err
}

type clusterTransferCommand struct {
	Node string `arg:"" optional:"" help:"Who shall lead. Default: the best voter."`
}

func (t *clusterTransferCommand) Run(ctx context.Context, c *clusterCommand) error {
	return c.operator().TransferLeadership(ctx, t.Node)
}

type clusterFinalizeCommand struct {
	Version int64 `arg:"" help:"State-machine version."`
}

func (f *clusterFinalizeCommand) Run(ctx context.Context, c *clusterCommand) error {
	return c.operator().FinalizeUpgrade(ctx, f.Version)
}

type alarmCommand struct {
	running
	List   alarmListCommand   `cmd:"" help:"What is raised."`
	Disarm alarmDisarmCommand `cmd:"" help:"End an alarm whose cause is gone."`
}

type alarmListCommand struct{}

func (alarmListCommand) Run(ctx context.Context, a *alarmCommand) error {
	return node.ShowAlarms(ctx, a.DataDir, os.Stdout)
}

type alarmDisarmCommand struct {
	Kind string `arg:"" help:"Such as no_space."`
	Node string `arg:"" optional:"" help:"Node that the alarm is about."`
}

func (d *alarmDisarmCommand) Run(ctx context.Context, a *alarmCommand) error {
	return a.operator().Disarm(ctx, d.Kind, d.Node)
}

type certCommand struct {
	Renew struct {
		DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the node."`
	} `cmd:"" help:"Give a node a new key and certificate. A running node takes them with SIGHUP."`
}

func (c *certCommand) Run() error {
	expires, err := node.Renew(c.Renew.DataDir)
	if err == nil {
		fmt.Println("valid until", expires.UTC().Format(time.RFC3339))
	}
	return err
}

type backupCommand struct {
	Create  backupCreateCommand  `cmd:"" help:"Copy the state of a running node into a file."`
	Inspect backupInspectCommand `cmd:"" help:"Print what a backup says about itself, unchecked."`
	Verify  backupVerifyCommand  `cmd:"" help:"Recompute everything in a backup, without a node."`
	Restore backupRestoreCommand `cmd:"" help:"Make the directory of a new sole node from a backup."`
	Key     backupKeyCommand     `cmd:"" help:"Make a key for encrypted backups."`
}

type backupCreateCommand struct {
	running
	File       string   `arg:"" type:"path" help:"File to make."`
	Recipients []string `name:"recipient" placeholder:"RECIPIENT" help:"Encrypt to this recipient; may be repeated."`
}

func (b *backupCreateCommand) Run(ctx context.Context) error {
	sum, err := node.CreateBackup(ctx, b.DataDir, b.File, b.Recipients, os.Stderr)
	if err == nil {
		fmt.Printf("%s  %s\n", sum, b.File)
	}
	return err
}

// container is a backup to read.
type container struct {
	File string `arg:"" type:"existingfile" help:"The backup."`
	Key  string `name:"key-file" type:"existingfile" placeholder:"FILE" help:"Secret key of an encrypted backup."`
}

func (c container) secrets() ([]string, error) { return node.ReadBackupKeys(c.Key) }

type backupInspectCommand struct{ container }

func (b *backupInspectCommand) Run() error {
	secrets, err := b.secrets()
	if err != nil {
		return err
	}
	report, err := node.InspectBackup(b.File, secrets)
	if err != nil {
		return err
	}
	return report.Print(os.Stdout)
}

type backupVerifyCommand struct {
	container
	SaltFile string `name:"salt-file" placeholder:"FILE" help:"Chain salt. Default: VEILNETX_SALT; without one keyed hashes are not checked."`
}

func (b *backupVerifyCommand) Run(ctx context.Context) error {
	secrets, err := b.secrets()
	if err != nil {
		return err
	}
	salt, err := node.ReadSalt(b.SaltFile, os.LookupEnv)
	if err != nil {
		return err
	}
	report, err := node.VerifyBackup(ctx, b.File, secrets, salt, os.Stderr)
	if err != nil {
		return coded{node.VerifyCode(err), err}
	}
	return report.Print(os.Stdout)
}

type backupRestoreCommand struct {
	container
	DataDir     string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory to make."`
	SaltFile    string `name:"salt-file" placeholder:"FILE" help:"Chain salt, to verify keyed hashes. Default: VEILNETX_SALT."`
	SameCluster bool   `name:"same-cluster" help:"Go on as the cluster of the backup: none of its nodes may ever start again."`
	Epoch       uint32 `help:"With --same-cluster: above the epoch of every node of the cluster."`
	Advertise   string `name:"cluster-addr" env:"COFFER_CLUSTER_ADVERTISE,COFFER_CLUSTER_ADDR" placeholder:"HOST:PORT" help:"For a node that will take peers."`
}

func (b *backupRestoreCommand) Run(ctx context.Context) error {
	secrets, err := b.secrets()
	if err != nil {
		return err
	}
	salt, err := node.ReadSalt(b.SaltFile, os.LookupEnv)
	if err != nil {
		return err
	}
	report, err := node.RestoreBackup(ctx, node.RestoreFlags{
		DataDir: b.DataDir, File: b.File, Secrets: secrets, Salt: salt, SameCluster: b.SameCluster, Epoch: b.Epoch,
		Advertise: b.Advertise, Terminal: os.Stderr,
	})
	if err != nil {
		return err
	}
	return report.Print(os.Stdout)
}

type backupKeyCommand struct {
	File string `arg:"" type:"path" help:"File for the secret key. Keep it away from the nodes."`
}

func (b *backupKeyCommand) Run() error {
	recipient, err := node.MakeBackupKey(b.File)
	if err == nil {
		fmt.Println(recipient)
	}
	return err
}

type recoverCommand struct {
	DataDir    string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the stopped node."`
	Inspect    bool   `xor:"what" required:"" help:"Print what the node has left and change nothing."`
	LostQuorum bool   `name:"i-have-lost-quorum" xor:"what" required:"" help:"Make this node the only voter. What only the others had is gone; none of them may ever start again."`
	ClusterID  string `name:"cluster-id" placeholder:"ID" help:"With --i-have-lost-quorum: id of the cluster, typed."`
	Advertise  string `name:"cluster-addr" env:"COFFER_CLUSTER_ADVERTISE,COFFER_CLUSTER_ADDR" placeholder:"HOST:PORT" help:"Address of the cluster port, if it is another than before."`
	SaltFile   string `name:"salt-file" placeholder:"FILE" help:"Chain salt. Default: VEILNETX_SALT, else the one development made."`
}

func (r *recoverCommand) Run(ctx context.Context) error {
	if r.Inspect {
		left, err := node.Survey(r.DataDir)
		if err != nil {
			return err
		}
		return node.PrintJSON(os.Stdout, left)
	}
	salt, err := node.StoredSalt(r.DataDir, r.SaltFile, os.LookupEnv)
	if err != nil {
		return err
	}
	report, err := node.Recover(ctx, node.RecoverFlags{
		DataDir: r.DataDir, ClusterID: r.ClusterID, Advertise: r.Advertise, Salt: salt, Terminal: os.Stderr,
	})
	if err != nil {
		return err
	}
	return node.PrintJSON(os.Stdout, report)
}

type checkCommand struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the stopped node."`
	JSON    bool   `name:"json" help:"Print the report as JSON."`
}

func (c *checkCommand) Run(ctx context.Context) error {
	v := verifyCommand{DataDir: c.DataDir, Only: node.QuickChecks(), JSON: c.JSON}
	return v.Run(ctx)
}

type compactCommand struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the stopped node."`
}

func (c *compactCommand) Run(ctx context.Context) error {
	before, after, err := node.Compact(ctx, c.DataDir, os.Stderr)
	if err == nil {
		fmt.Printf("state.db had %d bytes and has %d\n", before, after)
	}
	return err
}

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Println("coffer", version)
	return nil
}
