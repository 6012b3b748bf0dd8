package http

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/http/api"
	"coffer/store"
)

// numbers are the settings that every request needs, read once per revision.
type numbers struct {
	revision uint64
	classes  map[api.Rate]int
	tiers    []settings.Pair // money limits by e-mail
	origins  []string
	anyone   bool          // every web origin may read
	lifetime time.Duration // of tokens
	legacy   bool          // older clients are served
}

// cached keeps the numbers of the latest revision.
type cached struct {
	latest func() *store.View
	value  atomic.Pointer[numbers]
}

func (c *cached) get() *numbers {
	v := c.latest()
	defer v.Close()
	revision := settings.Revision(v)
	if n := c.value.Load(); n != nil && n.revision == revision {
		return n
	}
	n := readNumbers(v, revision)
	c.value.Store(n)
	return n
}

func readNumbers(v *store.View, revision uint64) *numbers {
	origins := settings.CORSOrigins.Of(v)
	return &numbers{
		revision: revision,
		classes: map[api.Rate]int{
			api.RateRead: int(settings.RateRead.Of(v)), api.RateWrite: int(settings.RateWrite.Of(v)),
			api.RateStrict: int(settings.RateStrict.Of(v)), api.RateMoney: int(settings.RateMoney.Of(v)),
			api.RatePublic: int(settings.RatePublic.Of(v)), api.RateCSV: int(settings.RateCSV.Of(v)),
		},
		tiers:    settings.RateTiers.Of(v),
		origins:  origins,
		anyone:   slices.Contains(origins, "*"),
		lifetime: time.Duration(settings.TokenLifetime.Of(v)) * time.Microsecond,
		legacy:   settings.Compat.Of(v) == settings.Legacy,
	}
}

// readsPerMoney is how many reads a tier's money limit brings.
const readsPerMoney = 4

// limit is the api.Limits of the AEVION surface (contract, rate limits).
func (c *cached) limit(class api.Rate, who *fsm.Actor) api.Limit {
	n := c.get()
	if who.Email != "" && (class == api.RateMoney || class == api.RateRead) {
		for _, tier := range n.tiers {
			if !strings.EqualFold(tier.Name, who.Email) {
				continue
			}
			if class == api.RateRead {
				return api.Limit{Requests: int(tier.Number) * readsPerMoney, ByUser: true}
			}
			return api.Limit{Requests: int(tier.Number), ByUser: true}
		}
	}
	return api.Limit{Requests: n.classes[class], ByUser: class == api.RateCSV}
}

// origin says which web origin may read an answer.
func (c *cached) origin(origin string) string {
	n := c.get()
	if n.anyone {
		return "*"
	}
	if slices.Contains(n.origins, origin) {
		return origin
	}
	return ""
}

// lifetime is how long a token may live.
func (c *cached) lifetime() time.Duration { return c.get().lifetime }

// legacy tells that answers carry the older spellings too.
func (c *cached) legacy() bool { return c.get().legacy }
