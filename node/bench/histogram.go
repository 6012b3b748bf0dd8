package bench

import (
	"math/bits"
	"time"
)

// Values are told apart to one part in 128: the bucket of a value is its
// highest eight bits, so a percentile errs by less than one percent.
const (
	subBucketBits = 7
	subBuckets    = 1 << subBucketBits
	bucketCount   = (64 - subBucketBits) * subBuckets
)

// histogram counts durations in fixed log-linear buckets. It never allocates
// after creation, so recording costs a few nanoseconds at any number of samples.
type histogram struct {
	counts [bucketCount]uint64
	total  uint64
	max    time.Duration
}

// record adds one sample; a negative one counts as zero.
func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// merge adds all samples of other.
func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// percentile returns the middle of the bucket that holds the sample below
// which the given share (0 to 1) of all samples lies; zero without samples.
func (h *histogram) percentile(share float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := min(uint64(share*float64(h.total)), h.total-1)
	seen := uint64(0)
	for i, n := range h.counts {
		seen += n
		if seen > rank {
			return min(middleOf(i), h.max)
		}
	}
	return h.max
}

func bucketOf(value uint64) int {
	shift := bits.Len64(value) - subBucketBits - 1
	if shift <= 0 {
		return int(value)
	}
	return shift*subBuckets + int(value>>shift)
}

func middleOf(bucket int) time.Duration {
	if bucket < 2*subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	low := uint64(bucket-shift*subBuckets) << shift
	return time.Duration(low + 1<<shift/2)
}
