package veilnetx

import (
	"sync"
	"time"

	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

func (a *Area) chainRoutes() []api.Route {
	return []api.Route{
		a.headRoute("/chain/head", "getChainHead"),
		a.headRoute("/head", "getHead"),
		api.Get("/chain/verify", a.verify, api.Spec{
			Summary: "Verify the chain",
			Description: "Recomputes all entries while that takes less than a second, else the latest full background scan " +
				"plus everything after it; from and to verify a stretch of at most 65,536 entries.",
			Auth: api.Public,
		}),
		a.statsRoute("/stats", "getLedgerStats"),
		a.healthRoute("/health", "getLedgerHealth"),
	}
}

// olderRoutes are the same answers under /api/veilnetx.
func (a *Area) olderRoutes() []api.Route {
	return []api.Route{
		a.healthRoute("/health", "getOlderHealth"), a.headRoute("/chain/head", "getOlderChainHead"),
		a.statsRoute("/ledger/stats", "getOlderStats"),
	}
}

func (a *Area) headRoute(pattern, operation string) api.Route {
	return api.Get(pattern, a.head, api.Spec{Summary: "Current head", Operation: operation, Auth: api.Public})
}

func (a *Area) statsRoute(pattern, operation string) api.Route {
	return api.Get(pattern, a.stats, api.Spec{Summary: "Entry counts", Operation: operation, Auth: api.Public})
}

func (a *Area) healthRoute(pattern, operation string) api.Route {
	return api.Get(pattern, a.health, api.Spec{Summary: "Liveness and last entry time", Operation: operation, Auth: api.Public, Read: fsm.Stale})
}

type headResponse struct {
	ID        *string  `json:"id"`
	Hash      string   `json:"hash"`
	Height    uint64   `json:"height"`
	Timestamp api.Time `json:"timestamp"`
	TreeSize  uint64   `json:"treeSize"`
	RootHash  string   `json:"rootHash"`
}

func (a *Area) head(c *api.Call, _ api.Empty) (out headResponse, err error) {
	err = c.Read(func(v *store.View) error {
		h, err := ledger.HeadOf(v)
		if err != nil {
			return err
		}
		out = headResponse{Hash: h.Hash, Height: h.Height, Timestamp: api.Time(h.At), TreeSize: h.Height, RootHash: h.Root}
		if h.ID != "" {
			out.ID = &h.ID
		}
		return nil
	})
	return out, err
}

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
	FullScanAt       api.Time `json:"fullScanAt" doc:"When the part before from was verified"`
	From             uint64   `json:"from" doc:"Height of the first entry recomputed now"`
	To               uint64   `json:"to" doc:"Height of the last entry recomputed now"`
	TreeSize         uint64   `json:"treeSize,omitzero"`
	RootHash         string   `json:"rootHash,omitzero"`
	BrokenAt         *uint64  `json:"brokenAt"`
	Reason           string   `json:"reason,omitzero"`
	ExpectedPrevHash string   `json:"expectedPrevHash,omitzero"`
	FoundPrevHash    string   `json:"foundPrevHash,omitzero"`
	ExpectedHash     string   `json:"expectedHash,omitzero"`
	FoundHash        string   `json:"foundHash,omitzero"`
}

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
			out = verifyResponse{Height: size, VerifiedAt: aevion.Now(c), FullScanAt: api.Time(scan.At), From: 1, To: scan.BrokenAt}
			out.BrokenAt, out.Reason = &scan.BrokenAt, wireReason(scan.Reason)
			return nil
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
		out.HeadHash, out.TreeSize, out.RootHash = h.Hash, h.Height, h.Root
		return out, err
	}
	height := found.Fault.Index + 1
	out.BrokenAt, out.Reason = &height, wireReason(string(found.Fault.Reason))
	if out.Reason == "prev_hash_mismatch" {
		out.ExpectedPrevHash, out.FoundPrevHash = found.Fault.Expected, found.Fault.Found
	} else {
		out.ExpectedHash, out.FoundHash = found.Fault.Expected, found.Fault.Found
	}
	return out, nil
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
