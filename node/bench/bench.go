// Package bench is the engine of `coffer bench`: it starts a node, loads it
// over HTTP like any client, and reports each figure beside its target.
//
// It knows the server only by its public API and its command line, and
// imports nothing of it: what it measures is what a user gets. The generator
// shares the machine with the server, so it sends ready-made bytes on raw
// keep-alive connections and costs a few microseconds per request.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Options say what to measure and how long. A zero field takes the default
// named beside it.
type Options struct {
	Only []string // ids of the benchmarks to run, "P1"; empty runs all
	URL  string   // http://host:port of a running server; empty starts nodes of our own
	Dir  string   // where temporary directories go; default: the first disk of os.TempDir and "."
	Keep bool     // leave the temporary directory behind
	JSON bool     // print the report as JSON instead of tables

	Executable      string   // binary that serves and verifies; default os.Executable
	NodeArguments   []string // added to the command line of every node
	NodeEnvironment []string // NAME=value, added to the environment of every node

	Users         int // owners of all wallets, at least 2; default 4
	Wallets       int // default 10,000
	GrowthWallets int // wallets of P7; default 100,000
	Clients       int // keep-alive connections of P1 and P10; default 64
	BatchClients  int // batch requests in flight; default 4
	BatchRows     int // transfers per batch request; default 8,190, the most the API takes

	Duration      time.Duration // of P1 and P10, each; default 20 s
	WarmUp        time.Duration // before each timed phase, not counted; default 2 s
	BatchDuration time.Duration // of P3; default 60 s
	Samples       int           // single requests of P5; default 3,000
	Nodes         int           // above 1 it measures a cluster of so many on this machine, 3 to 7
	Failovers     int           // times the leader is killed; default 10
	Quiet         time.Duration // before the last time; default 130 s
	StateBytes    int64         // least state.db that a follower comes back to; default 256 MiB
	Growth        int64         // transfers that P7 loads; default 10,000,000
	Load          int64         // least transfers on disk for P6 and P8; default 1,000,000

	SkipPostgres     bool          // do not measure the peer even if it is installed
	PostgresDuration time.Duration // per client count; default 5 s
	SQL              fs.FS         // files of testdata/bench; without it the peer is skipped

	Seed     uint64    // of the choice of wallets and amounts; default random, in the report
	Progress io.Writer // lines for a person who waits; default none
}

// Run measures what the options name and writes the report to stdout. It ends
// its processes and removes its files before it returns, also when ctx ends;
// rows that were finished by then are still written. A missed target is no error.
func Run(ctx context.Context, options Options, stdout io.Writer) error {
	report, measureErr := Measure(ctx, options)
	if report == nil {
		return measureErr
	}
	write := report.WriteTable
	if options.JSON {
		write = report.WriteJSON
	}
	if err := write(stdout); err != nil {
		return errors.Join(measureErr, fmt.Errorf("write report: %w", err))
	}
	return measureErr
}

// Measure is Run without printing. The report is nil only when the options
// are wrong or nothing could be started.
func Measure(ctx context.Context, options Options) (*Report, error) {
	options, chosen, err := options.complete()
	if err != nil {
		return nil, err
	}
	// One processor is enough for the generator and keeps the scheduler of a
	// second one from spinning on the core that the server needs.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))

	session, err := newSession(options)
	if err != nil {
		return nil, err
	}
	err = session.run(ctx, chosen)
	return session.report, errors.Join(err, session.close())
}

func (o Options) complete() (Options, []benchmark, error) {
	chosen, err := choose(o.Only, o.Nodes)
	if err != nil {
		return o, nil, err
	}
	setDefault(&o.Users, 4)
	setDefault(&o.Wallets, 10_000)
	setDefault(&o.GrowthWallets, 100_000)
	setDefault(&o.Clients, 64)
	setDefault(&o.BatchClients, 4)
	setDefault(&o.BatchRows, 8_190)
	setDefault(&o.Duration, 20*time.Second)
	setDefault(&o.WarmUp, 2*time.Second)
	setDefault(&o.BatchDuration, sustainedDuration)
	setDefault(&o.Samples, 3_000)
	setDefault(&o.Failovers, 10)
	setDefault(&o.Quiet, quietTarget)
	setDefault(&o.StateBytes, 256<<20)
	setDefault(&o.Growth, growthTransfers)
	setDefault(&o.Load, 1_000_000)
	setDefault(&o.PostgresDuration, 5*time.Second)
	setDefault(&o.Seed, rand.Uint64())
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if err := o.check(); err != nil {
		return o, nil, err
	}
	if o.Executable == "" && o.URL == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return o, nil, fmt.Errorf("find own binary: %w", err)
		}
	}
	if o.Dir == "" {
		o.Dir = os.TempDir()
		if filesystemOf(o.Dir).Type == "tmpfs" {
			o.Dir = "."
		}
	}
	return o, chosen, nil
}

func (o Options) check() error {
	var wrong []string
	refuse := func(when bool, text string) {
		if when {
			wrong = append(wrong, text)
		}
	}
	refuse(o.Users < 2, "users below 2")
	refuse(o.Wallets < o.Users || o.GrowthWallets < o.Users, "fewer wallets than users")
	refuse(o.Clients < 1 || o.BatchClients < 1 || o.BatchRows < 1, "clients or batch rows below 1")
	refuse(o.Quiet < 0 || o.Duration < 0 || o.WarmUp < 0 || o.BatchDuration < 0 || o.PostgresDuration < 0, "negative duration")
	refuse(o.Nodes < 0 || o.Nodes == 2 || o.Nodes > 7, "nodes neither 1 nor 3 to 7")
	refuse(o.Nodes > 1 && o.URL != "", "a cluster is made of nodes of our own, without url")
	refuse(o.Failovers < 1 || o.StateBytes < 1, "failovers or state bytes below 1")
	refuse(o.Samples < 1 || o.Growth < 1 || o.Load < 1, "samples, growth or load below 1")
	if len(wrong) > 0 {
		return fmt.Errorf("bench options: %s", strings.Join(wrong, "; "))
	}
	if o.URL != "" {
		if _, err := addressOf(o.URL); err != nil {
			return err
		}
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// IDs lists the benchmarks for so many nodes in the order they run.
func IDs(nodes int) []string {
	var ids []string
	for _, b := range benchmarks(nodes) {
		ids = append(ids, b.id)
	}
	return ids
}

func choose(only []string, nodes int) ([]benchmark, error) {
	all := benchmarks(nodes)
	if len(only) == 0 {
		return all, nil
	}
	contains := func(ids []string, id string) bool {
		return slices.ContainsFunc(ids, func(other string) bool { return strings.EqualFold(id, other) })
	}
	for _, id := range only {
		if !contains(IDs(nodes), id) {
			return nil, fmt.Errorf("bench options: no benchmark %q for this number of nodes; one node has %s, three have %s",
				id, strings.Join(IDs(1), ", "), strings.Join(IDs(3), ", "))
		}
	}
	return slices.DeleteFunc(all, func(b benchmark) bool { return !contains(only, b.id) }), nil
}
