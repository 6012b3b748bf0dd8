package task

import (
	"context"
	"time"

	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/fsm/settings"
	"coffer/ledgerchain"
	"coffer/store"
)

// stepEntries is how many entries are verified on one view; between steps
// others get the processor, and pages of the file are let go.
const stepEntries = 32 << 10

// scanPause keeps a chain that grows fast from being verified all the time.
const scanPause = 30 * store.Second

// ChainScan verifies the whole chain in the background and puts the result on
// record, so that chain/verify need not start at the first entry.
func ChainScan(salts *ledgerchain.KeyRing) Task {
	return Task{
		Name: "chainscan",
		Next: nextScan,
		Pass: func(ctx context.Context, lead Lead) error { return scanChain(ctx, lead, salts) },
	}
}

// nextScan is due when the interval is over and the chain has grown, or when
// too much of it is not verified yet.
func nextScan(r store.Reader, now store.Time) (store.Time, bool) {
	interval := settings.ChainScan.Of(r)
	size := ledgerchain.Size(r)
	latest, scanned := ledger.LatestScan(r)
	switch {
	case interval == 0 || size == 0 || latest.To == size:
		return 0, false
	case !scanned:
		return now, true
	case latest.OK && size-latest.To > ledger.ScanTail:
		return latest.Recorded.Add(scanPause), true
	}
	return latest.At.Add(interval), true
}

func scanChain(ctx context.Context, lead Lead, salts *ledgerchain.KeyRing) error {
	var result ledger.Scan
	err := lead.Read(ctx, fsm.Stale, func(v *store.View) error {
		result = scanStart(v, store.TimeOf(time.Now()))
		return nil
	})
	if err != nil {
		return err
	}
	for done := false; !done; {
		if done, err = scanStep(ctx, lead, salts, &result); err != nil {
			return err
		}
		pause(ctx, time.Millisecond)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	_, err = ledger.RecordScan.Submit(lead.Caller(ctx), lead, result)
	return err
}

// scanStart is where a scan begins: at the first entry once an interval, else
// where the scan before ended.
func scanStart(v *store.View, now store.Time) ledger.Scan {
	latest, scanned := ledger.LatestScan(v)
	if !scanned || !latest.OK || latest.At.Add(settings.ChainScan.Of(v)) <= now {
		return ledger.Scan{OK: true}
	}
	latest.Extends = true
	return latest
}

// scanStep verifies the next entries on a view of its own and tells whether the
// end, or a fault, is reached.
func scanStep(ctx context.Context, lead Lead, salts *ledgerchain.KeyRing, result *ledger.Scan) (done bool, err error) {
	err = lead.Read(ctx, fsm.Stale, func(v *store.View) error {
		found, err := ledger.Verify(v, salts, result.To, result.To+stepEntries)
		if err != nil {
			return err
		}
		if found.Fault != nil {
			result.OK, result.BrokenAt, result.Reason = false, found.Fault.Index+1, string(found.Fault.Reason)
			done = true
			return nil
		}
		result.To, result.Head = found.To, found.Head[:]
		done = found.To == ledgerchain.Size(v)
		return nil
	})
	return done, err
}
