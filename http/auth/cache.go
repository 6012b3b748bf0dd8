package auth

import (
	"hash/maphash"
	"sync"
)

// cache remembers tokens whose signature is right, since checking it costs more
// than all the rest of a request. It holds two generations per shard: when the
// young one is full, the old one is forgotten, so memory is bounded and tokens
// in use stay.
type cache struct {
	seed   maphash.Seed
	limit  int // of one generation of one shard
	shards [cacheShards]cacheShard
}

const cacheShards = 16

type cacheShard struct {
	mu         sync.Mutex
	young, old map[string]verified
	_          [64]byte // keeps neighbours off this cache line
}

func newCache(tokens int) *cache {
	return &cache{seed: maphash.MakeSeed(), limit: max(1, tokens/cacheShards/2)}
}

func (c *cache) shard(token string) *cacheShard {
	return &c.shards[maphash.String(c.seed, token)%cacheShards]
}

func (c *cache) get(token string) (verified, bool) {
	s := c.shard(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, known := s.young[token]; known {
		return v, true
	}
	v, known := s.old[token]
	if known {
		s.add(token, v, c.limit)
	}
	return v, known
}

func (c *cache) put(token string, v verified) {
	s := c.shard(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(token, v, c.limit)
}

func (s *cacheShard) add(token string, v verified, limit int) {
	if len(s.young) >= limit || s.young == nil {
		s.old, s.young = s.young, make(map[string]verified, limit)
	}
	s.young[token] = v
}
