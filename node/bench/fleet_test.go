package bench

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// buildProgram builds the real program: a cluster cannot be faked cheaply.
func buildProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coffer")
	command := exec.CommandContext(t.Context(), "go", "build", "-tags", "hashicorpmetrics", "-o", path, "coffer")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, output)
	}
	return path
}

// TestRunMeasuresACluster takes every step with three real nodes; its figures
// mean nothing.
func TestRunMeasuresACluster(t *testing.T) {
	options := quickOptions(t)
	options.Executable, options.Nodes, options.Failovers, options.StateBytes = buildProgram(t), 3, 1, 1
	options.Quiet = time.Millisecond
	options.Only = []string{"p2", "P4", "failover", "rejoin"}
	options.NodeEnvironment = []string{"COFFER_PROBATION=100ms"}
	report := measure(t, options)
	var got []string
	for _, row := range report.Rows {
		got = append(got, row.ID)
		if row.Verdict == Failed || row.Figure <= 0 {
			t.Errorf("%s %s: figure %v, %s: %q", row.ID, row.Subject, row.Figure, row.Verdict, row.Notes)
		}
	}
	if want := []string{"P2", "P2", "P4", "P4", "failover", "failover", "rejoin"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	for _, row := range report.Rows[:4] {
		if !strings.Contains(row.Subject, "at the leader") && !strings.Contains(row.Subject, "spread over the nodes") {
			t.Errorf("%s does not say where its clients are: %s", row.ID, row.Subject)
		}
	}
	assertEmpty(t, options.Dir)
	for _, path := range nodesIn(options.Dir) {
		t.Errorf("%s still runs", path)
	}
}

func TestFleetAddressesDiffer(t *testing.T) {
	addresses, err := fleetAddresses(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(addresses)
	if len(slices.Compact(addresses)) != 20 {
		t.Errorf("addresses %q", addresses)
	}
}

func TestBackupRowsJudgeRatios(t *testing.T) {
	phases := func(beside, p99 float64) []Measurement {
		all := []Measurement{{PerSecond: 110}, {PerSecond: beside}, {PerSecond: 90}}
		all[0].Latency.P99Millis, all[1].Latency.P99Millis, all[2].Latency.P99Millis = 4, p99, 6
		return all
	}
	for _, c := range []struct {
		beside, p99   float64
		rate, slower  float64
		first, second Verdict
	}{
		{80, 15, 0.8, 3, Reached, Reached},
		{79, 16, 0.79, 3.2, Missed, Missed},
	} {
		rows := backupRows("load", phases(c.beside, c.p99), copies{count: 1, bytes: 1})
		if rows[0].Figure != c.rate || rows[1].Figure != c.slower || rows[0].Verdict != c.first || rows[1].Verdict != c.second {
			t.Errorf("%+v: %+v", c, rows)
		}
	}
	refused := phases(100, 5)
	refused[1].Refused = 1
	for _, row := range backupRows("load", refused, copies{}) {
		if row.Verdict != Failed {
			t.Errorf("%s with refusals: %s", row.Subject, row.Verdict)
		}
	}
}

func TestRejoinRowExtrapolatesOpenly(t *testing.T) {
	row := rejoinRow(2*time.Second, 256<<20, true, Measurement{})
	if notes := strings.Join(row.Notes, "\n"); row.Verdict != Measured || !strings.Contains(notes, "128.0 MiB/s") ||
		!strings.Contains(notes, "extrapolated in proportion, not measured: 8.0 s for 1 GiB") {
		t.Errorf("a quarter of the state: %s, %q", row.Verdict, row.Notes)
	}
	if row := rejoinRow(61*time.Second, 1<<30, true, Measurement{}); row.Verdict != Missed {
		t.Errorf("61 s for 1 GiB: %s", row.Verdict)
	}
	if row := rejoinRow(time.Second, 1<<30, false, Measurement{}); row.Verdict != Measured || !strings.Contains(strings.Join(row.Notes, "\n"), "replay") {
		t.Errorf("a replay: %s, %q", row.Verdict, row.Notes)
	}
}
