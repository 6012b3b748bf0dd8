package rig

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// soak inflicts a fault for long. Clusters are idle most of the time they are
// broken, so several run side by side, each in a lane: a lap of a lane is a new
// cluster that meets the fault a few times and is judged to its end, files
// included. It stays in no directory longer than that unless it fails.
type soak struct {
	fault  fault
	lanes  int
	stated int
	until  time.Time // no lap begins later

	mu      sync.Mutex
	left    int // how often the fault is still to be tried
	laps    int // begun
	done    int // how often it was tried, in laps that ended well
	skipped bool
	failed  []string
	counts  Counts
	figures figures
}

func newSoak(f fault) *soak {
	s := &soak{fault: f, stated: rounds(f.few, f.stated), until: time.Now().Add(365 * 24 * time.Hour)}
	s.left = s.stated
	s.lanes = wish("LANES", max(1, f.lanes*runtime.NumCPU()))
	if minutes := wish("MINUTES", 0); minutes > 0 {
		s.until = time.Now().Add(time.Duration(minutes) * time.Minute)
	}
	return s
}

// run drives all lanes to their end and reports, whatever they met.
func (s *soak) run(t *testing.T) {
	began := time.Now()
	var all sync.WaitGroup
	for lane := range s.lanes {
		all.Go(func() {
			for lap, count := s.next(); count > 0; lap, count = s.next() {
				t.Run(fmt.Sprintf("lane_%d_lap_%d", lane+1, lap+1), func(t *testing.T) { s.lap(t, lap, count) })
			}
		})
	}
	all.Wait()
	t.Logf("SOAK %s: %d of %d, %d violations, %d lanes, %d laps, %v; seeds %d to %d; %s%s%s", s.fault.name, s.done, s.stated,
		len(s.failed), s.lanes, s.laps, time.Since(began).Round(time.Second), firstSeed, firstSeed+uint64(max(1, s.laps)-1),
		s.counts, &s.figures, strings.Join(append([]string{""}, s.failed...), "\n  violation: "))
	if s.done == 0 && !s.skipped {
		t.Error("no lap came to its end: the test proves nothing")
	}
}

// next hands out the next lap; none once the time is over or enough went wrong.
func (s *soak) next() (lap, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().After(s.until) || len(s.failed) >= 10 {
		return 0, 0
	}
	lap, count = s.laps, min(s.left, s.fault.lap)
	if count > 0 {
		s.laps++
		s.left -= count
	}
	return lap, count
}

// lap gives the fault a new cluster. All it does follows from its seed, but for
// T4, which aims by what other laps have learned and logs each call it kills at.
func (s *soak) lap(t *testing.T, lap, count int) {
	seed := firstSeed + uint64(lap)
	var l *Load
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l != nil {
			s.counts.add(l.Counts)
			s.figures.add(l.figures)
		}
		if t.Failed() {
			s.failed = append(s.failed, fmt.Sprintf("%s, again with SEED=%d COUNT=%d LANES=1", t.Name(), seed, count))
			return
		}
		if s.skipped = t.Skipped(); s.skipped {
			s.left = 0
			return
		}
		s.done += count
	}()
	c := Prepare(t, drained...)
	if s.fault.stock {
		c.setEnv("COFFER_TEST_READS=stock")
	}
	c.begin()
	l = NewLoad(t, c, seed)
	l.Pace, l.Tolerant = s.fault.pace, s.fault.stock
	defer l.Stop()
	s.fault.inflict(t, c, l, randomOf(seed), count)
	c.Finish(l)
}

// firstSeed is the seed of the first lap of every fault; SEED repeats a run.
var firstSeed = uint64(wish("SEED", int(time.Now().UnixNano())))

func randomOf(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// wish is a positive number that whoever runs the tests asks for.
func wish(variable string, otherwise int) int {
	if number, err := strconv.Atoi(os.Getenv(variable)); err == nil && number > 0 {
		return number
	}
	return otherwise
}
