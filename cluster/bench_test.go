package cluster

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
)

// trivialMachine answers every request with the same byte.
type trivialMachine struct {
	testMachine
	outcomes [][]byte
}

func newTrivialMachine() *trivialMachine {
	m := &trivialMachine{outcomes: make([][]byte, maxEntryRequests)}
	for i := range m.outcomes {
		m.outcomes[i] = []byte{1}
	}
	m.file = &stateFile{}
	return m
}

func (m *trivialMachine) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	for i, log := range logs {
		if log.Type == raft.LogCommand {
			responses[i] = m.outcomes[:binary.BigEndian.Uint32(log.Data)]
		}
		m.visible.Store(log.Index)
	}
	return responses
}

// sealTrivial makes an entry of a count and the requests.
func sealTrivial(requests [][]byte) ([]byte, error) {
	size := 8
	for _, request := range requests {
		size += len(request)
	}
	data := binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(len(requests)))
	for _, request := range requests {
		data = append(data, request...)
	}
	return binary.BigEndian.AppendUint32(data, crc32.Checksum(data, castagnoli)), nil
}

func benchmarkNode(b *testing.B, observe Observe) *Cluster {
	b.Helper()
	machine := newTrivialMachine()
	cfg := testConfig(b.TempDir())
	cfg.Applied = machine.visible.Load
	cfg.Fatal = func(err error) { b.Error(err) }
	cfg.Observe = observe
	c, err := Open(cfg, machine, testSnapshots{machine.file}, sealTrivial)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	if err := c.WaitReady(b.Context()); err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkPropose measures durable proposals: clients that each wait for their outcome, in a real raft.db.
func BenchmarkPropose(b *testing.B) {
	for _, load := range []struct{ clients, bytes int }{{1, 300}, {16, 300}, {64, 300}, {256, 300}, {4, 1 << 20}} {
		b.Run(fmt.Sprintf("clients=%d/bytes=%d", load.clients, load.bytes), func(b *testing.B) {
			var entries atomic.Int64
			c := benchmarkNode(b, Observe{Seal: func(int, int) { entries.Add(1) }})
			request := make([]byte, load.bytes)
			b.SetBytes(int64(load.bytes))
			b.ReportAllocs()
			b.ResetTimer()
			entries.Store(0)
			runClients(load.clients, b.N, func() {
				if _, err := c.Propose(b.Context(), request); err != nil {
					b.Error(err)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proposals/s")
			b.ReportMetric(float64(entries.Load())/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// runClients spreads n calls over goroutines.
func runClients(clients, n int, call func()) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for next.Add(1) <= int64(n) {
				call()
			}
		})
	}
	group.Wait()
}

// BenchmarkReadIndex measures the read index of a sole voter.
func BenchmarkReadIndex(b *testing.B) {
	c := benchmarkNode(b, Observe{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.ReadIndex(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInspect measures what the check of a raft.db of 65536 entries adds to a start.
func BenchmarkInspect(b *testing.B) {
	dir := b.TempDir()
	f := newFailure(func(err error) { b.Error(err) })
	files, err := openStorage(benchmarkConfig(dir), testSnapshots{&stateFile{}}, f, seams{})
	if err != nil {
		b.Fatal(err)
	}
	const count = 65536
	for first := uint64(1); first <= count; first += 1024 {
		if err := files.logs.StoreLogs(testLogs(first, 1024, 1, 2000)); err != nil {
			b.Fatal(err)
		}
	}
	if err := files.close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		held, _, err := inspectFile(dir + "/" + fileName)
		if err != nil || held.last() != count {
			b.Fatal(held.last(), err)
		}
	}
}

func benchmarkConfig(dir string) Config {
	cfg := testConfig(dir)
	cfg.Bootstrap = false
	cfg.Observe = cfg.Observe.complete()
	return cfg
}

// testLogs makes command entries with valid checksums.
func testLogs(first uint64, count int, term uint64, size int) []*raft.Log {
	logs := make([]*raft.Log, count)
	for i := range logs {
		request := fmt.Appendf(nil, "request %d", first+uint64(i))
		if size > len(request) {
			request = append(request, make([]byte, size-len(request))...)
		}
		data, _ := sealTest([][]byte{request})
		logs[i] = &raft.Log{Index: first + uint64(i), Term: term, Type: raft.LogCommand, Data: data}
	}
	return logs
}

// BenchmarkGroup measures proposals at every node of a cluster of three, whose files are on one disk.
func BenchmarkGroup(b *testing.B) {
	g := newGroup(b, 3, nil)
	request := make([]byte, 300)
	for i := range request {
		request[i] = 'x'
	}
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := g.members[i%3].Propose(b.Context(), request); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
