//go:build hashicorpmetrics

package cluster

import (
	"fmt"
	"testing"

	"github.com/hashicorp/go-metrics"
)

func TestRaftSaysHowBusyItIs(t *testing.T) {
	n := start(t, testConfig(t.TempDir()), &stateFile{}, seams{})
	i := 0
	eventually(t, "both goroutines have said how busy they are", func() bool {
		i++
		n.propose(t, fmt.Sprint("once ", i))
		s := Saturations()
		return s.Main != nil && s.Machine != nil
	})
	s := Saturations()
	for name, share := range map[string]float64{"main": *s.Main, "machine": *s.Machine} {
		if share < 0 || share > 1 {
			t.Errorf("%s is at work for %v of the time", name, share)
		}
	}
}

func TestTheSinkKeepsTheNewestOfItsTwoSamples(t *testing.T) {
	var s saturationSink
	s.AddSampleWithLabels([]string{"raft", "thread", "main", "saturation"}, 0.75, nil)
	s.AddSample([]string{"raft", "thread", "fsm", "saturation"}, 0.25)
	s.AddSample([]string{"raft", "thread", "fsm", "saturation"}, 0.5)
	s.AddSample([]string{"raft", "commitTime"}, 12)
	s.IncrCounterWithLabels([]string{"raft", "thread", "main", "saturation"}, 1, []metrics.Label{{Name: "a", Value: "b"}})
	if main, machine := *s.main.Load(), *s.machine.Load(); main != 0.75 || machine != 0.5 {
		t.Errorf("main %v, machine %v", main, machine)
	}
}
