package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
)

// undated is how many entries at the start of a log may lack a time: the one that founds a cluster, or a recovery.
const undated = 4

// OldestEntry returns when the leader of the time appended the oldest entry of raft.db. It reads that entry from the disk;
// ok is false for an empty log.
func (c *Cluster) OldestEntry() (appended time.Time, ok bool) {
	first, last, _ := c.storage.logs.measure()
	for index := first; first > 0 && index <= min(last, first+undated); index++ {
		var log raft.Log
		if err := c.storage.logs.GetLog(index, &log); err != nil {
			return time.Time{}, false // it was truncated meanwhile; any other failure ends the node
		}
		if !log.AppendedAt.IsZero() {
			return log.AppendedAt, true
		}
	}
	return time.Time{}, false
}

// FileStats describes raft.db. Its values are not of one instant.
type FileStats struct {
	Bytes    int64 // of the file on the disk
	Free     int64 // of its pages that hold nothing, known from the first write on
	Freelist int64 // that a list of those pages needs, in memory only
	Reads    int   // read transactions
}

// FileStats looks at raft.db. It fails only if the system does not tell the file's size.
func (c *Cluster) FileStats() (FileStats, error) {
	info, err := os.Stat(filepath.Join(c.cfg.Dir, fileName))
	if err != nil {
		return FileStats{}, fmt.Errorf("measure raft.db: %w", err)
	}
	now := c.storage.bolt.Stats()
	return FileStats{
		Bytes: info.Size(), Free: int64(now.FreeAlloc), Freelist: int64(now.FreelistInuse), Reads: now.OpenTxN,
	}, nil
}
