package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// postgresParent returns a directory that an unprivileged user may pass,
// unlike the one of the test.
func postgresParent(t *testing.T) string {
	t.Helper()
	if findPostgres(versionedPostgres) == "" {
		t.Skip("initdb, postgres, psql and pgbench are not installed")
	}
	parent, err := os.MkdirTemp("", "peer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	return parent
}

// startTestPostgres starts a server that ends, without a trace, with the test.
func startTestPostgres(t *testing.T) *postgres {
	t.Helper()
	parent := postgresParent(t)
	p, err := startPostgres(t.Context(), findPostgres(versionedPostgres), parent, os.DirFS("../../testdata/bench"))
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
		assertEmpty(t, parent)
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *postgres) mustQuery(t *testing.T, text string) string {
	t.Helper()
	answer, err := p.query(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestPostgresDoesTheSameJob(t *testing.T) {
	p := startTestPostgres(t)
	checkHashes(t, p)
	if err := p.load(t.Context(), 50, "schema.sql", "transfer.sql"); err != nil {
		t.Fatal(err)
	}
	first := p.mustQuery(t, "SELECT transfer(1, 2, 1500, 'once')")
	if again := p.mustQuery(t, "SELECT transfer(1, 2, 1500, 'once')"); again != first {
		t.Errorf("the same key gave %s and %s", first, again)
	}
	balances := p.mustQuery(t, "SELECT string_agg(balance::text, ' ' ORDER BY id) FROM accounts WHERE id < 3")
	if balances != "99998498 100001500" {
		t.Errorf("balances after 1500 and a fee of 2: %s", balances)
	}
	if _, err := p.query(t.Context(), "SELECT transfer(1, 2, 100000000, 'too much')"); err == nil {
		t.Error("an account was overdrawn")
	}
	run, err := p.pgbench(t.Context(), 4, 50, time.Second)
	if err != nil || run.PerSecond <= 0 || run.Latency.P50Millis <= 0 || run.Clients != 4 {
		t.Errorf("pgbench: %+v, %v", run, err)
	}
	if err := p.check(t.Context()); err != nil {
		t.Error(err)
	}
	p.mustQuery(t, "UPDATE chain SET payload = 'other' WHERE height = 3")
	if err := p.check(t.Context()); err == nil {
		t.Error("the check passes over a changed entry")
	}
}

// checkHashes compares every implementation of the chain's HMAC with Go's and
// leaves the last one loaded.
func checkHashes(t *testing.T, p *postgres) {
	t.Helper()
	key, err := hex.DecodeString("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("vnx1transfer"))
	want := hex.EncodeToString(mac.Sum(nil))
	implementations := []string{"hmac_builtin.sql"}
	if p.mustQuery(t, "SELECT count(*) FROM pg_available_extensions WHERE name = 'pgcrypto'") == "1" {
		implementations = append(implementations, "hmac_pgcrypto.sql")
	}
	for i, implementation := range implementations {
		if i > 0 {
			p.mustQuery(t, "DROP FUNCTION chain_hmac(bytea)")
		}
		if err := p.load(t.Context(), 0, implementation); err != nil {
			t.Fatal(err)
		}
		if got := p.mustQuery(t, "SELECT encode(chain_hmac('vnx1transfer'), 'hex')"); got != want {
			t.Errorf("%s: %s, want %s", implementation, got, want)
		}
	}
}

func TestPostgresIsSkippedWithAReason(t *testing.T) {
	empty := t.TempDir()
	cases := []struct {
		name, want string
		options    Options
	}{
		{"not asked for", "not asked for", Options{SkipPostgres: true, SQL: fstest.MapFS{}}},
		{"no SQL", "not part of this program", Options{}},
	}
	if findPostgres(versionedPostgres) != "" {
		cases = append(cases, struct {
			name, want string
			options    Options
		}{"SQL without files", "could not be measured: read SQL", Options{SQL: fstest.MapFS{}, Dir: postgresParent(t), Wallets: 4}})
	}
	for _, c := range cases {
		c.options.Progress = testWriter{t}
		s := &session{options: c.options, started: time.Now()}
		peer, err := s.measurePostgres(t.Context())
		if err != nil || !strings.Contains(peer.Skipped, c.want) || len(peer.Runs) != 0 {
			t.Errorf("%s: %+v, %v", c.name, peer, err)
		}
		if notes := peer.notes(); len(notes) != 1 || notes[0] != peer.Skipped {
			t.Errorf("%s: notes %q", c.name, notes)
		}
	}
	t.Setenv("PATH", empty)
	if got := findPostgres(filepath.Join(empty, "*", "bin")); got != "" {
		t.Errorf("found %q where nothing is", got)
	}
}

func TestFindPostgresTakesTheNewestComplete(t *testing.T) {
	t.Setenv("PATH", "")
	root := t.TempDir()
	install := func(version string, programs ...string) {
		dir := filepath.Join(root, version, "bin")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, program := range programs {
			if err := os.WriteFile(filepath.Join(dir, program), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	install("9.6", "initdb", "postgres", "psql", "pgbench")
	install("15", "initdb", "postgres", "psql", "pgbench")
	install("16", "initdb", "postgres", "psql")
	if got, want := findPostgres(filepath.Join(root, "*", "bin")), filepath.Join(root, "15", "bin"); got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}

func TestPgbenchOutput(t *testing.T) {
	output := "latency average = 0.485 ms\ninitial connection time = 2.1 ms\ntps = 2060.125 (without initial connection time)\n"
	if rate, err := transactionRate(output); rate != 2060.125 || err != nil {
		t.Errorf("rate %v, %v", rate, err)
	}
	if _, err := transactionRate("pgbench: error"); err == nil {
		t.Error("a rate out of nothing")
	}
	var latencies histogram
	log := "0 1 480 0 1700000000 123\n1 1 520 0 1700000000 124\n"
	if err := addLatencies(&latencies, strings.NewReader(log)); err != nil || latencies.total != 2 || latencies.max != 520*time.Microsecond {
		t.Errorf("%d latencies up to %v, %v", latencies.total, latencies.max, err)
	}
	for _, bad := range []string{"0 1", "0 1 skipped 0"} {
		if err := addLatencies(&latencies, strings.NewReader(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestBestRun(t *testing.T) {
	peer := Peer{Runs: []PeerRun{{Clients: 1, PerSecond: 5}, {Clients: 16, PerSecond: 9}, {Clients: 64, PerSecond: 7}}}
	if got := peer.best(); got.Clients != 16 {
		t.Errorf("best is %s", fmt.Sprint(got))
	}
}
