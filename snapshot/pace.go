package snapshot

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// paceStep is how many bytes a paced copy moves at once.
const paceStep = 256 << 10

// unpaced is the rate without a limit.
const unpaced = 0

// paced writes at most so many bytes a second, so that a load beside a copy
// keeps its processors and its disk.
func paced(ctx context.Context, to io.Writer, bytesPerSecond int64) io.Writer {
	if bytesPerSecond == unpaced {
		return to
	}
	return &pacedWriter{ctx: ctx, to: to, limit: rate.NewLimiter(rate.Limit(bytesPerSecond), paceStep)}
}

type pacedWriter struct {
	ctx   context.Context
	to    io.Writer
	limit *rate.Limiter
}

func (w *pacedWriter) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), paceStep)]
		if err := w.limit.WaitN(w.ctx, len(part)); err != nil {
			return written, err
		}
		n, err := w.to.Write(part)
		written += n
		if err != nil {
			return written, err
		}
		b = b[len(part):]
	}
	return written, nil
}
