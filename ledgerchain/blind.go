package ledgerchain

import (
	"encoding/hex"
	"strings"
	"sync"
)

const (
	blindGeneration = 1 << 17 // identifiers per generation of the memory, about 20 MB
	maxMemoised     = 64      // longer identifiers are rare and not remembered
)

// bodyPrefix starts every entry body: the magic and the first byte of an index below MaxSize.
const bodyPrefix = entryMagic + "\x00"

// Blind hides an identifier: the lower-case hexadecimal HMAC of it in lower case and trimmed, "" for an empty one.
// Equal identifiers give equal answers, so entries of one wallet can be found by who knows the salt.
func (s *Salt) Blind(identifier string) string {
	if blinded, ok := s.keys.blinds.get(identifier); ok {
		return blinded
	}
	message := strings.ToLower(strings.TrimSpace(identifier))
	if message == "" {
		return ""
	}
	if strings.HasPrefix(message, bodyPrefix) {
		// No caller may get the chain hash of a body of his choice. A trimmed message never starts with a newline.
		message = "\n" + message
	}
	sum := s.keys.chain.sumString(message)
	blinded := hex.EncodeToString(sum[:])
	s.keys.blinds.put(identifier, blinded)
	return blinded
}

func (p *macPool) sumString(message string) Hash {
	m := p.pool.Get().(*mac)
	m.message = append(m.message[:0], message...)
	m.state.Reset()
	m.state.Write(m.message)
	m.state.Sum(m.sum[:0])
	sum := m.sum
	p.pool.Put(m)
	return sum
}

// blindCache remembers the identifiers of late in two generations: when the young one is full, it becomes the old one.
// It is a memory of a pure function, no state, so replicas may remember different things.
type blindCache struct {
	mutex      sync.RWMutex
	young, old map[string]string
}

func (c *blindCache) get(identifier string) (blinded string, ok bool) {
	if len(identifier) > maxMemoised {
		return "", false
	}
	c.mutex.RLock()
	blinded, ok = c.young[identifier]
	aged := false
	if !ok {
		blinded, aged = c.old[identifier]
	}
	c.mutex.RUnlock()
	if aged {
		c.put(identifier, blinded)
	}
	return blinded, ok || aged
}

func (c *blindCache) put(identifier, blinded string) {
	if len(identifier) > maxMemoised {
		return
	}
	identifier = strings.Clone(identifier) // it may be cut out of a large request
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.young) >= blindGeneration {
		c.young, c.old = c.old, c.young
		clear(c.young)
	}
	if c.young == nil {
		c.young = make(map[string]string)
	}
	c.young[identifier] = blinded
}
