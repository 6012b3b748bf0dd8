package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	growthTarget    = 0.8        // of the rate of an empty ledger
	growthTransfers = 10_000_000 // for which that must hold
	growthWallets   = 100_000
	memoryTarget    = 1 << 30
)

// measureGrowth is P7: P1 and P3 on an empty ledger and again at its full size.
func (s *session) measureGrowth(ctx context.Context) ([]Row, error) {
	if s.small != nil {
		if err := s.drop(s.small); err != nil { // one node at a time; P6 and P8 use the large one
			return nil, err
		}
		s.small = nil
	}
	b, err := s.openBank(ctx, "grown", s.options.GrowthWallets)
	s.grown = b
	if err != nil {
		return nil, err
	}
	var all []Measurement
	empty, err := s.growthPhases(ctx, b, "empty", &all)
	if err != nil {
		return nil, err
	}
	pulses := make([]Pulse, 2)
	if pulses[0], err = takePulse(s.dir); err != nil {
		return nil, err
	}
	if missing := s.options.Growth - b.moved; missing > 0 {
		m, err := b.loadTransfers(ctx, phase{name: "P7 loading", clients: s.options.BatchClients, limit: missing},
			b.batches(s.options.BatchRows))
		all = append(all, m)
		if err != nil {
			return nil, err
		}
	}
	if pulses[1], err = takePulse(s.dir); err != nil {
		return nil, err
	}
	size := b.moved
	full, err := s.growthPhases(ctx, b, "full", &all)
	if err != nil {
		return nil, err
	}
	return s.growthRows(size, empty, full, all, pulses), nil
}

// growthPhases measures single and batched transfers at one size.
func (s *session) growthPhases(ctx context.Context, b *bank, at string, all *[]Measurement) ([2]Measurement, error) {
	var pair [2]Measurement
	single := s.transferPhase("P7 single, " + at)
	single.duration = s.growthDuration()
	m, err := b.loadTransfers(ctx, single, b.transfers)
	*all = append(*all, m)
	if err != nil {
		return pair, err
	}
	pair[0] = m
	m, err = b.loadTransfers(ctx, phase{
		name: "P7 batches, " + at, clients: s.options.BatchClients,
		warmUp: s.options.WarmUp / 2, duration: s.growthDuration(),
	}, b.batches(s.options.BatchRows))
	*all = append(*all, m)
	pair[1] = m
	return pair, err
}

// growthDuration is short, so that the ledger is still small after the first
// measurement of batches.
func (s *session) growthDuration() time.Duration { return s.options.Duration / 2 }

func (s *session) growthRows(size int64, empty, full [2]Measurement, all []Measurement, pulses []Pulse) []Row {
	var rows []Row
	refused, peak := int64(0), int64(0)
	for _, m := range all {
		refused += m.Refused
		peak = max(peak, m.PeakMemoryBytes)
	}
	for i, subject := range []string{"single transfers, full against empty", "batched transfers, full against empty"} {
		figure := ratio(full[i].PerSecond, empty[i].PerSecond)
		rows = append(rows, Row{
			Subject: subject, Figure: figure, Unit: Times, Target: fmt.Sprintf(">= %.1f x", growthTarget),
			Verdict: verdict(figure >= growthTarget), Measurements: []Measurement{empty[i], full[i]},
			Notes: []string{fmt.Sprintf("%s/s empty, %s/s at %s transfers and %s wallets", grouped(empty[i].PerSecond),
				grouped(full[i].PerSecond), grouped(float64(size)), grouped(float64(s.options.GrowthWallets)))},
		})
	}
	rows[1].Notes = append(rows[1].Notes, fmt.Sprintf("the machine meanwhile: %s, then %s", pulses[0], pulses[1]))
	memory := Row{
		Subject: "anonymous memory, highest", Figure: float64(peak), Unit: Bytes, Target: "<= 1 GiB",
		Verdict: verdict(peak <= memoryTarget), Measurements: all,
	}
	if peak == 0 {
		memory.Verdict, memory.Notes = Skipped, []string{"the memory of this server cannot be read"}
	}
	rows = append(rows, memory)
	for i := range rows {
		if refused > 0 {
			rows[i].Verdict = Failed
			rows[i].Notes = append(rows[i].Notes, fmt.Sprintf("%d requests refused", refused))
		}
		if size < growthTransfers || s.options.GrowthWallets < growthWallets {
			rows[i].onlyMeasured(fmt.Sprintf("the target is for %s transfers and %s wallets",
				grouped(growthTransfers), grouped(growthWallets)))
		}
	}
	return rows
}
