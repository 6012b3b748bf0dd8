package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// leadership turns raft's notifications into contexts. Raft blocks on its notifications,
// so they are received by a goroutine that never calls raft, and acted upon by another.
type leadership struct {
	turned chan struct{} // a new leadership waits in next
	ready  atomic.Uint64 // term whose first command was applied while this node led it, 0 for none

	mu      sync.Mutex
	over    bool                        // the node stops leading for good
	next    context.Context             // newest leadership, nil before the first
	cancel  context.CancelFunc          // ends next
	current context.Context             // the leadership that works run in, nil outside
	works   []func(ctx context.Context) // everything given to Lead
	running sync.WaitGroup              // works of current
	changed chan struct{}               // closed and replaced when ready changes
}

func newLeadership() *leadership {
	return &leadership{turned: make(chan struct{}, 1), cancel: func() {}, changed: make(chan struct{})}
}

// turn records that raft gained or lost the leadership.
func (l *leadership) turn(leader bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	if !leader || l.over {
		return
	}
	l.next, l.cancel = context.WithCancel(context.Background())
	select {
	case l.turned <- struct{}{}:
	default:
	}
}

// end cancels the present leadership and admits no other.
func (l *leadership) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.cancel()
}

// newest returns the newest leadership's context.
func (l *leadership) newest() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// open starts every work and lets later ones start at once.
func (l *leadership) open(ctx context.Context, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready.Store(term)
	l.announce()
	l.current = ctx
	for _, work := range l.works {
		l.start(work)
	}
}

// suspend makes the leader unready while its works go on.
func (l *leadership) suspend(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready.CompareAndSwap(term, 0) {
		l.announce()
	}
}

// resume reverses suspend, unless the leadership has ended meanwhile.
func (l *leadership) resume(ctx context.Context, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != nil && ctx.Err() == nil {
		l.ready.Store(term)
		l.announce()
	}
}

// shut waits for every work of the leadership that has ended.
func (l *leadership) shut() {
	l.mu.Lock()
	l.ready.Store(0)
	l.current = nil
	l.announce()
	l.mu.Unlock()
	l.running.Wait()
}

func (l *leadership) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// change returns a channel that is closed when ready changes next.
func (l *leadership) change() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *leadership) add(work func(ctx context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.works = append(l.works, work)
	if l.current != nil {
		l.start(work)
	}
}

// start runs with mu held, so that none is added once shut waits.
func (l *leadership) start(work func(ctx context.Context)) {
	ctx := l.current
	l.running.Go(func() { work(ctx) })
}

// Lead runs work whenever this node leads, from the moment the term's first command was applied.
// The context ends with the leadership or with Close. The next leadership begins after work has returned and runs it
// again; Close waits ten seconds for it at most.
func (c *Cluster) Lead(work func(ctx context.Context)) {
	c.leadership.add(work)
}

// drain receives raft's notifications until raft has stopped.
func (c *Cluster) drain(stopped <-chan struct{}) {
	for {
		select {
		case leader := <-c.notify:
			c.leadership.turn(leader)
		case <-stopped:
			return
		}
	}
}

// govern begins each leadership, runs its works, and ends it.
func (c *Cluster) govern() {
	for {
		select {
		case <-c.leadership.turned:
			c.reign(c.leadership.newest())
		case <-c.retired:
			return
		}
	}
}

// reign lasts as long as one leadership.
func (c *Cluster) reign(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	term := c.raft().CurrentTerm()
	if err := c.beginTerm(ctx, term); err != nil {
		if ctx.Err() == nil {
			c.logger.Error("leading without a begun term", "term", term, "error", err)
		}
		return
	}
	c.logger.Info("leading", "term", term)
	c.leadership.open(ctx, term)
	<-ctx.Done()
	c.leadership.shut()
}

// beginTerm submits the term's first command and waits for its outcome. Raft hands neither its own no-op nor barriers to
// the machine, so waiting for the machine to reach the commit index is exact only after this command.
func (c *Cluster) beginTerm(ctx context.Context, term uint64) error {
	request := c.beginRequest(term)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		_, err := c.attempt(ctx, request, true)
		if err == nil && !c.leads(term) {
			err = errNotLeader // applied, but perhaps in a later term
		}
		if err == nil || !c.rest(ctx, pause) || errors.Is(err, ErrStopping) {
			return err
		}
	}
}

// leads says whether this node leads in term, as far as it knows.
func (c *Cluster) leads(term uint64) bool {
	return c.raft().State() == raft.Leader && c.raft().CurrentTerm() == term
}

// soleVoter says whether nobody else has a vote in the newest membership.
func (c *Cluster) soleVoter() bool {
	voters, self := 0, false
	for _, server := range c.raft().GetConfiguration().Configuration().Servers {
		if server.Suffrage == raft.Voter {
			voters++
			self = self || server.ID == c.id
		}
	}
	return voters == 1 && self
}
