package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	readyLimit     = 2 * time.Minute        // from exec to the first 200 of /readyz
	stopLimit      = 45 * time.Second       // from SIGTERM to the end; a node gives itself 30 s
	pollInterval   = 5 * time.Millisecond   // between two questions for readiness
	sampleInterval = 100 * time.Millisecond // between two looks at the memory
)

// process is one node of our own. Its output goes to a log file.
type process struct {
	command *exec.Cmd
	address string
	logPath string
	exited  chan struct{} // closed when the process has ended and err is set
	err     error
	peak    atomic.Int64 // bytes of anonymous memory, highest sample
}

// nodeCommand says how to start a node.
type nodeCommand struct {
	executable  string
	arguments   []string // beyond those that every node gets
	environment []string
	dataDir     string
	address     string
	logPath     string
}

// start executes the node and returns at once; it may not be ready yet.
func (n nodeCommand) start() (*process, error) {
	log, err := os.OpenFile(n.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open node log: %w", err)
	}
	defer log.Close() // the node has its own handle
	arguments := append([]string{"dev", "--data-dir", n.dataDir, "--http-addr", n.address}, n.arguments...)
	command := exec.Command(n.executable, arguments...)
	command.Env = n.environ()
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = childAttributes(nil)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	p := &process{command: command, address: n.address, logPath: n.logPath, exited: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.exited)
	}()
	go p.sample()
	return p, nil
}

// environ is our environment with the node's on top.
func (n nodeCommand) environ() []string {
	return slices.Concat(os.Environ(), nodeEnvironment(), n.environment)
}

// nodeEnvironment switches rate classes off and lifts the caps of contracts.
func nodeEnvironment() []string {
	var environment []string
	for _, class := range []string{"READ", "WRITE", "STRICT", "MONEY", "PUBLIC", "CSV"} {
		environment = append(environment, "AEVION_RATE_"+class+"=0")
	}
	for _, limit := range []string{"DAILY_DEPOSIT_CAP", "MAX_TRANSFER", "KYC_THRESHOLD"} {
		environment = append(environment, "QPAYNET_"+limit+"=9000000000000")
	}
	return environment
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// ready waits until the node answers /readyz with 200.
func (p *process) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	c := newConnection(p.address)
	defer c.close()
	for {
		answer, err := c.exchange(newRequest(p.address, call{method: "GET", path: "/readyz"}, nil))
		if err == nil && answer.status == 200 {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("node ended before it was ready: %w%s", exitError(p.err), p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("wait for node: %w%s", ctx.Err(), p.logTail())
		}
	}
}

// stop asks the node to end, waits for it, and kills it when it does not or
// when ctx ends first.
func (p *process) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("stop node: %w", err), p.kill())
	}
	select {
	case <-p.exited:
		if p.err != nil {
			return fmt.Errorf("stop node: %w%s", p.err, p.logTail())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("stop node: %w", ctx.Err()), p.kill())
	}
}

// kill ends the node without warning and waits until it is gone.
func (p *process) kill() error {
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill node: %w", err)
	}
	<-p.exited
	return nil
}

// logTail returns the end of the node's log, for an error.
func (p *process) logTail() string {
	file, err := os.Open(p.logPath)
	if err != nil {
		return ""
	}
	defer file.Close()
	const tailBytes = 2000
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-tailBytes), io.SeekStart)
	}
	tail, _ := io.ReadAll(io.LimitReader(file, tailBytes))
	if len(bytes.TrimSpace(tail)) == 0 {
		return ""
	}
	return "; its log ends:\n" + string(bytes.TrimSpace(tail))
}

func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
