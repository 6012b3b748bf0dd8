package node

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/store"
)

// scraped are the values of one scrape, by name and labels as they are written.
type scraped map[string]float64

// scrape asks a node's socket for its metrics.
func (h *hosted) scrape(t *testing.T) scraped {
	t.Helper()
	values := scraped{}
	lines := bufio.NewScanner(bytes.NewReader(operators{t, NewOperator(h.dir.path)}.done("GET", "/metrics", "")))
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), " ")
		if !ok || name == "#" {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("metric %q: %v", lines.Text(), err)
		}
		values[name] = value
	}
	return values
}

// series lists the values of a metric by their labels.
func (s scraped) series(name string) scraped {
	found := scraped{}
	for full, value := range s {
		if labels, ok := strings.CutPrefix(full, name); ok && (labels == "" || labels[0] == '{') {
			found[labels] = value
		}
	}
	return found
}

// within says that a value is there and between two bounds.
func (s scraped) within(t *testing.T, name string, low, high float64) {
	t.Helper()
	if value, ok := s[name]; !ok || value < low || value > high {
		t.Errorf("%s is %v, %v; want between %v and %v", name, value, ok, low, high)
	}
}

// until scrapes until a condition holds.
func (h *hosted) until(t *testing.T, what string, holds func(scraped) bool) scraped {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
		s := h.scrape(t)
		if holds(s) {
			return s
		}
		if time.Now().After(late) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

func TestMetricsOfASoleNode(t *testing.T) {
	began := time.Now()
	dir := filepath.Join(t.TempDir(), "data")
	h := mustHost(t, dir)
	defer h.end(t)
	before := h.until(t, "the books are added up", func(s scraped) bool { return len(s.series("coffer_conservation_error")) == 1 })
	before.within(t, "coffer_conservation_error", 0, 0)
	before.within(t, "coffer_raft_fsm_queue", 0, 128)
	before.within(t, "coffer_raft_restore_seconds", 0, 0)
	before.within(t, "coffer_raft_oldest_log_age_seconds", 0, time.Since(began).Seconds())
	for _, name := range list("coffer_raft_last_contact_seconds coffer_raft_peer_lag_entries coffer_clock_offset_seconds") {
		if found := before.series(name); len(found) > 0 {
			t.Errorf("%s%v of a node without peers", name, found)
		}
	}
	for db, file := range map[string]string{"state": stateFile, "raft": logFile} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		size := float64(info.Size())
		before.within(t, `coffer_bbolt_file_bytes{db="`+db+`"}`, size, size)
		before.within(t, `coffer_bbolt_free_bytes{db="`+db+`"}`, 0, size)
		before.within(t, `coffer_bbolt_freelist_bytes{db="`+db+`"}`, 0, size)
	}
	before.within(t, `coffer_bbolt_open_read_tx{db="state"}`, 1, 10)
	before.within(t, `coffer_bbolt_open_read_tx{db="raft"}`, 0, 10)
	if _, ok := before[`coffer_bbolt_oldest_read_tx_seconds{db="raft"}`]; ok {
		t.Error("raft.db has no readers that last")
	}
	countsReads(t, h)
	countsComparisons(t, h)
	holdsPages(t, h)
}

func countsReads(t *testing.T, h *hosted) {
	t.Helper()
	before := h.scrape(t)
	for level, name := range levelNames {
		if err := h.Read(t.Context(), level, func(*store.View) error { return nil }); err != nil {
			t.Fatal(err)
		}
		series := `coffer_read_seconds_count{consistency="` + name + `"}`
		if after := h.scrape(t)[series]; after < before[series]+1 {
			t.Errorf("%s went from %v to %v with a read", series, before[series], after)
		}
	}
}

func countsComparisons(t *testing.T, h *hosted) {
	t.Helper()
	before := h.scrape(t)
	index, digest, ok := h.machine.Digest()
	if !ok {
		t.Fatal("no digest")
	}
	for _, c := range []fsm.Assertion{{Index: index, Digest: digest}, {Index: index + 1e6}} {
		if _, err := fsm.Assert.Submit(h.self(t.Context()), h, c); err != nil {
			t.Fatal(err)
		}
	}
	after := h.scrape(t)
	for _, result := range list("equal not_comparable") {
		series := `coffer_digest_checks_total{result="` + result + `"}`
		if after[series] < before[series]+1 {
			t.Errorf("%s went from %v to %v", series, before[series], after[series])
		}
	}
	if different := after[`coffer_digest_checks_total{result="different"}`]; different != 0 {
		t.Errorf("%v digests differ", different)
	}
}

// holdsPages keeps a view over a flush: it must be seen.
func holdsPages(t *testing.T, h *hosted) {
	t.Helper()
	const oldest = `coffer_bbolt_oldest_read_tx_seconds{db="state"}`
	v := h.db.Latest()
	if err := h.db.Flush(); err != nil {
		t.Fatal(err)
	}
	h.until(t, "a reader that outlives a flush", func(s scraped) bool { return s[oldest] > 0 && s[`coffer_bbolt_open_read_tx{db="state"}`] == 2 })
	v.Close()
	h.until(t, "its end", func(s scraped) bool { return s[oldest] == 0 && s[`coffer_bbolt_open_read_tx{db="state"}`] == 1 })
}

func TestMetricsOfStatesThatTravel(t *testing.T) {
	h := mustHost(t, filepath.Join(t.TempDir(), "data"))
	defer h.end(t)
	count := func(direction, result string) float64 {
		return h.scrape(t)[`coffer_raft_install_snapshot_total{direction="`+direction+`",result="`+result+`"}`]
	}
	if err := h.db.Flush(); err != nil {
		t.Fatal(err)
	}
	metas, err := h.snaps.List()
	if err != nil || len(metas) != 1 {
		t.Fatal(metas, err)
	}
	for range 2 { // read to the end, then not at all
		meta, stream, err := h.snaps.Open(metas[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if count("sent", "ok") == 0 {
			if n, err := io.Copy(io.Discard, stream); err != nil || n != meta.Size {
				t.Fatal(n, err)
			}
		}
		if err := stream.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if ok, failed := count("sent", "ok"), count("sent", "failed"); ok != 1 || failed != 1 {
		t.Errorf("sent %v and failed to send %v", ok, failed)
	}
	sink, err := h.snaps.Create(1, metas[0].Index, metas[0].Term, metas[0].Configuration, metas[0].ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = sink.Write([]byte("no state")) // may be refused at once
	if err := sink.Cancel(); err != nil {
		t.Fatal(err)
	}
	if failed := count("received", "failed"); failed != 1 {
		t.Errorf("failed to receive %v", failed)
	}
	h.scrape(t).within(t, "coffer_raft_restore_seconds", 0, 0)
	h.metrics.exchange().Received(1500*time.Millisecond, nil)
	h.scrape(t).within(t, "coffer_raft_restore_seconds", 1.5, 1.5)
}

// A leader sees its peers, a follower its leader; who leads no more forgets.
func TestMetricsOfPeers(t *testing.T) {
	c, nodes := hostCluster(t)
	for _, h := range nodes {
		defer h.end(t)
	}
	c.promoteBoth()
	const contact, lag, offset = "coffer_raft_last_contact_seconds", "coffer_raft_peer_lag_entries", "coffer_clock_offset_seconds"
	led := nodes["node-1"].until(t, "the leader has seen both peers", func(s scraped) bool {
		return len(s.series(contact)) == 2 && len(s.series(lag)) == 2 && len(s.series(offset)) == 2
	})
	for _, labels := range []string{`{peer="node-2"}`, `{peer="node-3"}`} {
		led.within(t, contact+labels, 0, 30)
		led.within(t, lag+labels, 0, 1000)
		led.within(t, offset+labels, -0.5, 0.5)
	}
	follower := nodes["node-2"].until(t, "the follower has heard its leader", func(s scraped) bool { return len(s.series(contact)) == 1 })
	follower.within(t, contact+`{peer="node-1"}`, 0, 30)
	if found := len(follower.series(lag)) + len(follower.series(offset)); found > 0 {
		t.Errorf("a follower exports %d values of its peers", found)
	}
	if err := nodes["node-1"].Read(t.Context(), fsm.Linearizable, func(*store.View) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if rounds := nodes["node-1"].scrape(t)["coffer_readindex_round_seconds_count"]; rounds < 1 {
		t.Errorf("%v rounds for a read of three voters", rounds)
	}
	c.done("POST", "/admin/v1/cluster/transfer", `{"node":"node-2"}`)
	nodes["node-1"].until(t, "the former leader has forgotten its peers", func(s scraped) bool {
		_, heard := s[contact+`{peer="node-2"}`]
		return heard && len(s.series(contact)) == 1 && len(s.series(lag)) == 0 && len(s.series(offset)) == 0
	})
	nodes["node-2"].until(t, "the new leader has seen both peers", func(s scraped) bool { return len(s.series(lag)) == 2 })
}

func TestBooksThatDoNotBalanceAreSeen(t *testing.T) {
	t.Parallel()
	image, wallet := grown(t)
	for _, c := range tamperings(wallet) {
		if c.name != "a balance" {
			continue
		}
		dir := t.TempDir()
		image.write(t, dir)
		c.tamper(t, dir)
		h := mustHost(t, dir)
		s := h.until(t, "the books are added up", func(s scraped) bool { return len(s.series("coffer_conservation_error")) == 1 })
		s.within(t, "coffer_conservation_error", 100, 100)
		if err := h.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		return
	}
	t.Fatal("no such tampering")
}

func TestAPeersWordsAreNoLabel(t *testing.T) {
	m := newMetrics("test")
	refuse := m.cluster().Refuse
	for _, err := range []error{
		fmt.Errorf("%w: %w", cluster.ErrNotApplied, cluster.ErrOverloaded),
		fmt.Errorf("%w: words of a peer, no text: \xff", cluster.ErrNotApplied),
		fmt.Errorf("%w: other words", cluster.ErrNotApplied),
	} {
		refuse(err)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "coffer_rejected_total" {
			for _, series := range f.Metric {
				got[series.Label[0].GetValue()] = series.Counter.GetValue()
			}
		}
	}
	if want := map[string]float64{"overloaded": 1, "other": 2}; !maps.Equal(got, want) {
		t.Errorf("refusals %v, want %v", got, want)
	}
}
