package ledgerchain

import "fmt"

// Reason says what is wrong with the first bad entry of a run.
type Reason string

// The reasons of a Fault.
const (
	SequenceGap         Reason = "sequence_gap"          // a row is missing, or stands in another's place
	DamagedRow          Reason = "damaged_row"           // the bytes are not those of a row
	PrevHashMismatch    Reason = "prev_hash_mismatch"    // does not name the chain hash of the entry before
	EntryHashMismatch   Reason = "entry_hash_mismatch"   // the chain hash is not that of the body under the salt
	CommitmentMismatch  Reason = "commitment_mismatch"   // blind and payload are not those committed to
	TimeNotRising       Reason = "time_not_rising"       // log time is not after that of the entry before
	SaltMismatch        Reason = "salt_mismatch"         // another salt without a salt-rotate entry that names it
	LinkOutOfRange      Reason = "link_out_of_range"     // a link does not point to an earlier row
	PayloadNotCanonical Reason = "payload_not_canonical" // the payload has another spelling than the canonical one
	HeadMismatch        Reason = "head_mismatch"         // the chain does not end as the stored head says
	RootMismatch        Reason = "root_mismatch"         // the entries do not give the stored Merkle root
)

// Fault is the first thing a verification found wrong. It is an answer, not a failure of the verification.
type Fault struct {
	Index    uint64 // of the first bad entry; the API's brokenAt is Index + 1
	Reason   Reason
	Expected string // what the entries before ask for, if that can be said
	Found    string // what stands there
}

// Error describes the fault in one line.
func (f *Fault) Error() string {
	return fmt.Sprintf("entry %d: %s: expected %s, found %s", f.Index, f.Reason, f.Expected, f.Found)
}

// NewDamagedRow reports that the row at index could not be read, with the store's reason.
func NewDamagedRow(index uint64, cause error) *Fault {
	return &Fault{Index: index, Reason: DamagedRow, Expected: "a journal row", Found: cause.Error()}
}
