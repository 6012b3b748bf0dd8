package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"coffer/store"
)

// Reader reads a canonical stream row by row in constant memory. It needs
// neither keys nor the tables of the program. Nothing it returns counts before
// Next has answered io.EOF. Damage is a *DamageError.
type Reader struct {
	frames *frameReader
	header Header
	footer Footer
	sum    [32]byte
	done   error // what Next answers from now on

	block  []byte // rows of the frame that are still to come
	read   int    // bytes of the frame before them
	full   bool   // the frame before was as long as one must be
	bucket string
	key    []byte // of the row before
	counts []Count
}

var (
	errRowOrder = errors.New("the rows are not sorted by bucket and key")
	errRowForm  = errors.New("a row does not end within its frame")
	errBlock    = errors.New("the rows are divided otherwise than a writer does")
	errCounts   = errors.New("the footer does not count the rows that are there")
)

// NewReader reads the header of a stream.
func NewReader(from io.Reader) (*Reader, error) {
	frames, err := newFrameReader(from)
	if err != nil {
		return nil, err
	}
	r := &Reader{frames: frames}
	kind, payload, err := frames.next()
	if err != nil {
		return nil, err
	}
	if kind != headerFrame {
		return nil, frames.damaged(errOrder)
	}
	if r.header, err = decodeHeader(payload); err != nil {
		return nil, frames.damaged(err)
	}
	return r, nil
}

// Header is what the stream says about itself.
func (r *Reader) Header() Header { return r.header }

// Summary describes the stream; it is complete once Next has answered io.EOF.
func (r *Reader) Summary() Summary {
	return Summary{Header: r.header, Footer: r.footer, SHA256: r.sum, Bytes: r.frames.offset}
}

// Next returns the next row, verified against its checksum and in order. It
// answers io.EOF when the stream has ended as it must. The row is good until
// the next call.
func (r *Reader) Next() (store.Row, error) {
	if r.done != nil {
		return store.Row{}, r.done
	}
	row, err := r.next()
	if err != nil {
		r.done = err
	}
	return row, err
}

func (r *Reader) next() (store.Row, error) {
	if len(r.block) == 0 {
		if err := r.nextFrame(); err != nil {
			return store.Row{}, err
		}
	}
	row, err := r.cutRow()
	if err != nil {
		return store.Row{}, r.frames.damaged(err)
	}
	return row, nil
}

func (r *Reader) nextFrame() error {
	kind, payload, err := r.frames.next()
	if err != nil {
		return err
	}
	switch kind {
	case rowsFrame:
		err = r.begin(payload)
	case footerFrame:
		return r.end(payload)
	default:
		err = errOrder
	}
	if err != nil {
		return r.frames.damaged(err)
	}
	return nil
}

// begin starts a frame of rows.
func (r *Reader) begin(payload []byte) error {
	length := int(payload[0])
	if length == 0 || len(payload) <= 1+length {
		return errRowForm
	}
	name := payload[1 : 1+length]
	if n := len(r.counts); n == 0 || string(name) != r.bucket {
		if n > 0 && string(name) < r.bucket {
			return errRowOrder
		}
		r.bucket, r.key = string(name), r.key[:0]
		r.counts = append(r.counts, Count{Bucket: r.bucket})
	} else if !r.full {
		return errBlock
	}
	r.full = len(payload) >= blockBytes
	r.read, r.block = 1+length, payload[1+length:]
	return nil
}

// cutRow takes one row off the frame.
func (r *Reader) cutRow() (row store.Row, err error) {
	if r.read >= blockBytes {
		return row, errBlock
	}
	if len(r.block) < rowOverhead {
		return row, errRowForm
	}
	key, value := int(binary.BigEndian.Uint16(r.block)), int64(binary.BigEndian.Uint32(r.block[2:]))
	rest := r.block[rowOverhead:]
	if key == 0 || key > maxKey || value > maxValue || int64(key)+value > int64(len(rest)) {
		return row, errRowForm
	}
	row = store.Row{Bucket: r.bucket, Key: rest[:key:key], Sealed: rest[key : key+int(value) : key+int(value)]}
	if bytes.Compare(row.Key, r.key) <= 0 {
		return row, errRowOrder
	}
	if err := store.CheckRow(row); err != nil {
		return row, fmt.Errorf("row %x of %s: %w", row.Key, row.Bucket, err)
	}
	r.key = append(r.key[:0], row.Key...)
	r.counts[len(r.counts)-1].Rows++
	r.read += rowOverhead + key + int(value)
	r.block = rest[key+int(value):]
	return row, nil
}

// end reads the footer and what follows; io.EOF means that all is well.
func (r *Reader) end(payload []byte) (err error) {
	if r.footer, err = decodeFooter(payload); err != nil {
		return r.frames.damaged(err)
	}
	if !slices.Equal(r.footer.Counts, r.counts) {
		return r.frames.damaged(errCounts)
	}
	r.frames.sum.Sum(r.sum[:0])
	kind, stored, err := r.frames.next()
	if err != nil {
		return err
	}
	if kind != hashFrame {
		return r.frames.damaged(errOrder)
	}
	if [32]byte(stored) != r.sum {
		return r.frames.damaged(errHash)
	}
	if err := r.frames.end(); err != nil {
		return err
	}
	return io.EOF
}
