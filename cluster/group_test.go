package cluster

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// group is a cluster of several nodes in one process, over real TLS on loopback.
type group struct {
	testing.TB
	authority *Authority
	fabric    *fabric
	members   []*groupMember
	edit      func(*Config)
}

// groupMember is one node of a group. It outlives the restarts of its node.
type groupMember struct {
	*node
	id, dir, address string
	file             *stateFile
	credentials      *Credentials
	up               bool
}

// swift are clocks for tests: short, but long enough for two busy processors.
func swift() Timing {
	t := LAN()
	t.Heartbeat, t.Election, t.LeaderLease = 500*time.Millisecond, 500*time.Millisecond, 400*time.Millisecond
	t.Commit, t.RPCTimeout = 20*time.Millisecond, 2*time.Second
	t.Probe, t.Probation = 50*time.Millisecond, 150*time.Millisecond
	return t
}

// newGroup starts a cluster of count voters. The first one bootstraps it, the others join as non-voters and are promoted.
func newGroup(t testing.TB, count int, edit func(*Config)) *group {
	t.Helper()
	g := &group{TB: t, authority: newTestAuthority(t, testCluster), fabric: newFabric(), edit: edit}
	t.Cleanup(g.close)
	first := g.add("node-1")
	g.start(first, true)
	ctx := g.within(20 * time.Second)
	must(t, first.WaitReady(ctx))
	var ids []string
	for i := 2; i <= count; i++ {
		m := g.add(fmt.Sprintf("node-%d", i))
		g.start(m, false)
		_, err := first.AddNonvoter(ctx, 0, m.id, m.address)
		must(t, err)
		ids = append(ids, m.id)
	}
	if len(ids) > 0 {
		g.promote(ids...)
	}
	return g
}

// promote gives nodes a vote as soon as the cluster lets it.
func (g *group) promote(ids ...string) {
	g.Helper()
	var last error
	eventually(g, fmt.Sprint("promotion of ", ids), func() bool {
		_, last = g.leader().Promote(g.within(5*time.Second), 0, ids...)
		return last == nil
	})
}

// add creates a member that does not run yet.
func (g *group) add(id string) *groupMember {
	g.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(g, err)
	m := &groupMember{
		id: id, dir: g.TempDir(), address: listener.Addr().String(), file: &stateFile{},
		credentials: testCredentials(g, g.authority, id),
	}
	must(g, listener.Close())
	g.members = append(g.members, m)
	return m
}

// start runs a member on the files it has.
func (g *group) start(m *groupMember, bootstrap bool) {
	g.Helper()
	listener, err := net.Listen("tcp", m.address)
	must(g, err)
	port, err := Listen(PortConfig{
		Listener: listener, Credentials: m.credentials, Dial: g.fabric.dialer(m.id), Logger: testLogger().With("node", m.id),
	})
	must(g, err)
	cfg := testConfig(m.dir)
	cfg.NodeID, cfg.Bootstrap, cfg.Stream, cfg.Timing = m.id, bootstrap, port, swift()
	cfg.Logger = testLogger().With("node", m.id)
	cfg.Bury = func(id string, _ Asker) []byte { return []byte("once bury " + id) }
	if g.edit != nil {
		g.edit(&cfg)
	}
	m.node, err = openNode(cfg, m.file, seams{})
	must(g, err)
	m.up = true
}

// stop closes a member gracefully and keeps its files.
func (g *group) stop(m *groupMember) {
	g.Helper()
	m.up = false
	m.shut(g)
}

func (g *group) close() {
	for _, m := range g.members {
		for _, other := range g.members {
			g.fabric.hold(m.id, other.id, false)
		}
	}
	var closing sync.WaitGroup
	for _, m := range g.members {
		if m.up {
			closing.Go(func() { g.stop(m) })
		}
	}
	closing.Wait()
}

// within returns a context that ends with the test too.
func (g *group) within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	g.Cleanup(cancel)
	return ctx
}

// leader returns the running member that is ready to lead in the highest term, once there is one.
func (g *group) leader() *groupMember {
	g.Helper()
	var leader *groupMember
	eventually(g, "a leader", func() bool {
		for _, m := range g.members {
			if m.up && m.Ready() && (leader == nil || m.Status().Term > leader.Status().Term) {
				leader = m
			}
		}
		return leader != nil
	})
	return leader
}

// leaderAmong waits for a leader among some members.
func (g *group) leaderAmong(some ...*groupMember) *groupMember {
	g.Helper()
	var leader *groupMember
	eventually(g, "a leader among some", func() bool {
		for _, m := range some {
			if m.Ready() {
				leader = m
			}
		}
		return leader != nil
	})
	return leader
}

// followers returns the other running members.
func (g *group) followers(leader *groupMember) []*groupMember {
	return slices.DeleteFunc(slices.Clone(g.members), func(m *groupMember) bool { return m == leader || !m.up })
}

func ids(members []*groupMember) []string {
	var names []string
	for _, m := range members {
		names = append(names, m.id)
	}
	return names
}

// buried says whether a node was removed for good.
func (m *testMachine) buried(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.seen["once bury "+id]
	return ok
}

// read reads a key linearizably at one member.
func (m *groupMember) read(ctx context.Context, key string) (string, error) {
	index, err := m.ReadIndex(ctx)
	if err != nil {
		return "", err
	}
	for m.machine.visible.Load() < index {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		<-time.After(100 * time.Microsecond)
	}
	return m.machine.value(key), nil
}

// agree waits until all running members have applied the same requests and compares them.
func (g *group) agree() []string {
	g.Helper()
	leader := g.leader()
	leader.propose(g, "once agree "+fmt.Sprint(time.Now().UnixNano()))
	want := leader.machine.requests()
	for _, m := range g.followers(leader) {
		eventually(g, m.id+" has caught up", func() bool { return len(m.machine.requests()) >= len(want) })
		if got := m.machine.requests(); !slices.Equal(got[:len(want)], want) {
			g.Errorf("%s applied %s\n%s applied %s", m.id, strings.Join(got, ","), leader.id, strings.Join(want, ","))
		}
	}
	return want
}
