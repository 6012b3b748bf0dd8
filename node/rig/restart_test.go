package rig

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

// restartAll stops and starts one node after the other under 300
// writes a second. Clients go where /readyz sends them and see nothing but
// answers and 503 with Retry-After; no write is lost, and none waits for long.
func restartAll(t *testing.T, c *Cluster, l *Load, _ *rand.Rand, count int) {
	l.Rate = 300
	b := watchReady(t, c)
	l.Route = b.pick
	gaps := l.watchGaps()
	l.Start(32, 2)
	l.AwaitProgress(300)
	terms := c.Term()
	for range count {
		for _, n := range append(c.Others(c.Leader()), c.Leader()) {
			n.Stop()
			n.Start()
			c.AwaitLevel()
			l.AwaitProgress(100)
		}
	}
	after := c.Term()
	l.AwaitProgress(100)
	l.Stop()
	longest := gaps()
	l.Measure("longest gap between acknowledged writes", longest)
	b.stop()
	t.Logf("term %d to %d, longest gap between acknowledged writes %v, %d refusals, %d of them with Retry-After, %d connections dropped",
		terms, after, longest, l.Counts.Refused, l.Counts.Unavailable, l.Counts.Dropped)
	if after == terms {
		t.Errorf("seed %d: no leader was restarted: the test proves too little", l.Seed)
	}
	if longest > 2*time.Second {
		t.Errorf("seed %d: no write was acknowledged for %v", l.Seed, longest)
	}
	if l.Counts.Refused != l.Counts.Unavailable || l.Counts.Doubts > 0 {
		t.Errorf("seed %d: clients saw something else than 503 with Retry-After: %+v", l.Seed, l.Counts)
	}
}

// balancer sends clients to nodes that say they are ready, as a balancer in
// front of a cluster does.
type balancer struct {
	mu    sync.Mutex
	nodes []*Node
	ready []*Node
	ended chan struct{}
	done  sync.WaitGroup
}

func watchReady(t testing.TB, c *Cluster) *balancer {
	b := &balancer{nodes: c.Nodes, ready: c.Nodes, ended: make(chan struct{})}
	b.done.Go(b.watch)
	t.Cleanup(b.stop)
	return b
}

func (b *balancer) watch() {
	probe := &http.Client{Timeout: 200 * time.Millisecond}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		var ready []*Node
		for _, n := range b.nodes {
			if r, err := probe.Get("http://" + n.HTTP + "/readyz"); err == nil {
				_ = r.Body.Close()
				if r.StatusCode == http.StatusOK {
					ready = append(ready, n)
				}
			}
		}
		if len(ready) > 0 {
			b.mu.Lock()
			b.ready = ready
			b.mu.Unlock()
		}
		select {
		case <-ticker.C:
		case <-b.ended:
			return
		}
	}
}

func (b *balancer) pick(random *rand.Rand) *Node {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready[random.IntN(len(b.ready))]
}

func (b *balancer) stop() {
	select {
	case <-b.ended:
	default:
		close(b.ended)
	}
	b.done.Wait()
}

// watchGaps measures the longest time in which no write was acknowledged, until
// the returned function is called.
func (l *Load) watchGaps() func() time.Duration {
	ended, result := make(chan struct{}), make(chan time.Duration)
	go func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		var longest time.Duration
		latest, since := l.Acked(), time.Time{}
		for {
			select {
			case <-ticker.C:
			case <-ended:
				result <- longest
				return
			}
			if now := l.Acked(); now != latest || since.IsZero() {
				latest, since = now, time.Now()
			}
			longest = max(longest, time.Since(since))
		}
	}()
	return func() time.Duration { close(ended); return <-result }
}
