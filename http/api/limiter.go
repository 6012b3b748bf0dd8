package api

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// limiter counts requests per class and client in fixed windows of 60 seconds.
// Its memory is bounded: clients beyond the exact counters of a shard share
// hashed ones, which may only count too much.
type limiter struct {
	seed   maphash.Seed
	shards [limiterShards]limiterShard
}

const (
	limiterShards = 64
	shardClients  = 4096 // counted exactly per shard and window
	shardOverflow = 1024
)

type limiterShard struct {
	mu       sync.Mutex
	window   int64
	exact    map[uint64]uint32
	overflow []uint32
	_        [64]byte // keeps neighbours off this cache line
}

func newLimiter() *limiter {
	l := &limiter{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].exact = map[uint64]uint32{}
	}
	return l
}

// add counts cost requests and returns how many there are in this window.
func (l *limiter) add(class uint16, client string, cost uint32, now time.Time) uint32 {
	key := l.key(class, client)
	return l.shards[key%limiterShards].add(key, cost, now.Unix()/int64(window/time.Second))
}

// key is a hash under a seed that no client knows, so none can collide on
// purpose.
func (l *limiter) key(class uint16, client string) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_ = h.WriteByte(byte(class >> 8))
	_ = h.WriteByte(byte(class))
	_, _ = h.WriteString(client)
	return h.Sum64()
}

func (s *limiterShard) add(key uint64, cost uint32, window int64) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if window != s.window {
		s.window = window
		clear(s.exact)
		clear(s.overflow)
	}
	count, known := s.exact[key]
	if known || len(s.exact) < shardClients {
		count = grow(count, cost)
		if known || cost > 0 {
			s.exact[key] = count
		}
		return count
	}
	if s.overflow == nil {
		s.overflow = make([]uint32, shardOverflow)
	}
	shared := &s.overflow[key/limiterShards%shardOverflow]
	*shared = grow(*shared, cost)
	return *shared
}

// grow adds without wrapping around.
func grow(count, cost uint32) uint32 {
	if count > math.MaxUint32-cost {
		return math.MaxUint32
	}
	return count + cost
}
