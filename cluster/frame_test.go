package cluster

import (
	"bytes"
	"errors"
	"testing"
)

// Frames take memory beside their bodies, so a peer that does not read cannot make a node keep millions of small ones.
func TestSmallFramesFillAnOutboxToo(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	small := func() error { return o.put(&frame{kind: replyDone, body: make([]byte, 8)}) }
	count := 0
	for ; count <= maxUnwritten/frameCost; count++ {
		if err := small(); err != nil {
			break
		}
	}
	if err := small(); !errors.Is(err, errCongested) {
		t.Fatalf("behind %d small frames: %v", count, err)
	}
	var written []byte
	for len(o.waiting) > 0 {
		buffer, err := o.take(nil)
		must(t, err)
		written = append(written, buffer...)
	}
	for from := bytes.NewReader(written); from.Len() > 0; count-- {
		_, err := readFrame(from, 8)
		must(t, err)
	}
	if count != 0 || o.bytes != 0 {
		t.Errorf("%d frames were lost, %d bytes are counted in an empty outbox", count, o.bytes)
	}
	must(t, o.put(&frame{kind: replyDone, body: make([]byte, maxUnwritten)})) // alone, however large
}
