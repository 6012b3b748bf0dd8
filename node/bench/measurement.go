package bench

import "time"

// Measurement is one phase of load. What lies between the warm-up and the end
// is counted; Acknowledged counts the warm-up too.
type Measurement struct {
	Name                   string  `json:"name"`
	Clients                int     `json:"clients"`
	Seconds                float64 `json:"seconds"`
	Requests               int64   `json:"requests"`
	Count                  int64   `json:"count"` // transfers moved or objects read
	PerSecond              float64 `json:"perSecond"`
	Refused                int64   `json:"refused"`
	FirstRefusal           string  `json:"firstRefusal,omitempty"`
	Acknowledged           int64   `json:"acknowledged"`
	Latency                Latency `json:"latency"`          // of requests
	Series                 []int64 `json:"series,omitempty"` // count in each second
	ClientMicrosPerRequest float64 `json:"clientMicrosPerRequest"`
	ServerMicrosPerCount   float64 `json:"serverMicrosPerCount"`
	PeakMemoryBytes        int64   `json:"peakMemoryBytes"` // anonymous, of the server
}

// Latency is a distribution in milliseconds.
type Latency struct {
	P50Millis  float64 `json:"p50Millis"`
	P90Millis  float64 `json:"p90Millis"`
	P99Millis  float64 `json:"p99Millis"`
	P999Millis float64 `json:"p999Millis"`
	MaxMillis  float64 `json:"maxMillis"`
}

func latencyOf(h *histogram) Latency {
	return Latency{
		P50Millis: millis(h.percentile(0.50)), P90Millis: millis(h.percentile(0.90)),
		P99Millis: millis(h.percentile(0.99)), P999Millis: millis(h.percentile(0.999)), MaxMillis: millis(h.max),
	}
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// tally is what one client saw.
type tally struct {
	latency      histogram
	requests     int64
	counted      int64
	refused      int64
	acknowledged int64 // counted things of the warm-up too
	series       []int64
	firstRefusal error
}

func (t *tally) add(latency, at time.Duration, count int64, refused bool) {
	t.latency.record(latency)
	t.requests++
	t.counted += count
	if refused {
		t.refused++
	}
	second := int(at / time.Second)
	for len(t.series) <= second {
		t.series = append(t.series, 0)
	}
	t.series[second] += count
}

// measure adds up what the clients saw.
func (r *running) measure(b *bank) Measurement {
	var all tally
	for _, t := range r.tallies {
		all.latency.merge(&t.latency)
		all.requests += t.requests
		all.counted += t.counted
		all.refused += t.refused
		all.acknowledged += t.acknowledged
		if all.firstRefusal == nil {
			all.firstRefusal = t.firstRefusal
		}
		for i, n := range t.series {
			if i == len(all.series) {
				all.series = append(all.series, 0)
			}
			all.series[i] += n
		}
	}
	m := Measurement{
		Name: r.name, Clients: r.clients, Seconds: max(r.until.Sub(r.from), 1).Seconds(),
		Requests: all.requests, Count: all.counted, Refused: all.refused,
		Acknowledged: all.acknowledged, Series: all.series, PeakMemoryBytes: b.memory(),
	}
	m.PerSecond = float64(m.Count) / m.Seconds
	m.Latency = latencyOf(&all.latency)
	if all.firstRefusal != nil {
		m.FirstRefusal = all.firstRefusal.Error()
		b.note("%s: refused: %s", r.name, m.FirstRefusal)
	}
	if m.Requests > 0 {
		m.ClientMicrosPerRequest = (r.cpu[1].own - r.cpu[0].own) * 1e6 / float64(m.Requests)
	}
	if m.Count > 0 {
		m.ServerMicrosPerCount = (r.cpu[1].server - r.cpu[0].server) * 1e6 / float64(m.Count)
	}
	return m
}
