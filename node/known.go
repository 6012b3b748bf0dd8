package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"coffer/cluster"
)

// known exports values at each scrape as far as they are known then: a missing
// value tells more than a zero.
type known struct {
	names []*prometheus.Desc
	read  func(exporter)
}

// exporter takes one value with the labels of its name.
type exporter func(name *prometheus.Desc, value float64, labels ...string)

// Describe lists every name, whether it has a value or not.
func (k *known) Describe(names chan<- *prometheus.Desc) {
	for _, name := range k.names {
		names <- name
	}
}

// Collect reads the values.
func (k *known) Collect(values chan<- prometheus.Metric) {
	k.read(func(name *prometheus.Desc, value float64, labels ...string) {
		values <- prometheus.MustNewConstMetric(name, prometheus.GaugeValue, value, labels...)
	})
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// watchLog exports what raft and its log say about themselves.
func (m *metrics) watchLog(n *Node) {
	age := describe("coffer_raft_oldest_log_age_seconds", "Age of the oldest entry in raft.db: a follower away for longer needs the whole state.")
	main := describe("coffer_raft_main_saturation", "Share of its time that raft's main goroutine works, as it said last; all nodes of a process share it.")
	machine := describe("coffer_raft_fsm_saturation", "Share of its time that the goroutine which applies entries works, as it said last; all nodes of a process share it.")
	m.registry.MustRegister(&known{[]*prometheus.Desc{age, main, machine}, func(export exporter) {
		if appended, ok := n.cluster.OldestEntry(); ok {
			export(age, time.Since(appended).Seconds())
		}
		busy := cluster.Saturations()
		if busy.Main != nil {
			export(main, *busy.Main)
		}
		if busy.Machine != nil {
			export(machine, *busy.Machine)
		}
	}})
}

// watchFiles exports how the two database files are used.
func (m *metrics) watchFiles(n *Node) {
	size := describe("coffer_bbolt_file_bytes", "Size of a database file.", "db")
	free := describe("coffer_bbolt_free_bytes", "Bytes of pages in a database file that hold nothing current.", "db")
	list := describe("coffer_bbolt_freelist_bytes", "Bytes of the list of free pages; that of raft.db is in memory only.", "db")
	reads := describe("coffer_bbolt_open_read_tx", "Open read transactions; state.db keeps one itself.", "db")
	oldest := describe("coffer_bbolt_oldest_read_tx_seconds", "How long a reader has kept pages that a flush has replaced; 0 without one.", "db")
	m.registry.MustRegister(&known{[]*prometheus.Desc{size, free, list, reads, oldest}, func(export exporter) {
		if s, err := n.db.FileStats(); err != nil {
			n.logger.Warn("state.db is not measured", "err", err)
		} else {
			export(size, float64(s.Bytes), "state")
			export(free, float64(s.Free), "state")
			export(list, float64(s.Freelist), "state")
			export(reads, float64(s.Reads), "state")
			export(oldest, s.Oldest.Seconds(), "state")
		}
		if s, err := n.cluster.FileStats(); err != nil {
			n.logger.Warn("raft.db is not measured", "err", err)
		} else {
			export(size, float64(s.Bytes), "raft")
			export(free, float64(s.Free), "raft")
			export(list, float64(s.Freelist), "raft")
			export(reads, float64(s.Reads), "raft")
		}
	}})
}
