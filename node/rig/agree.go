package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"coffer/node"
)

// Agree checks that all running nodes are one: the chain verifies on each with
// the same head (O4), and their canonical copies of one entry have the same hash
// (O6).
func (c *Cluster) Agree(l *Load) {
	c.t.Helper()
	c.AwaitLevel()
	first := l.Head(c.Others(nil)[0])
	for _, n := range c.Others(nil) {
		told := must[struct {
			Valid    bool
			Height   uint64
			HeadHash string
		}](c.t, l.client, n, call{method: "GET", path: "/api/veilnetx-ledger/chain/verify", consistency: "linearizable"})
		if !told.Valid || told.Height == first.Height && told.HeadHash != first.Hash {
			c.t.Errorf("the chain of %s: %+v, the head is %+v", n.ID, told, first)
		}
	}
	c.copiesAgree()
}

// copiesAgree takes backups of all nodes until two or more are of one entry, and
// every node was in such a set.
func (c *Cluster) copiesAgree() {
	c.t.Helper()
	sums := map[uint64]map[string]string{} // entry, node, hash
	Eventually(c.t, "copies of one entry from every node", func() bool {
		for id, copied := range c.copies() {
			if sums[copied.Index] == nil {
				sums[copied.Index] = map[string]string{}
			}
			sums[copied.Index][id] = copied.SHA256
		}
		for index, of := range sums {
			var hashes []string
			for _, hash := range of {
				hashes = append(hashes, hash)
			}
			slices.Sort(hashes)
			if hashes = slices.Compact(hashes); len(hashes) > 1 {
				c.t.Fatalf("copies of entry %d differ: %v", index, of)
			}
			if len(of) == len(c.Others(nil)) {
				return true
			}
		}
		return false
	})
}

// copies takes one backup of every running node at once.
func (c *Cluster) copies() map[string]node.BackupReport {
	c.t.Helper()
	var mu sync.Mutex
	reports := map[string]node.BackupReport{}
	var all sync.WaitGroup
	for _, n := range c.Others(nil) {
		all.Go(func() {
			path := filepath.Join(c.dir, n.ID+".copy")
			report, err := Copy(c.t.Context(), n, path)
			if err == nil {
				err = os.Remove(path)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				c.t.Errorf("backup of %s: %v", n.ID, err)
			}
			reports[n.ID] = report
		})
	}
	all.Wait()
	return reports
}

// Copy takes a backup of a node into a file.
func Copy(ctx context.Context, n *Node, path string) (node.BackupReport, error) {
	sum, err := node.CreateBackup(ctx, n.Dir, path, nil, nil)
	if err != nil {
		return node.BackupReport{}, err
	}
	report, err := node.InspectBackup(path, nil)
	report.SHA256 = sum
	return report, err
}

// Finish ends a cluster in peace: everything is settled, all nodes agree, stop
// well, and verify from their files alone.
func (c *Cluster) Finish(l *Load) {
	c.t.Helper()
	l.Settle()
	c.Agree(l)
	running := c.Others(nil)
	for _, n := range running {
		n.Stop()
	}
	for _, n := range running {
		VerifyFiles(c.t, n)
	}
	c.t.Logf("seed %d: %s; %s", l.Seed, l.Counts, c.Network)
}

// VerifyFiles runs coffer verify on the directory of a stopped node.
func VerifyFiles(t testing.TB, n *Node) {
	t.Helper()
	mustRun(t, "verify", "--data-dir", n.Dir)
}

// String is one line of a report.
func (c Counts) String() string {
	return fmt.Sprintf("%d histories, %d writes acknowledged, %d rejected, %d linearizable reads (%d stale); %d in doubt (%d had happened), "+
		"%d refused, %d of those never sent again, %d repeated",
		c.Chapters, c.Acked, c.Rejected, c.Reads, c.Stale, c.Doubts, c.Replays, c.Refused, c.Abandoned, c.Repeated)
}
