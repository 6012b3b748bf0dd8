package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fleet is a cluster of development nodes on this machine, each a process of its
// own below one directory.
type fleet struct {
	dir     string
	host    string
	first   int // port of the first public API
	program string
	out     io.Writer
	running sync.WaitGroup
	ended   chan error
	nodes   []*member
}

type member struct {
	id, dir, http, cluster string
	process                *exec.Cmd
	log                    *os.File
}

const (
	// clusterPorts is how far the cluster port of a fleet's node is above its
	// public one.
	clusterPorts = 3000
	highestPort  = 65535
)

// RunFleet starts a cluster of so many nodes and serves until the context ends.
// On an empty directory it founds the cluster and lets the others join; later it
// only starts them again.
func RunFleet(ctx context.Context, c Config, size int, out io.Writer) error {
	host, port, err := net.SplitHostPort(c.HTTPAddr)
	if err != nil {
		return Usage{err}
	}
	first, err := strconv.Atoi(port)
	if err != nil || first == 0 {
		return Usage{fmt.Errorf("--nodes needs a port in --http-addr, not %q", port)}
	}
	if last := first + clusterPorts + size - 1; first < 1 || last > highestPort {
		return Usage{fmt.Errorf("--nodes %d needs the ports %d to %d and %d to %d, and there is none above %d: give a lower one in --http-addr",
			size, first, first+size-1, first+clusterPorts, last, highestPort)}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	f := &fleet{dir: c.DataDir, host: host, first: first, program: program, out: out, ended: make(chan error, size)}
	for i := range size {
		id := "node-" + strconv.Itoa(i+1)
		f.nodes = append(f.nodes, &member{
			id: id, dir: filepath.Join(f.dir, id), http: f.address(i), cluster: f.address(i + clusterPorts),
		})
	}
	err = f.assemble(ctx)
	if err == nil {
		f.greet()
		select {
		case <-ctx.Done():
		case err = <-f.ended:
		}
	}
	f.stop()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (f *fleet) address(offset int) string {
	return net.JoinHostPort(f.host, strconv.Itoa(f.first+offset))
}

// assemble starts all nodes; those without a directory join first.
func (f *fleet) assemble(ctx context.Context) error {
	founder := f.nodes[0]
	if _, err := readIdentity(founder.dir); errors.Is(err, os.ErrNotExist) {
		if _, err := initAs(InitFlags{DataDir: founder.dir}, founder.id); err != nil {
			return err
		}
	}
	for _, m := range f.nodes {
		_, err := readIdentity(m.dir)
		fresh := errors.Is(err, os.ErrNotExist)
		if fresh {
			if err := f.join(ctx, m); err != nil {
				return fmt.Errorf("%s joins: %w", m.id, err)
			}
		}
		if err := f.start(m); err != nil {
			return err
		}
		if fresh || m == founder && len(f.nodes) == 1 {
			if err := f.await(ctx, m); err != nil {
				return err
			}
		}
	}
	for _, m := range f.nodes {
		if err := f.await(ctx, m); err != nil {
			return err
		}
	}
	return f.promote(ctx)
}

// join waits for the founder and gets a node its directory.
func (f *fleet) join(ctx context.Context, m *member) error {
	founder := f.nodes[0]
	if err := f.await(ctx, founder); err != nil {
		return err
	}
	token, err := NewOperator(founder.dir).NewToken(ctx, m.id, time.Minute)
	if err != nil {
		return err
	}
	_, err = Join(ctx, JoinFlags{DataDir: m.dir, Token: token, Peer: founder.cluster, Advertise: m.cluster, NodeID: m.id})
	return err
}

// promote gives the nodes that have no vote one, once they have been healthy for
// long enough: newcomers, and those whose first start was cut short.
func (f *fleet) promote(ctx context.Context) error {
	operator := NewOperator(f.nodes[0].dir)
	var asked []string
	for tell := time.Now().Add(tellAfter); ; {
		waiting, err := f.voteless(ctx, operator)
		if err == nil && len(waiting) == 0 {
			return nil
		}
		if err == nil && !slices.Equal(waiting, asked) {
			asked = waiting
			fmt.Fprintf(f.out, "%v follow the log; they get a vote when they have been healthy for 10 s.\n", waiting)
		}
		if err == nil {
			_, err = operator.ChangeMembers(ctx, "promote", 0, waiting...)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		if time.Now().After(tell) {
			tell = time.Now().Add(tellAfter)
			fmt.Fprintf(f.out, "%v have no vote yet: %v\n", asked, err)
		}
		if err := pause(ctx, f.ended, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// voteless are the nodes of the fleet that follow without a vote.
func (f *fleet) voteless(ctx context.Context, operator *Operator) (ids []string, err error) {
	all, err := operator.Members(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range all.Members {
		if !one.Voter && slices.ContainsFunc(f.nodes, func(m *member) bool { return m.id == one.ID }) {
			ids = append(ids, one.ID)
		}
	}
	return ids, nil
}

// pause waits, unless a process or the context ends before.
func pause(ctx context.Context, ended chan error, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-ended:
		ended <- err
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start runs a node with a log file beside its directory.
func (f *fleet) start(m *member) (err error) {
	if m.log, err = os.OpenFile(m.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	m.process = exec.Command(f.program, "dev", "--data-dir", m.dir, "--http-addr", m.http, "--cluster-addr", m.cluster, "--no-access-log")
	m.process.Stdout, m.process.Stderr = m.log, m.log
	// A Ctrl-C goes to the whole group of the terminal: this process alone takes
	// it. If this process is killed, the nodes are asked to stop.
	m.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	f.running.Go(func() {
		// A child outlives the thread that has started it no longer than this says.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.process.Start()
		started <- err
		if err != nil {
			return
		}
		err = m.process.Wait()
		f.ended <- fmt.Errorf("%s has ended (%v): see %s", m.id, err, m.log.Name())
		_ = m.log.Close() // the process wrote to it, not this one
	})
	if err := <-started; err != nil {
		return errors.Join(err, m.log.Close())
	}
	return nil
}

// tellAfter is how long a fleet waits for a node without a word.
const tellAfter = 5 * time.Second

// await waits until a node serves, and says why it does not if that takes long.
func (f *fleet) await(ctx context.Context, m *member) error {
	tell := time.Now().Add(tellAfter)
	for {
		status, err := NewOperator(m.dir).Status(ctx)
		if err == nil && len(status.Reasons) == 0 {
			return nil
		}
		if time.Now().After(tell) {
			tell = tell.Add(tellAfter)
			fmt.Fprintf(f.out, "%s is not ready: %s\n", m.id, whyNot(status.Reasons, err))
		}
		if err := pause(ctx, f.ended, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func whyNot(reasons []string, err error) string {
	if err != nil {
		return err.Error()
	}
	return strings.Join(reasons, ", ")
}

// greet says where everything is.
func (f *fleet) greet() {
	leader := "the leader"
	if s, err := NewOperator(f.nodes[0].dir).Status(context.Background()); err == nil {
		leader = s.Leader
	}
	fmt.Fprintf(f.out, "\n%d nodes, led by %s. Talk to any of them:\n\n", len(f.nodes), leader)
	for _, m := range f.nodes {
		fmt.Fprintf(f.out, "curl -s http://%s/api/veilnetx-ledger/chain/head   # %s, log %s.log\n", m.http, m.id, m.dir)
	}
	fmt.Fprintf(f.out, "\n%s cluster status --data-dir %s\n\nCtrl-C stops all of them; the next start goes on.\n", f.program, f.nodes[0].dir)
}

// stop asks all nodes to end and waits for them.
func (f *fleet) stop() {
	for _, m := range f.nodes {
		if m.process != nil && m.process.Process != nil {
			_ = m.process.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
		}
	}
	f.running.Wait()
}
