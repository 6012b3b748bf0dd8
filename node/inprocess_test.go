package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/fsm/settings"
)

// hosted is a node within the test's own process.
type hosted struct {
	*Node
	log  *journalled
	code atomic.Int64 // with which it wanted to end the process, -1 for not
}

// journalled keeps what a node logs.
type journalled struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journalled) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journalled) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// host starts a node on a directory. It flushes only when told to, so that a
// test decides what is in state.db.
func host(t testing.TB, dir string, change ...func(*Config)) (*hosted, error) {
	t.Helper()
	h := &hosted{log: &journalled{}}
	h.code.Store(-1)
	c := Config{
		DataDir: dir, HTTPAddr: "127.0.0.1:0", Version: "test", Strict: true, AccessLog: false,
		FlushBytes: 1 << 30, FlushEvery: time.Minute, LogBudget: 1 << 30,
		Logger: slog.New(slog.NewJSONHandler(h.log, nil)),
		Exit:   func(code int) { h.code.CompareAndSwap(-1, int64(code)) },
	}
	environment := map[string]string{"AEVION_CHAIN_VERIFY_INTERVAL": "0"} // nothing writes by itself
	for _, wish := range unlimited {
		name, value, _ := strings.Cut(wish, "=")
		environment[name] = value
	}
	err := c.Complete(settings.Development, func(name string) (string, bool) {
		text, set := environment[name]
		return text, set
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range change {
		edit(&c)
	}
	h.Node, err = Start(t.Context(), c)
	return h, err
}

// mustHost starts a node that has to start.
func mustHost(t testing.TB, dir string, change ...func(*Config)) *hosted {
	t.Helper()
	h, err := host(t, dir, change...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// end stops a node in peace.
func (h *hosted) end(t testing.TB) {
	t.Helper()
	if err := h.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// exitCode is the code with which the program would end after this start.
func (h *hosted) exitCode(err error) int {
	if code := h.code.Load(); code >= 0 {
		return int(code)
	}
	return CodeOf(err)
}

// dirImage is the content of a data directory. Zeros at the end of a file are
// kept as a length: databases grow ahead.
type dirImage map[string]fileImage

type fileImage struct {
	content []byte
	size    int64
}

// imageOf reads a directory whose node has stopped, or has nothing to do.
func imageOf(t testing.TB, dir string) dirImage {
	t.Helper()
	image := dirImage{}
	for _, name := range []string{identityFile, stateFile, logFile, filepath.Join(secretsDir, saltFile), filepath.Join(secretsDir, tokenKeyFile)} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		image[name] = fileImage{bytes.TrimRight(content, "\x00"), int64(len(content))}
	}
	return image
}

// with is the image with another file in the place of one.
func (d dirImage) with(name string, file fileImage) dirImage {
	changed := maps.Clone(d)
	changed[name] = file
	return changed
}

// without is the image without a file.
func (d dirImage) without(name string) dirImage {
	changed := maps.Clone(d)
	delete(changed, name)
	return changed
}

// write makes a directory of the image.
func (d dirImage) write(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, secretsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, file := range d {
		path := filepath.Join(dir, name)
		err := os.WriteFile(path, file.content, 0o600)
		if err = errors.Join(err, os.Truncate(path, file.size)); err != nil {
			t.Fatal(err)
		}
	}
}
