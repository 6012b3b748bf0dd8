package ledger

import (
	"coffer/ledgerchain"
	"coffer/store"
)

// payload writes the canonical bytes of a transaction (audit trail, section 2).
// Members stand in the order of their names. The id of a transaction with
// postings is that of its first leg.
func (p *Poster) payload(t *Transaction, index uint64, blind ledgerchain.Blind) ([]byte, error) {
	e := &p.encoder
	e.Reset(p.buffer[:0])
	e.BeginObject()
	e.Key("amountCents").Int(t.Amount)
	e.Key("blindedFrom").String(p.ctx.Salt.Blind(t.From))
	e.Key("blindedTo").String(p.ctx.Salt.Blind(t.To))
	e.Key("currency").String(t.Currency)
	e.Key("kind").String(t.Kind)
	e.Key("meta")
	encodeObject(e, p.publicMembers(t, index, blind))
	e.Key("module").String(t.Module)
	if len(p.legs) > 0 {
		e.Key("postings")
		p.encodeLegs(e)
	}
	if len(t.Private) > 0 {
		e.Key("private")
		encodeObject(e, p.sorted(t.Private))
	}
	e.EndObject()
	payload, err := e.Bytes()
	p.buffer = payload
	return payload, err
}

func (p *Poster) encodeLegs(e *ledgerchain.Encoder) {
	e.BeginArray()
	for i := range p.legs {
		e.BeginArray()
		e.String(string(p.legs[i].account.ID))
		e.Int(int64(p.legs[i].net))
		e.EndArray()
	}
	e.EndArray()
}

// publicMembers is meta: what the caller gave, the blinded actor, and the id of
// the transaction.
func (p *Poster) publicMembers(t *Transaction, index uint64, blind ledgerchain.Blind) []Member {
	p.meta = p.meta[:0]
	for _, m := range t.Public {
		p.meta = insert(p.meta, m)
	}
	if t.Actor != "" {
		p.meta = insert(p.meta, Text("actor", p.blindActor(t.Actor)))
	}
	if len(p.legs) > 0 {
		p.meta = insert(p.meta, Text("transactionId", ledgerchain.TransactionID(index, p.firstOwned(), blind)))
	}
	return p.meta
}

// blindActor remembers the last actor: many transactions of a command have one.
func (p *Poster) blindActor(actor store.ID) string {
	if p.actor != actor {
		p.actor, p.blinded = actor, p.ctx.Salt.Blind(ActorIdentifier(string(actor)))
	}
	return p.blinded
}

// firstOwned is the leg whose transaction stands for all of them: the first one
// of a user, whose list shows it.
func (p *Poster) firstOwned() uint8 {
	for i := range p.legs {
		if p.legs[i].account.Owner != "" {
			return uint8(i)
		}
	}
	return 0
}

// ActorIdentifier is what stands blinded in meta.actor for a user.
func ActorIdentifier(user string) string { return "user:" + user }

func (p *Poster) sorted(members []Member) []Member {
	p.private = p.private[:0]
	for _, m := range members {
		p.private = insert(p.private, m)
	}
	return p.private
}
