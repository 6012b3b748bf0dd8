package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// vouchLimit is how long members may take to say whether they know a node.
const vouchLimit = 2 * time.Second

var (
	errRemoved  = errors.New("it was removed")
	errStranger = errors.New("it is no member of the cluster")
)

// guests decides with whom the port talks: a certificate alone proves a name, not a membership.
//
// A node is known if raft's newest configuration has it or the machine says that it was admitted, and never once it was
// removed. A node that its own state does not know, because it has just joined and replays the past, cannot judge anybody
// and takes every certificate. A node that is a member but behind may meet a member that it has not heard of, even as its
// leader. It then asks the members in its configuration, and one that has the newcomer in its own is enough: it is not
// worse to believe a member about a member than about the log. If all of them are gone, it hears nothing until one of them
// is back or it joins again under another id.
type guests struct {
	cluster *Cluster
	asking  chan struct{} // holds one while members are asked: a stranger costs one question at a time

	mu      sync.Mutex
	vouched map[string]bool // for whom members have spoken, until the own configuration has them
}

func newGuests(c *Cluster) *guests {
	return &guests{cluster: c, asking: make(chan struct{}, 1), vouched: map[string]bool{}}
}

func (g *guests) removed(id string) bool { return g.cluster.cfg.Removed(id) }

// knows says why the node does not talk with another, as far as it can tell by itself.
func (g *guests) knows(id string) error {
	if g.removed(id) {
		return errRemoved
	}
	configured, running := g.configured()
	if !running || slices.Contains(configured, id) || g.cluster.cfg.Admitted(id) || g.unsettled(configured) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.vouched[id] {
		return nil
	}
	return errStranger
}

// unsettled says that this node's own state does not know it yet.
func (g *guests) unsettled(configured []string) bool {
	own := string(g.cluster.id)
	return !slices.Contains(configured, own) && !g.cluster.cfg.Admitted(own) && !g.removed(own)
}

// configured returns the nodes in raft's newest configuration. Before raft runs nobody is served, and nobody is refused.
func (g *guests) configured() (ids []string, running bool) {
	if g.cluster.stack.Load() == nil {
		return nil, false
	}
	for _, server := range g.cluster.servers() {
		ids = append(ids, string(server.ID))
	}
	return ids, true
}

// admit is knows, but asks other members about a node that is not known.
func (g *guests) admit(ctx context.Context, id string) error {
	err := g.knows(id)
	if !errors.Is(err, errStranger) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, vouchLimit)
	defer cancel()
	select {
	case g.asking <- struct{}{}:
		defer func() { <-g.asking }()
	case <-ctx.Done():
		return err
	}
	if g.knows(id) == nil { // asked meanwhile
		return nil
	}
	if !g.ask(ctx, id) {
		return err
	}
	g.cluster.logger.Info("a member vouched for a node that this one does not know yet", "node", id)
	g.mu.Lock()
	g.vouched[id] = true
	g.mu.Unlock()
	return g.knows(id) // it may have been removed meanwhile
}

// ask returns as soon as one member vouches for a node, or when all have declined.
func (g *guests) ask(ctx context.Context, id string) bool {
	c := g.cluster
	members := slices.DeleteFunc(c.servers(), func(s raft.Server) bool { return s.ID == c.id || g.removed(string(s.ID)) })
	words := make(chan bool, len(members))
	for _, m := range members {
		go func() {
			f, err := c.callers.call(ctx, peerLane{string(m.ID), string(m.Address), laneQuick}, askMember, []byte(id))
			if err != nil {
				words <- false
				return
			}
			known, err := bodyNumber(f)
			words <- err == nil && known == 1
		}()
	}
	for range members {
		select {
		case known := <-words:
			if known {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// review forgets words that are not needed any more: from now on the own configuration decides.
func (g *guests) review() {
	configured, _ := g.configured()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range configured {
		delete(g.vouched, id)
	}
}

// vouches answers askMember. Only a node that is a member itself speaks for another, and only by raft's configuration.
func (c *Cluster) vouches(id string) uint64 {
	var self, found bool
	for _, server := range c.servers() {
		self = self || server.ID == c.id
		found = found || string(server.ID) == id
	}
	if self && found && !c.cfg.Removed(id) {
		return 1
	}
	return 0
}
