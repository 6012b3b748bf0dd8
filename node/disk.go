package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"coffer/fsm"
)

// disk is the room that is left where the data directory lies (reliability,
// section 1.4).
type disk struct {
	dir     string
	reserve int64 // bytes below which the node stops
	logger  *slog.Logger
	ask     func(dir string, s *syscall.Statfs_t) error
	last    atomic.Int64 // room when the file system said so last
	silent  atomic.Bool  // it does not say so now
}

func newDisk(dir string, reserve int64, logger *slog.Logger) *disk {
	return &disk{dir: dir, reserve: reserve, logger: logger, ask: syscall.Statfs}
}

const (
	ballastFile = "ballast"
	diskStep    = time.Second // between two looks
)

// errDiskFull stops a node while it can still write what ends it well.
var errDiskFull = errors.New("the disk is nearly full")

// free is the room in bytes that this process may use. When the file system does
// not say, it is what it was before.
func (d *disk) free() int64 {
	if err := d.look(); err != nil {
		if !d.silent.Swap(true) {
			d.logger.Error("the room on the disk is not known", "last", d.last.Load(), "err", err)
		}
		return d.last.Load()
	}
	if d.silent.Swap(false) {
		d.logger.Info("the room on the disk is known again", "free", d.last.Load())
	}
	return d.last.Load()
}

// look asks the file system.
func (d *disk) look() error {
	var s syscall.Statfs_t
	if err := d.ask(d.dir, &s); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", d.dir, err)
	}
	d.last.Store(int64(s.Bavail) * int64(s.Bsize))
	return nil
}

// low tells that business writes should stop: four times the reserve are left.
func (d *disk) low() bool { return d.reserve > 0 && d.free() < 4*d.reserve }

// full tells that the node must stop.
func (d *disk) full() bool { return d.reserve > 0 && d.free() < d.reserve }

// board looks at the disk before anything is opened. A disk that is full gives
// its ballast back, so that the next start can do what makes room.
func (d *disk) board() error {
	if err := d.look(); err != nil && d.reserve > 0 {
		return err
	}
	if !d.full() {
		return d.load()
	}
	switch err := os.Remove(filepath.Join(d.dir, ballastFile)); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: %d bytes are left in %s, --disk-reserve is %d", errDiskFull, d.free(), d.dir, d.reserve)
	case err != nil:
		return fmt.Errorf("release ballast: %w", err)
	}
	return nil
}

// load keeps half of the reserve in a file that can be given up.
func (d *disk) load() error {
	if d.reserve == 0 {
		return nil
	}
	path := filepath.Join(d.dir, ballastFile)
	if info, err := os.Stat(path); err == nil && info.Size() == d.reserve/2 {
		return nil
	}
	if d.free() < 5*d.reserve {
		return nil // not now: it would be what fills the disk
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make ballast: %w", err)
	}
	err = syscall.Fallocate(int(file.Fd()), 0, 0, d.reserve/2)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		err = nil // a file system that cannot set room aside
	}
	return errors.Join(err, file.Close())
}

func (d *disk) release() error {
	err := os.Remove(filepath.Join(d.dir, ballastFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// guardDisk watches the disk until the node stops: first it stops business
// writes everywhere, then this node.
func (n *Node) guardDisk() {
	ticker := time.NewTicker(diskStep)
	defer ticker.Stop()
	var raising atomic.Bool
	for {
		select {
		case <-n.stopping:
			return
		case <-ticker.C:
		}
		switch {
		case n.disk.full():
			n.giveUp()
			return
		case n.disk.low() && !n.told(fsm.NoSpace) && raising.CompareAndSwap(false, true):
			n.tending.Go(func() { // the disk goes on filling meanwhile
				defer raising.Store(false)
				n.raise(fsm.NoSpace, fmt.Sprintf("%d bytes are left", n.disk.free()))
			})
		}
	}
}

// told tells whether the cluster knows of a condition of this node.
func (n *Node) told(kind string) bool {
	v := n.db.Latest()
	defer v.Close()
	return alarmed(v, kind, n.dir.Identity.NodeID)
}

// giveUp ends the node with room to spare, its leadership handed over.
func (n *Node) giveUp() {
	n.logger.Error("stopping: the disk is nearly full", "free", n.disk.free(), "reserve", n.disk.reserve)
	if err := n.disk.release(); err != nil {
		n.logger.Error("the ballast is not released", "err", err)
	}
	n.end(errDiskFull)
}

// raise tells the cluster of a condition of this node; it reports whether the
// cluster has taken it.
func (n *Node) raise(kind, reason string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := fsm.RaiseAlarm.Submit(n.self(ctx), n, fsm.AlarmChange{Kind: kind, Node: n.dir.Identity.NodeID, Reason: reason})
	if err != nil {
		n.logger.Warn("an alarm is not raised", "kind", kind, "reason", reason, "err", err)
		return false
	}
	n.logger.Error("alarm raised", "kind", kind, "reason", reason)
	return true
}
