package rig

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/node"
)

// Cluster is some nodes on this machine, and the network between them.
type Cluster struct {
	Nodes   []*Node
	Network *Network

	t    testing.TB
	dir  string
	port int      // of its nodes: that of the API, and 3000 above it that of the cluster
	env  []string // variables of its nodes
	made int      // nodes so far: an id never comes back
	free []int    // places of nodes that were removed, whose addresses may
	mu   sync.Mutex
	all  []*Node // Nodes, for clients
}

// host is the loopback network of this process: ports of other tests, and those
// that the system gives out, are elsewhere.
var host = fmt.Sprintf("127.%d.%d.", 16+os.Getpid()%200, 1+os.Getpid()/200%250)

// soaking tells that faults are tried at length.
var soaking = os.Getenv("SOAK") != ""

// clusters counts those of this process: each has ports of its own.
var clusters atomic.Int64

// address is where a place of this cluster serves the API.
func (c *Cluster) address(place int) string { return fmt.Sprint(host, place+1, ":", c.port) }

// template is a stopped cluster of three voters, made once: a newcomer must be
// healthy for ten seconds before it may vote.
var template struct {
	once sync.Once
	dir  string
}

// New starts a cluster of three voters in directories of its own.
func New(t testing.TB, flags ...string) *Cluster {
	t.Helper()
	c := Prepare(t, flags...)
	c.begin()
	return c
}

// begin starts all nodes.
func (c *Cluster) begin() {
	c.t.Helper()
	for _, n := range c.Nodes {
		n.Launch()
	}
	for _, n := range c.Nodes {
		n.AwaitReady()
	}
}

// Prepare makes the directories of a cluster of three voters and starts nothing.
func Prepare(t testing.TB, flags ...string) *Cluster {
	t.Helper()
	template.once.Do(func() { template.dir = found(t) })
	if template.dir == "" {
		t.Fatal("there is no template of a cluster")
	}
	c := newCluster(t)
	if err := os.CopyFS(c.dir, os.DirFS(template.dir)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c.add(i, flags)
	}
	return c
}

// hand gives the cluster to another test, which fails for it from now on.
func (c *Cluster) hand(t testing.TB) {
	c.t = t
	for _, n := range c.Nodes {
		n.t = t
	}
}

// setEnv gives all nodes variables for their next start.
func (c *Cluster) setEnv(variables ...string) {
	c.env = variables
	for _, n := range c.Nodes {
		n.env = variables
	}
}

// list is Nodes for clients, who ask while the membership changes.
func (c *Cluster) list() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

func (c *Cluster) setNodes(nodes []*Node) {
	c.Nodes = nodes
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = slices.Clone(nodes)
}

func newCluster(t testing.TB) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "rig") // short: it holds Unix sockets
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, dir: dir, port: 4001 + int(clusters.Add(1)-1)%2900}
	t.Cleanup(func() {
		for _, n := range c.Nodes {
			n.Kill()
		}
		if t.Failed() {
			for _, n := range c.Nodes {
				t.Logf("end of the log of %s:\n%s", n.ID, n.Log())
			}
		}
		if t.Failed() && soaking {
			t.Logf("its files stay in %s", dir)
			return
		}
		_ = os.RemoveAll(dir) // the system clears what is left
	})
	c.Network = newNetwork(t)
	return c
}

// add names the node of a place; its directory may already be there.
func (c *Cluster) add(place int, flags []string) *Node {
	c.t.Helper()
	c.made++
	n := &Node{
		ID: fmt.Sprintf("node-%d", c.made), Dir: filepath.Join(c.dir, fmt.Sprintf("n%d", c.made)), place: place,
		HTTP: c.address(place), Port: fmt.Sprint(host, place+1, ":", c.port+3000), known: fmt.Sprint(host, place+1, ":7001"),
		t: c.t, flags: flags, env: c.env,
	}
	if text, err := os.ReadFile(n.File("node.json")); err == nil {
		var identity node.Identity
		if err := json.Unmarshal(text, &identity); err != nil {
			c.t.Fatal(err)
		}
		n.ID = identity.NodeID
	}
	n.relay = c.Network.hub(c.t, n.ID, n.Port)
	c.setNodes(append(c.Nodes, n))
	return n
}

// found makes a cluster of three voters as an operator would and stops it.
func found(t testing.TB) string {
	t.Helper()
	c := newCluster(t)
	mustRun(t, "init", "--data-dir", filepath.Join(c.dir, "n1"))
	c.add(0, nil).Start()
	for range 2 {
		c.Join().Start()
	}
	c.Promote(c.Nodes[1].ID, c.Nodes[2].ID)
	for _, n := range c.Nodes {
		n.Stop()
	}
	dir, err := keep()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Join makes the directory of one more node, which is not started yet.
func (c *Cluster) Join(flags ...string) *Node {
	c.t.Helper()
	leader := c.Leader()
	place := c.made
	if len(c.free) > 0 {
		place, c.free = c.free[0], c.free[1:]
	}
	n := c.add(place, flags)
	token := strings.TrimSpace(mustRun(c.t, "token", "create", "--data-dir", leader.Dir, "--node-id", n.ID))
	mustRun(c.t, "join", "--data-dir", n.Dir, "--token", token, "--peer", leader.Port, "--cluster-addr", n.known, "--node-id", n.ID)
	return n
}

// Promote gives nodes a vote as soon as they may have one.
func (c *Cluster) Promote(ids ...string) {
	c.t.Helper()
	var last error
	ok := within(Patience, func() bool {
		_, last = c.Leader().Operator().ChangeMembers(c.t.Context(), "promote", 0, ids...)
		return last == nil
	})
	if !ok {
		c.t.Fatalf("promote %v: %v", ids, last)
	}
}

// Leader waits for a node that leads and has begun its term.
func (c *Cluster) Leader() (leader *Node) {
	c.t.Helper()
	return c.leaderOf(c.Nodes)
}

// leaderOf waits until one of the nodes leads, and is ready.
func (c *Cluster) leaderOf(nodes []*Node) (leader *Node) {
	c.t.Helper()
	Eventually(c.t, "a leader", func() bool {
		term := uint64(0)
		for _, n := range nodes {
			if !n.Running() {
				continue
			}
			status, err := n.Status()
			if err == nil && status.State == "Leader" && len(status.Reasons) == 0 && status.Term > term {
				leader, term = n, status.Term
			}
		}
		return leader != nil
	})
	return leader
}

// Others are the running nodes but one.
func (c *Cluster) Others(than *Node) (others []*Node) {
	for _, n := range c.Nodes {
		if n != than && n.Running() {
			others = append(others, n)
		}
	}
	return others
}

// Term is the newest term that any node knows of.
func (c *Cluster) Term() (term uint64) {
	for _, n := range c.Nodes {
		if !n.Running() {
			continue
		}
		if status, err := n.Status(); err == nil {
			term = max(term, status.Term)
		}
	}
	return term
}

// AwaitLevel waits until all running nodes have applied what any has, and
// returns how long that took.
func (c *Cluster) AwaitLevel() time.Duration {
	c.t.Helper()
	began := time.Now()
	goal := uint64(0)
	for _, n := range c.Nodes {
		if status, err := n.Status(); n.Running() && err == nil {
			goal = max(goal, status.Applied)
		}
	}
	for _, n := range c.Nodes {
		if !n.Running() {
			continue
		}
		Eventually(c.t, fmt.Sprintf("%s applies entry %d", n.ID, goal), func() bool {
			status, err := n.Status()
			return err == nil && status.Applied >= goal && len(status.Reasons) == 0
		})
	}
	return time.Since(began)
}
