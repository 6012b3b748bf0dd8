package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// quickOptions measure a fake node for a moment; figures mean nothing, but
// every step is taken.
func quickOptions(t *testing.T) Options {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Dir: t.TempDir(), Executable: executable,
		Users: 3, Wallets: 30, GrowthWallets: 60, Clients: 4, BatchClients: 2, BatchRows: 20,
		Duration: 200 * time.Millisecond, WarmUp: 20 * time.Millisecond, BatchDuration: 300 * time.Millisecond,
		Samples: 20, Growth: 3_000, Load: 500, SkipPostgres: true, Seed: 1, Progress: testWriter{t},
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(line))
	return len(line), nil
}

// measure runs the benchmark and reads its report.
func measure(t *testing.T, options Options) Report {
	t.Helper()
	options.JSON = true
	var output bytes.Buffer
	if err := Run(t.Context(), options, &output); err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(output.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	return report
}

func TestRunMeasuresEverything(t *testing.T) {
	options := quickOptions(t)
	report := measure(t, options)
	var got []string
	for _, row := range report.Rows {
		got = append(got, row.ID+" "+string(row.Verdict))
		if row.Verdict != Skipped && row.Figure <= 0 {
			t.Errorf("%s %s: figure %v", row.ID, row.Subject, row.Figure)
		}
	}
	judged := []string{"P1 skipped", "P3 measured", "P7 measured", "P7 measured", "P7 measured", "P8 measured", "P8 measured"}
	for _, want := range judged {
		if !slices.Contains(got, want) {
			t.Errorf("no row %q in %q", want, got)
		}
	}
	if len(got) != 14 || len(report.Settings) == 0 || report.Machine.Cores == 0 || report.Peer == nil {
		t.Errorf("%d rows of 14; %+v", len(got), report)
	}
	assertEmpty(t, options.Dir)
}

func TestRunMeasuresAServerOfOthers(t *testing.T) {
	fake := &fakeServer{keys: map[string]bool{}}
	server := httptest.NewServer(fake.handler())
	defer server.Close()
	options := quickOptions(t)
	options.URL, options.Only = server.URL, []string{"P6", "p1", "P5", "P8"}
	report, err := Measure(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range report.Rows {
		got = append(got, row.ID)
		if row.Verdict == Failed {
			t.Errorf("%s: %q", row.ID, row.Notes)
		}
	}
	if want := []string{"P1", "P1", "P5", "P8", "P6"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if len(report.Rows[0].Measurements) != 1 || report.Rows[0].Measurements[0].Count == 0 {
		t.Errorf("P1 measured nothing: %+v", report.Rows[0])
	}
	assertEmpty(t, options.Dir)
}

func TestRunReportsFailures(t *testing.T) {
	for failure, c := range map[string]struct {
		only []string
		want string
	}{
		"start":  {[]string{"P1", "P10"}, "no luck today"},
		"forget": {[]string{"P8"}, "kill -9 lost writes"},
		"verify": {[]string{"P6"}, "entry 7 is bad"},
		"backup": {[]string{"P9"}, "no room for a copy"},
	} {
		options := quickOptions(t)
		options.Only = c.only
		options.NodeEnvironment = []string{failureVariable + "=" + failure}
		var output bytes.Buffer
		err := Run(t.Context(), options, &output)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", failure, err)
		}
		if strings.Count(output.String(), "failed") < len(c.only) || !strings.Contains(output.String(), c.want) {
			t.Errorf("%s: table without the failure:\n%s", failure, output.String())
		}
		assertEmpty(t, options.Dir)
	}
}

func TestRunEndsItsNodeWhenInterrupted(t *testing.T) {
	options := quickOptions(t)
	options.Only, options.Duration = []string{"P1"}, time.Hour
	options.Wallets = 300
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		waitFor(t, "transfers to be under way", func() bool {
			found, _ := filepath.Glob(filepath.Join(options.Dir, "*", "small", "height"))
			if len(found) == 0 {
				return false
			}
			height, _ := readHeight(filepath.Dir(found[0]))
			return height > 400
		})
		cancel()
	}()
	var output bytes.Buffer
	if err := Run(ctx, options, &output); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("interrupted run: %v", err)
	}
	if !strings.Contains(output.String(), "MACHINE") {
		t.Errorf("no report:\n%s", output.String())
	}
	assertEmpty(t, options.Dir)
	for _, path := range nodesIn(options.Dir) {
		t.Errorf("%s still runs", path)
	}
}

func TestRunKeepsItsDirectory(t *testing.T) {
	options := quickOptions(t)
	options.Only, options.Keep = []string{"P5"}, true
	if _, err := Measure(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(options.Dir, "*", "small", "height"))
	if err != nil || len(found) != 1 {
		t.Errorf("kept %q, %v", found, err)
	}
	for _, path := range nodesIn(options.Dir) {
		t.Errorf("%s still runs", path)
	}
}

func TestOptions(t *testing.T) {
	for name, options := range map[string]Options{
		`no benchmark "P77"`:      {Only: []string{"P77"}},
		"users below 2":           {Users: 1},
		"fewer wallets":           {Wallets: 3},
		"negative duration":       {Duration: -1},
		"clients or batch rows":   {Clients: -1},
		"not of the form http":    {URL: "https://example.org"},
		"samples, growth or load": {Samples: -1},
		"nodes neither 1 nor 3":   {Nodes: 2},
		"without url":             {Nodes: 3, URL: "http://127.0.0.1:1"},
		`no benchmark "P2"`:       {Only: []string{"P2"}},
		`no benchmark "P1"`:       {Only: []string{"P1"}, Nodes: 3},
		"failovers or state":      {Failovers: -1},
	} {
		if _, err := Measure(t.Context(), options); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q, got %v", name, err)
		}
	}
	completed, chosen, err := Options{}.complete()
	if err != nil || len(chosen) != len(IDs(1)) || completed.Wallets != 10_000 || completed.Progress != io.Discard {
		t.Errorf("defaults: %+v, %d chosen, %v", completed, len(chosen), err)
	}
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind in %s: %v, %v", dir, entries, err)
	}
}

// nodesIn lists the command lines of running processes that mention dir.
func nodesIn(dir string) []string {
	var found []string
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		if line, err := os.ReadFile(path); err == nil && bytes.Contains(line, []byte(dir)) {
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
		}
	}
	return found
}
