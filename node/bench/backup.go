package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Targets of P9, with backups against without.
const (
	backupRateTarget    = 0.8
	backupLatencyTarget = 3.0
)

// copies are the backups that were made beside a load.
type copies struct {
	count   int
	bytes   int64 // of the last
	seconds []float64
	err     error
}

// measureBackup is P9: P1 before, beside and after hot backups of the same
// node, made one after the other without a pause.
func (s *session) measureBackup(ctx context.Context) ([]Row, error) {
	const subject = "single transfers beside hot backups"
	if s.options.URL != "" {
		return []Row{skippedRow(subject, "the server's admin socket is not ours")}, nil
	}
	b, err := s.loaded(ctx)
	if err != nil {
		return nil, err
	}
	var measured []Measurement
	var made copies
	for _, name := range []string{"P9 before", "P9 beside backups", "P9 after"} {
		p := s.transferPhase(name)
		var end func() copies
		if len(measured) == 1 {
			end = s.copyRepeatedly(ctx, b)
		}
		m, err := b.loadTransfers(ctx, p, b.transfers)
		if end != nil {
			made = end()
			err = errors.Join(err, made.err)
		}
		if err != nil {
			return nil, err
		}
		measured = append(measured, m)
	}
	return backupRows(subject, measured, made), nil
}

func backupRows(subject string, measured []Measurement, made copies) []Row {
	before, beside, after := measured[0], measured[1], measured[2]
	rate := ratio(beside.PerSecond, (before.PerSecond+after.PerSecond)/2)
	slower := ratio(beside.Latency.P99Millis, (before.Latency.P99Millis+after.Latency.P99Millis)/2)
	rows := []Row{{
		Subject: subject + ", rate", Figure: rate, Unit: Times, Target: fmt.Sprintf(">= %.1f x", backupRateTarget),
		Verdict: verdict(rate >= backupRateTarget), Measurements: measured,
		Notes: []string{
			fmt.Sprintf("%s/s before, %s/s beside, %s/s after; one voter",
				grouped(before.PerSecond), grouped(beside.PerSecond), grouped(after.PerSecond)),
			fmt.Sprintf("%d backups without a pause between them, the last of %s; seconds: %.2f",
				made.count, binarySize(float64(made.bytes)), made.seconds),
		},
	}, {
		Subject: subject + ", p99", Figure: slower, Unit: Times, Target: fmt.Sprintf("<= %.0f x", backupLatencyTarget),
		Verdict: verdict(slower <= backupLatencyTarget), Measurements: measured,
		Notes: []string{fmt.Sprintf("p99 %.2f ms before, %.2f ms beside, %.2f ms after",
			before.Latency.P99Millis, beside.Latency.P99Millis, after.Latency.P99Millis)},
	}}
	for _, m := range measured {
		if m.Refused == 0 {
			continue
		}
		for i := range rows {
			rows[i].Verdict = Failed
			rows[i].Notes = append(rows[i].Notes, fmt.Sprintf("%s: %d requests refused, the first: %s", m.Name, m.Refused, m.FirstRefusal))
		}
	}
	return rows
}

// copyRepeatedly makes backups until the returned function is called, which
// waits for the one under way.
func (s *session) copyRepeatedly(ctx context.Context, b *bank) func() copies {
	stop, done := make(chan struct{}), make(chan copies, 1)
	go func() {
		var made copies
		defer func() { done <- made }()
		for {
			if made.err = s.copyOnce(ctx, b, &made); made.err != nil {
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	return func() copies {
		close(stop)
		return <-done
	}
}

// copyOnce makes one backup beside the data of the node and removes it.
func (s *session) copyOnce(ctx context.Context, b *bank, made *copies) error {
	path := b.dataDir + ".backup"
	began := time.Now()
	if _, err := s.command(b).execute(ctx, nil, "backup", "create", "--data-dir", b.dataDir, path); err != nil {
		return err
	}
	made.seconds = append(made.seconds, time.Since(began).Seconds())
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at the backup: %w", err)
	}
	made.count++
	made.bytes = info.Size()
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the backup: %w", err)
	}
	return nil
}
