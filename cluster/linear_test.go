package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The history of one register per key, for porcupine.
type (
	registerInput struct {
		key, write string // write is empty for a read
	}
	registerModel = porcupine.Model
)

var registers = registerModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(registerInput).key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(registerInput); in.write != "" {
			return true, in.write
		}
		return output == state, state
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v -> %v", input, output) },
}

// history collects what clients did and saw.
type history struct {
	began time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	refused    []string // requests that certainly were not applied
	done       []string // requests that were acknowledged
	unknown    int
}

func (h *history) since() int64 { return int64(time.Since(h.began)) }

func (h *history) add(op porcupine.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, op)
}

// writes returns how many writes were acknowledged.
func (h *history) writes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.done)
}

// write proposes one value and records what became of it: one of unknown outcome may take effect at any later time.
func (h *history) write(ctx context.Context, m *groupMember, client int, key, value string) {
	request := fmt.Sprintf("once set %s %s", key, value)
	op := porcupine.Operation{ClientId: client, Input: registerInput{key, value}, Call: h.since()}
	_, err := m.Propose(ctx, []byte(request))
	op.Return = h.since()
	switch {
	case err == nil:
		h.mu.Lock()
		h.done = append(h.done, request)
		h.mu.Unlock()
	case errors.Is(err, ErrUnknown):
		op.Return = math.MaxInt64
		h.mu.Lock()
		h.unknown++
		h.mu.Unlock()
	default:
		h.mu.Lock()
		h.refused = append(h.refused, request)
		h.mu.Unlock()
		return
	}
	h.add(op)
}

func (h *history) read(ctx context.Context, m *groupMember, client int, key string) {
	op := porcupine.Operation{ClientId: client, Input: registerInput{key: key}, Call: h.since()}
	value, err := m.read(ctx, key)
	if err != nil {
		return
	}
	op.Output, op.Return = value, h.since()
	h.add(op)
}

// client works on random keys at random nodes until done.
func (h *history) client(g *group, random *rand.Rand, client, keys int, done <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		m, key := g.members[random.IntN(len(g.members))], strconv.Itoa(random.IntN(keys))
		ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
		if random.IntN(2) == 0 {
			h.write(ctx, m, client, key, fmt.Sprintf("%d.%d", client, i))
		} else {
			h.read(ctx, m, client, key)
		}
		cancel()
	}
}

// disturb does one fault and undoes it. It returns what it did.
func disturb(g *group, random *rand.Rand) string {
	victim := g.members[random.IntN(len(g.members))]
	for _, m := range g.members {
		if m.Ready() && random.IntN(4) > 0 {
			victim = m
		}
	}
	others := ids(g.followers(victim))
	pause := time.NewTimer(time.Duration(300+random.IntN(700)) * time.Millisecond)
	defer pause.Stop()
	switch random.IntN(6) {
	case 0, 1:
		g.fabric.isolate(victim.id, true, others...)
		<-pause.C
		g.fabric.isolate(victim.id, false, others...)
		return "isolate " + victim.id
	case 2:
		for _, other := range others {
			g.fabric.hold(victim.id, other, true)
		}
		<-pause.C
		for _, other := range others {
			g.fabric.hold(victim.id, other, false)
		}
		return "mute " + victim.id
	case 3:
		g.fabric.isolate(victim.id, true, others...)
		<-pause.C
		for _, m := range g.followers(victim) { // so that the victim needs the state itself
			if err := m.raft().ReloadConfig(smallest(m.node)); err == nil {
				m.Truncate() // it may have nothing new to truncate
			}
		}
		g.fabric.isolate(victim.id, false, others...)
		return "outrun " + victim.id
	case 4:
		g.fabric.isolate(others[0], true, others[1])
		<-pause.C
		g.fabric.isolate(others[0], false, others[1])
		return "bridge " + victim.id
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return fmt.Sprintf("transfer from %s: %v", victim.id, victim.Transfer(ctx, ""))
}

func TestHistoriesAreLinearizableUnderFaults(t *testing.T) {
	t.Parallel()
	checkHistory(t, 4*time.Second)
}

func TestSoakHistories(t *testing.T) {
	if os.Getenv("SOAK") == "" {
		t.Skip("SOAK is not set")
	}
	for round := range 20 {
		t.Run(fmt.Sprint(round), func(t *testing.T) { checkHistory(t, 30*time.Second) })
	}
}

// checkHistory lets clients work for a while under faults and checks what they saw.
func checkHistory(t *testing.T, duration time.Duration) {
	seed := uint64(time.Now().UnixNano())
	g := newGroup(t, 3, nil)
	firstTerm := g.leader().Status().Term
	h := &history{began: time.Now()}
	done := make(chan struct{})
	var working sync.WaitGroup
	for client := range 6 {
		working.Go(func() { h.client(g, rand.New(rand.NewPCG(seed, uint64(client))), client, 8, done) })
	}
	random := rand.New(rand.NewPCG(seed, 99))
	var faults []string
	var longest time.Duration
	for time.Since(h.began) < duration {
		faults = append(faults, disturb(g, random))
		before, healed := h.writes(), time.Now()
		eventually(t, "writes resume after "+faults[len(faults)-1], func() bool { return h.writes() >= before+10 })
		longest = max(longest, time.Since(healed))
	}
	close(done)
	working.Wait()
	applied := g.agree()
	installs := 0
	for _, m := range g.members {
		installs += m.file.installs
	}
	t.Logf("seed %d: %d installs, %d operations, %d unknown, %d refused, longest pause after a fault %s, faults %q", seed, installs, len(h.operations), h.unknown, len(h.refused), longest, faults)

	if g.fabric.blocked() == 0 && g.leader().Status().Term == firstTerm {
		t.Error("no fault happened")
	}
	if len(h.done) == 0 {
		t.Error("nothing was written")
	}
	counts := map[string]int{}
	for _, request := range applied {
		counts[request]++
	}
	for _, request := range h.done {
		if counts[request] != 1 {
			t.Errorf("%q was acknowledged and applied %d times", request, counts[request])
		}
	}
	for _, request := range h.refused {
		if counts[request] != 0 {
			t.Errorf("%q was refused and applied all the same", request)
		}
	}
	if result := porcupine.CheckOperationsTimeout(registers, h.operations, 30*time.Second); result != porcupine.Ok {
		t.Errorf("seed %d: the history is not linearizable: %s", seed, result)
	}
}

// The checker itself must find what it is there for.
func TestTheCheckerFindsAStaleRead(t *testing.T) {
	stale := []porcupine.Operation{
		{Input: registerInput{"k", "a"}, Call: 0, Return: 1},
		{Input: registerInput{"k", "b"}, Call: 2, Return: 3},
		{Input: registerInput{key: "k"}, Output: "a", Call: 4, Return: 5},
	}
	if porcupine.CheckOperations(registers, stale) {
		t.Error("a stale read was accepted")
	}
	doubtful := slices.Clone(stale)
	doubtful[1].Return = math.MaxInt64
	if !porcupine.CheckOperations(registers, doubtful) {
		t.Error("a write of unknown outcome may be ordered later")
	}
}
