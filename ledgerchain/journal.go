package ledgerchain

import (
	"errors"
	"fmt"

	"coffer/store"
)

// The ledger's tables: the chain itself, where it ends, and full tiles of the
// Merkle tree.
var (
	rows  = store.NewRawJournal("ledgerchain.entries")
	ends  = store.NewTable("ledgerchain.end", func(*end) store.ID { return "end" })
	tiles = store.NewTable("ledgerchain.tiles", func(t *storedTile) store.Pair[store.Uint64, store.Uint64] {
		return store.PairOf(store.Uint64(t.Level), store.Uint64(t.Number))
	})
)

// Tables lists what this package keeps in the store.
func Tables() []store.Shape { return []store.Shape{rows, ends, tiles} }

// end is where the ledger goes on. What is not encoded is derived: it is
// absent after a restart and rebuilt from stored rows.
type end struct {
	LedgerID string `cbor:"1,keyasint"`
	State    *State `cbor:"2,keyasint"` // never changed, only replaced

	open [][]Hash // of the unfinished tile of each level, from the leaves up
}

// storedTile is a full tile: 256 hashes of one level. Full tiles never change.
type storedTile struct {
	Level  uint64 `cbor:"1,keyasint"`
	Number uint64 `cbor:"2,keyasint"`
	Hashes []byte `cbor:"3,keyasint"`
}

// ErrNotFounded is returned while the ledger has no name yet.
var ErrNotFounded = errors.New("the ledger is not founded")

// Found starts the ledger under a permanent name. It is called once.
func Found(w store.Writer, ledgerID string) {
	state := NewState(ledgerID)
	ends.Put(w, end{LedgerID: ledgerID, State: &state})
}

// LedgerID returns the name of the ledger.
func LedgerID(r store.Reader) (string, error) {
	e, ok := ends.Get(r, "end")
	if !ok {
		return "", ErrNotFounded
	}
	return e.LedgerID, nil
}

// StateOf returns the head and the Merkle tree as stored.
func StateOf(r store.Reader) (State, error) {
	e, ok := ends.Get(r, "end")
	if !ok {
		return State{}, ErrNotFounded
	}
	return *e.State, nil
}

// Size returns the number of entries.
func Size(r store.Reader) uint64 { return rows.Length(r) }

// RowAt returns a stored row below Size, split. A bad one is a Corruption.
func RowAt(r store.Reader, index uint64) Row {
	row, err := ParseRow(rows.Get(r, index))
	if err != nil {
		store.Corrupt("ledgerchain.entries", nil, fmt.Errorf("entry %d: %w", index, err))
	}
	return row
}

// EntryAt returns the entry and the opening of a row below Size.
func EntryAt(r store.Reader, index uint64) (Entry, Row) {
	row := RowAt(r, index)
	e, err := ParseEntry(row.Entry)
	if err != nil {
		store.Corrupt("ledgerchain.entries", nil, fmt.Errorf("entry %d: %w", index, err))
	}
	return e, row
}

// HeadBefore returns the head that the row before an index leaves, taking that
// row at its word.
func HeadBefore(v *store.View, index uint64) (Head, error) {
	row, err := rows.Raw(v, index-1)
	if err != nil {
		return Head{}, err
	}
	return HeadAfter(row)
}

// VerifyRows feeds a run with stored rows, from where it stands up to but not
// including to, or to the first fault.
func VerifyRows(v *store.View, run *Run, to uint64) {
	for index, row := range rows.Scan(v, run.End().Size, to) {
		if row.Err != nil {
			run.Damaged(row.Err)
			return
		}
		if !run.Add(index, row.Bytes) {
			return
		}
	}
}
