package cluster

import "time"

// Observe receives measurements, so that a node can export them. Every function is optional, called concurrently,
// and must return quickly: some run on raft's goroutines.
type Observe struct {
	Storage   func(call string, took time.Duration) // each call on raft.db: store, get, delete or vote
	Append    func(entries, bytes int)              // each batch made durable in the log
	Seal      func(requests, bytes int)             // each entry sealed from requests
	Leader    func(id string)                       // the known leader changed, "" for none
	Refuse    func(reason error)                    // each request refused before the log
	Unknown   func()                                // each outcome that stayed unknown to its caller
	Truncated func(entries uint64)                  // entries removed from the log
	Forward   func(err error)                       // each proposal forwarded to the leader, nil for an outcome
	Round     func(took time.Duration, err error)   // each question to the voters for read indexes
	Rebuilt   func()                                // raft was replaced because an install contradicted the log
}

func (o Observe) complete() Observe {
	if o.Storage == nil {
		o.Storage = func(string, time.Duration) {}
	}
	if o.Append == nil {
		o.Append = func(int, int) {}
	}
	if o.Seal == nil {
		o.Seal = func(int, int) {}
	}
	if o.Leader == nil {
		o.Leader = func(string) {}
	}
	if o.Refuse == nil {
		o.Refuse = func(error) {}
	}
	if o.Unknown == nil {
		o.Unknown = func() {}
	}
	if o.Truncated == nil {
		o.Truncated = func(uint64) {}
	}
	if o.Forward == nil {
		o.Forward = func(error) {}
	}
	if o.Round == nil {
		o.Round = func(time.Duration, error) {}
	}
	if o.Rebuilt == nil {
		o.Rebuilt = func() {}
	}
	return o
}
