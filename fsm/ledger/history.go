package ledger

import (
	"encoding/binary"
	"errors"

	"coffer/ledgerchain"
	"coffer/store"
)

// Movement is one leg of a transaction as its account sees it.
type Movement struct {
	ID       string // of the transaction, as this leg sees it
	Height   uint64
	Leg      int
	Account  store.ID
	Net      Amount // credits less debits
	Module   string
	Kind     string // of the chain entry
	Currency string
	Amount   int64 // the public amount
	Entry    string
	At       store.Time
	Legs     []Leg // all legs of the transaction

	blind   ledgerchain.Blind
	public  []byte
	private []byte
}

// Leg is the net movement on one account.
type Leg struct {
	Account store.ID
	Net     Amount
}

// Sibling returns the transaction id as another leg sees it.
func (m *Movement) Sibling(leg int) string {
	return ledgerchain.TransactionID(m.Height-1, uint8(leg), m.blind)
}

// PublicText returns a text member of meta.
func (m *Movement) PublicText(name string) string { return memberText(m.public, name) }

// PublicNumber returns an integer member of meta, 0 without one.
func (m *Movement) PublicNumber(name string) int64 {
	value, ok := ledgerchain.Member(m.public, name)
	if !ok {
		return 0
	}
	n, _ := ledgerchain.ParseInt(value)
	return n
}

// PrivateText returns a text member of what is not published.
func (m *Movement) PrivateText(name string) string { return memberText(m.private, name) }

func memberText(object []byte, name string) string {
	value, ok := ledgerchain.Member(object, name)
	if !ok {
		return ""
	}
	text, _ := ledgerchain.ParseString(value)
	return text
}

// Fact is one chain entry with its payload taken apart.
type Fact struct {
	Entry    ledgerchain.Entry
	ID       string // API id of the entry
	Module   string
	Kind     string
	From, To string // blinded
	Currency string
	Amount   int64
	Meta     []byte // canonical object
	Private  []byte // canonical object or nil
	Legs     []Leg
	Erased   bool // the opening is gone: only the entry is left

	row ledgerchain.Row
}

// Public returns a text member of meta, "" without one.
func (f *Fact) Public(name string) string { return memberText(f.Meta, name) }

// FactAt reads the entry of an index below ledgerchain.Size.
func FactAt(r store.Reader, index uint64) Fact {
	e, row := ledgerchain.EntryAt(r, index)
	f, err := parseFact(e, row)
	if err != nil {
		store.Corrupt("ledgerchain.entries", binary.BigEndian.AppendUint64(nil, index), err)
	}
	return f
}

var errPayload = errors.New("the payload is not one of this ledger")

func parseFact(e ledgerchain.Entry, row ledgerchain.Row) (Fact, error) {
	f := Fact{Entry: e, ID: ledgerchain.EntryID(e.Index, ledgerchain.Leaf(row.Entry)), Kind: e.Kind, row: row}
	if row.Erased() {
		f.Erased = true
		return f, nil
	}
	ok := true
	for name, value := range ledgerchain.Members(row.Payload()) {
		switch string(name) {
		case "amountCents":
			f.Amount, ok = ledgerchain.ParseInt(value)
		case "blindedFrom":
			f.From, ok = ledgerchain.ParseString(value)
		case "blindedTo":
			f.To, ok = ledgerchain.ParseString(value)
		case "currency":
			f.Currency, ok = ledgerchain.ParseString(value)
		case "meta":
			f.Meta = value
		case "module":
			f.Module, ok = ledgerchain.ParseString(value)
		case "postings":
			f.Legs, ok = parseLegs(value)
		case "private":
			f.Private = value
		}
		if !ok {
			return f, errPayload
		}
	}
	if len(f.Legs) != row.Links() {
		return f, errPayload
	}
	return f, nil
}

// parseLegs reads [["account",net],...] in canonical form.
func parseLegs(value []byte) ([]Leg, bool) {
	var legs []Leg
	for pair := range ledgerchain.Items(value) {
		var leg Leg
		n := 0
		ok := true
		for item := range ledgerchain.Items(pair) {
			switch n {
			case 0:
				var account string
				account, ok = ledgerchain.ParseString(item)
				leg.Account = store.ID(account)
			case 1:
				var net int64
				net, ok = ledgerchain.ParseInt(item)
				leg.Net = Amount(net)
			}
			n++
			if !ok {
				return nil, false
			}
		}
		if n != 2 {
			return nil, false
		}
		legs = append(legs, leg)
	}
	return legs, len(legs) > 0
}

// movement is one leg of a fact.
func (f *Fact) movement(leg int) Movement {
	m := Movement{
		Height: f.Entry.Index + 1, Leg: leg, Account: f.Legs[leg].Account, Net: f.Legs[leg].Net,
		Module: f.Module, Kind: f.Kind, Currency: f.Currency, Amount: f.Amount, Entry: f.ID,
		At: store.Time(f.Entry.Time), Legs: f.Legs, blind: f.row.Blind(), public: f.Meta, private: f.Private,
	}
	m.ID = m.Sibling(leg)
	return m
}
