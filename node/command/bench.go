package command

import (
	"context"
	"os"
	"time"

	"coffer/node/bench"
)

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
	State         int64         `name:"state" placeholder:"BYTES" help:"State that a follower lacks when it joins again." default:"268435456"`
	NoPostgres    bool          `name:"no-postgres" help:"Do not measure PostgreSQL even if it is installed."`
	Nodes         int           `placeholder:"N" help:"Measure a cluster of so many nodes on this machine instead: P2, P4, P9, failover, rejoin."`
}

func (b *benchCommand) Run(ctx context.Context, build Build) error {
	return bench.Run(ctx, bench.Options{
		Only: b.Only, URL: b.URL, Dir: b.Dir, Keep: b.Keep, JSON: b.JSON, Users: b.Users, Wallets: b.Wallets,
		GrowthWallets: b.GrowthWallets, Growth: b.Growth, Load: b.Load, Clients: b.Clients, BatchClients: b.BatchClients,
		Duration: b.Duration, BatchDuration: b.BatchDuration, Nodes: b.Nodes, StateBytes: b.State, SkipPostgres: b.NoPostgres, SQL: build.PeerSQL, Progress: os.Stderr,
	}, os.Stdout)
}
