package node

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"coffer/ledgerchain"
)

// stretch is how many entries one goroutine verifies at a time.
const stretch = 64 << 10

// chain recomputes every entry: sequence, links, commitments, keyed hashes.
func (v *verifier) chain(done *Check) error {
	if v.salts == nil {
		done.Note = "keyed check not done: no salt given"
	}
	run, err := v.verifyChain(v.salts, done)
	if err != nil || run == nil {
		return err
	}
	done.Rows = run.End().Size
	if fault := run.Fault(); fault != nil {
		done.Fault = fault
		done.add(fault)
		return nil
	}
	if n := run.Erased(); n > 0 {
		done.Note = fmt.Sprintf("%d openings are erased and were not checked", n)
	}
	if n := run.Unkeyed(); n > 0 && v.salts != nil {
		done.add(fmt.Errorf("the keyed hashes of %d entries are under another salt than the one given (%x)", n, v.saltID()))
	}
	return nil
}

func (v *verifier) saltID() ledgerchain.SaltID {
	salt, err := ledgerchain.NewSalt([]byte(v.given.Salt))
	if err != nil {
		return ledgerchain.SaltID{}
	}
	return salt.ID()
}

// verifyChain verifies stretches of the chain on all processors and joins them
// in order. It stops behind the first fault.
func (v *verifier) verifyChain(salts *ledgerchain.KeyRing, done *Check) (*ledgerchain.Run, error) {
	ledgerID, err := ledgerchain.LedgerID(v.view)
	if errors.Is(err, ledgerchain.ErrNotFounded) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	total := ledgerchain.Size(v.view)
	pieces := int((total + stretch - 1) / stretch)
	results := make([]chan *ledgerchain.Run, pieces)
	for i := range results {
		results[i] = make(chan *ledgerchain.Run, 1)
	}
	var next, stop atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < pieces; i = int(next.Add(1)) - 1 {
				results[i] <- v.verifyStretch(ledgerID, salts, uint64(i)*stretch, stop.Load() != 0 || v.ctx.Err() != nil)
			}
		})
	}
	defer workers.Wait()
	whole := ledgerchain.NewRun(ledgerchain.GenesisHead(ledgerID), salts)
	for i := range results {
		piece := <-results[i]
		if whole.Fault() != nil || v.ctx.Err() != nil {
			stop.Store(1)
			continue
		}
		if err := whole.Join(piece); err != nil {
			return nil, err
		}
		v.progress(done.Name, whole.End().Size, total)
	}
	v.end = whole
	return whole, v.ctx.Err()
}

// verifyStretch verifies one stretch by itself, taking the row before at its
// word; joining checks that word.
func (v *verifier) verifyStretch(ledgerID string, salts *ledgerchain.KeyRing, from uint64, skip bool) *ledgerchain.Run {
	head := ledgerchain.GenesisHead(ledgerID)
	if from > 0 {
		before, err := ledgerchain.HeadBefore(v.view, from)
		if err != nil {
			// The stretch before has found the same row and says so.
			return ledgerchain.NewRun(ledgerchain.Head{Size: from}, salts)
		}
		head = before
	}
	run := ledgerchain.NewRun(head, salts)
	if !skip {
		verifyRows(v, run, from+stretch)
	}
	return run
}

// verifyRows verifies rows; damaged pages are damaged rows.
func verifyRows(v *verifier, run *ledgerchain.Run, to uint64) {
	defer func() {
		if fault := recover(); fault != nil {
			run.Damaged(fmt.Errorf("%v", fault))
		}
	}()
	ledgerchain.VerifyRows(v.view, run, to)
}
