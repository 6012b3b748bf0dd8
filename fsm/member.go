package fsm

import (
	"fmt"

	"coffer/store"
)

// Member is a node that this cluster knows, or once knew. Raft's own membership
// says who votes; this row says who a node is.
type Member struct {
	ID       string     `cbor:"1,keyasint"`
	Address  string     `cbor:"2,keyasint"` // of its cluster port
	Admitted store.Time `cbor:"3,keyasint"`
	Removed  store.Time `cbor:"4,keyasint,omitempty"` // its id never comes back
	Seen     Announced  `cbor:"5,keyasint"`
	// Who let it in, and who removed it: operators. Empty if nobody has said so.
	AdmittedBy string `cbor:"6,keyasint,omitempty"`
	RemovedBy  string `cbor:"7,keyasint,omitempty"`
}

// Announced is what a node says of itself when it connects to the leader.
type Announced struct {
	Boots   uint64     `cbor:"1,keyasint"` // starts of the process, ever
	Index   uint64     `cbor:"2,keyasint"` // last one in its log
	Epoch   uint32     `cbor:"3,keyasint"`
	Oldest  uint32     `cbor:"4,keyasint"` // state-machine versions its program can run
	Newest  uint32     `cbor:"5,keyasint"`
	Program string     `cbor:"6,keyasint,omitempty"` // version of the program
	At      store.Time `cbor:"7,keyasint,omitempty"`
}

// joinToken lets one node in. Only the keyed hash of its secret is stored.
type joinToken struct {
	Hash    store.ID   `cbor:"1,keyasint"`           // hexadecimal
	Node    string     `cbor:"2,keyasint,omitempty"` // the only id that may use it
	Expires store.Time `cbor:"3,keyasint"`
	By      string     `cbor:"4,keyasint,omitempty"` // operator who made it
}

// EpochBegun is the permanent record of a restore or a recovery.
type EpochBegun struct {
	Epoch  uint32     `cbor:"1,keyasint"`
	Reason string     `cbor:"2,keyasint"`
	Node   string     `cbor:"3,keyasint"`
	Index  uint64     `cbor:"4,keyasint"` // of this record
	Time   store.Time `cbor:"5,keyasint"`
}

var (
	members = store.NewTable("system.members", func(m *Member) store.ID { return store.ID(m.ID) })
	tokens  = store.NewTable("system.tokens", func(t *joinToken) store.ID { return t.Hash })
	epochs  = store.NewTable("system.epochs", func(e *EpochBegun) store.Uint64 { return store.Uint64(e.Epoch) })
)

// Signature is how a record names an actor: the id, and behind it the user of the
// system that an operator is.
func Signature(a Actor) string {
	if a.Kind != Operator || a.Agent == "" {
		return a.ID
	}
	return a.ID + " (" + a.Agent + ")"
}

// MemberOf returns what is known of a node, removed ones included.
func MemberOf(r store.Reader, id string) (Member, bool) { return members.Get(r, store.ID(id)) }

// Removed tells whether a node was removed: its id is refused for good.
func Removed(r store.Reader, id string) bool {
	m, known := MemberOf(r, id)
	return known && m.Removed != 0
}

// Members lists every node ever admitted, by id.
func Members(r store.Reader) []Member {
	var list []Member
	for _, m := range members.Scan(r, store.All{}, nil) {
		list = append(list, m)
	}
	return list
}

// Epochs lists all restores and recoveries, oldest first.
func Epochs(r store.Reader) []EpochBegun {
	var list []EpochBegun
	for _, e := range epochs.Scan(r, store.All{}, nil) {
		list = append(list, e)
	}
	return list
}

// TokenAdmits tells whether a join token lets a node in, by its keyed hash. The
// log's time decides, which a view may be behind: Admit has the last word.
func TokenAdmits(v *store.View, hash store.ID, node string) bool {
	t, known := tokens.Get(v, hash)
	return known && t.admits(node, v.Applied().Time)
}

// admits tells whether the token lets a node in at a time.
func (t joinToken) admits(node string, now store.Time) bool {
	return now < t.Expires && (t.Node == "" || t.Node == node)
}

// tokensExpire is an invariant: no token outlives the longest lifetime.
func tokensExpire(v *store.View) error {
	for _, t := range tokens.Scan(v, store.All{}, nil) {
		if limit := v.Applied().Time.Add(LongestToken); t.Expires > limit {
			return fmt.Errorf("a join token is good until %s, later than %s", t.Expires, limit)
		}
	}
	return nil
}
