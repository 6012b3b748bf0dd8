package ledgerchain

import (
	"fmt"
	"strconv"
)

func (r *Run) expect(index uint64) bool {
	if index == r.end.Size {
		return true
	}
	return r.fail(SequenceGap, strconv.FormatUint(r.end.Size, 10), strconv.FormatUint(index, 10))
}

// checkPlace compares an entry with the one before.
func (r *Run) checkPlace(entry storedEntry) bool {
	switch {
	case entry.index() != r.end.Size:
		return r.expect(entry.index())
	case Hash(entry.prev()) != r.end.Chain:
		return r.fail(PrevHashMismatch, r.end.Chain.String(), Hash(entry.prev()).String())
	case entry.time() <= r.end.Time:
		return r.fail(TimeNotRising, "after "+strconv.FormatInt(r.end.Time, 10), strconv.FormatInt(entry.time(), 10))
	case entry.saltID() != r.end.SaltID && !r.end.AnySalt:
		return r.fail(SaltMismatch, r.end.SaltID.String(), entry.saltID().String())
	}
	return true
}

// checkLinks can only say that links point backwards; where to is for the ledger to recompute.
func (r *Run) checkLinks(row *Row) bool {
	for leg := range row.Links() {
		if link := row.Link(leg); link.Account > r.end.Size || link.Owner > r.end.Size {
			return r.fail(LinkOutOfRange, "at most "+strconv.FormatUint(r.end.Size, 10), fmt.Sprint(link))
		}
	}
	return true
}

func (r *Run) checkOpening(entry storedEntry, opening []byte) bool {
	if len(opening) == 0 {
		return true
	}
	if commit := r.hasher.opening(opening); commit != Hash(entry.commit()) {
		return r.fail(CommitmentMismatch, Hash(entry.commit()).String(), commit.String())
	}
	if !r.strict {
		return true
	}
	if err := CheckCanonical(opening[BlindSize:]); err != nil {
		return r.fail(PayloadNotCanonical, "canonical JSON", err.Error())
	}
	return true
}

func (r *Run) checkKeyed(entry storedEntry) bool {
	if id := entry.saltID(); r.salt == nil || r.salt.id != id {
		r.salt, _ = r.salts.Salt(id)
	}
	if r.salt == nil {
		r.unkeyed++
		return true
	}
	if chain := r.salt.ChainHash(entry.body()); chain != Hash(entry.chain()) {
		return r.fail(EntryHashMismatch, chain.String(), Hash(entry.chain()).String())
	}
	return true
}
