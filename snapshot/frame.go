package snapshot

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// The first line of a stream ends with its format.
const (
	title     = "coffer snapshot "
	firstLine = title + "1\n"
)

// The kinds of frames, in the order in which they may stand.
const (
	headerFrame = 'H'
	rowsFrame   = 'R'
	footerFrame = 'F'
	hashFrame   = 'Z'
)

// What a reader accepts at most; a writer refuses to write more.
const (
	rowOverhead = 6 // lengths of key and value
	blockBytes  = 64 << 10
	maxKey      = 32 << 10
	maxValue    = 16 << 20
	maxName     = 255
	maxRows     = blockBytes + rowOverhead + maxKey + maxValue // payload of a frame of rows
	maxPart     = 1 << 20                                      // payload of a header or footer
)

// payloadLimits are the shortest and the longest payload of each kind.
var payloadLimits = map[byte][2]int64{
	headerFrame: {1, maxPart}, rowsFrame: {1, maxRows}, footerFrame: {1, maxPart}, hashFrame: {sha256.Size, sha256.Size},
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// DamageError says where a stream is not what it must be. What was read before
// must not be used.
type DamageError struct {
	Offset int64 // of the frame in bytes
	Err    error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("the snapshot is damaged at byte %d: %v", e.Offset, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

var (
	errCutOff   = errors.New("it is cut off")
	errForm     = errors.New("it does not begin like a snapshot")
	errChecksum = errors.New("the checksum of the frame does not match")
	errLength   = errors.New("the length of the frame cannot be")
	errOrder    = errors.New("the frame does not belong here")
	errHash     = errors.New("the SHA-256 does not match")
	errMore     = errors.New("it goes on behind its end")
)

// frameWriter writes frames and adds up what it has written.
type frameWriter struct {
	to     io.Writer
	sum    hash.Hash
	offset int64
	head   [5]byte
	tail   [4]byte
}

func newFrameWriter(to io.Writer) (*frameWriter, error) {
	w := &frameWriter{to: to, sum: sha256.New()}
	return w, w.write([]byte(firstLine))
}

func (w *frameWriter) write(b []byte) error {
	w.sum.Write(b)
	n, err := w.to.Write(b)
	w.offset += int64(n)
	return err
}

func (w *frameWriter) frame(kind byte, payload []byte) error {
	w.head[0] = kind
	binary.BigEndian.PutUint32(w.head[1:], uint32(len(payload)))
	crc := crc32.Update(crc32.Checksum(w.head[:], castagnoli), castagnoli, payload)
	binary.BigEndian.PutUint32(w.tail[:], crc)
	for _, part := range [][]byte{w.head[:], payload, w.tail[:]} {
		if err := w.write(part); err != nil {
			return err
		}
	}
	return nil
}

// frameReader reads frames in constant memory and adds up what it has read.
type frameReader struct {
	from   *bufio.Reader
	sum    hash.Hash
	offset int64 // of what comes next
	start  int64 // of the frame read last
	buffer []byte
	head   [5]byte
	tail   [4]byte
}

func newFrameReader(from io.Reader) (*frameReader, error) {
	r := &frameReader{from: bufio.NewReaderSize(from, 256<<10), sum: sha256.New()}
	line := make([]byte, len(firstLine))
	if err := r.read(line); err != nil {
		return nil, r.damaged(err)
	}
	switch {
	case string(line) == firstLine:
		return r, nil
	case string(line[:len(title)]) == title:
		return nil, r.damaged(fmt.Errorf("its format is %q, this program knows 1", line[len(title):]))
	}
	return nil, r.damaged(errForm)
}

// damaged places an error at the frame read last. What the system did not give
// is no damage.
func (r *frameReader) damaged(err error) error {
	if failed, ok := err.(readError); ok {
		return fmt.Errorf("read the snapshot: %w", failed.err)
	}
	return &DamageError{Offset: r.start, Err: err}
}

// readError is an error of the source, other than its end.
type readError struct{ err error }

func (e readError) Error() string { return e.err.Error() }

func (r *frameReader) read(b []byte) error {
	n, err := io.ReadFull(r.from, b)
	r.offset += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errCutOff
	}
	if err != nil {
		return readError{err}
	}
	r.sum.Write(b)
	return nil
}

// next returns the next frame, verified against its checksum. The payload is
// good until the call after.
func (r *frameReader) next() (kind byte, payload []byte, err error) {
	r.start = r.offset
	if err := r.read(r.head[:]); err != nil {
		return 0, nil, r.damaged(err)
	}
	length, err := r.length()
	if err != nil {
		return 0, nil, r.damaged(err)
	}
	if payload, err = r.payload(length); err != nil {
		return 0, nil, r.damaged(err)
	}
	if err := r.read(r.tail[:]); err != nil {
		return 0, nil, r.damaged(err)
	}
	crc := crc32.Update(crc32.Checksum(r.head[:], castagnoli), castagnoli, payload)
	if binary.BigEndian.Uint32(r.tail[:]) != crc {
		return 0, nil, r.damaged(errChecksum)
	}
	return r.head[0], payload, nil
}

// length reads the length of a frame, which depends on its kind.
func (r *frameReader) length() (int, error) {
	length := int64(binary.BigEndian.Uint32(r.head[1:]))
	limit, known := payloadLimits[r.head[0]]
	switch {
	case !known:
		return 0, fmt.Errorf("the frame is of the unknown kind %q", r.head[0])
	case length < limit[0] || length > limit[1]:
		return 0, errLength
	}
	return int(length), nil
}

// payload reads in steps, so that a wrong length costs no more memory than
// there are bytes.
func (r *frameReader) payload(length int) ([]byte, error) {
	const step = 1 << 20
	for have := 0; have < length; {
		want := min(length, have+step)
		if want > cap(r.buffer) {
			grown := make([]byte, min(max(2*cap(r.buffer), want), maxRows))
			copy(grown, r.buffer[:have])
			r.buffer = grown
		}
		r.buffer = r.buffer[:cap(r.buffer)]
		if err := r.read(r.buffer[have:want]); err != nil {
			return nil, err
		}
		have = want
	}
	return r.buffer[:length], nil
}

// end makes sure that nothing follows.
func (r *frameReader) end() error {
	r.start = r.offset
	_, err := r.from.ReadByte()
	if err == nil {
		return r.damaged(errMore)
	}
	if err != io.EOF {
		return r.damaged(readError{err})
	}
	return nil
}
