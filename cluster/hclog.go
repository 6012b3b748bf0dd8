package cluster

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// hcLogger lets raft write to the node's slog logger.
type hcLogger struct {
	logger  *slog.Logger
	name    string
	implied []any
}

func newHCLog(logger *slog.Logger) hclog.Logger {
	return &hcLogger{logger: logger.With("component", "raft")}
}

// slogLevel maps hclog's levels; trace lies one step below debug.
func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Trace:
		return slog.LevelDebug - 4
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Log writes one record if its level is enabled.
func (l *hcLogger) Log(level hclog.Level, msg string, args ...any) {
	ctx := context.Background()
	if level == hclog.Off || !l.logger.Enabled(ctx, slogLevel(level)) {
		return
	}
	l.logger.Log(ctx, slogLevel(level), msg, plainArgs(args)...)
}

// plainArgs turns hclog's lazy formats and the types that raft passes for their text into text.
func plainArgs(args []any) []any {
	plain := make([]any, len(args))
	for i, arg := range args {
		switch value := arg.(type) {
		case hclog.Format:
			plain[i] = formatted(value)
		case fmt.Stringer:
			plain[i] = value.String()
		default:
			plain[i] = value
		}
	}
	return plain
}

func formatted(f hclog.Format) string {
	if len(f) == 0 {
		return ""
	}
	return fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
}

// Trace writes a record one step below debug.
func (l *hcLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }

// Debug writes a debug record.
func (l *hcLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }

// Info writes an info record.
func (l *hcLogger) Info(msg string, args ...any) { l.Log(hclog.Info, msg, args...) }

// Warn writes a warning.
func (l *hcLogger) Warn(msg string, args ...any) { l.Log(hclog.Warn, msg, args...) }

// Error writes an error record.
func (l *hcLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *hcLogger) enabled(level hclog.Level) bool {
	return l.logger.Enabled(context.Background(), slogLevel(level))
}

// IsTrace says whether trace records are written.
func (l *hcLogger) IsTrace() bool { return l.enabled(hclog.Trace) }

// IsDebug says whether debug records are written.
func (l *hcLogger) IsDebug() bool { return l.enabled(hclog.Debug) }

// IsInfo says whether info records are written.
func (l *hcLogger) IsInfo() bool { return l.enabled(hclog.Info) }

// IsWarn says whether warnings are written.
func (l *hcLogger) IsWarn() bool { return l.enabled(hclog.Warn) }

// IsError says whether error records are written.
func (l *hcLogger) IsError() bool { return l.enabled(hclog.Error) }

// ImpliedArgs returns what With has added.
func (l *hcLogger) ImpliedArgs() []any { return l.implied }

// Name returns the name given by Named.
func (l *hcLogger) Name() string { return l.name }

// With returns a logger that adds args to every record.
func (l *hcLogger) With(args ...any) hclog.Logger {
	implied := slices.Concat(l.implied, args)
	return &hcLogger{logger: l.logger.With(plainArgs(args)...), name: l.name, implied: implied}
}

// Named returns a logger whose name is extended; the name is written as an attribute.
func (l *hcLogger) Named(name string) hclog.Logger {
	return l.ResetNamed(strings.TrimPrefix(l.name+"."+name, "."))
}

// ResetNamed returns a logger with that name.
func (l *hcLogger) ResetNamed(name string) hclog.Logger {
	return &hcLogger{logger: l.logger.With("logger", name), name: name, implied: l.implied}
}

// SetLevel does nothing: the slog handler decides.
func (l *hcLogger) SetLevel(hclog.Level) {}

// GetLevel returns the lowest enabled level.
func (l *hcLogger) GetLevel() hclog.Level {
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		if l.enabled(level) {
			return level
		}
	}
	return hclog.Off
}

// StandardLogger returns a logger of the standard library that writes info records.
func (l *hcLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(l.logger.Handler(), slog.LevelInfo)
}

// StandardWriter returns a writer whose lines become info records.
func (l *hcLogger) StandardWriter(options *hclog.StandardLoggerOptions) io.Writer {
	return l.StandardLogger(options).Writer()
}
