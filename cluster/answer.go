package cluster

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	callsInFlight = 1024             // of one connection; more are not read
	longestWait   = 60 * time.Second // for a caller without a deadline
)

// receiveCalls serves the connections of peers until the port is closed.
func (c *Cluster) receiveCalls() {
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := c.port.acceptCall()
		if err != nil {
			return
		}
		serving.Go(func() { c.serveCalls(conn) })
	}
}

// serveCalls answers the questions of one connection, in any order.
func (c *Cluster) serveCalls(conn net.Conn) {
	out := newOutbox()
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if out.run(conn) != nil {
			conn.Close()
		}
	})
	slots := make(chan struct{}, callsInFlight)
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		f, err := readFrame(in, maxAsk)
		if err != nil {
			break
		}
		if f.kind == askTerm { // a round waits for it
			c.reply(out, f, replyTo(c.answerTerm()))
			continue
		}
		slots <- struct{}{}
		serving.Go(func() {
			defer func() { <-slots }()
			c.reply(out, f, c.answer(ctx, f))
		})
	}
	cancel()
	out.close(net.ErrClosed)
	conn.Close()
	serving.Wait()
}

// reply sends an answer; one that cannot be sent is lost, and its asker knows.
func (c *Cluster) reply(out *outbox, asked frame, f *frame) {
	f.number = asked.number
	if err := out.put(f); errors.Is(err, errCongested) {
		out.close(err)
	}
}

// answer does what a peer asks for.
func (c *Cluster) answer(ctx context.Context, f frame) *frame {
	wait := longestWait
	if f.wait > 0 {
		wait = min(f.wait, wait)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	switch f.kind {
	case askPropose:
		if err := c.cfg.Vet(f.body); err != nil {
			return replyOutcome(nil, fmt.Errorf("the leader cannot read the request: %w", err))
		}
		return replyOutcome(c.attempt(ctx, f.body, false))
	case askIndex:
		index, err := c.leaderIndex(ctx)
		return replyTo(binary.BigEndian.AppendUint64(nil, index), err)
	case askStatus:
		return replyTo(json.Marshal(c.ownStatus()))
	case askChange:
		var asked change
		if err := json.Unmarshal(f.body, &asked); err != nil {
			return replyTo(nil, fmt.Errorf("read change: %w", err))
		}
		index, err := c.change(ctx, asked)
		return replyTo(binary.BigEndian.AppendUint64(nil, index), err)
	case askMember:
		return replyTo(binary.BigEndian.AppendUint64(nil, c.vouches(string(f.body))), nil)
	}
	return replyTo(nil, fmt.Errorf("unknown question %d", f.kind))
}

// answerTerm tells this voter's term. Raft stores a new term before it votes in it, and changes it on its main
// goroutine only, so nobody whom this node votes for later can have been elected when the term is read.
func (c *Cluster) answerTerm() ([]byte, error) {
	r := c.raft()
	term := r.CurrentTerm()
	if r.State() == raft.Shutdown { // asked afterwards: another life of raft may have voted since
		return nil, ErrStopping
	}
	return binary.BigEndian.AppendUint64(nil, term), nil
}

// replyTo makes the answer to a question without effect.
func replyTo(body []byte, err error) *frame {
	if err != nil {
		return &frame{kind: replyFailed, body: encodeReason(err)}
	}
	return &frame{kind: replyDone, body: body}
}

// replyOutcome makes the answer to a proposal.
func replyOutcome(outcome []byte, err error) *frame {
	switch {
	case err == nil:
		return &frame{kind: replyDone, body: outcome}
	case errors.Is(err, ErrUnknown):
		return &frame{kind: replyUnknown, body: encodeReason(reasonOf(err))}
	}
	return &frame{kind: replyNotApplied, body: encodeReason(reasonOf(err))}
}

// reasons are the errors that keep their identity between nodes, by the first byte of an encoded reason.
var reasons = []error{
	nil, ErrNotLeader, ErrNotReady, ErrOverloaded, ErrStopping, context.DeadlineExceeded, context.Canceled,
	raft.ErrAbortedByRestore, ErrNoMajority, ErrMembershipChanged, ErrUnsafeChange, ErrNotEligible,
	ErrUnknown,
}

const maxReason = 4096

func encodeReason(err error) []byte {
	code := byte(0)
	for i, known := range reasons {
		if known == nil || !errors.Is(err, known) {
			continue
		}
		if code == 0 || known == ErrUnknown { // doubt outweighs its reason
			code = byte(i)
		}
	}
	text := err.Error()
	return append([]byte{code}, strings.ToValidUTF8(text[:min(len(text), maxReason)], "")...)
}

// decodeReason returns an error that says the same and is what the peer's was.
func decodeReason(body []byte) error {
	if len(body) == 0 || len(body) > maxReason+1 {
		return errors.New("peer gave no reason")
	}
	text := strings.ToValidUTF8(string(body[1:]), "?")
	if code := int(body[0]); code > 0 && code < len(reasons) {
		return &remoteError{reasons[code], text}
	}
	return errors.New(text)
}

// remoteError is a known error with what a peer said about it.
type remoteError struct {
	known error
	text  string
}

// Error returns the peer's words.
func (e *remoteError) Error() string { return e.text }

// Unwrap lets errors.Is find the known error.
func (e *remoteError) Unwrap() error { return e.known }

// bodyNumber reads the answer of a question that asked for a number.
func bodyNumber(f frame) (uint64, error) {
	switch {
	case f.kind == replyFailed:
		return 0, decodeReason(f.body)
	case f.kind != replyDone || len(f.body) != 8:
		return 0, errors.New("peer gave an answer that cannot be read")
	}
	return binary.BigEndian.Uint64(f.body), nil
}
