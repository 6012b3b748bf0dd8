package node

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// logs writes JSON lines through a buffer, so that a request does not wait for
// a system call. Warnings and errors are written at once.
type logs struct {
	mu     sync.Mutex
	out    io.Writer
	buffer []byte
	closed bool // nothing flushes any more: every record is written at once
	stop   chan struct{}
	done   sync.WaitGroup
	once   sync.Once
}

const (
	logBuffer   = 64 << 10
	logInterval = 200 * time.Millisecond
)

func newLogs(out io.Writer) *logs {
	l := &logs{out: out, buffer: make([]byte, 0, 2*logBuffer), stop: make(chan struct{})}
	l.done.Go(l.run)
	return l
}

func (l *logs) run() {
	ticker := time.NewTicker(logInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.flush()
		case <-l.stop:
			l.flush()
			return
		}
	}
}

// Write takes one record.
func (l *logs) Write(record []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buffer = append(l.buffer, record...)
	if l.closed || len(l.buffer) >= logBuffer {
		l.writeOut()
	}
	return len(record), nil
}

func (l *logs) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeOut()
}

// writeOut hands the buffer over. There is nowhere to report a log that cannot
// be written.
func (l *logs) writeOut() {
	if len(l.buffer) > 0 {
		_, _ = l.out.Write(l.buffer)
		l.buffer = l.buffer[:0]
	}
}

// close writes what is left. A node that fails while it stops calls it twice,
// and what is logged behind it still gets out.
func (l *logs) close() {
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		close(l.stop)
	})
	l.done.Wait()
}

// NewLogger makes the logger of a node: one JSON object per line. Close writes
// what is left.
func NewLogger(out io.Writer, level slog.Level) (logger *slog.Logger, closeLogs func()) {
	l := newLogs(out)
	handler := slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			a.Key = "ts"
		}
		return a
	}})
	return slog.New(urgent{handler, l}), l.close
}

// urgent writes the buffer out behind every warning and error.
type urgent struct {
	slog.Handler
	logs *logs
}

func (u urgent) Handle(ctx context.Context, record slog.Record) error {
	err := u.Handler.Handle(ctx, record)
	if record.Level >= slog.LevelWarn {
		u.logs.flush()
	}
	return err
}

func (u urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{u.Handler.WithAttrs(attrs), u.logs}
}

func (u urgent) WithGroup(name string) slog.Handler {
	return urgent{u.Handler.WithGroup(name), u.logs}
}
