package snapshot

import (
	"errors"
	"io"
	"time"
)

// Observe is told how states travel, so that a node can export it. Each
// function is optional, may be called concurrently and must return quickly.
type Observe struct {
	// Sent is told of each state opened for a peer once it is closed: nil if the
	// peer was given all of it.
	Sent func(err error)
	// Received is told once of each state that came from a peer or an operator:
	// nil when it is installed. It took from the first byte on.
	Received func(took time.Duration, err error)
}

func (o Observe) complete() Observe {
	if o.Sent == nil {
		o.Sent = func(error) {}
	}
	if o.Received == nil {
		o.Received = func(time.Duration, error) {}
	}
	return o
}

var (
	errCut     = errors.New("the transfer was cut")
	errUnasked = errors.New("the state was received and not installed")
)

// outgoing is a stream to a peer that tells whether it was read to its end.
type outgoing struct {
	stream *spooled
	left   int64
	sent   func(error)
}

func (o *outgoing) Read(b []byte) (int, error) {
	n, err := o.stream.Read(b)
	o.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		o.left = -1 // what is left will never be read
	}
	return n, err
}

// Close ends the stream and tells how it went.
func (o *outgoing) Close() error {
	err := o.stream.Close()
	if o.left != 0 {
		o.sent(errors.Join(errCut, err))
	} else {
		o.sent(err)
	}
	o.sent = func(error) {}
	return err
}
