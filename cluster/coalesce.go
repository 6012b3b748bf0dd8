package cluster

import (
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// waiter is one request and the goroutine that waits for its outcome.
type waiter struct {
	request []byte
	done    chan answer // holds one, so that answering never blocks
	sealed  bool        // part of an entry; guarded by the queue
}

// answer is what a waiter gets.
type answer struct {
	outcome []byte
	err     error
}

// entry is a sealed batch of requests on its way through raft.
type entry struct {
	waiters []*waiter
	bytes   int64 // of the requests
	data    []byte
	future  raft.ApplyFuture
	landed  bool // answered, or about to be; guarded by the queue
}

// queue holds the requests that wait for an entry.
//
// An entry leaves at once when nothing is on its way. Else it leaves when the one before is written and as many requests
// have gathered as are on their way, or so many bytes that another entry costs little beside them; a full one never waits.
// So a lone client pays one log write, and a crowd meets in two halves: one gathers while the other is applied, and no timer
// is needed. Each entry has its price on every node: when it left as soon as the one before was written, 64 clients made
// entries of 6 to 10 requests, and a transfer on three nodes cost a quarter more.
type queue struct {
	limits  Limits
	backlog func() int64 // of the machine, may be nil

	mu        sync.Mutex
	due       sync.Cond // signalled when an entry may leave, and at the end
	waiting   []*waiter
	bytes     int64              // of the waiting requests
	requests  int                // admitted and unanswered
	admitted  int64              // bytes of those
	unwritten map[*byte]struct{} // handed to raft, by the first byte of their data
	entries   int                // handed to raft and unanswered
	paused    bool               // admit only what is forced
	closing   bool               // admit nothing more
	ended     bool               // seal nothing more
	drained   chan struct{}      // closed once closing and everything is answered
}

func newQueue(limits Limits, backlog func() int64) *queue {
	q := &queue{limits: limits, backlog: backlog, unwritten: map[*byte]struct{}{}, drained: make(chan struct{})}
	q.due.L = &q.mu
	return q
}

// enqueue admits w, or says why not. A forced request is bound only by the shutdown.
func (q *queue) enqueue(w *waiter, forced bool) error {
	size := int64(len(w.request))
	overloaded := !forced && q.backlog != nil && q.backlog() > q.limits.Backlog
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing {
		return errStopping
	}
	if q.paused && !forced {
		return errNotReady
	}
	if overloaded || !forced && (q.requests >= q.limits.Requests || q.admitted+size > q.limits.Bytes) {
		return errOverloaded
	}
	w.sealed = false
	q.waiting = append(q.waiting, w)
	q.bytes += size
	q.requests++
	q.admitted += size
	q.wake()
	return nil
}

// withdraw takes w back if it is not part of an entry yet.
func (q *queue) withdraw(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.sealed {
		return false
	}
	i := slices.Index(q.waiting, w)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.bytes -= int64(len(w.request))
	q.release(1, int64(len(w.request)))
	return true
}

// ready says whether an entry may leave.
func (q *queue) ready() bool {
	if len(q.waiting) == 0 || q.entries >= maxEntries {
		return false
	}
	if q.entries == 0 || len(q.waiting) >= maxEntryRequests || q.bytes >= maxEntryBytes {
		return true
	}
	onTheirWay := q.requests - len(q.waiting)
	return len(q.unwritten) == 0 && (len(q.waiting) >= onTheirWay || q.bytes >= entryWorthBytes)
}

func (q *queue) wake() {
	if q.ready() {
		q.due.Signal()
	}
}

// take waits until an entry may leave and moves its requests into batch, in order of arrival.
// It returns false at the end.
func (q *queue) take(batch []*waiter) ([]*waiter, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.ready() && !q.ended {
		q.due.Wait()
	}
	if q.ended {
		return nil, false
	}
	count, bytes := 0, int64(0)
	for _, w := range q.waiting[:min(len(q.waiting), maxEntryRequests)] {
		if count > 0 && bytes+int64(len(w.request)) > maxEntryBytes {
			break
		}
		w.sealed = true
		bytes += int64(len(w.request))
		count++
	}
	batch = append(batch[:0], q.waiting[:count]...)
	q.waiting = slices.Delete(q.waiting, 0, count)
	q.bytes -= bytes
	return batch, true
}

// launch counts an entry that is about to be handed to raft.
func (q *queue) launch(e *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.unwritten[&e.data[0]] = struct{}{}
	q.entries++
}

// durable learns from the log store what has been written. Raft passes on the very bytes that it was given.
func (q *queue) durable(logs []*raft.Log) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, log := range logs {
		if log.Type == raft.LogCommand && len(log.Data) > 0 {
			delete(q.unwritten, &log.Data[0])
		}
	}
	q.wake()
}

// land counts an entry as answered, whether it was written or not. It returns false if somebody else answers it.
func (q *queue) land(e *entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.landed {
		return false
	}
	e.landed = true
	delete(q.unwritten, &e.data[0])
	q.entries--
	q.release(len(e.waiters), e.bytes)
	q.wake()
	return true
}

// reject counts requests as answered that never became an entry.
func (q *queue) reject(requests int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release(requests, bytes)
}

func (q *queue) release(requests int, bytes int64) {
	q.requests -= requests
	q.admitted -= bytes
	q.checkDrained()
}

// pause admits only what is forced, or everything again.
func (q *queue) pause(paused bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused = paused
}

// close admits nothing more; drained tells when all is answered.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closing = true
	q.checkDrained()
}

func (q *queue) checkDrained() {
	if !q.closing || q.requests > 0 {
		return
	}
	select {
	case <-q.drained:
	default:
		close(q.drained)
	}
}

// end stops take.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.due.Broadcast()
}

// load returns the unanswered requests, their bytes, and the entries in flight.
func (q *queue) load() (requests int, bytes int64, entries int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.requests, q.admitted, q.entries
}
