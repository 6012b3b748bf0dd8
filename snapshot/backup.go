package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"coffer/store"
)

// ErrBusy is returned while another backup of this node is being made.
var ErrBusy = errors.New("another backup is being made")

// Progress is told how far a long step is, in bytes. The total is an estimate
// for all steps but "send", and 0 where nothing is known.
type Progress func(step string, done, total int64)

func (p Progress) of(step string) func(done, total int64) {
	if p == nil {
		return nil
	}
	return func(done, total int64) { p(step, done, total) }
}

// Backup writes a container of the state as it is now. The node goes on
// meanwhile: pages are pinned only while a copy is made on its own disk.
// Recipients encrypt it; without any it is the canonical stream itself. A
// container that was cut off at any place is refused by every reader.
func (v *Virtual) Backup(ctx context.Context, to io.Writer, recipients []string, progress Progress) (Summary, error) {
	if !v.reserve() {
		return Summary{}, ErrBusy
	}
	defer v.unreserve()
	rate := v.config.BackupRate
	stream, err := v.config.spool(ctx, rate, progress.of("copy"))
	if err != nil {
		return Summary{}, fmt.Errorf("back up: %w", err)
	}
	err = send(ctx, paced(ctx, to, rate), stream, recipients, progress.of("send"))
	if err := errors.Join(err, stream.Close()); err != nil {
		return Summary{}, fmt.Errorf("back up: %w", err)
	}
	return stream.summary, nil
}

func (v *Virtual) reserve() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.busy {
		return false
	}
	v.busy = true
	return true
}

func (v *Virtual) unreserve() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy = false
}

func send(ctx context.Context, to io.Writer, stream *spooled, recipients []string, progress func(done, total int64)) error {
	sealed, err := encrypt(to, recipients)
	if err != nil {
		return err
	}
	out := &meter{to: sealed, tell: func(done int64) {
		if progress != nil {
			progress(done, stream.summary.Bytes)
		}
	}}
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, untilDone(ctx, stream.File), make([]byte, 256<<10)); err != nil {
		return err
	}
	return sealed.Close()
}

// untilDone reads until the context ends.
func untilDone(ctx context.Context, from io.Reader) io.Reader { return &contextReader{ctx, from} }

type contextReader struct {
	ctx  context.Context
	from io.Reader
}

func (r *contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(b)
}

// Inspect reads the header of a container and nothing else: whether the rest is
// sound is for Verify. Secrets are only needed for an encrypted one.
func Inspect(from io.Reader, secrets []string) (h Header, encrypted bool, err error) {
	stream, encrypted, err := decrypt(from, secrets)
	if err != nil {
		return Header{}, encrypted, err
	}
	r, err := NewReader(stream)
	if err != nil {
		return Header{}, encrypted, err
	}
	return r.Header(), encrypted, nil
}

// Verification describes how a container is verified.
type Verification struct {
	Dir      string // for a file as large as the state, removed at the end; the system's when empty
	Schema   *store.Schema
	Sums     func(*store.View) ([]Sum, error) // as in Source
	Newest   uint32                           // state-machine version this program can run
	Secrets  []string                         // for an encrypted container
	Progress Progress                         // may be nil
	// Check verifies what the state means: the chain, the books, invariants. The
	// database is open for reading only. May be nil.
	Check func(*store.DB) error
}

// Verify reads a container to its end and builds its state aside: frames,
// order, counts and SHA-256, every row and page, the end of the chain, the sums
// and what Check finds. It needs no node.
func Verify(ctx context.Context, from io.Reader, o Verification) (summary Summary, err error) {
	stream, _, err := decrypt(untilDone(ctx, from), o.Secrets)
	if err != nil {
		return Summary{}, err
	}
	dir, err := os.MkdirTemp(o.Dir, "coffer-verify-")
	if err != nil {
		return Summary{}, fmt.Errorf("verify the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := &plan{
		options: store.Options{Path: filepath.Join(dir, "state.db"), Schema: o.Schema, Stamp: []byte("verify")},
		source:  Source{Sums: o.Sums}, newest: o.Newest, check: o.Check,
		admit:    func(h Header) (store.Applied, error) { return h.applied(), nil },
		progress: o.Progress.bytes("read"),
	}
	return p.build(stream)
}

// bytes is of for a step whose total is not known.
func (p Progress) bytes(step string) func(int64) {
	if p == nil {
		return nil
	}
	return func(done int64) { p(step, done, 0) }
}
