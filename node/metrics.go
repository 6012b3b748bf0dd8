package node

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"coffer/cluster"
	"coffer/fsm"
	"coffer/snapshot"
	"coffer/store"
)

// metrics are what this node counts and measures (reliability, section 1.8).
type metrics struct {
	registry *prometheus.Registry

	flushSeconds  prometheus.Histogram
	flushBytes    prometheus.Counter
	storage       *prometheus.HistogramVec
	appendEntries prometheus.Histogram
	sealRequests  prometheus.Histogram
	leaderChanges prometheus.Counter
	refused       *prometheus.CounterVec
	unknown       prometheus.Counter
	truncated     prometheus.Counter
	applied       prometheus.Counter
	rejections    *prometheus.CounterVec
	replays       prometheus.Counter
	panics        *prometheus.CounterVec
	httpSeconds   *prometheus.HistogramVec
	httpInflight  prometheus.Gauge
	forwards      *prometheus.CounterVec
	rebuilt       prometheus.Counter
	backups       prometheus.Gauge
	reads         map[fsm.Level]prometheus.Observer
	rounds        prometheus.Histogram
	comparisons   *prometheus.CounterVec
	transfers     *prometheus.CounterVec
	restoreTime   prometheus.Gauge
}

var fastBuckets = prometheus.ExponentialBuckets(0.00005, 2.5, 14) // 50 µs to about 7 s

func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.flushSeconds = m.histogram("coffer_fsm_commit_seconds", "Time of a flush to state.db, freeze to fsync.", fastBuckets)
	m.flushBytes = m.counter("coffer_fsm_commit_bytes_total", "Bytes of rows and keys flushed to state.db.")
	m.storage = m.histograms("coffer_log_store_seconds", "Time of calls on raft.db.", "call")
	m.appendEntries = m.histogram("coffer_log_batch_entries", "Log entries made durable with one fsync.", prometheus.ExponentialBuckets(1, 2, 8))
	m.sealRequests = m.histogram("coffer_fsm_batch_entries", "Requests sealed into one log entry.", prometheus.ExponentialBuckets(1, 2, 11))
	m.leaderChanges = m.counter("coffer_raft_leader_changes_total", "Times a leader became known.")
	m.refused = m.counters("coffer_rejected_total", "Requests refused before the log.", "reason")
	m.unknown = m.counter("coffer_outcome_unknown_total", "Outcomes that stayed unknown to their caller.")
	m.truncated = m.counter("coffer_raft_truncated_entries_total", "Log entries discarded after a flush.")
	m.applied = m.counter("coffer_fsm_requests_total", "Requests applied to the state.")
	m.rejections = m.counters("coffer_rejections_total", "Business rejections.", "command", "code")
	m.replays = m.counter("coffer_idempotent_replay_total", "Requests answered from the request table.")
	m.panics = m.counters("coffer_command_panics_total", "Command handlers that panicked; nothing was changed.", "command")
	m.httpSeconds = m.histograms("coffer_http_seconds", "Time of API requests.", "route", "code")
	m.httpInflight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "coffer_http_inflight", Help: "API requests being answered."})
	m.forwards = m.counters("coffer_forward_total", "Requests forwarded to the leader.", "result")
	m.rebuilt = m.counter("coffer_raft_rebuilt_total", "Times raft was replaced because a received state contradicted the log.")
	m.backups = prometheus.NewGauge(prometheus.GaugeOpts{Name: "coffer_backup_last_success_timestamp_seconds", Help: "When this node last made a backup."})
	m.restoreTime = prometheus.NewGauge(prometheus.GaugeOpts{Name: "coffer_raft_restore_seconds", Help: "Time of the last received state from its first byte until it was installed; 0 before the first."})
	m.registry.MustRegister(m.backups, m.restoreTime)
	m.rounds = m.histogram("coffer_readindex_round_seconds", "Time of questions to the voters for read indexes, unanswered ones included.", fastBuckets)
	m.comparisons = m.counters("coffer_digest_checks_total", "Digests compared with the leader's.", "result")
	m.transfers = m.counters("coffer_raft_install_snapshot_total", "Whole states sent to peers, or received and installed.", "direction", "result")
	reads := m.histograms("coffer_read_seconds", "Time of reads, from the wait for freshness to the end of the function that reads.", "consistency")
	m.reads = map[fsm.Level]prometheus.Observer{}
	for level, name := range levelNames {
		m.reads[level] = reads.WithLabelValues(name)
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "coffer_build_info", Help: "The program.",
		ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	m.registry.MustRegister(m.httpInflight, info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

func (m *metrics) histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: fastBuckets}, labels)
	m.registry.MustRegister(h)
	return h
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *metrics) flushed(f store.Flushed) {
	m.flushSeconds.Observe(f.Took.Seconds())
	m.flushBytes.Add(float64(f.Bytes))
}

func (m *metrics) machine(diverged func(uint64)) fsm.Observer {
	return fsm.Observer{
		Applied:  func(_, requests int) { m.applied.Add(float64(requests)) },
		Rejected: func(command, code string) { m.rejections.WithLabelValues(command, code).Inc() },
		Replayed: m.replays.Inc,
		Panicked: func(command string) { m.panics.WithLabelValues(command).Inc() },
		Diverged: diverged,
		Compared: func(c fsm.Comparison) { m.comparisons.WithLabelValues(string(c)).Inc() },
	}
}

func (m *metrics) cluster() cluster.Observe {
	return cluster.Observe{
		Storage:   func(call string, took time.Duration) { m.storage.WithLabelValues(call).Observe(took.Seconds()) },
		Append:    func(entries, _ int) { m.appendEntries.Observe(float64(entries)) },
		Seal:      func(requests, _ int) { m.sealRequests.Observe(float64(requests)) },
		Leader:    m.led,
		Refuse:    func(reason error) { m.refused.WithLabelValues(refusalLabel(reason)).Inc() },
		Unknown:   m.unknown.Inc,
		Truncated: func(entries uint64) { m.truncated.Add(float64(entries)) },
		Forward:   func(err error) { m.forwards.WithLabelValues(outcomeLabel(err)).Inc() },
		Rebuilt:   m.rebuilt.Inc,
		Round:     func(took time.Duration, _ error) { m.rounds.Observe(took.Seconds()) },
	}
}

// led counts leaders that become known; that there is none for a while is no
// change of its own.
func (m *metrics) led(id string) {
	if id != "" {
		m.leaderChanges.Inc()
	}
}

// exchange counts how whole states travel.
func (m *metrics) exchange() snapshot.Observe {
	count := func(direction string, err error) {
		result := "ok"
		if err != nil {
			result = "failed"
		}
		m.transfers.WithLabelValues(direction, result).Inc()
	}
	return snapshot.Observe{
		Sent: func(err error) { count("sent", err) },
		Received: func(took time.Duration, err error) {
			count("received", err)
			if err == nil {
				m.restoreTime.Set(took.Seconds())
			}
		},
	}
}

// levelNames are the read levels as clients name them.
var levelNames = map[fsm.Level]string{fsm.Linearizable: "linearizable", fsm.Session: "session", fsm.Stale: "stale"}

// outcomeLabel is the class of an outcome for counters.
func outcomeLabel(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, cluster.ErrUnknown):
		return "unknown"
	}
	return "not_applied"
}

// refusals are the reasons that the log gives, most telling first.
var refusals = []error{
	cluster.ErrTooLarge, cluster.ErrOverloaded, cluster.ErrStopping, cluster.ErrNotLeader, cluster.ErrNotReady, cluster.ErrNoMajority,
	context.DeadlineExceeded, context.Canceled,
}

// refusalLabel is the class of a refusal for counters: a peer's words are none.
func refusalLabel(err error) string {
	for _, known := range refusals {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "other"
}

// watch exports what the node's parts know about themselves at each scrape.
func (m *metrics) watch(n *Node) {
	gauge := func(name, help string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	gauge("coffer_raft_term", "Current term.", func() float64 { return float64(n.cluster.Status().Term) })
	gauge("coffer_raft_commit_index", "Highest entry known to be on a quorum.", func() float64 { return float64(n.cluster.Status().Commit) })
	gauge("coffer_raft_applied_index", "Last entry that views show.", func() float64 { return float64(n.machine.Applied()) })
	gauge("coffer_raft_fsm_queue", "Batches of entries that wait to be applied.", func() float64 { return float64(n.cluster.Status().Batches) })
	gauge("coffer_raft_log_bytes", "Bytes of entries in raft.db.", func() float64 { return float64(n.cluster.Status().LogBytes) })
	gauge("coffer_fsm_unflushed_bytes", "Bytes applied but not yet in state.db.", func() float64 { return float64(n.db.Unflushed()) })
	gauge("coffer_fsm_flushed_index", "Entry that state.db holds the state of.", func() float64 { return float64(n.db.Durable()) })
	gauge("coffer_disk_free_bytes", "Room left where the data directory lies.", func() float64 { return float64(n.disk.free()) })
	gauge("coffer_raft_state", "0 follower, 1 candidate, 2 leader, 3 shut down.", func() float64 { return stateNumber[n.cluster.Status().State] })
	for _, r := range n.reloadables {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "coffer_cert_expiry_seconds", Help: "Time until a certificate of this node ends.", ConstLabels: prometheus.Labels{"role": r.what},
		}, func() float64 { return time.Until(r.expires()).Seconds() }))
	}
	for _, kind := range []string{fsm.Diverged, fsm.NoSpace, fsm.ClockSkew, fsm.RolledBack} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "coffer_alarm", Help: "Nodes for which an alarm is raised.", ConstLabels: prometheus.Labels{"type": kind},
		}, func() float64 { return n.raised(kind) }))
	}
	gauge("coffer_sm_version", "State-machine version in force.", func() float64 {
		v := n.db.Latest()
		defer v.Close()
		return float64(v.Applied().Version)
	})
	m.watchPeers(n)
	m.watchLog(n)
	m.watchFiles(n)
	m.watchBooks(n)
	gauge("coffer_settings_disagreement", "Settings that this node's environment wants otherwise.", func() float64 {
		v := n.db.Latest()
		defer v.Close()
		return float64(len(n.wishes(v)))
	})
}

func (m *metrics) answered(route string, status int, took time.Duration) {
	m.httpInflight.Dec()
	m.httpSeconds.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

var stateNumber = map[string]float64{"Follower": 0, "Candidate": 1, "Leader": 2, "Shutdown": 3}

// raised counts the nodes with an alarm of a kind.
func (n *Node) raised(kind string) (count float64) {
	for _, alarm := range n.alarms() {
		if alarm.Kind == kind {
			count++
		}
	}
	return count
}
