package snapshot

import (
	"bytes"
	"errors"
	"fmt"

	"coffer/ledgerchain"
	"coffer/store"
)

// Header says which state a stream holds. It says nothing about the node that
// wrote it.
type Header struct {
	ClusterID       string     `cbor:"1,keyasint"`
	Epoch           uint32     `cbor:"2,keyasint"` // raised by every restore and recovery
	Index           uint64     `cbor:"3,keyasint"` // of the last log entry applied
	Term            uint64     `cbor:"4,keyasint"` // of that entry
	Membership      []byte     `cbor:"5,keyasint"` // last configuration entry at or below Index
	MembershipIndex uint64     `cbor:"6,keyasint"` // of that configuration entry
	Version         uint32     `cbor:"7,keyasint"` // state-machine version in force
	Time            store.Time `cbor:"8,keyasint"` // last tick of the log time
	Digest          [32]byte   `cbor:"9,keyasint"`
	Chain           Chain      `cbor:"10,keyasint"`
}

// Chain is the end of the hash chain; all zero before the ledger is founded.
type Chain struct {
	LedgerID string             `cbor:"1,keyasint"`
	Entries  uint64             `cbor:"2,keyasint"`
	Head     ledgerchain.Hash   `cbor:"3,keyasint"` // of the last entry
	Root     ledgerchain.Hash   `cbor:"4,keyasint"` // of the Merkle tree over all entries
	SaltID   ledgerchain.SaltID `cbor:"5,keyasint"` // of the salt the next entry carries
}

// Footer counts what a stream holds.
type Footer struct {
	Counts []Count `cbor:"1,keyasint"` // of buckets with rows, sorted
	Sums   []Sum   `cbor:"2,keyasint"` // by currency, sorted
}

// Count is the number of rows of one bucket.
type Count struct {
	Bucket string `cbor:"1,keyasint"`
	Rows   uint64 `cbor:"2,keyasint"`
}

// Sum adds up all balances of one currency in minor units.
type Sum struct {
	Currency string `cbor:"1,keyasint"`
	Positive int64  `cbor:"2,keyasint"` // of the balances above zero
	Negative int64  `cbor:"3,keyasint"` // of those below, zero or less
}

// Summary describes a stream that was written or read to its end.
type Summary struct {
	Header Header
	Footer Footer
	SHA256 [32]byte // of everything before the last frame
	Bytes  int64    // of the whole stream
}

const maxClusterID = 255

func newHeader(clusterID string, applied store.Applied, chain Chain) Header {
	return Header{
		ClusterID: clusterID, Epoch: applied.Epoch, Index: applied.Index, Term: applied.Term,
		Membership: applied.Membership, MembershipIndex: applied.MembershipIndex, Version: applied.Version,
		Time: applied.Time, Digest: applied.Digest, Chain: chain,
	}
}

// applied is the record of the state file that holds this state.
func (h *Header) applied() store.Applied {
	return store.Applied{
		Index: h.Index, Term: h.Term, Time: h.Time, Digest: h.Digest, Membership: h.Membership,
		MembershipIndex: h.MembershipIndex, Version: h.Version, Epoch: h.Epoch,
	}
}

func (h *Header) validate() error {
	switch {
	case h.ClusterID == "" || len(h.ClusterID) > maxClusterID:
		return fmt.Errorf("the cluster id has %d bytes", len(h.ClusterID))
	case h.Index == 0 || h.Term == 0:
		return errors.New("the state is of no log entry")
	case h.MembershipIndex > h.Index:
		return fmt.Errorf("the membership is of entry %d, the state of entry %d", h.MembershipIndex, h.Index)
	}
	if _, err := decodeMembership(h.Membership); err != nil {
		return err
	}
	return nil
}

func decodeHeader(payload []byte) (Header, error) {
	var h Header
	if err := store.Decode(payload, &h); err != nil {
		return Header{}, fmt.Errorf("header: %w", err)
	}
	if !bytes.Equal(store.Encode(&h), payload) {
		return Header{}, errors.New("the header is not in its canonical form")
	}
	return h, h.validate()
}

func decodeFooter(payload []byte) (Footer, error) {
	var f Footer
	if err := store.Decode(payload, &f); err != nil {
		return Footer{}, fmt.Errorf("footer: %w", err)
	}
	if !bytes.Equal(store.Encode(&f), payload) {
		return Footer{}, errors.New("the footer is not in its canonical form")
	}
	return f, checkSums(f.Sums)
}

// checkSums refuses sums that are not sorted, each currency once.
func checkSums(sums []Sum) error {
	before := ""
	for _, s := range sums {
		if s.Currency <= before {
			return errors.New("the sums are not sorted by currency")
		}
		if s.Positive < 0 || s.Negative > 0 {
			return fmt.Errorf("the sums of currency %q cannot be: %d and %d", s.Currency, s.Positive, s.Negative)
		}
		before = s.Currency
	}
	return nil
}

// chainOf reads the end of the chain from a state.
func chainOf(v *store.View) (Chain, error) {
	state, err := ledgerchain.StateOf(v)
	if errors.Is(err, ledgerchain.ErrNotFounded) {
		return Chain{}, nil
	}
	if err != nil {
		return Chain{}, fmt.Errorf("read the end of the chain: %w", err)
	}
	ledgerID, err := ledgerchain.LedgerID(v)
	if err != nil {
		return Chain{}, fmt.Errorf("read the ledger id: %w", err)
	}
	return Chain{
		LedgerID: ledgerID, Entries: state.Head.Size, Head: state.Head.Chain, Root: state.Tree.Root(), SaltID: state.Head.SaltID,
	}, nil
}
