package ledger

import (
	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/outbox"
	"coffer/ledgerchain"
	"coffer/store"
)

// ExternalModule is the only module that users may write entries of.
const ExternalModule = "external"

// External is the input of AppendExternal.
type External struct {
	Kind     string `cbor:"1,keyasint"`
	From     string `cbor:"2,keyasint,omitempty"`
	To       string `cbor:"3,keyasint,omitempty"`
	Amount   int64  `cbor:"4,keyasint"`
	Currency string `cbor:"5,keyasint"`
	Meta     []byte `cbor:"6,keyasint,omitempty"` // canonical object, from Canonical
}

// Appended is an entry as its writer sees it.
type Appended struct {
	Height   uint64     `cbor:"1,keyasint"`
	ID       string     `cbor:"2,keyasint"`
	From     string     `cbor:"3,keyasint,omitempty"` // blinded
	To       string     `cbor:"4,keyasint,omitempty"` // blinded
	Meta     []byte     `cbor:"5,keyasint"`           // canonical object, with the actor
	PrevHash string     `cbor:"6,keyasint"`
	Hash     string     `cbor:"7,keyasint"`
	At       store.Time `cbor:"8,keyasint"`
}

// AppendExternal puts a fact from outside the platform on the chain. It moves
// no money.
var AppendExternal = fsm.Command[External, Appended]{
	Name: "ledger.append_external/1", Rejects: fsm.Rejections{identity.ErrAuthRequired, ErrUnfounded},
}

func appendExternal(ctx *fsm.Context, c External) (Appended, error) {
	if ctx.Actor.Kind != fsm.User {
		return Appended{}, identity.ErrAuthRequired
	}
	t := Transaction{
		Module: ExternalModule, Kind: c.Kind, Currency: c.Currency, Amount: c.Amount,
		From: c.From, To: c.To, Actor: store.ID(ctx.Actor.ID), Public: members(c.Meta),
	}
	posted, err := Post(ctx, &t)
	if err != nil {
		return Appended{}, err
	}
	outbox.Emit(ctx, outbox.Event{Kind: "ledger.appended", First: posted.Height, Count: 1, Users: []store.ID{t.Actor}})
	f := FactAt(ctx, posted.Height-1)
	return Appended{
		Height: posted.Height, ID: f.ID, From: f.From, To: f.To, Meta: f.Meta, At: posted.At,
		PrevHash: f.Entry.Prev.String(), Hash: f.Entry.Chain.String(),
	}, nil
}

// members takes a canonical object apart. The actor is the server's to name.
func members(object []byte) []Member {
	var list []Member
	for raw, value := range ledgerchain.Members(object) {
		name, ok := ledgerchain.ParseString([]byte(`"` + string(raw) + `"`))
		if ok && name != "actor" {
			list = append(list, Value(name, string(value)))
		}
	}
	return list
}

// Canonical returns the canonical form of a JSON object for an entry's meta, or
// why it has none: a null, a fraction, a member name that is not ASCII.
func Canonical(object []byte) ([]byte, error) { return ledgerchain.Canonicalize(object) }

// Size is the number of entries on the chain.
func Size(r store.Reader) uint64 { return ledgerchain.Size(r) }

// FindEntry returns the entry with an API id, if the id is right in every bit.
func FindEntry(r store.Reader, id string) (Fact, bool) {
	index, _, err := ledgerchain.ParseEntryID(id)
	if err != nil || index >= ledgerchain.Size(r) {
		return Fact{}, false
	}
	f := FactAt(r, index)
	return f, f.ID == id
}

// Head is the end of the chain.
type Head struct {
	Height uint64
	Hash   string
	ID     string // of the last entry, empty for none
	At     store.Time
	Root   string // of the Merkle tree
}

// HeadOf returns the end of the chain.
func HeadOf(r store.Reader) (Head, error) {
	state, err := ledgerchain.StateOf(r)
	if err != nil {
		return Head{}, err
	}
	h := Head{Height: state.Head.Size, Hash: state.Head.Chain.String(), Root: state.Tree.Root().String()}
	if h.Height > 0 {
		f := FactAt(r, h.Height-1)
		h.ID, h.At = f.ID, store.Time(f.Entry.Time)
	}
	return h, nil
}
