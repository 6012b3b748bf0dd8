package veilnetx

import (
	"coffer/fsm"
	"coffer/fsm/ledger"
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
	Timestamp api.Time `json:"timestamp" nullable:"true"`
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
