package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// pipeline ends with the first answer that is no success, as raft's decoder does.
//
// Raft's own pipeline lives on: the next answer then waits for a decoder that has gone, the send behind it waits for
// that answer, and the goroutine that replicates to this peer hangs for good, and with it raft's shutdown.
type pipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	closed  chan struct{}
	ending  sync.Once
}

func newPipeline(inner raft.AppendPipeline) *pipeline {
	p := &pipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture), closed: make(chan struct{})}
	go p.deliver()
	return p
}

// deliver hands answers on. Behind the last one every send fails at once.
func (p *pipeline) deliver() {
	for {
		var answered raft.AppendFuture
		select {
		case answered = <-p.AppendPipeline.Consumer():
		case <-p.closed:
			return
		}
		last := !answered.Response().Success || answered.Response().Term > answered.Request().Term
		select {
		case p.answers <- answered:
		case <-p.closed:
			return
		}
		if last {
			p.AppendPipeline.Close() // raft closes it again and hears of its error
			return
		}
	}
}

// Consumer returns the answers in the order of the calls.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close ends the pipeline and whoever waits for it.
func (p *pipeline) Close() error {
	p.ending.Do(func() { close(p.closed) })
	return p.AppendPipeline.Close()
}
