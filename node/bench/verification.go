package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const verificationTarget = 1_000_000

// measureVerification is P6: the chain of a stopped node, from disk.
func (s *session) measureVerification(ctx context.Context) ([]Row, error) {
	const subject = "chain entries verified from disk"
	if s.options.URL != "" {
		return []Row{skippedRow(subject, "the server's data directory is not ours")}, nil
	}
	b, err := s.loaded(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.stop(ctx); err != nil {
		return nil, err
	}
	started := time.Now()
	checked, err := s.command(b).verifyChain(ctx)
	if err != nil {
		return nil, err
	}
	row := Row{
		Subject: subject, Figure: ratio(checked.Rows, checked.Seconds), Unit: PerSecond,
		Target: fmt.Sprintf(">= %s/s", grouped(verificationTarget)),
		Notes: []string{fmt.Sprintf("%s entries in %.2f s; the whole command took %.2f s",
			grouped(checked.Rows), checked.Seconds, time.Since(started).Seconds())},
	}
	row.Verdict = verdict(row.Figure >= verificationTarget)
	if int64(checked.Rows) < b.moved {
		return []Row{row}, fmt.Errorf("verify saw %.0f entries of at least %d", checked.Rows, b.moved)
	}
	return []Row{row}, nil
}

// chainCheck is what `verify --json` says about the chain.
type chainCheck struct {
	Name          string
	Rows, Seconds float64
}

// verifyChain runs the verifier over the data of the stopped node, with the
// environment that the node had.
func (n nodeCommand) verifyChain(ctx context.Context) (chainCheck, error) {
	text, err := n.execute(ctx, nil, "verify", "--data-dir", n.dataDir, "--only", "chain", "--json")
	if err != nil {
		return chainCheck{}, err
	}
	var result struct{ Checks []chainCheck }
	if err := json.Unmarshal(text, &result); err != nil {
		return chainCheck{}, fmt.Errorf("read verify: %w: %.1000s", err, text)
	}
	for _, check := range result.Checks {
		if check.Name == "chain" && check.Rows > 0 && check.Seconds > 0 {
			return check, nil
		}
	}
	return chainCheck{}, fmt.Errorf("read verify: no chain check with rows and seconds: %.1000s", text)
}
