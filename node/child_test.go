package node

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// scratch holds what all tests of this package share.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "coffer-node-test"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch) // the system clears what is left
	os.Exit(code)
}

// build makes the real program once, without the race detector: it is the
// program that is killed, not the test.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "coffer")
	out, err := exec.Command("go", "build", "-tags", "hashicorpmetrics", "-o", path, "coffer").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// patience is how long a test waits for anything.
const patience = time.Minute

// child is the real program as a process of its own.
type child struct {
	t      testing.TB
	dir    string
	cmd    *exec.Cmd
	log    *record
	ended  chan struct{} // closed when the process has ended
	killed bool
}

// record keeps what a process writes and tells of the first line that says
// where it serves.
type record struct {
	mu    sync.Mutex
	text  bytes.Buffer
	url   string
	ready chan struct{}
}

var readyLine = regexp.MustCompile(`"msg":"ready","url":"([^"]+)"`)

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Write(p)
	if r.url == "" {
		if at := readyLine.FindSubmatch(r.text.Bytes()); at != nil {
			r.url = string(at[1])
			close(r.ready)
		}
	}
	return len(p), nil
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// launch starts a development node on a directory and does not wait for it.
func launch(t testing.TB, dir string, environment []string, args ...string) *child {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, dir: dir, log: &record{ready: make(chan struct{})}, ended: make(chan struct{})}
	c.cmd = exec.Command(path, append([]string{"dev", "--data-dir", dir, "--http-addr", "127.0.0.1:0"}, args...)...)
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + scratch}, environment...)
	c.cmd.Stderr = c.log
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.cmd.Wait() // ProcessState says how it ended
		close(c.ended)
	}()
	t.Cleanup(c.kill)
	return c
}

// start launches a node and waits until it serves.
func start(t testing.TB, dir string, environment []string, args ...string) *child {
	t.Helper()
	c := launch(t, dir, environment, args...)
	if !c.awaitReady() {
		t.Fatalf("the node did not start: %s\n%s", c.how(), c.log)
	}
	return c
}

// awaitReady waits until the node serves; false if it has ended instead.
func (c *child) awaitReady() bool {
	select {
	case <-c.log.ready:
		return true
	case <-c.ended:
		return false
	case <-time.After(patience):
		c.t.Fatalf("the node was not ready within %v\n%s", patience, c.log)
		return false
	}
}

// client makes calls to this node.
func (c *child) client() *client {
	<-c.log.ready
	return newClient(c.log.url)
}

// kill ends the process at once, as a power cut would end it.
func (c *child) kill() {
	select {
	case <-c.ended:
		return
	default:
	}
	_ = c.cmd.Process.Kill() // it may have ended meanwhile
	c.killed = true
	<-c.ended
}

// stop asks the process to end and expects that it does.
func (c *child) stop() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if code := c.wait(); code != ExitOK {
		c.t.Fatalf("exit code %d after SIGTERM, want 0\n%s", code, c.log)
	}
}

// wait returns the exit code, -1 for the end by a signal.
func (c *child) wait() int {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.t.Fatalf("the node did not end within %v\n%s", patience, c.log)
	}
	return c.cmd.ProcessState.ExitCode()
}

func (c *child) how() string {
	select {
	case <-c.ended:
		return c.cmd.ProcessState.String()
	default:
		return "running"
	}
}

// checkLog fails the test if the process has left a stack trace.
func (c *child) checkLog() {
	c.t.Helper()
	checkOutput(c.t, c.log.String())
}

var traces = []string{"panic:", "goroutine ", "fatal error:", "SIGSEGV", "SIGBUS", "WARNING: DATA RACE"}

func checkOutput(t testing.TB, text string) {
	t.Helper()
	for _, trace := range traces {
		if strings.Contains(text, trace) {
			t.Errorf("the output holds %q:\n%s", trace, text)
			return
		}
	}
}

// verifyFiles runs `coffer verify` on a directory and returns its exit code and
// output.
func verifyFiles(t testing.TB, dir string, args ...string) (int, string) {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append([]string{"verify", "--data-dir", dir}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	checkOutput(t, string(out))
	return cmd.ProcessState.ExitCode(), string(out)
}
