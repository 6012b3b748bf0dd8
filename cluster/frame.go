package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"
)

// A frame of a call: u32 length of what follows, u8 kind, u64 number of the call, u32 milliseconds the caller will wait, body.
// The answer carries the same number. Everything is big-endian.
const (
	frameHead    = 4 + 1 + 8 + 4
	maxAsk       = MaxRequest // bytes of a question's body
	maxReply     = 16 << 20   // bytes of an answer's body
	maxWrite     = 1 << 20    // bytes that make a write leave
	maxUnwritten = 16 << 20   // bytes that may wait for a connection
	frameCost    = 128        // bytes of memory that a waiting frame takes beside its body
	writeLimit   = 10 * time.Second
)

// kind says what a frame asks or answers.
type kind uint8

const (
	askPropose kind = iota + 1 // body: request; reply: outcome
	askIndex                   // reply: u64 read index
	askTerm                    // reply: u64 current term
	askStatus                  // reply: JSON of PeerStatus
	askChange                  // body: JSON of change; reply: u64 index of the membership
	askMember                  // body: id of a node; reply: u64, 1 if it is a member, else 0

	replyDone       kind = iota + 0x7a // the reply's body is what was asked for
	replyNotApplied                    // certainly without effect; body: reason
	replyUnknown                       // perhaps applied; body: reason
	replyFailed                        // a question without effect could not be answered; body: reason
)

// frame is one message. Those that only wait to be written can be taken back.
type frame struct {
	kind   kind
	number uint64
	wait   time.Duration
	body   []byte
	taken  bool // handed to the connection, in part or whole
	void   bool // taken back
}

// cost is the memory that a frame takes while it waits.
func (f *frame) cost() int { return frameCost + len(f.body) }

func (f *frame) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(frameHead-4+len(f.body)))
	b = append(b, byte(f.kind))
	b = binary.BigEndian.AppendUint64(b, f.number)
	b = binary.BigEndian.AppendUint32(b, uint32(min(f.wait.Milliseconds(), math.MaxUint32)))
	return append(b, f.body...)
}

// readFrame reads one message whose body has at most limit bytes.
func readFrame(from io.Reader, limit int) (frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return frame{}, err
	}
	size := int64(binary.BigEndian.Uint32(head[:])) - (frameHead - 4)
	if size < 0 || size > int64(limit) {
		return frame{}, fmt.Errorf("frame with a body of %d bytes", size)
	}
	f := frame{
		kind: kind(head[4]), number: binary.BigEndian.Uint64(head[5:]),
		wait: time.Duration(binary.BigEndian.Uint32(head[13:])) * time.Millisecond,
	}
	if size > 0 {
		f.body = make([]byte, size)
	}
	_, err := io.ReadFull(from, f.body)
	return f, err
}

var errCongested = errors.New("too much waits for the connection")

// outbox writes frames to one connection. What gathers while a write is under way leaves with the next one.
type outbox struct {
	mu      sync.Mutex
	due     sync.Cond
	waiting []*frame
	bytes   int   // that the waiting frames take
	err     error // no more frames
}

func newOutbox() *outbox {
	o := &outbox{}
	o.due.L = &o.mu
	return o
}

// put queues a frame. An error means that it will not be written.
func (o *outbox) put(f *frame) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	if o.bytes > 0 && o.bytes+f.cost() > maxUnwritten {
		return errCongested
	}
	o.waiting = append(o.waiting, f)
	o.bytes += f.cost()
	o.due.Signal()
	return nil
}

// takeBack returns true if the frame never reached the connection and never will.
func (o *outbox) takeBack(f *frame) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !f.taken {
		f.void = true
	}
	return f.void
}

// close ends run; frames not taken until then never will be.
func (o *outbox) close(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.due.Signal()
}

// run writes until the outbox is closed or a write fails.
func (o *outbox) run(conn net.Conn) error {
	var buffer []byte
	for {
		var err error
		if buffer, err = o.take(buffer[:0]); err != nil {
			return err
		}
		if err := conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
			return err
		}
		if _, err := conn.Write(buffer); err != nil {
			return err
		}
		if cap(buffer) > 2*maxWrite {
			buffer = nil
		}
	}
}

// take waits for frames and encodes as many as make one write.
func (o *outbox) take(buffer []byte) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) == 0 && o.err == nil {
		o.due.Wait()
	}
	if o.err != nil {
		return nil, o.err
	}
	count := 0
	for _, f := range o.waiting {
		if len(buffer) > 0 && len(buffer)+len(f.body) > maxWrite {
			break
		}
		count++
		o.bytes -= f.cost()
		if !f.void {
			f.taken = true
			buffer = f.appendTo(buffer)
		}
	}
	rest := copy(o.waiting, o.waiting[count:])
	clear(o.waiting[rest:])
	o.waiting = o.waiting[:rest]
	return buffer, nil
}
