package node

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"coffer/fsm/ledger"
	"coffer/store"
)

const (
	// booksEvery is the shortest pause between two looks at all accounts.
	booksEvery = 5 * time.Minute
	// booksShare makes the pause so many times as long as a look takes.
	booksShare = 50
)

// watchBooks adds up all accounts at the start and every few minutes, until the
// node stops. It reads views like anybody and changes nothing.
func (n *Node) watchBooks() {
	for {
		began := time.Now()
		n.addUpBooks()
		timer := time.NewTimer(max(booksEvery, booksShare*time.Since(began)))
		select {
		case <-n.stopping:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// addUpBooks keeps the result for metrics. Damage that it meets ends the node,
// as it does wherever it is found.
func (n *Node) addUpBooks() {
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case store.Corruption:
			n.fatal(fmt.Errorf("add up the books: %w", fault))
		default:
			panic(fault)
		}
	}()
	v := n.db.Latest()
	defer v.Close()
	sum, complete := ledger.Imbalance(v, n.running)
	if !complete {
		return
	}
	if sum != 0 {
		n.logger.Error("debits and credits differ", "index", v.Index(), "difference", int64(sum))
	}
	n.imbalance.Store(&sum)
}

// running tells that nobody has asked the node to stop.
func (n *Node) running() bool {
	select {
	case <-n.stopping:
		return false
	default:
		return true
	}
}

// watchBooks exports the last result, once there is one.
func (m *metrics) watchBooks(n *Node) {
	imbalance := describe("coffer_conservation_error", "Minor units by which debits and credits differ, over all currencies, at the last look. Must be 0.")
	m.registry.MustRegister(&known{[]*prometheus.Desc{imbalance}, func(export exporter) {
		if sum := n.imbalance.Load(); sum != nil {
			export(imbalance, float64(*sum))
		}
	}})
}
