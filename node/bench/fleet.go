package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	fleetLimit  = 3 * time.Minute        // for a fleet to come together, or to find a leader again
	fleetPause  = 100 * time.Millisecond // between two questions about the members
	firstPort   = 20_000                 // of those that a fleet takes
	afterPort   = 32_000
	tokenLife   = "10m"
	membersVerb = "cluster members"
)

// fleet is a cluster of nodes of our own on this machine, made with the verbs
// that an operator would use.
type fleet struct {
	nodes []*fleetNode // the founder first
}

// fleetNode is one node of a fleet.
type fleetNode struct {
	nodeCommand
	cluster string   // host:port of its cluster port
	process *process // nil while it is down
}

// openFleet makes a cluster and populates it through its leader. The bank is
// returned with an error too, so that its nodes can be ended.
func (s *session) openFleet(ctx context.Context) (*bank, error) {
	b := &bank{run: rand.Uint64(), seed: s.options.Seed, note: s.note, dataDir: filepath.Join(s.dir, "fleet"), fleet: &fleet{}}
	if err := os.Mkdir(b.dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make fleet: %w", err)
	}
	addresses, err := fleetAddresses(2 * s.options.Nodes)
	if err != nil {
		return nil, err
	}
	for i := range s.options.Nodes {
		dir := filepath.Join(b.dataDir, "node-"+strconv.Itoa(i+1))
		b.fleet.nodes = append(b.fleet.nodes, &fleetNode{
			cluster: addresses[2*i+1],
			nodeCommand: nodeCommand{
				executable: s.options.Executable, environment: s.options.NodeEnvironment,
				arguments: append([]string{"--cluster-addr", addresses[2*i+1]}, s.options.NodeArguments...),
				dataDir:   dir, address: addresses[2*i], logPath: dir + ".log",
			},
		})
	}
	s.note("starting %d nodes", s.options.Nodes)
	if err := b.fleet.assemble(ctx); err != nil {
		return b, err
	}
	if _, err := b.lead(ctx); err != nil {
		return b, err
	}
	return b, b.populate(ctx, s.options.Users, s.options.Wallets, s.options.Clients)
}

// fleetAddresses returns loopback addresses that nobody listens on. They lie
// below the ports of outgoing connections: no connection can take the port of
// a node that is down for a moment.
func fleetAddresses(count int) ([]string, error) {
	var addresses []string
	var open []net.Listener
	defer func() {
		for _, listener := range open {
			listener.Close()
		}
	}()
	for range afterPort - firstPort {
		if len(addresses) == count {
			return addresses, nil
		}
		port := firstPort + rand.IntN(afterPort-firstPort)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // taken
		}
		open = append(open, listener)
		addresses = append(addresses, listener.Addr().String())
	}
	return nil, fmt.Errorf("find %d free ports between %d and %d", count, firstPort, afterPort)
}

// assemble founds the cluster, lets the other nodes join, and gives them votes.
func (f *fleet) assemble(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fleetLimit)
	defer cancel()
	founder := f.nodes[0]
	if _, err := founder.execute(ctx, nil, "init", "--data-dir", founder.dataDir); err != nil {
		return err
	}
	if err := founder.up(ctx); err != nil {
		return err
	}
	promote := []string{"cluster", "promote", "--data-dir", founder.dataDir}
	for i, n := range f.nodes[1:] {
		name := "node-" + strconv.Itoa(i+2)
		token, err := founder.execute(ctx, nil, "token", "create", "--data-dir", founder.dataDir, "--ttl", tokenLife)
		if err != nil {
			return err
		}
		secret := []string{"COFFER_TOKEN=" + strings.TrimSpace(string(token))}
		_, err = n.execute(ctx, secret, "join", "--data-dir", n.dataDir, "--peer", founder.cluster, "--cluster-addr", n.cluster, "--node-id", name)
		if err != nil {
			return err
		}
		if err := n.up(ctx); err != nil {
			return err
		}
		promote = append(promote, name)
	}
	for {
		_, err := founder.execute(ctx, nil, promote...)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(fleetPause): // a newcomer has to be healthy for a while
		case <-ctx.Done():
			return fmt.Errorf("give the nodes votes: %w", err)
		}
	}
}

// lead finds the leader and makes it the bank's address.
func (b *bank) lead(ctx context.Context) (*fleetNode, error) {
	ctx, cancel := context.WithTimeout(ctx, fleetLimit)
	defer cancel()
	last := errors.New("no node is running")
	for {
		for _, n := range b.fleet.nodes {
			if n.process == nil {
				continue
			}
			leader, err := b.fleet.leaderSeenBy(ctx, n)
			if err == nil {
				b.address = leader.address
				return leader, nil
			}
			last = err
		}
		select {
		case <-time.After(fleetPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("find the leader: %w", last)
		}
	}
}

// leaderSeenBy asks one node. Lines of the answer are "id address role".
func (f *fleet) leaderSeenBy(ctx context.Context, n *fleetNode) (*fleetNode, error) {
	text, err := n.execute(ctx, nil, append(strings.Fields(membersVerb), "--data-dir", n.dataDir)...)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "leader" {
			continue
		}
		for _, one := range f.nodes {
			if one.cluster == fields[1] && one.process != nil {
				return one, nil
			}
		}
	}
	return nil, fmt.Errorf("no running leader among:\n%s", text)
}

// addresses are those of the public API of all nodes.
func (f *fleet) addresses() []string {
	var all []string
	for _, n := range f.nodes {
		all = append(all, n.address)
	}
	return all
}

// without returns all nodes but one.
func (f *fleet) without(one *fleetNode) []*fleetNode {
	var others []*fleetNode
	for _, n := range f.nodes {
		if n != one {
			others = append(others, n)
		}
	}
	return others
}

// up starts the node and waits until it is ready.
func (n *fleetNode) up(ctx context.Context) (err error) {
	if n.process, err = n.start(); err != nil {
		return err
	}
	return n.process.ready(ctx)
}

// down stops the node in good order.
func (n *fleetNode) down(ctx context.Context) error {
	if n.process == nil {
		return nil
	}
	defer func() { n.process = nil }()
	return n.process.stop(ctx)
}

// execute runs a verb of the program to its end and returns what it prints.
func (n nodeCommand) execute(ctx context.Context, environment []string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, n.executable, arguments...)
	command.Env = append(n.environ(), environment...)
	command.SysProcAttr = childAttributes(nil)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("%s: %w: %.1000s %.1000s", arguments[0], err, &stdout, &stderr)
	}
	return stdout.Bytes(), nil
}
