package ledger

import (
	"fmt"
	"math"

	"coffer/fsm"
	"coffer/ledgerchain"
	"coffer/store"
)

// Count is how many entries of a kind one hour of log time has.
type Count struct {
	Hour    int64  `cbor:"1,keyasint"` // since 1970
	Kind    string `cbor:"2,keyasint"`
	Entries int64  `cbor:"3,keyasint"`
}

// ModuleSum is what one module has put on the chain.
type ModuleSum struct {
	Module  string `cbor:"1,keyasint"`
	Entries int64  `cbor:"2,keyasint"`
	Volume  int64  `cbor:"3,keyasint"` // minor units of all currencies, without sign
}

var (
	counts = store.NewTable("ledger.counts", func(c *Count) store.Pair[store.Uint64, store.Text] {
		return store.PairOf(store.Uint64(c.Hour), store.Text(c.Kind))
	})
	moduleSums = store.NewTable("ledger.modules", func(s *ModuleSum) store.Text { return store.Text(s.Module) })
)

// CountsSince returns the counts of all hours from that of a time to that of
// another.
func CountsSince(r store.Reader, from, to store.Time) []Count {
	var list []Count
	for hour := max(0, int64(from)/store.Hour); hour <= int64(to)/store.Hour; hour++ {
		for _, c := range counts.Scan(r, store.Uint64(hour), nil) {
			list = append(list, c)
		}
	}
	return list
}

// ModuleSums returns the sums of all modules by name.
func ModuleSums(r store.Reader) []ModuleSum {
	var list []ModuleSum
	for _, s := range moduleSums.Scan(r, store.All{}, nil) {
		list = append(list, s)
	}
	return list
}

// tally gathers what one poster has appended, by kind and module.
type tally struct {
	kind, module string
	entries      int64
	volume       int64
}

func (p *Poster) count(t *Transaction) {
	volume := t.Amount
	if volume < 0 {
		volume = -volume
	}
	for i := range p.tallies {
		if s := &p.tallies[i]; s.kind == t.Kind && s.module == t.Module {
			s.entries, s.volume = s.entries+1, saturate(s.volume, volume)
			return
		}
	}
	p.tallies = append(p.tallies, tally{t.Kind, t.Module, 1, volume})
}

// storeCounts adds what was gathered to the sums.
func storeCounts(ctx *fsm.Context, tallies []tally) {
	hour := int64(ctx.Now) / store.Hour
	for _, t := range tallies {
		c, _ := counts.Get(ctx, store.PairOf(store.Uint64(hour), store.Text(t.kind)))
		counts.Put(ctx, Count{Hour: hour, Kind: t.kind, Entries: c.Entries + t.entries})
		s, _ := moduleSums.Get(ctx, store.Text(t.module))
		moduleSums.Put(ctx, ModuleSum{Module: t.module, Entries: s.Entries + t.entries, Volume: saturate(s.Volume, t.volume)})
	}
}

// saturate adds two non-negative sums of a statistic.
func saturate(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func countsAddUp(v *store.View) error {
	var byHour, byModule int64
	for _, c := range counts.Scan(v, store.All{}, nil) {
		byHour += c.Entries
	}
	for _, s := range ModuleSums(v) {
		byModule += s.Entries
	}
	if size := int64(ledgerchain.Size(v)); byHour != size || byModule != size {
		return fmt.Errorf("the chain has %d entries, %d are counted by hour and %d by module", size, byHour, byModule)
	}
	return nil
}
