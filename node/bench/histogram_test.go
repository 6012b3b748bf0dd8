package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramPercentilesAreWithinOnePercent(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		var h, half histogram
		var values []time.Duration
		for i := range 5000 {
			value := time.Duration(random.Uint64N(1 << random.IntN(40)))
			values = append(values, value)
			if i%2 == 0 {
				h.record(value)
			} else {
				half.record(value)
			}
		}
		h.merge(&half)
		slices.Sort(values)
		for _, share := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			want := values[min(int(share*float64(len(values))), len(values)-1)]
			got := h.percentile(share)
			if diff := (got - want).Abs(); float64(diff) > 0.01*float64(want) {
				t.Fatalf("seed %d: p%v is %d, want %d", seed, 100*share, got, want)
			}
		}
		if h.max != values[len(values)-1] || h.total != uint64(len(values)) {
			t.Fatalf("seed %d: max %d of %d samples, want %d of %d", seed, h.max, h.total, values[len(values)-1], len(values))
		}
	}
}

func TestHistogramHoldsEveryDuration(t *testing.T) {
	var h histogram
	if got := h.percentile(0.5); got != 0 {
		t.Errorf("percentile of nothing is %d", got)
	}
	h.record(-1)
	h.record(1<<63 - 1)
	if got := h.percentile(0); got != 0 {
		t.Errorf("lowest is %d, want 0", got)
	}
	if got := h.percentile(1); float64(got) < 0.99*float64(1<<63-1) {
		t.Errorf("highest is %d", got)
	}
}

func TestHistogramBucketsRiseWithoutGaps(t *testing.T) {
	last := -1
	for value := uint64(0); value < 1<<16; value++ {
		bucket := bucketOf(value)
		if bucket != last && bucket != last+1 {
			t.Fatalf("bucket of %d is %d after %d", value, bucket, last)
		}
		last = bucket
	}
}

func BenchmarkHistogramRecord(b *testing.B) {
	var h histogram
	for i := range b.N {
		h.record(time.Duration(i) * 37)
	}
}
