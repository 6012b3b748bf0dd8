package rig

import (
	"math/rand/v2"
	"sync"
)

// target is a call in a scene at which a node is to be killed.
type target struct {
	scene int // of scenes
	call  string
	nth   int
}

// enough is how many crashes are stated for each of at least 25 sites.
const enough = 40

// targets are what the crashes of all clusters of this run have taught: which call
// leads to which site most likely, and which sites have had enough.
var targets known

// known are the targets that have led to a site.
type known struct {
	mu    sync.Mutex
	sites map[target]string
	hits  map[string]int
}

// led notes where a target has led to.
func (k *known) led(to target, site string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sites == nil {
		k.sites, k.hits = map[target]string{}, map[string]int{}
	}
	k.sites[to] = site
	k.hits[site]++
}

// missed notes that a target has led nowhere this time.
func (k *known) missed(t target) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.sites, t)
}

// choose takes anything, but with SOAK two times out of three what leads to the
// site that comes next to having enough.
func (k *known) choose(random *rand.Rand) target {
	k.mu.Lock()
	defer k.mu.Unlock()
	chosen, most := anyTarget(random), 0
	if !soaking || random.IntN(3) == 0 {
		return chosen
	}
	for t, site := range k.sites {
		if hits := k.hits[site]; hits < enough && hits > most {
			chosen, most = t, hits
		}
	}
	return chosen
}

func anyTarget(random *rand.Rand) target {
	for {
		i := random.IntN(len(scenes))
		if s := scenes[i]; soaking || !s.slow {
			return target{scene: i, call: s.calls[random.IntN(len(s.calls))], nth: 1 + random.IntN(s.most)}
		}
	}
}
