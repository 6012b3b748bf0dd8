package bench

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// sample records the highest anonymous memory until the process ends.
func (p *process) sample() {
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.look()
		case <-p.exited:
			return
		}
	}
}

func (p *process) look() {
	now := anonymousMemory(p.command.Process.Pid)
	for {
		peak := p.peak.Load()
		if now <= peak || p.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}

// takePeak returns the highest sample since the last call, this moment's included.
func (p *process) takePeak() int64 {
	p.look()
	return p.peak.Swap(0)
}

// anonymousMemory reads RssAnon of a process in bytes; zero where the kernel
// does not tell.
func anonymousMemory(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	kilobytes, _ := numberAfter(status, "RssAnon:")
	return kilobytes << 10
}

// cpuTimes are processor seconds used so far, zero where unknown.
type cpuTimes struct {
	own, server float64
}

func cpuTimesOf(server []*process) cpuTimes {
	times := cpuTimes{own: cpuSeconds("self")}
	for _, p := range server {
		times.server += cpuSeconds(strconv.Itoa(p.command.Process.Pid))
	}
	return times
}

// ticksPerSecond is the unit of processor times in /proc, fixed on Linux.
const ticksPerSecond = 100

// cpuSeconds reads user and system time of a process: fields 14 and 15 of its
// stat line, counted after the name in parentheses.
func cpuSeconds(pid string) float64 {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(string(fields[11]), 10, 64)
	system, _ := strconv.ParseInt(string(fields[12]), 10, 64)
	return float64(user+system) / ticksPerSecond
}
