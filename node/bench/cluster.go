package bench

import (
	"context"
	"fmt"
)

// Targets of a cluster, per second, and the nodes they are for.
const (
	clusterTransferTarget = 10_000
	clusterBatchTarget    = 60_000
	clusterNodes          = 3
)

// placement says where the clients of a phase connect.
type placement struct {
	name      string
	addresses func(f *fleet, leader *fleetNode) []string
}

// placements are measured one after the other: a write to any other node costs
// one hop more.
var placements = []placement{
	{"clients at the leader", func(_ *fleet, leader *fleetNode) []string { return []string{leader.address} }},
	{"clients spread over the nodes", func(f *fleet, _ *fleetNode) []string { return f.addresses() }},
}

// measureClusterTransfers is P2: single transfers, durable on a quorum.
func (s *session) measureClusterTransfers(ctx context.Context) ([]Row, error) {
	b, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	return s.clusterRows(ctx, b, "single transfers", s.transferPhase("P2 transfers"), b.transfers, clusterTransferTarget)
}

// measureClusterBatches is P4.
func (s *session) measureClusterBatches(ctx context.Context) ([]Row, error) {
	b, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	p := phase{
		name: "P4 batches", clients: s.options.BatchClients, warmUp: s.options.WarmUp, duration: s.options.BatchDuration,
	}
	subject := fmt.Sprintf("batches of %d", s.options.BatchRows)
	return s.clusterRows(ctx, b, subject, p, b.batches(s.options.BatchRows), clusterBatchTarget)
}

// clusterRows runs a phase once for each placement of its clients.
func (s *session) clusterRows(
	ctx context.Context, b *bank, subject string, p phase, newStream func() stream, target float64,
) ([]Row, error) {
	var rows []Row
	name := p.name
	for _, at := range placements {
		leader, err := b.lead(ctx)
		if err != nil {
			return rows, err
		}
		p.name, p.addresses = name+", "+at.name, at.addresses(b.fleet, leader)
		m, err := b.loadTransfers(ctx, p, newStream)
		if err != nil {
			return rows, err
		}
		row := rateRow(subject+", "+at.name, m, target)
		row.Notes = append(row.Notes, fmt.Sprintf("%d voters, durable on %d; the memory is that of the largest",
			s.options.Nodes, s.options.Nodes/2+1))
		after, err := b.lead(ctx)
		if err != nil {
			return rows, err
		}
		if after != leader {
			row.Notes = append(row.Notes, "the leadership changed meanwhile")
		}
		if s.options.Nodes != clusterNodes {
			row.onlyMeasured(fmt.Sprintf("the target is for %d nodes", clusterNodes))
		}
		rows = append(rows, row)
	}
	return rows, nil
}
