package node

import (
	"context"
	"errors"
	"os"

	"coffer/fsm"
	"coffer/fsm/modules"
	"coffer/snapshot"
)

// Compact writes the state of a stopped node anew. It returns the sizes before
// and after in bytes.
func Compact(ctx context.Context, dir string, terminal *os.File) (before, after int64, err error) {
	id, err := readIdentity(dir)
	if err != nil {
		return 0, 0, err
	}
	lock, err := lockDir(dir, os.O_RDWR)
	if err != nil {
		return 0, 0, err
	}
	schema, err := fsm.Schema(modules.All())
	if err != nil {
		return 0, 0, errors.Join(err, lock.Close())
	}
	bar := newBar(terminal)
	before, after, err = snapshot.Compact(ctx, snapshot.Compaction{
		DataDir: dir, Schema: schema, Stamp: id.stamp(),
		Progress: func(step string, done, total int64) { bar.show(step, uint64(done), uint64(max(0, total))) },
	})
	bar.clear()
	return before, after, errors.Join(err, lock.Close())
}
