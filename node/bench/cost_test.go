package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// countingStream sends real requests to a server that knows no transfers.
type countingStream struct{ *transferStream }

func (countingStream) accept([]byte) (int64, error) { return 1, nil }

// BenchmarkGenerator measures what one request costs the client, against a
// server in another process that does nothing: processor microseconds per
// request, beside a client of net/http doing the same.
func BenchmarkGenerator(b *testing.B) {
	address := startTrivial(b)
	bank := &bank{address: address, note: func(string, ...any) {}, tokens: []string{strings.Repeat("t", 300), strings.Repeat("u", 300)}}
	for i := range 1000 {
		bank.wallets = append(bank.wallets, fmt.Sprintf("wal_%032x", i))
	}
	b.Run("raw", func(b *testing.B) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		m, err := bank.load(b.Context(), phase{name: "raw", clients: 64, limit: int64(b.N)}, func() stream {
			return countingStream{newTransferStream(bank).(*transferStream)}
		})
		if err != nil || m.Refused > 0 {
			b.Fatalf("%d refused, %v", m.Refused, err)
		}
		b.ReportMetric(m.ClientMicrosPerRequest, "cpu-us/op")
		b.ReportMetric(m.PerSecond, "requests/s")
	})
	b.Run("net-http", func(b *testing.B) {
		before, started := cpuSeconds("self"), time.Now()
		sendWithStandardClient(b, address, bank)
		b.ReportMetric((cpuSeconds("self")-before)*1e6/float64(b.N), "cpu-us/op")
		b.ReportMetric(float64(b.N)/time.Since(started).Seconds(), "requests/s")
	})
}

func sendWithStandardClient(b *testing.B, address string, bank *bank) {
	const clients = 64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	body := string(appendOneTransfer(bank))
	var workers sync.WaitGroup
	for i := range clients {
		workers.Go(func() {
			for n := i; n < b.N; n += clients {
				request, err := http.NewRequest("POST", "http://"+address+"/api/qpaynet/transfer", strings.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				request.Header.Set("Authorization", "Bearer "+bank.tokens[0])
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Idempotency-Key", fmt.Sprintf("%032x", n))
				answer, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 {
					b.Error(answer.Status, err)
				}
				answer.Body.Close()
			}
		})
	}
	workers.Wait()
}

func appendOneTransfer(bank *bank) []byte {
	body, slots := appendTransfer(nil, len(bank.wallets[0]))
	slots.put(body, transfer{from: bank.wallets[0], to: bank.wallets[1], amount: 500})
	return body
}

// startTrivial runs trivialHandler in a process of its own.
func startTrivial(b *testing.B) string {
	address, err := freeAddress()
	if err != nil {
		b.Fatal(err)
	}
	executable, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, executable, "trivial", address)
	command.SysProcAttr = childAttributes(nil)
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cancel(); _ = command.Wait() })
	c := newConnection(address)
	defer c.close()
	request := newRequest(address, call{method: "GET", path: "/"}, nil)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := c.exchange(request); err == nil {
			return address
		} else if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
}
