package ledger

import (
	"slices"

	"coffer/ledgerchain"
	"coffer/store"
)

// Posting moves an amount from one account to another of the same currency. It
// names both sides, so it cannot be unbalanced.
type Posting struct {
	Debit  store.ID // pays
	Credit store.ID // receives
	Amount Amount   // positive
}

// Transaction is a fact for the chain, with the postings it causes, if any.
type Transaction struct {
	Module   string // of the platform, such as "qpaynet"
	Kind     string // of the chain entry
	Currency string
	Amount   int64  // the public amount in minor units
	From, To string // identifiers, blinded before they are stored
	Postings []Posting
	Actor    store.ID // acting user, blinded; empty for none
	Public   []Member // of meta, shown to everybody
	Private  []Member // hashed but never published
}

// Member is one member of a JSON object: a text, a number, a truth value or a
// canonical object.
type Member struct {
	Name   string
	form   memberForm
	text   string
	number int64
}

type memberForm uint8

const (
	textForm memberForm = iota
	numberForm
	truthForm
	objectForm
)

// Text is a member with a text value.
func Text(name, value string) Member { return Member{Name: name, form: textForm, text: value} }

// Number is a member with an integer value.
func Number(name string, value int64) Member {
	return Member{Name: name, form: numberForm, number: value}
}

// Truth is a member with a truth value.
func Truth(name string, value bool) Member {
	m := Member{Name: name, form: truthForm}
	if value {
		m.number = 1
	}
	return m
}

// Value is a member with any value in canonical JSON.
func Value(name, canonical string) Member {
	return Member{Name: name, form: objectForm, text: canonical}
}

func (m *Member) encode(e *ledgerchain.Encoder) {
	e.Key(m.Name)
	switch m.form {
	case textForm:
		e.String(m.text)
	case numberForm:
		e.Int(m.number)
	case truthForm:
		e.Bool(m.number == 1)
	case objectForm:
		e.Raw([]byte(m.text))
	}
}

func encodeObject(e *ledgerchain.Encoder, members []Member) {
	e.BeginObject()
	for i := range members {
		members[i].encode(e)
	}
	e.EndObject()
}

// insert puts a member in its sorted place.
func insert(members []Member, m Member) []Member {
	at := len(members)
	for at > 0 && members[at-1].Name > m.Name {
		at--
	}
	return slices.Insert(members, at, m)
}
