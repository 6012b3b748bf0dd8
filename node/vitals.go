package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"coffer/cluster"
	"coffer/fsm"
	coffer "coffer/http"
)

const (
	// maxBehind is how many entries a node may be behind the leader and still be ready.
	maxBehind = 1000
	// maxClock is how far the clock of a node that is ready may be off.
	maxClock = 500 * time.Millisecond
	// maxSilence is for how many heartbeats the leader may be silent.
	maxSilence = 3
	lookEvery  = time.Second
	// lookLasts is how long the leader's last answer says how far the leader is.
	lookLasts = 10 * time.Second
)

// vitals are what readiness is judged by.
type vitals struct {
	node      string
	draining  bool
	broken    error // why this node serves nothing any more
	leads     bool
	prepared  bool // its term has begun
	leader    string
	silence   time.Duration // since the leader was heard
	heartbeat time.Duration
	looked    bool   // the leader has said lately how far it is
	behind    uint64 // entries
	clock     time.Duration
	alarms    []fsm.Alarm
}

// vitals are those of now, without alarms.
func (n *Node) vitals() vitals {
	s := n.cluster.Status()
	v := vitals{
		node: n.dir.Identity.NodeID, draining: n.draining.Load(), broken: n.machine.Err(), leads: s.State == "Leader",
		prepared: n.prepared.Load(), leader: s.Leader, silence: time.Since(s.Contact), heartbeat: n.timing().Heartbeat,
	}
	if err := n.broken.Load(); err != nil {
		v.broken = *err
	}
	commit := s.Commit
	if o := n.outlook.Load(); o != nil {
		v.clock, v.looked = o.clock, time.Since(o.at) < lookLasts
		commit = max(commit, o.commit)
	}
	v.looked = v.looked || v.leads || n.port == nil
	v.behind = commit - min(commit, s.Applied)
	return v
}

// reasons lists what speaks against a role. Who only reads what may be old needs
// no leader, no disk space and no clock.
func (v vitals) reasons(role coffer.Role) []string {
	var reasons []string
	add := func(bad bool, format string, values ...any) {
		if bad {
			reasons = append(reasons, fmt.Sprintf(format, values...))
		}
	}
	add(v.draining, "draining")
	add(v.broken != nil, "stopped: %v", v.broken)
	add(role == coffer.RoleLeader && !v.leads, "this node does not lead")
	if role != coffer.RoleStaleRead {
		add(v.leader == "", "no leader")
		add(v.leads && !v.prepared, "this leader has not begun its term")
		add(v.clock.Abs() >= maxClock, "the clock is %v off those of the others", v.clock.Round(time.Millisecond))
	}
	add(!v.leads && v.silence > maxSilence*v.heartbeat, "the leader has been silent for %v", v.silence.Round(time.Millisecond))
	add(!v.looked, "the leader has not said yet how far it is")
	add(v.behind > maxBehind, "%d entries behind", v.behind)
	for _, alarm := range v.alarms {
		add(v.hinders(alarm, role), "alarm %s of %s", alarm.Kind, alarm.Node)
	}
	return reasons
}

// hinders tells whether an alarm speaks against this node. What ails another
// node alone does not.
func (v vitals) hinders(alarm fsm.Alarm, role coffer.Role) bool {
	own := alarm.Node == v.node
	if role == coffer.RoleStaleRead {
		return own && (alarm.Kind == fsm.Diverged || alarm.Kind == fsm.RolledBack)
	}
	return own || alarm.Kind == fsm.NoSpace || alarm.Kind == fsm.Diverged
}

// outlook is what the peers have said when they were asked last.
type outlook struct {
	at     time.Time     // of the leader's answer
	commit uint64        // of the leader
	clock  time.Duration // how far this node's clock is off
}

// lookAround asks the peers again and again how far the leader is and what time
// it is, until the node stops: a follower cannot know either by itself.
func (n *Node) lookAround() {
	ticker := time.NewTicker(lookEvery / 10)
	defer ticker.Stop()
	var leader string
	var next time.Time
	for {
		if now := n.cluster.Status().Leader; now != "" && (now != leader || time.Now().After(next)) {
			leader = ""
			if n.look(now) {
				leader, next = now, time.Now().Add(lookEvery)
			}
		}
		select {
		case <-n.stopping:
			return
		case <-ticker.C:
		}
	}
}

// look asks once, and tells whether the leader has answered.
func (n *Node) look(leader string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), lookEvery)
	defer cancel()
	peers := n.cluster.Peers(ctx)
	for _, p := range peers {
		if p.ID == leader && p.Status != nil {
			n.outlook.Store(&outlook{at: time.Now(), commit: p.Status.Commit, clock: clockOff(peers, n.dir.Identity.NodeID, leader)})
			return true
		}
	}
	return false
}

// clockOff is how far this node's clock is off that of most nodes, at the least:
// half of a round trip is nobody's fault. Of two clocks the leader's is right.
func clockOff(peers []cluster.Peer, own, leader string) time.Duration {
	var others []time.Duration // their clocks minus this one
	for _, p := range peers {
		switch {
		case p.Status == nil:
		case p.ID == own:
			others = append(others, 0)
		default:
			others = append(others, shrink(p.ClockOffset, p.RoundTrip/2))
		}
	}
	if len(others) == 0 || len(others) <= 2 && own == leader {
		return 0
	}
	slices.SortFunc(others, func(a, b time.Duration) int { return cmp.Compare(a.Abs(), b.Abs()) })
	if len(others) == 2 {
		return -others[1]
	}
	slices.Sort(others)
	return -others[(len(others)-1)/2]
}

// shrink takes a doubt from a distance.
func shrink(d, doubt time.Duration) time.Duration {
	switch {
	case d > doubt:
		return d - doubt
	case d < -doubt:
		return d + doubt
	}
	return 0
}
