package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestWhatAForwardedProposalCameTo(t *testing.T) {
	t.Parallel()
	answer := func(err error) frame { return *replyOutcome(nil, err) }
	for name, c := range map[string]struct {
		answer frame
		err    error
		kind   error
		reason error
	}{
		"an outcome":                   {answer: *replyOutcome([]byte("done"), nil)},
		"not the leader":               {answer: answer(errNotLeader), kind: ErrNotApplied, reason: ErrNotLeader},
		"a leader that stops":          {answer: answer(errStopping), kind: ErrNotApplied, reason: ErrNotLeader},
		"overload":                     {answer: answer(errOverloaded), kind: ErrNotApplied, reason: ErrOverloaded},
		"too late, before the log":     {answer: answer(notApplied(context.DeadlineExceeded)), kind: ErrNotApplied, reason: context.DeadlineExceeded},
		"too late, in the log":         {answer: answer(unknown(context.DeadlineExceeded)), kind: ErrUnknown, reason: context.DeadlineExceeded},
		"leadership lost":              {answer: answer(classify(raft.ErrLeadershipLost)), kind: ErrUnknown},
		"aborted by a restore":         {answer: answer(classify(raft.ErrAbortedByRestore)), kind: ErrUnknown, reason: raft.ErrAbortedByRestore},
		"never sent":                   {err: errNotSent, kind: ErrNotApplied, reason: ErrNotLeader},
		"never sent in time":           {err: fmt.Errorf("%w: %w", errNotSent, context.DeadlineExceeded), kind: ErrNotApplied, reason: context.DeadlineExceeded},
		"connection lost":              {err: errLost, kind: ErrUnknown, reason: errLost},
		"no answer in time":            {err: context.DeadlineExceeded, kind: ErrUnknown, reason: context.DeadlineExceeded},
		"another leader":               {err: errLeaderChanged, kind: ErrUnknown, reason: errLeaderChanged},
		"an answer nobody understands": {answer: frame{kind: 99}, kind: ErrUnknown},
		"a refusal without a reason":   {answer: frame{kind: replyNotApplied}, kind: ErrNotApplied},
	} {
		outcome, err := forwarded(c.answer, c.err)
		if c.kind == nil {
			if err != nil || string(outcome) != "done" {
				t.Errorf("%s: %q, %v", name, outcome, err)
			}
			continue
		}
		if !errors.Is(err, c.kind) || (c.reason != nil && !errors.Is(err, c.reason)) {
			t.Errorf("%s: %v, want %v because of %v", name, err, c.kind, c.reason)
		}
		if errors.Is(err, ErrNotApplied) == errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v is of two kinds or none", name, err)
		}
	}
}

func TestThereIsNoSecondHop(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.leader()
	asker, asked := g.followers(leader)[0], g.followers(leader)[1]
	f, err := asker.callers.call(g.within(10*time.Second), peerLane{asked.id, asked.address, laneBulk}, askPropose, []byte("once hop"))
	must(t, err)
	if _, err := forwarded(f, nil); !errors.Is(err, ErrNotApplied) || !errors.Is(err, ErrNotLeader) {
		t.Errorf("a follower answered a forwarded proposal with %v", err)
	}
	f, err = asker.callers.call(g.within(10*time.Second), peerLane{asked.id, asked.address, laneQuick}, askIndex, nil)
	must(t, err)
	if _, err := bodyNumber(f); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a follower answered a read index with %v", err)
	}
}

func TestALeaderVetsWhatAPeerHasEncoded(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2, func(cfg *Config) {
		cfg.Vet = func(request []byte) error {
			if bytes.Contains(request, []byte("newer")) {
				return errors.New("unknown command")
			}
			return nil
		}
	})
	follower := g.followers(g.leader())[0]
	_, err := follower.Propose(g.within(10*time.Second), []byte("once newer"))
	if !errors.Is(err, ErrNotApplied) || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("a request that the leader cannot read: %v", err)
	}
	follower.propose(t, "once common")
}

func TestAForwardedProposalOutlivesItsLeader(t *testing.T) {
	t.Parallel()
	var forwards, unknowns atomic.Int64
	g := newGroup(t, 3, func(cfg *Config) {
		stubborn(cfg)
		cfg.Observe.Forward = func(err error) {
			forwards.Add(1)
			if errors.Is(err, ErrUnknown) {
				unknowns.Add(1)
			}
		}
	})
	old, rest := g.members[0], g.members[1:]
	asker := rest[0]
	asker.propose(t, "once first")
	for _, m := range rest { // what the leader says is lost: its answers, and its heartbeats
		g.fabric.hold(old.id, m.id, true)
	}
	outcome := asker.propose(t, "once in doubt")
	if outcome == "" || unknowns.Load() == 0 {
		t.Errorf("outcome %q after %d forwards, %d of them unknown", outcome, forwards.Load(), unknowns.Load())
	}
	for _, m := range rest {
		g.fabric.hold(old.id, m.id, false)
	}
	count := 0
	for _, request := range g.agree() {
		if request == "once in doubt" {
			count++
		}
	}
	if count != 1 {
		t.Errorf("a proposal in doubt was applied %d times", count)
	}
}

func TestAProposalInDoubtIsReportedAsUnknown(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, func(cfg *Config) { cfg.Timing.Heartbeat, cfg.Timing.Election = time.Minute, time.Minute })
	leader := g.leader()
	asker := g.followers(leader)[0]
	asker.propose(t, "once first")
	g.fabric.hold(leader.id, asker.id, true) // the answer
	_, err := asker.Propose(g.within(300*time.Millisecond), []byte("once unanswered"))
	if !errors.Is(err, ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a proposal whose answer is lost: %v", err)
	}
	g.fabric.hold(leader.id, asker.id, false)
	g.fabric.hold(asker.id, leader.id, true) // the question, and new connections
	asker.callers.close()
	asker.callers.mu.Lock()
	asker.callers.ended, asker.callers.open = false, map[peerLane]*caller{}
	asker.callers.mu.Unlock()
	_, err = asker.Propose(g.within(300*time.Millisecond), []byte("once unsent"))
	if !errors.Is(err, ErrNotApplied) {
		t.Errorf("a proposal that was never sent: %v", err)
	}
	g.fabric.hold(asker.id, leader.id, false)
	for _, request := range g.agree() {
		if request == "once unsent" {
			t.Error("a proposal that was certainly not applied was applied")
		}
	}
}

// pipe returns both ends of a connection with a caller on one of them.
func pipe(t *testing.T) (*caller, net.Conn) {
	t.Helper()
	here, there := net.Pipe()
	c := newCaller(time.Now())
	c.conn = here
	go func() { c.end(c.out.run(here)) }()
	go func() { c.end(c.read(here)) }()
	t.Cleanup(func() { c.end(net.ErrClosed); there.Close() })
	return c, there
}

func TestCallsShareAConnectionInAnyOrder(t *testing.T) {
	t.Parallel()
	c, peer := pipe(t)
	const count = 200
	go func() {
		var asked []frame
		for range count {
			f, err := readFrame(peer, maxAsk)
			if err != nil {
				return
			}
			asked = append(asked, f)
		}
		for i := range asked {
			f := asked[len(asked)-1-i]
			f.kind = replyDone
			if _, err := peer.Write(f.appendTo(nil)); err != nil {
				return
			}
		}
	}()
	var calling sync.WaitGroup
	for i := range count {
		calling.Go(func() {
			f, err := c.call(t.Context(), askPropose, fmt.Appendf(nil, "call %d", i))
			if err != nil || string(f.body) != fmt.Sprint("call ", i) {
				t.Errorf("call %d: %q, %v", i, f.body, err)
			}
		})
	}
	calling.Wait()
}

func TestALostConnectionTellsSentFromUnsent(t *testing.T) {
	t.Parallel()
	c, peer := pipe(t)
	results := make(chan error, 2)
	go func() {
		_, err := c.call(t.Context(), askPropose, []byte("sent"))
		results <- err
	}()
	_, err := readFrame(peer, maxAsk)
	must(t, err)
	must(t, peer.Close())
	if err := <-results; !errors.Is(err, errLost) || errors.Is(err, errNotSent) {
		t.Errorf("a call that was read: %v", err)
	}
	<-c.done
	if _, err := c.call(t.Context(), askPropose, []byte("late")); !errors.Is(err, errNotSent) {
		t.Errorf("a call on a closed connection: %v", err)
	}

	stalled := newCaller(time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := stalled.call(ctx, askPropose, []byte("waiting")); !errors.Is(err, errNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("a call taken back while the connection opens: %v", err)
	}
	stalled.out.bytes = maxUnwritten
	if _, err := stalled.call(t.Context(), askPropose, []byte("one too many")); !errors.Is(err, errNotSent) || !errors.Is(err, errCongested) {
		t.Errorf("a call that finds too much waiting: %v", err)
	}
}

func TestAConnectionIsRetiredBeforeThePeerClosesIt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		opened, used time.Time
		use          bool
	}{
		"fresh": {now.Add(-time.Minute), now.Add(-time.Second), true},
		"old":   {now.Add(-connAge/2 - time.Second), now, false},
		"idle":  {now.Add(-time.Hour / 4), now.Add(-connIdle/2 - time.Second), false},
	} {
		conn := newCaller(c.opened)
		conn.used = c.used
		if got := conn.use(now); got != c.use {
			t.Errorf("%s: use %v", name, got)
		}
	}

	c, peer := pipe(t)
	answered := make(chan error, 1)
	go func() {
		f, err := c.call(t.Context(), askPropose, []byte("last"))
		if err == nil && string(f.body) != "last" {
			err = fmt.Errorf("answer %q", f.body)
		}
		answered <- err
	}()
	f, err := readFrame(peer, maxAsk)
	must(t, err)
	if c.use(now.Add(time.Hour)) {
		t.Error("an old connection takes calls")
	}
	select {
	case <-c.done:
		t.Fatal("retired with a call in flight")
	default:
	}
	f.kind = replyDone
	_, err = peer.Write(f.appendTo(nil))
	must(t, err)
	must(t, <-answered)
	<-c.done
}

func TestAReasonKeepsItsIdentity(t *testing.T) {
	t.Parallel()
	for _, known := range reasons[1:] {
		got := decodeReason(encodeReason(fmt.Errorf("because: %w", known)))
		if !errors.Is(got, known) || !contains(got, "because: ") {
			t.Errorf("%v became %v", known, got)
		}
	}
	long := strings.Repeat("x", maxReason-1) + "\u00fc"
	if got := decodeReason(encodeReason(errors.New(long))).Error(); got != long[:maxReason-1] {
		t.Errorf("a reason that is cut within a letter ends with %q", got[len(got)-2:])
	}
	if got := decodeReason([]byte{0, 'a', 0xff}).Error(); got != "a?" {
		t.Errorf("words that are no text: %q", got)
	}
	if got := decodeReason(encodeReason(errors.New("plain"))); got.Error() != "plain" {
		t.Errorf("plain became %v", got)
	}
	for _, body := range [][]byte{nil, make([]byte, maxReason+2), {255, 'x'}} {
		if decodeReason(body) == nil {
			t.Errorf("%d bytes are no reason", len(body))
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add((&frame{kind: askPropose, number: 1, wait: time.Second, body: []byte("x")}).appendTo(nil))
	f.Add([]byte{0, 0, 0, 13, 1})
	f.Add([]byte("\x00\x00\x00\x0e000000000\xe80000")) // the longest wait
	f.Fuzz(func(t *testing.T, content []byte) {
		here, there := net.Pipe()
		go func() {
			there.Write(content)
			there.Close()
		}()
		got, err := readFrame(here, 1024)
		here.Close()
		if err != nil {
			return
		}
		if len(got.body) > 1024 {
			t.Fatalf("body of %d bytes", len(got.body))
		}
		if again := got.appendTo(nil); string(again) != string(content[:len(again)]) {
			t.Fatalf("%x became %x", content, again)
		}
	})
}
