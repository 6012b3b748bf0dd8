package ledgerchain

import (
	"errors"
	"fmt"
	"strconv"
)

// Run verifies consecutive entries: sequence, links of the chain, times, salts, commitments and keyed hashes.
// It is for one goroutine; several runs may check parts of one chain at the same time and are then joined.
type Run struct {
	start   Head
	end     Head
	leaves  Range
	salts   *KeyRing
	salt    *Salt // the salt of the latest entry, nil if it is not in the key ring
	hasher  *hasher
	strict  bool
	erased  uint64
	unkeyed uint64
	fault   *Fault
}

// NewRun starts a run behind start: GenesisHead, or HeadAfter of the row before.
// Keyed hashes are checked for the salts of the ring; without a ring, or for other salts, entries count as unkeyed.
func NewRun(start Head, salts *KeyRing) *Run {
	r := &Run{start: start, end: start, leaves: Range{begin: start.Size, end: start.Size}, salts: salts, hasher: newHasher()}
	r.salt, _ = salts.Salt(start.SaltID)
	return r
}

// RequireCanonical makes the run also refuse payloads that are not in canonical form.
func (r *Run) RequireCanonical() { r.strict = true }

// Start returns the head the run started behind.
func (r *Run) Start() Head { return r.start }

// End returns the head after the last good entry.
func (r *Run) End() Head { return r.end }

// Leaves returns the compact range over the good entries. It belongs to the run.
func (r *Run) Leaves() *Range { return &r.leaves }

// Erased returns how many openings were erased and could not be checked.
func (r *Run) Erased() uint64 { return r.erased }

// Unkeyed returns how many keyed hashes were not checked because their salt is not in the ring.
func (r *Run) Unkeyed() uint64 { return r.unkeyed }

// Fault returns the first thing found wrong, or nil.
func (r *Run) Fault() *Fault { return r.fault }

// Add verifies the next journal row, stored under index, and reports whether to go on.
// After a fault it changes nothing any more. The run keeps no part of row.
func (r *Run) Add(index uint64, row []byte) bool {
	if r.fault != nil || !r.expect(index) {
		return false
	}
	parsed, err := ParseRow(row)
	if err != nil {
		return r.Damaged(err)
	}
	return r.add(&parsed)
}

// AddEntry is Add for an entry and its opening from tiles. An empty opening has been erased.
func (r *Run) AddEntry(index uint64, entry, opening []byte) bool {
	if r.fault != nil || !r.expect(index) {
		return false
	}
	if n := len(opening); n != 0 && n <= BlindSize || n > maxOpening {
		return r.Damaged(errRowOpening)
	}
	return r.add(&Row{Entry: entry, Opening: opening})
}

func (r *Run) add(row *Row) bool {
	if err := checkEntry(row.Entry); err != nil {
		return r.Damaged(err)
	}
	entry := storedEntry(row.Entry)
	if !r.checkPlace(entry) || !r.checkLinks(row) || !r.checkOpening(entry, row.Opening) || !r.checkKeyed(entry) {
		return false
	}
	end, err := headAfter(entry, row.Payload())
	if err != nil {
		return r.fail(SaltMismatch, "the name of the next salt", err.Error())
	}
	if row.Erased() {
		r.erased++
	}
	r.end = end
	r.leaves.Append(Leaf(entry))
	return true
}

// Damaged reports that the next row cannot be read, for example because its checksum is wrong. It returns false.
func (r *Run) Damaged(cause error) bool {
	if r.fault == nil {
		r.fault = NewDamagedRow(r.end.Size, cause)
	}
	return false
}

func (r *Run) fail(reason Reason, expected, found string) bool {
	r.fault = &Fault{Index: r.end.Size, Reason: reason, Expected: expected, Found: found}
	return false
}

// Join appends the result of the run that continues this one. The first fault of both stays.
// It is an error to join runs that do not touch; use it only when both are done.
func (r *Run) Join(next *Run) error {
	if r.fault != nil {
		return nil
	}
	if next.start.Size != r.end.Size {
		return fmt.Errorf("join runs: one ends at %d, the other starts at %d", r.end.Size, next.start.Size)
	}
	if next.start != r.end { // the row between them has changed since
		r.fail(HeadMismatch, r.end.String(), next.start.String())
		return nil
	}
	if err := r.leaves.AppendRange(&next.leaves); err != nil {
		return fmt.Errorf("join runs: %w", err)
	}
	r.end, r.fault = next.end, next.fault
	r.erased += next.erased
	r.unkeyed += next.unkeyed
	return nil
}

// CheckEnd compares a run over the whole chain with the stored state: no row missing at the end, same head, same root.
func (r *Run) CheckEnd(stored *State) error {
	if r.fault != nil {
		return r.fault
	}
	if stored.Head.Size != r.end.Size {
		r.fail(SequenceGap, "an end at "+strconv.FormatUint(stored.Head.Size, 10), strconv.FormatUint(r.end.Size, 10))
		return r.fault
	}
	if stored.Head != r.end {
		r.fail(HeadMismatch, stored.Head.String(), r.end.String())
		return r.fault
	}
	var tree Tree
	if err := tree.AppendRange(&r.leaves); err != nil {
		return errors.New("check end: the run does not start at the first entry")
	}
	if root := tree.Root(); root != stored.Tree.Root() {
		r.fail(RootMismatch, stored.Tree.Root().String(), root.String())
		return r.fault
	}
	return nil
}
