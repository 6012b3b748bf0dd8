package node

import (
	"context"
	"encoding/json"
	"errors"
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
	salt, err := verifySalt(f, lookup)
	if err != nil {
		return VerifyUsage, err
	}
	bar := newBar(f.Progress)
	report, err := Verify(ctx, Verification{DataDir: f.DataDir, Salt: salt, Only: f.Only, Progress: bar.show})
	bar.clear()
	if err != nil {
		return VerifyUsage, err
	}
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

// verifySalt is the salt of a file, of the environment, or the one that
// development has made; empty for none.
func verifySalt(f VerifyFlags, lookup func(string) (string, bool)) (Secret, error) {
	if f.SaltFile != "" {
		text, err := os.ReadFile(f.SaltFile)
		return Secret(strings.TrimSuffix(string(text), "\n")), err
	}
	secrets, err := SecretsFrom(lookup)
	if err != nil || secrets.Salt != "" {
		return secrets.Salt, err
	}
	text, err := os.ReadFile(filepath.Join(f.DataDir, "secrets", "chain.salt"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return Secret(strings.TrimSuffix(string(text), "\n")), err
}

// print writes one line per check, and what is wrong below it.
func (r *VerifyReport) print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: ledger %s, node %s, log index %d\n", r.DataDir, r.LedgerID, r.NodeID, r.Index)
	fmt.Fprintf(&text, "%d entries, head %s, root %s\n", r.Entries, r.HeadHash, r.RootHash)
	for _, c := range r.Checks {
		verdict := "ok"
		if !c.OK {
			verdict = "FAILED"
		}
		fmt.Fprintf(&text, "%-11s %-7s %12d rows %9.2f s  %s\n", c.Name, verdict, c.Rows, c.Seconds, c.Note)
		for _, problem := range c.Problems {
			fmt.Fprintf(&text, "            %s\n", problem)
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// bar shows progress on a terminal and nothing anywhere else.
type bar struct {
	out   *os.File
	shown bool
}

func newBar(out *os.File) *bar {
	if out == nil {
		return &bar{}
	}
	info, err := out.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &bar{}
	}
	return &bar{out: out}
}

const barWidth = 40

func (b *bar) show(check string, done, total uint64) {
	if b.out == nil {
		return
	}
	b.shown = true
	if total == 0 {
		fmt.Fprintf(b.out, "\r\033[K%-32s %d", check, done)
		return
	}
	filled := int(done * barWidth / total)
	fmt.Fprintf(b.out, "\r\033[K%-12s [%s%s] %3d%% %d of %d", check,
		strings.Repeat("#", filled), strings.Repeat(" ", barWidth-filled), done*100/total, done, total)
}

func (b *bar) clear() {
	if b.shown {
		fmt.Fprint(b.out, "\r\033[K")
	}
}
