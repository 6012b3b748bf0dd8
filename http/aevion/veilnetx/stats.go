package veilnetx

import (
	"coffer/fsm/ledger"
	"coffer/http/aevion"
	"coffer/http/api"
	"coffer/store"
)

type windowView struct {
	Total  int64            `json:"total"`
	ByKind map[string]int64 `json:"byKind"`
}

type moduleView struct {
	Module  string `json:"module"`
	Entries int64  `json:"entries"`
	Volume  int64  `json:"volume_cents"`
}

type statsResponse struct {
	Service   string                `json:"service"`
	Total     uint64                `json:"total"`
	Height    uint64                `json:"height"`
	Windows   map[string]windowView `json:"windows"`
	PerModule []moduleView          `json:"perModule"`
	ByModule  map[string]int64      `json:"byModule"`
}

// windows are the spans that statistics are kept for.
var windows = []struct {
	name string
	span int64
}{{"24h", store.Day}, {"7d", 7 * store.Day}, {"30d", 30 * store.Day}}

func (a *Area) stats(c *api.Call, _ api.Empty) (out statsResponse, err error) {
	now := store.Time(aevion.Now(c))
	err = c.Read(func(v *store.View) error {
		size := ledger.Size(v)
		out = statsResponse{Service: "veilnetx-ledger", Total: size, Height: size,
			Windows: map[string]windowView{}, PerModule: []moduleView{}, ByModule: map[string]int64{}}
		for _, w := range windows {
			view := windowView{ByKind: map[string]int64{}}
			for _, count := range ledger.CountsSince(v, now.Add(-w.span), now) {
				view.Total += count.Entries
				view.ByKind[count.Kind] += count.Entries
			}
			out.Windows[w.name] = view
		}
		for _, sum := range ledger.ModuleSums(v) {
			out.PerModule = append(out.PerModule, moduleView{sum.Module, sum.Entries, sum.Volume})
			out.ByModule[sum.Module] = sum.Entries
		}
		return nil
	})
	return out, err
}

type healthResponse struct {
	aevion.ModuleHealth
	LastEntryAt api.Time `json:"lastEntryAt" nullable:"true"`
	Height      uint64   `json:"height"`
}

func (a *Area) health(c *api.Call, _ api.Empty) (out healthResponse, err error) {
	broken := false
	out.ModuleHealth, err = aevion.Alive(c, "veilnetx-ledger", func(v *store.View) error {
		h, err := ledger.HeadOf(v)
		out.LastEntryAt, out.Height = api.Time(h.At), h.Height
		if scan, ok := ledger.LatestScan(v); ok && !scan.OK {
			broken = true
		}
		return err
	})
	if broken {
		out.Status = "degraded"
	}
	return out, err
}
