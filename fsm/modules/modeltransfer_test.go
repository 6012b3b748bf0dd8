package modules_test

import (
	"fmt"
	"slices"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/wallet"
	"coffer/store"
)

func (m *model) transfer(r fsm.Request, p *person, now store.Time, got fsm.Outcome) (string, int) {
	in := input[wallet.Transfer](m, r)
	code, ref, to := m.move(p, in, now)
	if code != "" {
		return code, 0
	}
	out := output[wallet.Transferred](m, got)
	if ref != nil && ref.result == nil { // made by a batch, which shows less
		out.Repeated = false
		ref.result = store.Encode(&out)
	}
	if ref != nil {
		m.same(ref, got, &wallet.Transferred{})
		return "", 0
	}
	from := m.purse(in.From)
	m.want("transfer", []any{out.Fee, out.FromBalance, out.ToBalance, out.At, out.Repeated}, []any{m.fee(int64(in.Amount)), from.balance, to.balance, now, false})
	if in.Reference != "" {
		m.refs[transferKey(in)].result = got.Result
	}
	return "", 1
}

func transferKey(in wallet.Transfer) string { return fmt.Sprint("transfer ", in.From, in.Reference) }

// move does one transfer, or says why not, or which earlier one it is.
func (m *model) move(p *person, in wallet.Transfer, now store.Time) (code string, repeated *reference, to *purse) {
	if in.From == in.To {
		return "cannot_transfer_to_same_wallet", nil, nil
	}
	from := m.owned(p, in.From)
	if ref := m.refs[transferKey(in)]; from != nil && in.Reference != "" && ref != nil {
		to, _ := m.receiver(in, from.currency)
		if ref.amount != int64(in.Amount) || to != ref.to && (in.ToEmail == "" || in.ToEmail != ref.email) {
			return "payment_ref_conflict", nil, nil
		}
		return "", ref, nil
	}
	currency := in.Currency
	if from != nil {
		currency = from.currency
	}
	if p.kyc != identity.KYCVerified && counted(int64(in.Amount), currency) > m.texts["QPAYNET_MAX_TRANSFER"]*100 {
		return "transfer_amount_exceeds_max", nil, nil
	}
	switch {
	case from == nil:
		return "from_wallet_not_found", nil, nil
	case from.status != wallet.Active:
		return "from_wallet_inactive", nil, nil
	}
	to, code = m.receiver(in, from.currency)
	fee := m.fee(int64(in.Amount))
	switch {
	case code != "":
		return code, nil, nil
	case to == from:
		return "cannot_transfer_to_same_wallet", nil, nil
	case to.status != wallet.Active:
		return "to_wallet_inactive", nil, nil
	case to.currency != from.currency, in.Currency != "" && in.Currency != from.currency:
		return "currency_mismatch", nil, nil
	case from.balance-from.pending < int64(in.Amount)+fee:
		return "insufficient_balance", nil, nil
	}
	if code := m.monthly(p, int64(in.Amount), from.currency, now); code != "" {
		return code, nil, nil
	}
	m.carry(p, in, from, to, fee, now)
	return "", nil, to
}

func (m *model) receiver(in wallet.Transfer, currency string) (*purse, string) {
	if in.ToEmail == "" {
		if to := m.purse(in.To); to != nil {
			return to, ""
		}
		return nil, "to_wallet_not_found"
	}
	p := m.byEmail(in.ToEmail)
	if p == nil {
		return nil, "recipient_not_found"
	}
	if to := m.primary(p, currency); to != nil {
		return to, ""
	}
	return nil, "recipient_has_no_wallet"
}

func (m *model) carry(p *person, in wallet.Transfer, from, to *purse, fee int64, now store.Time) {
	from.balance -= int64(in.Amount) + fee
	to.balance += int64(in.Amount)
	m.system["fees "+from.currency] += fee
	m.moved(p, now)
	m.moved(to.of, now)
	p.outgoing[month(now)] += counted(int64(in.Amount), from.currency)
	if to.of != p {
		p.score++
		to.of.score++
	}
	if in.Reference != "" {
		m.refs[transferKey(in)] = &reference{amount: int64(in.Amount), to: to, email: in.ToEmail}
	}
}

func (m *model) transferMany(r fsm.Request, p *person, now store.Time, got fsm.Outcome) (string, int) {
	in := input[wallet.Transfers](m, r)
	before := m.copyMoney()
	var codes []string
	entries := 0
	for _, row := range in.Rows {
		code, ref, _ := m.move(p, row, now)
		if code == "" && ref == nil {
			entries++
		}
		if code != "" && in.Atomic {
			m.restore(before)
			return code, entries
		}
		codes = append(codes, code)
	}
	for i, row := range output[wallet.TransferredMany](m, got).Rows {
		m.want("row", row.Code, codes[i])
		m.want("row has a transaction", row.Transaction != "", codes[i] == "")
	}
	return "", entries
}

// money is what an atomic batch may have to take back.
type money struct {
	purses []purse
	people []person
	moves  []map[int64]int64
	sums   []map[int64]int64
	system map[string]int64
	refs   []string
}

func (m *model) copyMoney() money {
	c := money{system: copyOf(m.system)}
	for _, w := range m.purses {
		c.purses = append(c.purses, *w)
	}
	for _, p := range m.people {
		c.people, c.moves, c.sums = append(c.people, *p), append(c.moves, copyOf(p.moves)), append(c.sums, copyOf(p.outgoing))
	}
	for key := range m.refs {
		c.refs = append(c.refs, key)
	}
	return c
}

func (m *model) restore(c money) {
	for i := range c.purses {
		*m.purses[i] = c.purses[i]
	}
	for i := range c.people {
		*m.people[i] = c.people[i]
		m.people[i].moves, m.people[i].outgoing = c.moves[i], c.sums[i]
	}
	m.system = c.system
	for key := range m.refs {
		if !slices.Contains(c.refs, key) {
			delete(m.refs, key)
		}
	}
}

func copyOf[K comparable, V any](from map[K]V) map[K]V {
	to := make(map[K]V, len(from))
	for k, v := range from {
		to[k] = v
	}
	return to
}
