package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Peer is another database doing the same job on the same disk in the same run.
type Peer struct {
	Name     string    `json:"name"`
	Skipped  string    `json:"skipped,omitempty"` // why there are no runs
	Settings []string  `json:"settings"`
	Hash     string    `json:"hash,omitempty"` // what computes its chain
	Runs     []PeerRun `json:"runs,omitempty"`
}

// PeerRun is one client count of the peer.
type PeerRun struct {
	Clients   int     `json:"clients"`
	PerSecond float64 `json:"perSecond"`
	Latency   Latency `json:"latency"`
}

// postgresClients are the client counts of which the best one counts.
var postgresClients = []int{1, 16, 64}

// measurePostgres runs the peer. One that is absent or cannot be measured is
// no error: what is returned says why.
func (s *session) measurePostgres(ctx context.Context) (*Peer, error) {
	peer := &Peer{Name: "PostgreSQL", Settings: postgresSettings}
	bin := ""
	if !s.options.SkipPostgres && s.options.SQL != nil {
		bin = findPostgres(versionedPostgres)
	}
	switch {
	case s.options.SkipPostgres:
		peer.Skipped = "PostgreSQL was not asked for"
	case s.options.SQL == nil:
		peer.Skipped = "the SQL of the peer is not part of this program"
	case bin == "":
		peer.Skipped = "initdb, postgres, psql and pgbench were not found in one directory"
	}
	if peer.Skipped != "" {
		return peer, nil
	}
	s.note("PostgreSQL: starting %s", bin)
	server, err := startPostgres(ctx, bin, s.options.Dir, s.options.SQL)
	if err == nil {
		err = s.measurePeer(ctx, server, peer)
	}
	err = errors.Join(err, server.close())
	if err != nil && ctx.Err() == nil {
		s.note("PostgreSQL: %v", err)
		peer.Runs, peer.Skipped = nil, "PostgreSQL could not be measured: "+err.Error()
		return peer, nil
	}
	return peer, err
}

func (s *session) measurePeer(ctx context.Context, server *postgres, peer *Peer) error {
	version, err := server.query(ctx, "SHOW server_version")
	if err != nil {
		return err
	}
	number, _, _ := strings.Cut(version, " ") // distributions add their own
	peer.Name += " " + number
	pgcrypto, err := server.query(ctx, "SELECT count(*) FROM pg_available_extensions WHERE name = 'pgcrypto'")
	if err != nil {
		return err
	}
	hash := "hmac_builtin.sql"
	peer.Hash = "built-in sha256, twice"
	if pgcrypto == "1" {
		hash, peer.Hash = "hmac_pgcrypto.sql", "pgcrypto hmac"
	}
	if err := server.load(ctx, s.options.Wallets, "schema.sql", hash, "transfer.sql"); err != nil {
		return err
	}
	if _, err := server.pgbench(ctx, 16, s.options.Wallets, s.options.WarmUp); err != nil {
		return err
	}
	for _, clients := range postgresClients {
		run, err := server.pgbench(ctx, clients, s.options.Wallets, s.options.PostgresDuration)
		if err != nil {
			return err
		}
		s.note("PostgreSQL: %d clients, %s/s", clients, grouped(run.PerSecond))
		peer.Runs = append(peer.Runs, run)
	}
	return server.check(ctx)
}

// check asks the database whether every transfer did its whole job.
func (p *postgres) check(ctx context.Context) error {
	text, err := readSQL(p.sql, "check.sql")
	if err != nil {
		return err
	}
	complete, err := p.query(ctx, text)
	if err != nil {
		return err
	}
	if complete != "t" {
		return errors.New("the peer did not do the whole job: check.sql is not true")
	}
	return nil
}

// pgbench runs the workload for at least a second.
func (p *postgres) pgbench(ctx context.Context, clients, wallets int, duration time.Duration) (PeerRun, error) {
	script, err := readSQL(p.sql, "workload.sql")
	if err != nil {
		return PeerRun{}, err
	}
	prefix := filepath.Join(p.dir, "latency-"+strconv.Itoa(clients))
	seconds := max(1, int(duration.Seconds()))
	output, err := p.execute(ctx, script, "pgbench", "-h", p.dir, "-U", "bench", "-n", "-M", "prepared",
		"-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, runtime.NumCPU())),
		"-T", strconv.Itoa(seconds), "-D", "wallets="+strconv.Itoa(wallets),
		"-l", "--log-prefix="+prefix, "-f", "-", "postgres")
	if err != nil {
		return PeerRun{}, err
	}
	run := PeerRun{Clients: clients}
	if run.PerSecond, err = transactionRate(output); err != nil {
		return PeerRun{}, err
	}
	latency, err := readLatencies(prefix)
	if err != nil {
		return PeerRun{}, err
	}
	run.Latency = latencyOf(latency)
	return run, nil
}

// transactionRate reads the last "tps = N (…)" line of pgbench.
func transactionRate(output string) (float64, error) {
	rate := ""
	for line := range strings.Lines(output) {
		if rest, found := strings.CutPrefix(line, "tps = "); found {
			rate, _, _ = strings.Cut(rest, " ")
		}
	}
	value, err := strconv.ParseFloat(rate, 64)
	if err != nil {
		return 0, fmt.Errorf("read pgbench: no rate in %.500q", output)
	}
	return value, nil
}

// readLatencies reads and removes the logs of one run: microseconds are the
// third field of a line.
func readLatencies(prefix string) (*histogram, error) {
	logs, err := filepath.Glob(prefix + ".*")
	if err != nil || len(logs) == 0 {
		return nil, fmt.Errorf("read pgbench log: none at %s", prefix)
	}
	latencies := new(histogram)
	for _, path := range logs {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read pgbench log: %w", err)
		}
		err = addLatencies(latencies, file)
		if err := errors.Join(err, file.Close(), os.Remove(path)); err != nil {
			return nil, fmt.Errorf("read pgbench log: %w", err)
		}
	}
	return latencies, nil
}

func addLatencies(latencies *histogram, log io.Reader) error {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			return fmt.Errorf("line %q", lines.Text())
		}
		micros, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		latencies.record(time.Duration(micros) * time.Microsecond)
	}
	return lines.Err()
}

// best is the run with the highest rate; it needs at least one.
func (p *Peer) best() PeerRun {
	best := p.Runs[0]
	for _, run := range p.Runs {
		if run.PerSecond > best.PerSecond {
			best = run
		}
	}
	return best
}

func (p *Peer) write(w io.Writer) {
	for _, run := range p.Runs {
		fmt.Fprintf(w, "peer\t%s, same job, clients: %d\t%s/s\t\t\t%.2f\t%.2f\t\n", p.Name, run.Clients,
			grouped(run.PerSecond), run.Latency.P50Millis, run.Latency.P99Millis)
	}
}

func (p *Peer) notes() []string {
	if p.Skipped != "" {
		return []string{p.Skipped}
	}
	return []string{fmt.Sprintf("%s: pgbench -M prepared, %s, chain by %s", p.Name, strings.Join(p.Settings, " "), p.Hash)}
}
