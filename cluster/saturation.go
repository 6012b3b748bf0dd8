package cluster

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-metrics"
)

// Saturation is how busy raft's two goroutines were when they last said so: 0 for idle, 1 for always at work. A goroutine
// speaks once a second while there is something to do. Raft reports per process: several nodes in one share the values.
// Nil is for never; the program must be built with the tag hashicorpmetrics.
type Saturation struct{ Main, Machine *float64 }

// Saturations returns what raft has said last in this process.
func Saturations() Saturation {
	return Saturation{Main: latest.main.Load(), Machine: latest.machine.Load()}
}

// saturationSink keeps the two samples and drops everything else that raft measures.
type saturationSink struct {
	metrics.BlackholeSink
	main, machine atomic.Pointer[float64]
}

var (
	latest  saturationSink
	sinkSet sync.Once
)

// keepSaturation makes the process's registry of raft ours, once.
func keepSaturation() error {
	var err error
	sinkSet.Do(func() { _, err = metrics.NewGlobal(&metrics.Config{FilterDefault: true}, &latest) })
	return err
}

// AddSample keeps the newest value of a sample.
func (s *saturationSink) AddSample(key []string, value float32) {
	share := float64(value)
	switch strings.Join(key, ".") {
	case "raft.thread.main.saturation":
		s.main.Store(&share)
	case "raft.thread.fsm.saturation":
		s.machine.Store(&share)
	}
}

// AddSampleWithLabels keeps the newest value of a sample.
func (s *saturationSink) AddSampleWithLabels(key []string, value float32, _ []metrics.Label) {
	s.AddSample(key, value)
}
