//go:build !rig

package cluster

import "context"

// confirm makes sure that no newer term than term had begun when the call was made.
func (c *Cluster) confirm(ctx context.Context, term uint64) error {
	return c.confirmByRound(ctx, term)
}
