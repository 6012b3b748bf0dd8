package rig

import (
	"os"
	"strings"
	"testing"
	"time"

	"coffer/node"
)

// TestT15Foreign gives a node files that are not what it had: without its log,
// with an old copy of itself, with the files of another. It is refused with a
// reason, and the others go on.
func TestT15Foreign(t *testing.T) {
	for i, one := range []struct {
		name   string
		damage func(t *testing.T, c *Cluster, victim *Node)
		says   string
	}{
		{"without raft.db", without("raft.db"), "raft.db"},
		{"without state.db", without("state.db"), "state.db"},
		{"with the state.db of another", ofAnother("state.db"), "state.db"},
		{"with the raft.db of another", ofAnother("raft.db"), "raft.db"},
	} {
		if i%2 == 1 && !soaking {
			continue
		}
		t.Run(one.name, func(t *testing.T) {
			seed, _ := newSeed()
			c := New(t)
			l := NewLoad(t, c, seed)
			l.Start(3, 1)
			l.AwaitProgress(100)
			l.Stop()
			victim := c.Others(c.Leader())[0]
			one.damage(t, c, victim)
			l.Start(3, 1)
			victim.Launch()
			if code := victim.Wait(); code != node.ExitRefused || !strings.Contains(victim.Log(), one.says) {
				t.Errorf("seed %d: exit code %d, the log does not speak of %s\n%s", seed, code, one.says, victim.Log())
			}
			l.AwaitProgress(50)
			l.Stop()
			c.Finish(l)
		})
	}
}

// without kills the victim and removes the file.
func without(file string) func(*testing.T, *Cluster, *Node) {
	return func(t *testing.T, _ *Cluster, victim *Node) {
		victim.Kill()
		check(t, os.Remove(victim.File(file)))
	}
}

// ofAnother kills the victim and gives it the file of another node.
func ofAnother(file string) func(*testing.T, *Cluster, *Node) {
	return func(t *testing.T, c *Cluster, victim *Node) {
		other := c.Others(victim)[0]
		other.Stop()
		victim.Kill()
		copyFile(t, other.File(file), victim.File(file))
		other.Start()
	}
}

// TestT15OldCopy starts a node with an old copy of its own directory: it has
// forgotten what it promised, and the others must notice.
func TestT15OldCopy(t *testing.T) {
	seed, _ := newSeed()
	c := New(t)
	l := NewLoad(t, c, seed)
	l.Start(3, 1)
	l.AwaitProgress(50)
	victim := c.Others(c.Leader())[0]
	victim.Stop()
	copied := victim.Dir + ".old"
	check(t, os.CopyFS(copied, os.DirFS(victim.Dir)))
	for _, lasts := range []time.Duration{0, 6 * time.Second} { // the leader notes every five seconds who has said what
		victim.Start()
		l.AwaitProgress(20)
		Pass(lasts)
		victim.Stop()
	}
	check(t, os.RemoveAll(victim.Dir))
	check(t, os.Rename(copied, victim.Dir))
	victim.Launch()
	Eventually(t, "the alarm rolled_back", func() bool {
		if !victim.Running() {
			return true
		}
		alarms, err := c.leaderOf(c.Others(victim)).Operator().Alarms(t.Context())
		for _, a := range alarms.Alarms {
			if err == nil && a.Kind == "rolled_back" && a.Node == victim.ID {
				return true
			}
		}
		return false
	})
	Eventually(t, "the node votes no longer", func() bool {
		members, err := c.leaderOf(c.Others(victim)).Operator().Members(t.Context())
		if err != nil {
			return false
		}
		for _, m := range members.Members {
			if m.ID == victim.ID && m.Voter {
				return false
			}
		}
		return true
	})
	l.AwaitProgress(50)
	l.Stop()
	victim.Kill()
	c.Finish(l)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, text, 0o600))
}
