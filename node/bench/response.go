package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits of one answer; a server that exceeds them is not the one we measure.
const (
	maxHeadBytes = 64 << 10
	maxBodyBytes = 64 << 20
	maxRoomBytes = 1 << 20 // by which the buffer grows at once
)

var errMalformedResponse = errors.New("malformed response")

// response is one answer. The body is valid until the next read on its reader.
type response struct {
	status int
	body   []byte
	close  bool // the server will close the connection after this answer
}

// responseReader cuts HTTP/1.1 answers out of a byte stream.
// It allocates only when an answer is larger than all before it.
type responseReader struct {
	source     io.Reader
	buffer     []byte
	start, end int // unread bytes of buffer
}

func newResponseReader(source io.Reader) *responseReader {
	return &responseReader{source: source, buffer: make([]byte, 4<<10)}
}

// reset forgets everything read and continues with another source.
func (r *responseReader) reset(source io.Reader) {
	r.source, r.start, r.end = source, 0, 0
}

// read returns the next final answer; interim ones (1xx) are passed over.
func (r *responseReader) read() (response, error) {
	for {
		h, err := r.readHead()
		if err != nil {
			return response{}, err
		}
		if h.status >= 200 {
			return r.readBody(h)
		}
	}
}

func (r *responseReader) readHead() (head, error) {
	scanned := 0
	for {
		pending := r.buffer[r.start:r.end]
		if i := bytes.Index(pending[scanned:], []byte("\r\n\r\n")); i >= 0 {
			size := scanned + i + 4
			r.start += size
			return parseHead(pending[:size-2])
		}
		if len(pending) > maxHeadBytes {
			return head{}, fmt.Errorf("%w: head above %d bytes", errMalformedResponse, maxHeadBytes)
		}
		scanned = max(0, len(pending)-3)
		if err := r.more(1); err != nil {
			return head{}, err
		}
	}
}

func (r *responseReader) readBody(h head) (response, error) {
	answer := response{status: h.status, close: h.close}
	var err error
	switch {
	case h.status == 204 || h.status == 304:
	case h.chunked:
		answer.body, err = r.readChunks()
	case h.length >= 0:
		if err = r.fill(h.length); err == nil {
			answer.body = r.buffer[r.start : r.start+h.length]
			r.start += h.length
		}
	default:
		answer.close = true
		answer.body, err = r.readRest()
	}
	return answer, err
}

// readRest reads until the server closes the connection.
func (r *responseReader) readRest() ([]byte, error) {
	for r.end-r.start <= maxBodyBytes {
		err := r.more(1)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			body := r.buffer[r.start:r.end]
			r.start = r.end
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: body above %d bytes", errMalformedResponse, maxBodyBytes)
}

// readChunks moves the data of all chunks together, in place. Offsets are
// from r.start, because reading more may move the buffer.
func (r *responseReader) readChunks() ([]byte, error) {
	size, offset := 0, 0 // of the data joined so far, and of what follows it
	for {
		line, err := r.line(offset)
		if err != nil {
			return nil, err
		}
		length, err := parseChunkSize(line)
		if err != nil {
			return nil, err
		}
		offset += len(line) + 2
		if length == 0 {
			return r.endChunks(size, offset)
		}
		if size+length > maxBodyBytes {
			return nil, fmt.Errorf("%w: body above %d bytes", errMalformedResponse, maxBodyBytes)
		}
		if err := r.fill(offset + length + 2); err != nil {
			return nil, err
		}
		pending := r.buffer[r.start:r.end]
		if string(pending[offset+length:offset+length+2]) != "\r\n" {
			return nil, fmt.Errorf("%w: chunk without end", errMalformedResponse)
		}
		copy(pending[size:], pending[offset:offset+length])
		size += length
		offset += length + 2
	}
}

// endChunks passes over the trailers and returns the joined data.
func (r *responseReader) endChunks(size, offset int) ([]byte, error) {
	for {
		line, err := r.line(offset)
		if err != nil {
			return nil, err
		}
		offset += len(line) + 2
		if len(line) == 0 {
			body := r.buffer[r.start : r.start+size]
			r.start += offset
			return body, nil
		}
	}
}

// line returns the line that begins at offset, without its end.
func (r *responseReader) line(offset int) ([]byte, error) {
	for {
		pending := r.buffer[r.start:r.end]
		if i := bytes.Index(pending[offset:], []byte("\r\n")); i >= 0 {
			line := pending[offset : offset+i]
			if bytes.IndexByte(line, '\n') >= 0 {
				return nil, fmt.Errorf("%w: bare line feed in %.40q", errMalformedResponse, line)
			}
			return line, nil
		}
		if len(pending)-offset > maxHeadBytes {
			return nil, fmt.Errorf("%w: line above %d bytes", errMalformedResponse, maxHeadBytes)
		}
		if err := r.more(1); err != nil {
			return nil, err
		}
	}
}

// fill reads until at least size bytes are pending.
func (r *responseReader) fill(size int) error {
	for r.end-r.start < size {
		if err := r.more(size - (r.end - r.start)); err != nil {
			return err
		}
	}
	return nil
}

// more reads once. It makes room for want bytes first, but never for much
// more than has arrived: a length is only a claim.
func (r *responseReader) more(want int) error {
	want = min(want, maxRoomBytes)
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if len(r.buffer)-r.end < want {
		pending := r.end - r.start
		target := r.buffer
		if len(target) < pending+want {
			target = make([]byte, max(2*len(r.buffer), pending+want))
		}
		copy(target, r.buffer[r.start:r.end])
		r.buffer, r.start, r.end = target, 0, pending
	}
	n, err := r.source.Read(r.buffer[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) && r.end > r.start {
		return io.ErrUnexpectedEOF
	}
	return err
}
