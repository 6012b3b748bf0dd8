package rig

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"coffer/http/admin"
	"coffer/node"
)

// Node is one member of a cluster: a directory and, mostly, a process.
type Node struct {
	ID   string
	Dir  string
	HTTP string // host:port of its public API
	Port string // host:port of its cluster port

	t      testing.TB
	place  int    // decides the addresses
	known  string // address of the cluster port that the members know; relays know the true one
	relay  string // address of its relay
	flags  []string
	env    []string // variables beside those of every node
	prefix []string // what the program is started with, such as a tracer
	run    *process
}

// process is one life of a node.
type process struct {
	command *exec.Cmd
	log     record
	ended   chan struct{}
}

// kept is how much of the end of a log a record holds, in bytes.
const kept = 1 << 20

// record keeps what a process writes, but for the questions of the rig.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var question = []byte(`"route":"GET /admin/`)

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range bytes.Lines(p) {
		if !bytes.Contains(line, question) {
			r.text.Write(line)
		}
	}
	if r.text.Len() > 2*kept {
		r.text.Next(r.text.Len() - kept)
	}
	return len(p), nil
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// unlimited are wishes that leave a load to itself.
var unlimited = []string{
	"AEVION_RATE_READ=0", "AEVION_RATE_WRITE=0", "AEVION_RATE_STRICT=0", "AEVION_RATE_MONEY=0",
	"QPAYNET_DAILY_DEPOSIT_CAP=1000000000000", "QPAYNET_MAX_TRANSFER=1000000000000", "QPAYNET_KYC_THRESHOLD=1000000000000",
}

// Launch starts the process and does not wait until it serves.
func (n *Node) Launch(flags ...string) {
	n.t.Helper()
	arguments := []string{"dev", "--data-dir", n.Dir, "--http-addr", n.HTTP, "--no-access-log"}
	if n.Port != "" {
		arguments = append(arguments, "--cluster-addr", n.Port)
	}
	if n.known != "" {
		arguments = append(arguments, "--cluster-advertise", n.known)
	}
	arguments = append(append(arguments, n.flags...), flags...)
	line := append(append(append([]string{}, n.prefix...), Program(n.t)), arguments...)
	p := &process{command: exec.Command(line[0], line[1:]...), ended: make(chan struct{})}
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "COFFER_TEST_RELAY=" + n.relay}, append(unlimited, n.env...)...)
	p.command.Stderr, p.command.Stdout = &p.log, &p.log
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.run = p
	go func() {
		_ = p.command.Wait() // ProcessState says how it ended
		close(p.ended)
	}()
}

// Start launches the process and waits until it is ready.
func (n *Node) Start(flags ...string) {
	n.t.Helper()
	n.Launch(flags...)
	n.AwaitReady()
}

// AwaitReady waits until nothing speaks against serving.
func (n *Node) AwaitReady() {
	n.t.Helper()
	ok := within(Patience, func() bool {
		if !n.Running() {
			return true
		}
		status, err := n.Status()
		return err == nil && len(status.Reasons) == 0
	})
	if !ok || !n.Running() {
		n.t.Fatalf("%s is not ready\n%s", n.ID, n.Log())
	}
}

// Running tells whether the process lives.
func (n *Node) Running() bool {
	if n.run == nil {
		return false
	}
	select {
	case <-n.run.ended:
		return false
	default:
		return true
	}
}

// Kill ends the process as a power cut would.
func (n *Node) Kill() {
	if n.Running() {
		_ = n.run.command.Process.Kill() // it may have ended meanwhile
		<-n.run.ended
	}
	n.checkLog()
}

// Signal sends the process a signal.
func (n *Node) Signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.run.command.Process.Signal(s); err != nil {
		n.t.Fatalf("signal %v to %s: %v\n%s", s, n.ID, err, n.Log())
	}
}

// stopLimit is how long a graceful stop may take; a node that takes longer tells
// where its goroutines are.
const stopLimit = 20 * time.Second

// Stop asks the process to end and expects that it does so well, and soon.
func (n *Node) Stop() {
	n.t.Helper()
	n.Signal(syscall.SIGTERM)
	select {
	case <-n.run.ended:
	case <-time.After(stopLimit):
		n.Signal(syscall.SIGQUIT)
		<-n.run.ended
		text := n.run.log.String()
		n.t.Fatalf("%s did not stop within %v\n%s", n.ID, stopLimit, text[max(0, len(text)-100_000):])
	}
	if code := n.Wait(); code != node.ExitOK {
		n.t.Fatalf("%s: exit code %d after SIGTERM\n%s", n.ID, code, n.Log())
	}
}

// Wait waits for the end of the process and returns its exit code.
func (n *Node) Wait() int {
	n.t.Helper()
	select {
	case <-n.run.ended:
	case <-time.After(Patience):
		n.t.Fatalf("%s did not end within %v\n%s", n.ID, Patience, n.Log())
	}
	n.checkLog()
	return n.run.command.ProcessState.ExitCode()
}

// Log is the end of what the process wrote.
func (n *Node) Log() string {
	if n.run == nil {
		return "(never started)"
	}
	text := n.run.log.String()
	return text[max(0, len(text)-8000):]
}

func (n *Node) checkLog() {
	if n.run != nil {
		checkOutput(n.t, n.run.log.String())
	}
}

// Operator talks to the admin socket.
func (n *Node) Operator() *node.Operator { return node.NewOperator(n.Dir) }

// Status is what the node says of itself, soon or not at all.
func (n *Node) Status() (admin.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return n.Operator().Status(ctx)
}

// File is the path of one of the node's files.
func (n *Node) File(name string) string { return filepath.Join(n.Dir, name) }
