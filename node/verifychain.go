package node

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"coffer/ledgerchain"
)

// stretch is how many entries one goroutine verifies at a time.
const stretch = 64 << 10

// chain recomputes every entry: sequence, links, commitments, keyed hashes, and
// whether the last one is the end that is stored.
func (v *verifier) chain(done *Check) error {
	if v.salts == nil {
		done.Note = "keyed check not done: no salt given"
	}
	run, err := v.verifyChain(v.salts, done)
	if err != nil || run == nil {
		return err
	}
	done.Rows = run.End().Size
	if n := run.Erased(); n > 0 {
		done.Note = fmt.Sprintf("%d openings are erased and were not checked", n)
	}
	fault := run.Fault()
	if fault == nil {
		if fault, err = v.compareEnd(run); err != nil {
			return err
		}
	}
	if fault != nil && fault.Reason != ledgerchain.RootMismatch {
		done.blame(fault)
	}
	if n := run.Unkeyed(); n > 0 && v.salts != nil {
		done.add(fmt.Errorf("%d entries are under another salt than %s, the one given; the chain goes on under %s",
			n, v.saltID(), run.End().SaltID))
	}
	return nil
}

// compareEnd compares the end of the chain with the stored one.
func (v *verifier) compareEnd(run *ledgerchain.Run) (*ledgerchain.Fault, error) {
	state, err := ledgerchain.StateOf(v.view)
	if err != nil {
		return nil, err
	}
	var fault *ledgerchain.Fault
	if err := run.CheckEnd(&state); err != nil && !errors.As(err, &fault) {
		return nil, err
	}
	return fault, nil
}

// tree compares the Merkle root and every stored tile with the entries.
func (v *verifier) tree(done *Check) error {
	run := v.end
	if run == nil { // the chain check did not run
		var err error
		if run, err = v.verifyChain(nil, done); err != nil || run == nil {
			return err
		}
	}
	done.Rows = run.End().Size
	fault := run.Fault()
	if fault == nil {
		var err error
		if fault, err = v.compareEnd(run); err != nil {
			return err
		}
	}
	switch {
	case fault == nil:
	case fault.Reason == ledgerchain.RootMismatch:
		done.blame(fault)
	default:
		done.Note = fmt.Sprintf("the root was not compared: the chain is broken at entry %d", fault.Index)
	}
	if err := ledgerchain.CheckTiles(v.view); err != nil {
		done.add(err)
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
	total := ledgerchain.Size(v.view)
	ledgerID, err := ledgerchain.LedgerID(v.view)
	if errors.Is(err, ledgerchain.ErrNotFounded) {
		if total > 0 {
			done.add(fmt.Errorf("there are %d entries of a ledger that was never founded", total))
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
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
// word; joining checks that word. Damaged pages are damaged rows.
func (v *verifier) verifyStretch(ledgerID string, salts *ledgerchain.KeyRing, from uint64, skip bool) (run *ledgerchain.Run) {
	run = ledgerchain.NewRun(ledgerchain.Head{Size: from}, salts)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			run.Damaged(fmt.Errorf("%v", fault))
		}
	}()
	head := ledgerchain.GenesisHead(ledgerID)
	if from > 0 {
		before, err := ledgerchain.HeadBefore(v.view, from)
		if err != nil {
			return run // the stretch before has found the same row and says so
		}
		head = before
	}
	run = ledgerchain.NewRun(head, salts)
	if !skip {
		ledgerchain.VerifyRows(v.view, run, from+stretch)
	}
	return run
}
