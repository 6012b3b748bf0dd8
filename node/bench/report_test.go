package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite golden files")

func sampleReport() *Report {
	measured := Measurement{
		Name: "P1 transfers", Clients: 64, Seconds: 20, Requests: 512_345, Count: 512_345, PerSecond: 25_617.25,
		Acknowledged: 560_000, Series: []int64{25_000, 26_000},
		Latency:                Latency{P50Millis: 2.4, P90Millis: 3.6, P99Millis: 7.125, P999Millis: 15, MaxMillis: 31.5},
		ClientMicrosPerRequest: 6.5, ServerMicrosPerCount: 61.2, PeakMemoryBytes: 420 << 20,
	}
	refused := measured
	refused.Refused, refused.FirstRefusal = 3, `answer 400: {"error":"insufficient_balance"}`
	latency := Row{
		ID: "P5", Subject: "latency of one transfer, one client", Figure: 0.61, Unit: Millis,
		Target: "<= 1.3 x bbolt + 0.5 ms = 0.95 ms", Verdict: Reached, Measurements: []Measurement{measured, measured},
	}
	single := rateRow("single transfers, durable", measured, transferTarget)
	single.ID = "P1"
	broken := rateRow("transfers in batches of 8190", refused, batchTarget)
	broken.ID = "P3"
	start := startRow("start after kill -9 under load", 2345*time.Millisecond)
	start.ID = "P8"
	small := startRow("start after a clean stop", 345*time.Millisecond)
	small.ID = "P8"
	small.onlyMeasured("the target is for 10,000,000 transfers")
	absent := skippedRow("chain entries verified from disk", "the server's data directory is not ours")
	absent.ID = "P6"
	return &Report{
		Started: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Machine: Machine{
			CPU: "Example Processor", Cores: 2, MemoryBytes: 8 << 30, System: "linux 6.1.0 amd64",
			Directory: "/data/coffer-bench-1", Filesystem: Filesystem{Type: "ext4", Device: "/dev/sda1"}, Go: "go1.26.0",
			PulseBefore: Pulse{HashMegabytesPerSecond: 1234, SyncP50Millis: 0.18, SyncP99Millis: 1.5},
			PulseAfter:  Pulse{HashMegabytesPerSecond: 1200, SyncP50Millis: 0.21, SyncP99Millis: 2},
		},
		Settings: []Setting{{"server", "own node: dev"}, {"seed", "42"}},
		Rows: []Row{single, latency, broken, {
			ID: "P7", Subject: "anonymous memory, highest", Figure: 1.5 * (1 << 30), Unit: Bytes, Target: "<= 1 GiB", Verdict: Missed,
		}, small, start, absent, {ID: "P10", Subject: "failed", Verdict: Failed, Notes: []string{"node ended"}}},
		Peer: &Peer{
			Name: "PostgreSQL 15.1", Settings: []string{"fsync=on"}, Hash: "pgcrypto hmac",
			Runs: []PeerRun{{Clients: 1, PerSecond: 2060, Latency: Latency{P50Millis: 0.48, P99Millis: 0.9}}},
		},
	}
}

func TestReportTable(t *testing.T) {
	var got bytes.Buffer
	if err := sampleReport().WriteTable(&got); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "report.txt")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("table differs from %s (-update rewrites it):\n%s", golden, got.String())
	}
}

func TestReportJSONKeepsEverything(t *testing.T) {
	var encoded bytes.Buffer
	if err := sampleReport().WriteJSON(&encoded); err != nil {
		t.Fatal(err)
	}
	got := new(Report)
	if err := json.Unmarshal(encoded.Bytes(), got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, sampleReport()) {
		t.Errorf("read back: %+v", got)
	}
}

func TestGrouped(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 999: "999", 1000: "1,000", 1234567.4: "1,234,567", -1234: "-1,234", -999: "-999", 100000: "100,000",
	} {
		if got := grouped(value); got != want {
			t.Errorf("%v is written %s, want %s", value, got, want)
		}
	}
}
