package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// session is one run: its temporary directory, its nodes and its report.
type session struct {
	options Options
	dir     string
	report  *Report
	started time.Time
	small   *bank // nodes are started when the first benchmark needs them
	grown   *bank // the one of P7
	cluster *bank // several nodes
}

// benchmark is one line of the target table. What it returns is reported
// also when it fails halfway.
type benchmark struct {
	id  string
	run func(*session, context.Context) ([]Row, error)
}

// benchmarks lists all there are for so many nodes, in the order they run:
// those that want a small ledger first, those that want a large one last.
func benchmarks(nodes int) []benchmark {
	if nodes > 1 {
		return []benchmark{
			{"P9", (*session).measureBackup},
			{"P2", (*session).measureClusterTransfers},
			{"P4", (*session).measureClusterBatches},
			{"failover", (*session).measureFailover},
			{"rejoin", (*session).measureRejoin},
		}
	}
	return []benchmark{
		{"P1", (*session).measureTransfers},
		{"P5", (*session).measureLatency},
		{"P10", (*session).measureReads},
		{"P3", (*session).measureBatches},
		{"P7", (*session).measureGrowth},
		{"P9", (*session).measureBackup},
		{"P8", (*session).measureStart},
		{"P6", (*session).measureVerification},
	}
}

func newSession(options Options) (*session, error) {
	dir, err := os.MkdirTemp(options.Dir, "coffer-bench-")
	if err != nil {
		return nil, fmt.Errorf("make bench directory: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("make bench directory: %w", err)
	}
	s := &session{options: options, dir: dir, started: time.Now()}
	s.note("working in %s", dir)
	machine, err := describeMachine(dir)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.report = &Report{Started: s.started.UTC(), Machine: machine, Settings: settingsOf(options)}
	return s, nil
}

// run measures one benchmark after the other. One that fails is reported as
// failed and its node is given up, so that the others can still run.
func (s *session) run(ctx context.Context, chosen []benchmark) error {
	var failures []error
	for _, b := range chosen {
		s.note("%s begins", b.id)
		rows, err := b.run(s, ctx)
		for _, row := range rows {
			row.ID = b.id
			s.report.Rows = append(s.report.Rows, row)
		}
		if ctx.Err() != nil {
			return errors.Join(append(failures, fmt.Errorf("bench interrupted: %w", context.Cause(ctx)))...)
		}
		if err != nil {
			s.note("%s failed: %v", b.id, err)
			s.report.Rows = append(s.report.Rows, Row{ID: b.id, Subject: "failed", Verdict: Failed, Notes: []string{err.Error()}})
			failures = append(failures, fmt.Errorf("%s: %w", b.id, err))
			s.giveUp()
		}
	}
	pulse, err := takePulse(s.dir)
	s.report.Machine.PulseAfter = pulse
	return errors.Join(append(failures, err)...)
}

// ledger returns the small node, started and populated.
func (s *session) ledger(ctx context.Context) (*bank, error) {
	if s.small != nil {
		return s.small, nil
	}
	b, err := s.openBank(ctx, "small", s.options.Wallets)
	s.small = b
	return b, err
}

// loaded returns the node with the most transfers, at least options.Load.
func (s *session) loaded(ctx context.Context) (*bank, error) {
	if s.grown != nil {
		return s.grown, nil
	}
	b, err := s.ledger(ctx)
	if err != nil || b.moved >= s.options.Load {
		return b, err
	}
	_, err = b.loadTransfers(ctx, phase{
		name: "loading", clients: s.options.BatchClients, limit: s.options.Load - b.moved,
	}, b.batches(s.options.BatchRows))
	return b, err
}

// openBank starts a node, or uses the server of the URL, and populates it.
// The bank is returned with an error too, so that its node can be ended.
func (s *session) openBank(ctx context.Context, name string, wallets int) (*bank, error) {
	b := &bank{run: rand.Uint64(), seed: s.options.Seed, note: s.note}
	if s.options.URL != "" {
		address, err := addressOf(s.options.URL)
		if err != nil {
			return nil, err
		}
		b.address = address
		return b, b.populate(ctx, s.options.Users, wallets, s.options.Clients)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	b.address, b.dataDir = address, filepath.Join(s.dir, name)
	if b.process, err = s.command(b).start(); err != nil {
		return nil, err
	}
	if err := b.process.ready(ctx); err != nil {
		return b, err
	}
	return b, b.populate(ctx, s.options.Users, wallets, s.options.Clients)
}

func (s *session) command(b *bank) nodeCommand {
	return nodeCommand{
		executable: s.options.Executable, arguments: s.options.NodeArguments,
		environment: s.options.NodeEnvironment, dataDir: b.dataDir, address: b.address,
		logPath: b.dataDir + ".log",
	}
}

// nodes returns the cluster, started and populated. A node that ran alone is
// dropped: the machine is for the cluster.
func (s *session) nodes(ctx context.Context) (*bank, error) {
	if s.cluster != nil {
		return s.cluster, nil
	}
	s.giveUp()
	b, err := s.openFleet(ctx)
	s.cluster = b
	return b, err
}

// giveUp kills all nodes, as after a failed benchmark, and forgets their data.
func (s *session) giveUp() {
	for _, b := range []**bank{&s.small, &s.grown, &s.cluster} {
		if *b == nil {
			continue
		}
		if err := s.drop(*b); err != nil {
			s.note("%v", err)
		}
		*b = nil
	}
}

// drop ends a node of our own and removes its data, unless it is to be kept.
func (s *session) drop(b *bank) error {
	if err := b.kill(); err != nil {
		return err
	}
	if b.dataDir == "" || s.options.Keep {
		return nil
	}
	if err := os.RemoveAll(b.dataDir); err != nil {
		return fmt.Errorf("remove data: %w", err)
	}
	return nil
}

// close ends what still runs and removes the directory. Nodes whose data is
// kept are stopped in good order.
func (s *session) close() error {
	var failures []error
	for _, b := range []*bank{s.small, s.grown, s.cluster} {
		if b == nil {
			continue
		}
		if s.options.Keep {
			failures = append(failures, b.stop(context.Background()))
		} else {
			failures = append(failures, b.kill())
		}
	}
	if s.options.Keep {
		s.note("kept %s", s.dir)
		return errors.Join(failures...)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		failures = append(failures, fmt.Errorf("remove bench directory: %w", err))
	}
	return errors.Join(failures...)
}

// note writes one line for a person who waits.
func (s *session) note(format string, arguments ...any) {
	fmt.Fprintf(s.options.Progress, "%7.1fs  %s\n", time.Since(s.started).Seconds(), fmt.Sprintf(format, arguments...))
}
