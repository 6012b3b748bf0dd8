package snapshot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"coffer/store"
)

// ErrNoSpace is returned when a copy of the state would not fit on the disk.
var ErrNoSpace = errors.New("there is no room for a copy of the state")

// spooled is a finished stream in a file that is gone when it is closed.
type spooled struct {
	*os.File
	summary Summary
}

// spool flushes and copies the state to a file at a rate of our own, so that
// its pages are not pinned while a slow peer reads.
func (c *Config) spool(ctx context.Context, rate int64, progress func(done, total int64)) (_ *spooled, err error) {
	if err := c.DB.Flush(); err != nil {
		return nil, fmt.Errorf("flush before a snapshot: %w", err)
	}
	e, err := c.DB.Export()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	used, err := e.Used()
	if err != nil {
		return nil, err
	}
	if err := c.roomFor(used); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(c.Dir, "spool-")
	if err != nil {
		return nil, fmt.Errorf("spool the snapshot: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	// From here on a crash leaves nothing behind.
	if err := os.Remove(file.Name()); err != nil {
		return nil, fmt.Errorf("spool the snapshot: %w", err)
	}
	summary, err := c.write(ctx, paced(ctx, file, rate), e, used, progress)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("spool the snapshot: %w", err)
	}
	return &spooled{File: file, summary: summary}, nil
}

func (c *Config) write(ctx context.Context, to io.Writer, e *store.Export, used int64, progress func(done, total int64)) (Summary, error) {
	if progress != nil {
		to = &meter{to: to, tell: func(done int64) { progress(done, used) }}
	}
	buffered := bufio.NewWriterSize(to, 1<<20)
	summary, err := Write(ctx, buffered, e, c.Source)
	if err != nil {
		return Summary{}, err
	}
	if err := buffered.Flush(); err != nil {
		return Summary{}, fmt.Errorf("spool the snapshot: %w", err)
	}
	return summary, nil
}

// roomFor makes sure that a copy fits: the stream is no larger than the pages.
func (c *Config) roomFor(bytes int64) error {
	free, err := freeBytes(c.Dir)
	if c.free != nil {
		free, err = c.free()
	}
	if err != nil {
		return fmt.Errorf("ask for free space: %w", err)
	}
	if free < bytes {
		return fmt.Errorf("%w: %d bytes, %d are free", ErrNoSpace, bytes, free)
	}
	return nil
}

func freeBytes(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}

// meter tells how much went through.
type meter struct {
	to   io.Writer
	done int64
	tell func(int64)
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.to.Write(b)
	m.done += int64(n)
	m.tell(m.done)
	return n, err
}
