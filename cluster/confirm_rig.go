//go:build rig

package cluster

import (
	"context"
	"os"
)

// stockReads says that tests of faults want to see raft's own way of confirming a leader, for comparison.
var stockReads = os.Getenv("COFFER_TEST_READS") == "stock"

// confirm makes sure that no newer term than term had begun when the call was made, or asks raft, which cannot.
func (c *Cluster) confirm(ctx context.Context, term uint64) error {
	if !stockReads {
		return c.confirmByRound(ctx, term)
	}
	verified := make(chan error, 1)
	go func() { verified <- c.raft().VerifyLeader().Error() }()
	select {
	case err := <-verified:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stop:
		return ErrStopping
	}
}
