package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

func logTo(level slog.Level) (hclog.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	return newHCLog(slog.New(slog.NewTextHandler(&out, options))), &out
}

func TestRaftsRecordsReachTheNodesLogger(t *testing.T) {
	logger, out := logTo(slog.LevelDebug)
	logger.With("id", 7).Named("net").Named("pipe").Warn("no contact", "servers", hclog.Fmt("%+v", []int{1, 2}), "state", raft.Leader)
	want := `level=WARN msg="no contact" component=raft id=7 logger=net logger=net.pipe servers="[1 2]" state=Leader`
	if got := strings.TrimSpace(out.String()); got != want {
		t.Errorf("record\n%s\nwant\n%s", got, want)
	}
}

func TestLevelsAreThoseOfTheHandler(t *testing.T) {
	for level, want := range map[slog.Level]hclog.Level{
		slog.LevelDebug - 4: hclog.Trace, slog.LevelDebug: hclog.Debug, slog.LevelInfo: hclog.Info,
		slog.LevelWarn: hclog.Warn, slog.LevelError: hclog.Error, slog.LevelError + 4: hclog.Off,
	} {
		logger, out := logTo(level)
		logger.SetLevel(hclog.Trace) // the handler decides
		if got := logger.GetLevel(); got != want {
			t.Errorf("level %v is %v, want %v", level, got, want)
		}
		logger.Trace("t")
		logger.Debug("d")
		logger.Info("i")
		logger.Warn("w")
		logger.Error("e")
		if got, want := strings.Count(out.String(), "msg="), int(hclog.Error-want)+1; got != max(want, 0) {
			t.Errorf("level %v: %d records, want %d", level, got, want)
		}
		enabled := []bool{logger.IsTrace(), logger.IsDebug(), logger.IsInfo(), logger.IsWarn(), logger.IsError()}
		for i, on := range enabled {
			if on != (hclog.Level(i+1) >= want) {
				t.Errorf("level %v: enabled %v", level, enabled)
			}
		}
	}
}

func TestStandardLoggersWriteThrough(t *testing.T) {
	logger, out := logTo(slog.LevelInfo)
	logger.StandardLogger(nil).Print("from log")
	if _, err := logger.StandardWriter(nil).Write([]byte("from a writer\n")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, `msg="from log"`) || !strings.Contains(got, `msg="from a writer"`) {
		t.Errorf("records %q", got)
	}
	derived := logger.With("a", 1).With("b", 2)
	if got := derived.ImpliedArgs(); len(got) != 4 || derived.Name() != "" || derived.Named("x").Name() != "x" {
		t.Errorf("implied %v, name %q", got, derived.Name())
	}
}
