package bench

import (
	"context"
	"fmt"
	"time"
)

// Targets of the rows below, per second.
const (
	transferTarget = 20_000
	postgresTarget = 10 // times the best rate of the peer
	batchTarget    = 150_000
	readTarget     = 30_000
	// sustainedDuration is how long P3 must hold its rate.
	sustainedDuration = 60 * time.Second
)

// measureTransfers is P1: single transfers, and the peer right after them, so
// that their ratio is of one run.
func (s *session) measureTransfers(ctx context.Context) ([]Row, error) {
	b, err := s.ledger(ctx)
	if err != nil {
		return nil, err
	}
	m, err := b.loadTransfers(ctx, s.transferPhase("P1 transfers"), b.transfers)
	rows := []Row{rateRow("single transfers, durable", m, transferTarget)}
	if err != nil {
		return rows[:0], err
	}
	peer, err := s.measurePostgres(ctx)
	s.report.Peer = peer
	if err != nil {
		return rows, err
	}
	row := Row{Subject: "times PostgreSQL, same job", Unit: Times, Target: fmt.Sprintf(">= %d x", postgresTarget)}
	if peer.Skipped != "" {
		row.Verdict, row.Notes = Skipped, []string{peer.Skipped}
		return append(rows, row), nil
	}
	best := peer.best()
	row.Figure = m.PerSecond / best.PerSecond
	row.Verdict = verdict(row.Figure >= postgresTarget)
	row.Notes = []string{fmt.Sprintf("best of the peer: %s/s, clients: %d", grouped(best.PerSecond), best.Clients)}
	return append(rows, row), nil
}

func (s *session) transferPhase(name string) phase {
	return phase{name: name, clients: s.options.Clients, warmUp: s.options.WarmUp, duration: s.options.Duration}
}

// measureBatches is P3: the rate over its whole time, with a fall-off shown
// as the first third against the last.
func (s *session) measureBatches(ctx context.Context) ([]Row, error) {
	b, err := s.ledger(ctx)
	if err != nil {
		return nil, err
	}
	m, err := b.loadTransfers(ctx, phase{
		name: "P3 batches", clients: s.options.BatchClients,
		warmUp: s.options.WarmUp, duration: s.options.BatchDuration,
	}, b.batches(s.options.BatchRows))
	if err != nil {
		return nil, err
	}
	row := rateRow(fmt.Sprintf("transfers in batches of %d", s.options.BatchRows), m, batchTarget)
	first, last := thirds(m.Series, m.Seconds)
	row.Notes = append(row.Notes, fmt.Sprintf("first third %s/s, last third %s/s (%.2f x)",
		grouped(first), grouped(last), ratio(last, first)))
	if s.options.BatchDuration < sustainedDuration {
		row.onlyMeasured(fmt.Sprintf("the target is for %v", sustainedDuration))
	}
	return []Row{row}, nil
}

// measureReads is P10: balances and single transactions.
func (s *session) measureReads(ctx context.Context) ([]Row, error) {
	b, err := s.ledger(ctx)
	if err != nil {
		return nil, err
	}
	transactions, err := b.makeTransactions(ctx, min(2_000, 20*len(b.wallets)))
	if err != nil {
		return nil, err
	}
	wallets := make([]object, len(b.wallets))
	for i, id := range b.wallets {
		wallets[i] = object{owner: i % len(b.tokens), id: id}
	}
	var rows []Row
	for _, kind := range []struct {
		subject, path string
		objects       []object
	}{
		{"reads of a balance", "/api/qpaynet/wallets", wallets},
		{"reads of a transaction", "/api/qpaynet/transactions", transactions},
	} {
		m, err := b.load(ctx, s.transferPhase("P10 "+kind.subject), func() stream {
			return newReadStream(b, kind.path, kind.objects)
		})
		if err != nil {
			return rows, err
		}
		rows = append(rows, rateRow(kind.subject, m, readTarget))
	}
	return rows, nil
}

// makeTransactions makes transfers one by one and returns their ids.
func (b *bank) makeTransactions(ctx context.Context, count int) ([]object, error) {
	c := newConnection(b.address)
	defer c.close()
	defer context.AfterFunc(ctx, c.close)()
	s := newTransferStream(b).(*transferStream)
	var made []object
	for range count {
		answer, err := c.exchange(s.next())
		if err != nil {
			return nil, fmt.Errorf("make transactions: %w", err)
		}
		if answer.status/100 != 2 {
			return nil, fmt.Errorf("make transactions: %w", refusalOf(answer))
		}
		id, err := inspectTransfer(answer.body, s.last)
		if err != nil {
			return nil, fmt.Errorf("make transactions: %w", err)
		}
		if len(made) > 0 && len(id) != len(made[0].id) {
			return nil, fmt.Errorf("make transactions: ids %s and %s differ in length", made[0].id, id)
		}
		made = append(made, object{owner: s.last.owner, id: id})
		b.moved++
	}
	return made, nil
}

// rateRow judges a rate. Refused requests make a rate worthless.
func rateRow(subject string, m Measurement, target float64) Row {
	row := Row{
		Subject: subject, Figure: m.PerSecond, Unit: PerSecond, Target: fmt.Sprintf(">= %s/s", grouped(target)),
		Verdict: verdict(m.PerSecond >= target), Measurements: []Measurement{m},
	}
	if m.Refused > 0 {
		row.Verdict = Failed
		row.Notes = append(row.Notes, fmt.Sprintf("%d of %d requests refused, the first: %s", m.Refused, m.Requests, m.FirstRefusal))
	}
	if m.ClientMicrosPerRequest > 0 && m.ServerMicrosPerCount > 0 {
		row.Notes = append(row.Notes, fmt.Sprintf("processor time: server %.1f us each, generator %.1f us per request",
			m.ServerMicrosPerCount, m.ClientMicrosPerRequest))
	}
	return row
}

// thirds returns the rates of the first and the last third of a phase. The
// last second is left out when it was not a whole one.
func thirds(series []int64, seconds float64) (first, last float64) {
	whole := min(int(seconds), len(series))
	third := whole / 3
	if third == 0 {
		return 0, 0
	}
	for i := range third {
		first += float64(series[i])
		last += float64(series[whole-1-i])
	}
	return first / float64(third), last / float64(third)
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
