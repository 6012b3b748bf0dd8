package snapshot

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAPacedCopyTakesItsTime(t *testing.T) {
	const bytesPerSecond, size = 1 << 20, 8<<20 + 1234
	synctest.Test(t, func(t *testing.T) {
		var copied bytes.Buffer
		original := bytes.Repeat([]byte("coffer"), size/6+1)[:size]
		began := time.Now()
		n, err := paced(t.Context(), &copied, bytesPerSecond).Write(original)
		must(t, err)
		if n != size || !bytes.Equal(copied.Bytes(), original) {
			t.Errorf("%d bytes of %d, or others", n, size)
		}
		least := (size - paceStep) * time.Second / bytesPerSecond
		if took := time.Since(began).Round(time.Millisecond); took < least.Truncate(time.Millisecond) || took > least+time.Second {
			t.Errorf("it took %v, the rate allows %v", took, least)
		}
	})
}

// TestAPausedCopyIsNotMadeUpFor: what a slow reader cost is not sent as a burst.
func TestAPausedCopyIsNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var copied bytes.Buffer
		w := paced(t.Context(), &copied, 1<<20)
		time.Sleep(time.Hour)
		began := time.Now()
		_, err := w.Write(make([]byte, 2<<20))
		must(t, err)
		if took := time.Since(began); took < time.Second {
			t.Errorf("2 MiB at 1 MiB/s after a pause took %v", took)
		}
	})
}

func TestAPacedCopyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		var copied bytes.Buffer
		n, err := paced(ctx, &copied, 1<<20).Write(make([]byte, 100<<20))
		if !errors.Is(err, context.Canceled) || n != copied.Len() || n < 1<<20 || n > 2<<20 {
			t.Errorf("after %d bytes: %v", n, err)
		}
	})
}
