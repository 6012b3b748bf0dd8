package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"coffer/store"
)

// Source says what a stream tells besides the rows of a state.
type Source struct {
	ClusterID string
	// Sums adds up the books of a state by currency, sorted. A stream is refused
	// if its sums are not what its own rows give. Nil for none.
	Sums func(*store.View) ([]Sum, error)
}

// ErrEmpty is returned when there is no state to copy yet.
var ErrEmpty = errors.New("nothing was applied yet")

// Write streams a state in its canonical form.
func Write(ctx context.Context, to io.Writer, e *store.Export, source Source) (Summary, error) {
	summary, err := source.describe(e)
	if err != nil {
		return Summary{}, err
	}
	frames, err := newFrameWriter(to)
	if err != nil {
		return Summary{}, fmt.Errorf("write the snapshot: %w", err)
	}
	w := &writer{ctx: ctx, frames: frames}
	if err := w.all(e, &summary); err != nil {
		return Summary{}, fmt.Errorf("write the snapshot: %w", err)
	}
	return summary, nil
}

// describe reads everything of a stream that is not a row.
func (s Source) describe(e *store.Export) (summary Summary, err error) {
	applied := e.Applied()
	if applied.Index == 0 {
		return summary, ErrEmpty
	}
	err = guarded(func() error {
		chain, err := chainOf(e.View())
		if err != nil {
			return err
		}
		summary.Header = newHeader(s.ClusterID, applied, chain)
		if s.Sums == nil {
			return nil
		}
		if summary.Footer.Sums, err = s.Sums(e.View()); err != nil {
			return fmt.Errorf("add up the books: %w", err)
		}
		return checkSums(summary.Footer.Sums)
	})
	if err == nil {
		err = summary.Header.validate()
	}
	return summary, err
}

// guarded turns damage that a read of a state runs into into an error.
func guarded(read func() error) (err error) {
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case store.Corruption:
			err = fault
		default:
			panic(fault)
		}
	}()
	return read()
}

// writer collects rows to frames.
type writer struct {
	ctx    context.Context
	frames *frameWriter
	counts []Count
	block  []byte
}

func (w *writer) all(e *store.Export, summary *Summary) error {
	if err := w.part(headerFrame, &summary.Header); err != nil {
		return err
	}
	if err := e.Rows(w.row); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	summary.Footer.Counts = w.counts
	if err := w.part(footerFrame, &summary.Footer); err != nil {
		return err
	}
	w.frames.sum.Sum(summary.SHA256[:0])
	err := w.frames.frame(hashFrame, summary.SHA256[:])
	summary.Bytes = w.frames.offset
	return err
}

func (w *writer) part(kind byte, value any) error {
	payload := store.Encode(value)
	if len(payload) > maxPart {
		return fmt.Errorf("a part of %d bytes is too large", len(payload))
	}
	return w.frames.frame(kind, payload)
}

func (w *writer) row(r store.Row) error {
	if len(r.Key) > maxKey || len(r.Sealed) > maxValue || len(r.Bucket) > maxName {
		return fmt.Errorf("row %x of %s is too large: %d bytes", r.Key, r.Bucket, len(r.Sealed))
	}
	if n := len(w.counts); n == 0 || w.counts[n-1].Bucket != r.Bucket {
		if err := w.flush(); err != nil {
			return err
		}
		w.counts = append(w.counts, Count{Bucket: r.Bucket})
	}
	if len(w.block) == 0 {
		w.block = append(append(w.block, byte(len(r.Bucket))), r.Bucket...)
	}
	w.counts[len(w.counts)-1].Rows++
	w.block = binary.BigEndian.AppendUint16(w.block, uint16(len(r.Key)))
	w.block = binary.BigEndian.AppendUint32(w.block, uint32(len(r.Sealed)))
	w.block = append(append(w.block, r.Key...), r.Sealed...)
	if len(w.block) < blockBytes {
		return nil
	}
	return w.flush()
}

func (w *writer) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	err := w.frames.frame(rowsFrame, w.block)
	w.block = w.block[:0]
	return err
}
