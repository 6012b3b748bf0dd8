package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// VerifyFlags are those of `coffer verify`.
type VerifyFlags struct {
	DataDir  string
	SaltFile string
	Only     []string
	JSON     bool
	Out      io.Writer // the report
	Progress *os.File  // a bar, if it is a terminal
}

// VerifyCommand verifies a stopped node's files, prints the report and returns
// the exit code.
func VerifyCommand(ctx context.Context, f VerifyFlags, lookup func(string) (string, bool)) (int, error) {
	for _, name := range f.Only {
		if !slices.Contains(CheckNames(), name) {
			return VerifyUsage, fmt.Errorf("--only %s is none of %s", name, strings.Join(CheckNames(), ", "))
		}
	}
	salt, err := StoredSalt(f.DataDir, f.SaltFile, lookup)
	if err != nil {
		return VerifyUsage, err
	}
	bar := newBar(f.Progress)
	report, err := Verify(ctx, Verification{DataDir: f.DataDir, Salt: salt, Only: f.Only, Progress: bar.show})
	bar.clear()
	if err != nil {
		return VerifyUsage, err
	}
	report.ExitCode = report.Code()
	report.OK = report.ExitCode == VerifyOK
	if f.JSON {
		encoder := json.NewEncoder(f.Out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.print(f.Out)
	}
	if err != nil {
		return VerifyUsage, err
	}
	return report.Code(), nil
}

// QuickChecks are those that read every file but recompute no history: pages,
// rows, log and invariants.
func QuickChecks() []string { return []string{"pages", "rows", "log", "invariants"} }

// StoredSalt is the salt of a file, of the environment, or the one that
// development has made in a data directory; empty for none.
func StoredSalt(dir, file string, lookup func(string) (string, bool)) (Secret, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", Usage{fmt.Errorf("--salt-file: %w", err)}
		}
		return Secret(strings.TrimSuffix(string(text), "\n")), nil
	}
	if salt, err := readSecret(lookup, saltNames...); err != nil || salt != "" {
		return salt, err
	}
	return storedSecret(filepath.Join(dir, secretsDir, saltFile))
}

// print writes one line per check, and what is wrong below it.
func (r *VerifyReport) print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: ledger %s, node %s\n", r.DataDir, orDash(r.LedgerID), orDash(r.NodeID))
	fmt.Fprintf(&text, "state of log index %d: %d entries, head %s, root %s\n", r.Index, r.Entries, orDash(r.HeadHash), orDash(r.RootHash))
	for _, c := range r.Checks {
		verdict := "ok"
		if !c.OK {
			verdict = "FAILED"
		}
		line := fmt.Sprintf("%-11s %-7s %12d rows %9.2f s  %s", c.Name, verdict, c.Rows, c.Seconds, c.Note)
		fmt.Fprintln(&text, strings.TrimRight(line, " "))
		for _, problem := range c.Problems {
			fmt.Fprintf(&text, "            %s\n", problem)
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}
