package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long the rig waits for anything.
const Patience = time.Minute

// programVariable names a program built with the tag rig that is tested instead of
// the sources.
const programVariable = "COFFER_TEST_PROGRAM"

// build makes the real program once, without the race detector: it is the
// program that is broken, not the test.
var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(programVariable); path != "" {
		return path, nil
	}
	dir, err := keep()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "coffer")
	out, err := exec.Command("go", "build", "-tags", "hashicorpmetrics,rig", "-o", path, "coffer").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

var shared []string

// keep makes a directory that lives until Clean.
func keep() (string, error) {
	dir, err := os.MkdirTemp("", "rig")
	shared = append(shared, dir)
	return dir, err
}

// Clean removes what all tests of a process share.
func Clean() {
	for _, dir := range shared {
		_ = os.RemoveAll(dir) // the system clears what is left
	}
}

// Program is the path of the built binary.
func Program(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs a verb of the program to its end and returns exit code and output.
func Run(t testing.TB, arguments ...string) (code int, output string) {
	t.Helper()
	command := exec.Command(Program(t), arguments...)
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Fatal(err)
	}
	checkOutput(t, string(out))
	return command.ProcessState.ExitCode(), string(out)
}

// mustRun runs a verb that has to succeed.
func mustRun(t testing.TB, arguments ...string) string {
	t.Helper()
	code, out := Run(t, arguments...)
	if code != 0 {
		t.Fatalf("coffer %s: exit code %d\n%s", strings.Join(arguments, " "), code, out)
	}
	return out
}

var traces = []string{"panic:", "goroutine ", "fatal error:", "SIGSEGV", "SIGBUS"}

// checkOutput fails the test if a process has left a stack trace.
func checkOutput(t testing.TB, text string) {
	t.Helper()
	for _, trace := range traces {
		if at := strings.Index(text, trace); at >= 0 {
			t.Errorf("the output holds %q:\n%s", trace, text[max(0, at-2000):min(len(text), at+4000)])
			return
		}
	}
}

// Eventually waits for a condition.
func Eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	if !within(Patience, ask) {
		t.Fatalf("%s: not within %v", what, Patience)
	}
}

// within asks again and again for a while.
func within(limit time.Duration, ask func() bool) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	over := time.After(limit)
	for !ask() {
		select {
		case <-ticker.C:
		case <-over:
			return false
		}
	}
	return true
}
