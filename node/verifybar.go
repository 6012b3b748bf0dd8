package node

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// bar shows progress on a terminal and nothing anywhere else. It moves also
// while a check has nothing to tell: the seconds run.
type bar struct {
	out  *os.File
	stop chan struct{}
	done sync.WaitGroup

	mu          sync.Mutex
	check       string
	count, all  uint64
	began, last time.Time // of the check, of the latest line
}

func newBar(out *os.File) *bar {
	if out == nil {
		return &bar{}
	}
	info, err := out.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &bar{}
	}
	b := &bar{out: out, stop: make(chan struct{})}
	b.done.Go(b.run)
	return b
}

const (
	barWidth = 40
	barStep  = 100 * time.Millisecond // between two lines
	barLine  = "\r\033[K"             // back to an empty line
)

func (b *bar) run() {
	ticker := time.NewTicker(barStep)
	defer ticker.Stop()
	for {
		select {
		case <-b.stop:
			return
		case now := <-ticker.C:
			b.mu.Lock()
			b.draw(now)
			b.mu.Unlock()
		}
	}
}

// show takes the latest numbers of a check; it draws a new check, and its end, at once.
func (b *bar) show(check string, count, all uint64) {
	if b.out == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	fresh := check != b.check
	if fresh {
		b.began = now
	}
	b.check, b.count, b.all = check, count, all
	if fresh || count == all || now.Sub(b.last) >= barStep {
		b.draw(now)
	}
}

// draw writes the line anew. A terminal that does not take it stops nothing.
func (b *bar) draw(now time.Time) {
	if b.check == "" {
		return
	}
	b.last = now
	_, _ = fmt.Fprint(b.out, barLine+b.line(now.Sub(b.began)))
}

func (b *bar) line(took time.Duration) string {
	if b.all == 0 {
		return fmt.Sprintf("%-11s %12d %9.1f s", b.check, b.count, took.Seconds())
	}
	share := float64(min(b.count, b.all)) / float64(b.all)
	filled := int(share * barWidth)
	return fmt.Sprintf("%-11s [%s%s] %3.0f%% of %d %9.1f s", b.check,
		strings.Repeat("#", filled), strings.Repeat(" ", barWidth-filled), 100*share, b.all, took.Seconds())
}

func (b *bar) clear() {
	if b.out == nil {
		return
	}
	close(b.stop)
	b.done.Wait()
	_, _ = fmt.Fprint(b.out, barLine)
}
