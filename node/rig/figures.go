package rig

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// figures are what a fault has measured: times and how often something happened.
type figures struct {
	times  map[string][]time.Duration
	counts map[string]int
}

// Measure notes how long something took.
func (l *Load) Measure(what string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures.add(figures{times: map[string][]time.Duration{what: {took}}})
}

// Tally notes how often something happened.
func (l *Load) Tally(what string, times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures.add(figures{counts: map[string]int{what: times}})
}

func (f *figures) add(others figures) {
	if f.times == nil {
		f.times, f.counts = map[string][]time.Duration{}, map[string]int{}
	}
	for what, times := range others.times {
		f.times[what] = append(f.times[what], times...)
	}
	for what, count := range others.counts {
		f.counts[what] += count
	}
}

// String is a line for each figure.
func (f *figures) String() string {
	var out strings.Builder
	for _, what := range slices.Sorted(maps.Keys(f.counts)) {
		fmt.Fprintf(&out, "\n  %7d  %s", f.counts[what], what)
	}
	for _, what := range slices.Sorted(maps.Keys(f.times)) {
		times := slices.Sorted(slices.Values(f.times[what]))
		at := func(percent int) time.Duration { return times[(len(times)*percent+99)/100-1].Round(time.Millisecond) }
		fmt.Fprintf(&out, "\n  %7d  %s: p50 %v, p99 %v, longest %v", len(times), what, at(50), at(99), at(100))
	}
	return out.String()
}

// add sums up what two loads have met.
func (c *Counts) add(o Counts) {
	sum, other := reflect.ValueOf(c).Elem(), reflect.ValueOf(o)
	for i := range sum.NumField() {
		sum.Field(i).SetInt(sum.Field(i).Int() + other.Field(i).Int())
	}
}
