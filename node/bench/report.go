package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is everything one run found out.
type Report struct {
	Started  time.Time `json:"started"`
	Machine  Machine   `json:"machine"`
	Settings []Setting `json:"settings"`
	Rows     []Row     `json:"rows"`
	Peer     *Peer     `json:"peer,omitempty"`
}

// Setting is one choice that figures depend on.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Row is one figure beside its target.
type Row struct {
	ID           string        `json:"id"`
	Subject      string        `json:"subject"`
	Figure       float64       `json:"figure"`
	Unit         Unit          `json:"unit"`
	Target       string        `json:"target"`
	Verdict      Verdict       `json:"verdict"`
	Notes        []string      `json:"notes,omitempty"`
	Measurements []Measurement `json:"measurements,omitempty"`
}

// Verdict says what a figure means for its target.
type Verdict string

// The verdicts. Measured is a figure taken under other conditions than those
// its target names; Failed has no figure that may be used.
const (
	Reached  Verdict = "reached"
	Missed   Verdict = "missed"
	Measured Verdict = "measured"
	Skipped  Verdict = "skipped"
	Failed   Verdict = "failed"
)

// Unit is the unit of a figure.
type Unit string

// The units of figures.
const (
	PerSecond Unit = "/s"
	Times     Unit = "x"
	Millis    Unit = "ms"
	Seconds   Unit = "s"
	Bytes     Unit = "bytes"
)

func verdict(reached bool) Verdict {
	if reached {
		return Reached
	}
	return Missed
}

func skippedRow(subject, reason string) Row {
	return Row{Subject: subject, Verdict: Skipped, Notes: []string{reason}}
}

// onlyMeasured takes the judgement away from a figure that was not taken
// under the conditions of its target, and says so.
func (r *Row) onlyMeasured(reason string) {
	if r.Verdict == Reached || r.Verdict == Missed {
		r.Verdict = Measured
		r.Notes = append(r.Notes, reason)
	}
}

// settingsOf lists the options that figures depend on.
func settingsOf(o Options) []Setting {
	server := o.URL
	if server == "" {
		server = fmt.Sprintf("own nodes, %d on this machine: ", max(1, o.Nodes)) + strings.Join(append([]string{"dev"}, o.NodeArguments...), " ")
	}
	settings := []Setting{
		{"server", server},
		{"users, wallets", fmt.Sprintf("%d, %s (growth: %s)", o.Users, grouped(float64(o.Wallets)), grouped(float64(o.GrowthWallets)))},
		{"clients", fmt.Sprintf("%d single, %d with batches of %d", o.Clients, o.BatchClients, o.BatchRows)},
		{"durations", fmt.Sprintf("%v (batches %v) after %v of warm-up", o.Duration, o.BatchDuration, o.WarmUp)},
		{"seed", fmt.Sprintf("%d", o.Seed)},
	}
	if o.Nodes > 1 {
		settings = append(settings, Setting{"cluster", fmt.Sprintf("%d times failover, rejoin with %s of state", o.Failovers, binarySize(float64(o.StateBytes)))})
	}
	if o.URL == "" {
		environment := append(nodeEnvironment(), o.NodeEnvironment...)
		settings = append(settings, Setting{"environment", strings.Join(environment, " ")})
	}
	return settings
}

// WriteJSON writes the report for machines.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable writes the report for people: machine, settings, figures, notes.
func (r *Report) WriteTable(w io.Writer) error {
	var text strings.Builder // cannot fail, and neither can what writes to it
	r.writeHead(&text)
	r.writeRows(&text)
	r.writeNotes(&text)
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) writeHead(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	m := r.Machine
	fmt.Fprintf(table, "MACHINE\t%s\n", r.Started.Format(time.RFC3339))
	fmt.Fprintf(table, "cpu\t%s, %d cores\n", m.CPU, m.Cores)
	fmt.Fprintf(table, "memory\t%s\n", binarySize(float64(m.MemoryBytes)))
	fmt.Fprintf(table, "system\t%s, %s\n", m.System, m.Go)
	fmt.Fprintf(table, "disk\t%s on %s (%s)\n", m.Filesystem.Type, m.Filesystem.Device, m.Directory)
	fmt.Fprintf(table, "before\t%s\n", m.PulseBefore)
	fmt.Fprintf(table, "after\t%s\n", m.PulseAfter)
	fmt.Fprintf(table, "\nSETTINGS\t\n")
	for _, setting := range r.Settings {
		fmt.Fprintf(table, "%s\t%s\n", setting.Name, setting.Value)
	}
}

func (r *Report) writeRows(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	fmt.Fprintf(table, "\nID\tWHAT\tFIGURE\tTARGET\tVERDICT\tP50 MS\tP99 MS\tMEMORY\n")
	for _, row := range r.Rows {
		row.write(table)
	}
	if r.Peer != nil {
		r.Peer.write(table)
	}
}

func (r Row) write(w io.Writer) {
	p50, p99, memory := "", "", ""
	if len(r.Measurements) == 1 || r.Unit == Millis {
		m := r.Measurements[0]
		if m.Requests > 0 {
			p50, p99 = fmt.Sprintf("%.2f", m.Latency.P50Millis), fmt.Sprintf("%.2f", m.Latency.P99Millis)
		}
		if m.PeakMemoryBytes > 0 {
			memory = binarySize(float64(m.PeakMemoryBytes))
		}
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Subject, r.figure(), r.Target, r.Verdict, p50, p99, memory)
}

func (r Row) figure() string {
	if r.Verdict == Skipped || r.Unit == "" {
		return "-"
	}
	switch r.Unit {
	case PerSecond:
		return grouped(r.Figure) + "/s"
	case Bytes:
		return binarySize(r.Figure)
	case Seconds:
		return fmt.Sprintf("%.3f s", r.Figure)
	}
	return fmt.Sprintf("%.2f %s", r.Figure, r.Unit)
}

func (r *Report) writeNotes(w io.Writer) {
	fmt.Fprintf(w, "\nNOTES\n")
	for _, row := range r.Rows {
		for _, note := range row.Notes {
			fmt.Fprintf(w, "%-4s %s: %s\n", row.ID, row.Subject, note)
		}
	}
	if r.Peer != nil {
		for _, note := range r.Peer.notes() {
			fmt.Fprintf(w, "%-4s %s\n", "peer", note)
		}
	}
	fmt.Fprintf(w, "P50, P99 and memory belong to the phase of their row; a batch is one request.\n")
}

// grouped writes a whole number with commas between thousands.
func grouped(value float64) string {
	digits := fmt.Sprintf("%.0f", value)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func binarySize(bytes float64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", bytes/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", bytes/(1<<20))
}
