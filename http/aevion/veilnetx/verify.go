package veilnetx

import (
	"strings"
	"sync"
	"time"

	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

type verifyRequest struct {
	From int64 `query:"from" validate:"min=0" doc:"Height of the first entry to verify"`
	To   int64 `query:"to" validate:"min=0" doc:"Height of the last entry to verify"`
}

type verifyResponse struct {
	Valid            bool     `json:"valid"`
	Height           uint64   `json:"height"`
	HeadHash         string   `json:"headHash,omitzero"`
	VerifiedAt       api.Time `json:"verifiedAt"`
	Milliseconds     int64    `json:"msToVerify"`
	FullScanAt       api.Time `json:"fullScanAt" nullable:"true" doc:"When the part before from was verified"`
	From             uint64   `json:"from" doc:"Height of the first entry recomputed now"`
	To               uint64   `json:"to" doc:"Height of the last entry recomputed now"`
	TreeSize         *uint64  `json:"treeSize,omitzero" nullable:"false"`
	RootHash         string   `json:"rootHash,omitzero"`
	BrokenAt         *uint64  `json:"brokenAt"`
	Reason           string   `json:"reason,omitzero"`
	ExpectedPrevHash string   `json:"expectedPrevHash,omitzero"`
	FoundPrevHash    string   `json:"foundPrevHash,omitzero"`
	ExpectedHash     string   `json:"expectedHash,omitzero"`
	FoundHash        string   `json:"foundHash,omitzero"`
}

// Check wants a stretch that does not end before it begins.
func (r *verifyRequest) Check() *api.Violation {
	if r.To != 0 && r.To < r.From {
		return &api.Violation{Field: "to", Reason: "must not be less than from"}
	}
	return nil
}

// errAbove answers a stretch that begins behind the last entry.
var errAbove = &api.Problem{Kind: fsm.Invalid, Code: api.CodeValidation, Fields: []api.Field{
	{Name: "field", Value: "from"}, {Name: "reason", Value: "must not be above the height"},
}}

// wholeAtOnce is how long a chain may be to be verified at once: what one core
// recomputes in about half a second.
const wholeAtOnce = ledger.ScanTail

func (a *Area) verify(c *api.Call, in verifyRequest) (verifyResponse, error) {
	if in.From == 0 && in.To == 0 {
		return a.verifications.share(func() (verifyResponse, error) { return a.verifyWhole(c) })
	}
	var out verifyResponse
	err := c.Read(func(v *store.View) (err error) {
		from := uint64(max(in.From, 1))
		if from > max(ledger.Size(v), 1) {
			return errAbove
		}
		to := min(ledger.Size(v), from+maxExamined-1)
		if in.To > 0 {
			to = min(to, uint64(in.To))
		}
		out, err = a.verified(c, v, from, to)
		return err
	})
	return out, err
}

// verifyWhole vouches for every entry: recomputed now, or by the latest scan.
func (a *Area) verifyWhole(c *api.Call) (out verifyResponse, err error) {
	err = c.Read(func(v *store.View) (err error) {
		size := ledger.Size(v)
		scan, scanned := ledger.LatestScan(v)
		if scanned && !scan.OK {
			out, err = a.verifiedBroken(c, v, scan)
			return err
		}
		if !scanned || size <= wholeAtOnce {
			out, err = a.verified(c, v, 1, size)
			out.FullScanAt = out.VerifiedAt
			return err
		}
		out, err = a.verified(c, v, scan.To+1, size)
		out.FullScanAt = api.Time(scan.At)
		return err
	})
	return out, err
}

// verified recomputes the entries of some heights.
func (a *Area) verified(c *api.Call, v *store.View, from, to uint64) (verifyResponse, error) {
	started := time.Now()
	found, err := a.Verify(v, from-1, to)
	if err != nil {
		return verifyResponse{}, err
	}
	out := verifyResponse{
		Valid: found.Fault == nil, Height: ledger.Size(v), VerifiedAt: aevion.Now(c), From: from, To: to,
		Milliseconds: time.Since(started).Milliseconds(),
	}
	if out.Valid {
		h, err := ledger.HeadOf(v)
		out.HeadHash, out.TreeSize, out.RootHash = h.Hash, &h.Height, h.Root
		return out, err
	}
	height := found.Fault.Index + 1
	out.BrokenAt, out.Reason = &height, wireReason(string(found.Fault.Reason))
	expected, is := hashOf(found.Fault.Expected), hashOf(found.Fault.Found)
	if out.Reason == "prev_hash_mismatch" {
		out.ExpectedPrevHash, out.FoundPrevHash = expected, is
	} else {
		out.ExpectedHash, out.FoundHash = expected, is
	}
	return out, nil
}

// verifiedBroken looks again at the entry that a scan found broken, for its
// hashes. The finding stands even if the copy of this node is good.
func (a *Area) verifiedBroken(c *api.Call, v *store.View, scan ledger.Scan) (verifyResponse, error) {
	out, err := a.verified(c, v, scan.BrokenAt, scan.BrokenAt)
	if err != nil {
		return verifyResponse{}, err
	}
	if out.Valid {
		out.Valid, out.HeadHash, out.TreeSize, out.RootHash = false, "", nil, ""
		out.Reason = wireReason(scan.Reason)
	}
	out.BrokenAt, out.FullScanAt, out.From, out.To = &scan.BrokenAt, api.Time(scan.At), 1, scan.BrokenAt
	return out, nil
}

// hashOf is what a fault says if that is a hash, and no number or explanation.
func hashOf(text string) string {
	if len(text) != 64 || strings.Trim(text, "0123456789abcdef") != "" {
		return ""
	}
	return text
}

// wireReason is one of the three words of the contract: what is wrong with the
// link before, with the number, or with the entry itself.
func wireReason(reason string) string {
	switch reason {
	case "prev_hash_mismatch", "sequence_gap":
		return reason
	}
	return "entry_hash_mismatch"
}

// verifications lets calls that come while a verification runs, or shortly
// after, have its answer: it is public and takes a core for half a second.
type verifications struct {
	mu     sync.Mutex
	until  time.Time
	latest verifyResponse
	err    error
}

// shared is how long an answer is good.
const shared = time.Second

func (s *verifications) share(verify func() (verifyResponse, error)) (verifyResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) {
		return s.latest, s.err
	}
	started := time.Now()
	s.latest, s.err = verify()
	if took := time.Since(started); took > 50*time.Millisecond && s.err == nil {
		s.until = time.Now().Add(shared)
	}
	return s.latest, s.err
}
