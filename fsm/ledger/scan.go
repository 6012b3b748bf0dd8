package ledger

import (
	"errors"

	"coffer/fsm"
	"coffer/fsm/outbox"
	"coffer/ledgerchain"
	"coffer/store"
)

// Verified is what a verification of a stretch of the chain found.
type Verified struct {
	From, To uint64             // indexes, To excluded
	Fault    *ledgerchain.Fault // nil when intact
	Head     ledgerchain.Hash   // chain hash before To
}

// Verify recomputes the entries from index from up to, but not including, to:
// sequence, links, commitments and keyed hashes. It reads raw rows, so damage is
// its answer.
func Verify(v *store.View, salts *ledgerchain.KeyRing, from, to uint64) (found Verified, err error) {
	to = min(to, ledgerchain.Size(v))
	found = Verified{From: from, To: to}
	start, err := headBefore(v, from)
	if err != nil {
		found.Fault = ledgerchain.NewDamagedRow(from-1, err)
		return found, nil
	}
	run := ledgerchain.NewRun(start, salts)
	ledgerchain.VerifyRows(v, run, to)
	found.Fault, found.Head = run.Fault(), run.End().Chain
	if found.Fault != nil || from > 0 || to != ledgerchain.Size(v) {
		return found, nil
	}
	state, err := ledgerchain.StateOf(v)
	if errors.Is(err, ledgerchain.ErrNotFounded) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	var fault *ledgerchain.Fault
	if err := run.CheckEnd(&state); errors.As(err, &fault) {
		found.Fault = fault
	}
	return found, nil
}

func headBefore(v *store.View, from uint64) (ledgerchain.Head, error) {
	if from > 0 {
		return ledgerchain.HeadBefore(v, from)
	}
	ledgerID, err := ledgerchain.LedgerID(v)
	if err != nil {
		return ledgerchain.GenesisHead(""), nil
	}
	return ledgerchain.GenesisHead(ledgerID), nil
}

// ScanTail is how many entries behind the latest scan may wait before it goes
// on: what a reader verifies in well under a second.
const ScanTail = 300_000

// Scan is the latest verification of the whole chain by a leader.
type Scan struct {
	To       uint64     `cbor:"1,keyasint"` // entries verified
	OK       bool       `cbor:"2,keyasint,omitempty"`
	BrokenAt uint64     `cbor:"3,keyasint,omitempty"` // height of the first bad entry
	Reason   string     `cbor:"4,keyasint,omitempty"`
	At       store.Time `cbor:"5,keyasint"`           // of the last pass that began at the first entry
	Head     []byte     `cbor:"6,keyasint,omitempty"` // chain hash of the last entry verified
	Extends  bool       `cbor:"7,keyasint,omitempty"` // goes on where the scan before ended
	Recorded store.Time `cbor:"8,keyasint,omitempty"` // when it ended
}

var scans = store.NewTable("ledger.scans", func(*Scan) store.ID { return "latest" })

// LatestScan returns the latest recorded scan of the whole chain.
func LatestScan(r store.Reader) (Scan, bool) { return scans.Get(r, "latest") }

// RecordScan puts the result of a scan of the whole chain on record.
var RecordScan = fsm.Command[Scan, fsm.Nothing]{
	Name: "ledger.record_scan/1", Rejects: fsm.Rejections{fsm.ErrNotPermitted, ErrBadScan}, System: true,
}

// ErrBadScan answers a scan of more entries than there are.
var ErrBadScan = fsm.Reject(fsm.Invalid, "scan_beyond_the_chain")

func recordScan(ctx *fsm.Context, c Scan) (fsm.Nothing, error) {
	if ctx.Actor.Kind != fsm.Node {
		return fsm.Nothing{}, fsm.ErrNotPermitted
	}
	if c.To > ledgerchain.Size(ctx) {
		return fsm.Nothing{}, ErrBadScan
	}
	before, scanned := LatestScan(ctx)
	c.At, c.Recorded = ctx.Now, ctx.Now
	if c.Extends && scanned {
		c.At = before.At
	}
	scans.Put(ctx, c)
	valid := int64(0)
	if c.OK {
		valid = 1
	}
	outbox.Emit(ctx, outbox.Event{Kind: "ledger.chain_verified", Facts: []fsm.Detail{
		fsm.Number("valid", valid), fsm.Number("height", int64(c.To)), fsm.Number("brokenAt", int64(c.BrokenAt)),
	}})
	return fsm.Nothing{}, nil
}
