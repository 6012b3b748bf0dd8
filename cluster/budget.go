package cluster

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// budgetPeriod is how often the plan is renewed when nothing asks for it.
const budgetPeriod = 5 * time.Second

// budget keeps raft.db small. Entries have 200 bytes or a megabyte, so a count of entries bounds nothing: what raft keeps
// after a truncation, and how often it truncates, follow from the bytes that the log holds.
type budget struct {
	bytes  int64 // of the log
	timing Timing
	grown  chan struct{} // the log may have outgrown its budget
}

func newBudget(bytes int64, timing Timing) *budget {
	return &budget{bytes: bytes, timing: timing, grown: make(chan struct{}, 1)}
}

// Above high a truncation is due; it leaves at most low, or minTrailing entries if those need more.
func (b *budget) high() int64 { return b.bytes / 4 * 3 }
func (b *budget) low() int64  { return b.bytes / 2 }

// notice learns from the log store how large the log is.
func (b *budget) notice(bytes int64) {
	if bytes <= b.high() {
		return
	}
	select {
	case b.grown <- struct{}{}:
	default:
	}
}

// keep returns how many entries raft should leave, given how many of all fit below low.
func (b *budget) keep(fit, all uint64) (trailing, threshold uint64) {
	trailing = b.timing.TrailingLogs
	if fit < all {
		trailing = min(max(fit, minTrailing), trailing)
	}
	return trailing, min(max(trailing/16, 64), b.timing.SnapshotThreshold)
}

// due says whether a truncation is needed and would remove enough to be worth a flush.
func (b *budget) due(bytes int64, all, trailing uint64) bool {
	return bytes > b.high() && all >= trailing+max(trailing/16, 64)
}

// keepBudget follows the size of the log until the node stops.
func (c *Cluster) keepBudget() {
	ticker := time.NewTicker(budgetPeriod)
	defer ticker.Stop()
	grown := c.budget.grown
	for {
		select {
		case <-c.stop:
			return
		case <-grown:
		case <-ticker.C:
		}
		grown = c.budget.grown
		if !c.fitLog() {
			grown = nil // not before the next tick
		}
	}
}

// fitLog renews the plan and truncates if the log is too large. It returns false if that did not work.
func (c *Cluster) fitLog() bool {
	fit, all := c.storage.logs.fitting(c.budget.low())
	trailing, threshold := c.budget.keep(fit, all)
	c.reload(func(r *raft.ReloadableConfig) { r.TrailingLogs, r.SnapshotThreshold = trailing, threshold })
	_, _, bytes := c.storage.logs.measure()
	if !c.budget.due(bytes, all, trailing) {
		return true
	}
	err := c.await(func() raft.Future { return c.raft().Snapshot() })
	if errors.Is(err, ErrStopping) {
		return true
	}
	if err != nil {
		c.logger.Warn("raft log is above its budget and cannot be truncated yet", "bytes", bytes, "budget", c.budget.bytes, "error", err)
		return false
	}
	return true
}

// reload changes raft's configuration if edit changes anything.
func (c *Cluster) reload(edit func(*raft.ReloadableConfig)) {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	before := c.raft().ReloadableConfig()
	after := before
	edit(&after)
	if after == before {
		return
	}
	if err := c.raft().ReloadConfig(after); err != nil {
		c.logger.Error("raft refused a configuration", "error", err)
	}
}

// await waits for a future of raft, which may never resolve, or for the node's stop.
func (c *Cluster) await(begin func() raft.Future) error {
	result := make(chan error, 1)
	go func() { result <- begin().Error() }()
	select {
	case err := <-result:
		return err
	case <-c.stop:
		return ErrStopping
	}
}

// Truncate lets the machine flush and raft drop what the budget and the trailing entries allow. It returns when that is
// done. Raft answers with an error while nothing was applied since the start.
func (c *Cluster) Truncate() error {
	return c.await(func() raft.Future { return c.raft().Snapshot() })
}
