package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

const (
	latencyFactor = 1.3                    // times the median of one commit
	latencySlack  = 500 * time.Microsecond // on top
	commitBytes   = 1 << 10
	latencyWarmUp = 100 // samples that are not counted
)

// measureLatency is P5: transfers of one client, each followed by one commit
// to a bbolt file on the same disk, so that both see the same minute of it.
func (s *session) measureLatency(ctx context.Context) ([]Row, error) {
	b, err := s.ledger(ctx)
	if err != nil {
		return nil, err
	}
	var transfers, commits histogram
	if err := s.interleave(ctx, b, &transfers, &commits); err != nil {
		return nil, err
	}
	p50, baseline := transfers.percentile(0.50), commits.percentile(0.50)
	limit := time.Duration(latencyFactor*float64(baseline)) + latencySlack
	m := Measurement{
		Name: "P5 latency", Clients: 1, Requests: int64(transfers.total), Count: int64(transfers.total),
		Latency: latencyOf(&transfers), PeakMemoryBytes: b.memory(),
	}
	base := Measurement{
		Name: "bbolt commit of 1 KiB", Clients: 1, Requests: int64(commits.total), Count: int64(commits.total),
		Latency: latencyOf(&commits),
	}
	return []Row{{
		Subject: "latency of one transfer, one client", Figure: millis(p50), Unit: Millis,
		Target:  fmt.Sprintf("<= %.1f x bbolt + %.1f ms = %.2f ms", latencyFactor, millis(latencySlack), millis(limit)),
		Verdict: verdict(p50 <= limit), Measurements: []Measurement{m, base},
		Notes: []string{fmt.Sprintf("bbolt commit of 1 KiB: p50 %.2f ms, p99 %.2f ms; %.2f x",
			base.Latency.P50Millis, base.Latency.P99Millis, ratio(millis(p50), millis(baseline)))},
	}}, nil
}

func (s *session) interleave(ctx context.Context, b *bank, transfers, commits *histogram) error {
	db, err := bbolt.Open(filepath.Join(s.dir, "baseline.db"), 0o600, nil)
	if err != nil {
		return fmt.Errorf("open baseline: %w", err)
	}
	defer db.Close()
	c := newConnection(b.address)
	defer c.close()
	defer context.AfterFunc(ctx, c.close)()
	requests := newTransferStream(b)
	b.memory() // forget the peak before this phase
	for i := range latencyWarmUp + s.options.Samples {
		request := requests.next()
		sent := time.Now()
		answer, err := c.exchange(request)
		answered := time.Now()
		if err != nil {
			return fmt.Errorf("latency: %w", err)
		}
		count, err := judge(requests, answer)
		if err != nil {
			return fmt.Errorf("latency: %w", err)
		}
		b.moved += count
		begun := time.Now()
		if err := commit(db, uint64(i)); err != nil {
			return err
		}
		if i >= latencyWarmUp {
			transfers.record(answered.Sub(sent))
			commits.record(time.Since(begun))
		}
	}
	return nil
}

func commit(db *bbolt.DB, number uint64) error {
	err := db.Update(func(tx *bbolt.Tx) error {
		rows, err := tx.CreateBucketIfNotExists([]byte("rows"))
		if err != nil {
			return err
		}
		return rows.Put(binary.BigEndian.AppendUint64(nil, number), make([]byte, commitBytes))
	})
	if err != nil {
		return fmt.Errorf("commit to baseline: %w", err)
	}
	return nil
}
