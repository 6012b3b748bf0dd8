package snapshot

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"coffer/store"
)

// Compaction describes the data directory of a stopped node. The caller holds
// the lock of the directory.
type Compaction struct {
	DataDir  string
	Schema   *store.Schema
	Stamp    []byte
	Progress Progress // may be nil
}

// Compact writes the state of a stopped node to a new file without free pages,
// verifies it and moves it into the place of the old one. A crash leaves the
// old file or the new one. It returns the sizes of both in bytes.
func Compact(ctx context.Context, o Compaction) (before, after int64, err error) {
	path := filepath.Join(o.DataDir, stateFile)
	db, err := store.Inspect(store.Options{Path: path, Schema: o.Schema, Stamp: o.Stamp})
	if err != nil {
		return 0, 0, fmt.Errorf("compact: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := Clean(filepath.Join(o.DataDir, asideDir)); err != nil {
		return 0, 0, fmt.Errorf("compact: %w", err)
	}
	c := &compaction{ctx: ctx, given: o, next: store.Options{
		Path: filepath.Join(o.DataDir, asideDir, stateFile), Schema: o.Schema, Stamp: o.Stamp,
	}}
	if err := c.copy(db); err != nil {
		return 0, 0, fmt.Errorf("compact: %w", err)
	}
	if err := moveInto(c.next.Path, path); err != nil {
		return 0, 0, fmt.Errorf("compact: %w", err)
	}
	return c.before, c.after, nil
}

type compaction struct {
	ctx           context.Context
	given         Compaction
	next          store.Options
	rows          map[string]uint64
	before, after int64
}

// copy leaves a durable, verified file, or none.
func (c *compaction) copy(db *store.DB) error {
	e, err := db.Export()
	if err != nil {
		return err
	}
	defer e.Close()
	c.before, c.rows = e.Size(), map[string]uint64{}
	used, err := e.Used()
	if err != nil {
		return err
	}
	if err := (&Config{Dir: filepath.Dir(c.next.Path)}).roomFor(used); err != nil {
		return err
	}
	file, err := store.Build(c.next)
	if err != nil {
		return err
	}
	if err := c.fill(file, e); err != nil {
		return errors.Join(err, file.Discard())
	}
	if err := file.Finish(e.Applied()); err != nil {
		return err
	}
	if err := c.compare(); err != nil {
		return errors.Join(err, file.Discard())
	}
	return nil
}

func (c *compaction) fill(file *store.Builder, e *store.Export) error {
	var done, count int64
	return e.Rows(func(r store.Row) error {
		c.rows[r.Bucket]++
		done += int64(len(r.Key) + len(r.Sealed))
		if count++; count%4096 == 0 {
			if err := c.ctx.Err(); err != nil {
				return err
			}
			if c.given.Progress != nil {
				c.given.Progress("copy", done, c.before)
			}
		}
		return file.Add(r)
	})
}

// compare makes sure that the new file is sound and holds as many rows.
func (c *compaction) compare() (err error) {
	db, err := store.Inspect(c.next)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	e, err := db.Export()
	if err != nil {
		return err
	}
	defer e.Close()
	c.after = e.Size()
	var findings []error
	e.View().CheckPages(func(finding error) { findings = append(findings, finding) })
	if err := errors.Join(findings...); err != nil {
		return fmt.Errorf("check the new state file: %w", err)
	}
	if err := e.Rows(func(r store.Row) error { c.rows[r.Bucket]--; return nil }); err != nil {
		return err
	}
	for bucket, missing := range c.rows {
		if missing != 0 {
			return fmt.Errorf("the new state file has another number of rows in %s", bucket)
		}
	}
	return nil
}
