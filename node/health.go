package node

import (
	"context"
	"fmt"
	"time"

	"coffer/fsm"
)

// Reasons lists why this node is not ready to serve; empty means ready.
func (n *Node) Reasons() []string {
	reasons := n.impediments()
	for _, alarm := range n.alarms() {
		// What ails another node alone does not stop this one.
		everybody := alarm.Kind == fsm.NoSpace || alarm.Kind == fsm.Diverged
		if everybody || alarm.Node == n.dir.Identity.NodeID {
			reasons = append(reasons, fmt.Sprintf("alarm %s of %s", alarm.Kind, alarm.Node))
		}
	}
	return reasons
}

// impediments are the reasons that end by themselves or never; an alarm is ended
// by an operator, who needs a running node for it.
func (n *Node) impediments() []string {
	var reasons []string
	add := func(bad bool, format string, values ...any) {
		if bad {
			reasons = append(reasons, fmt.Sprintf(format, values...))
		}
	}
	add(n.draining.Load(), "draining")
	if err := n.broken.Load(); err != nil {
		add(true, "stopped: %v", *err)
	}
	if err := n.machine.Err(); err != nil {
		add(true, "state machine halted: %v", err)
	}
	status := n.cluster.Status()
	add(status.Leader == "", "no leader")
	add(status.State == "Leader" && !n.prepared.Load(), "this leader has not begun its term")
	return reasons
}

func (n *Node) alarms() []fsm.Alarm {
	v := n.db.Latest()
	defer v.Close()
	return fsm.Alarms(v)
}

// startLimit is how long a node may take to become ready.
const startLimit = 2 * time.Minute

// awaitReady waits until nothing but alarms speaks against serving. Without a limit it waits
// as long as the context lasts.
func (n *Node) awaitReady(ctx context.Context, limit time.Duration) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("not ready after %v", limit))
		defer cancel()
	}
	signal, stop := n.machine.Watch()
	defer stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		reasons := n.impediments()
		if len(reasons) == 0 {
			return nil
		}
		if err := n.broken.Load(); err != nil {
			return *err
		}
		select {
		case <-signal:
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %v", context.Cause(ctx), reasons)
		}
	}
}

// summary is the configuration as it is logged: without secrets.
func (c *Config) summary() map[string]any {
	return map[string]any{
		"mode": c.Mode, "dataDir": c.DataDir, "httpAddr": c.HTTPAddr, "tls": c.TLSCert != "",
		"flushBytes": c.FlushBytes, "flushInterval": c.FlushEvery.String(), "logBudget": c.LogBudget,
		"maxMemory": c.MaxMemory, "encryption": c.Secrets.Encryption != "", "ztideKey": c.Secrets.ZTideKey != "",
	}
}

// epoch is the epoch of index tokens.
func (n *Node) epoch() uint32 {
	v := n.db.Latest()
	defer v.Close()
	return max(1, v.Applied().Epoch)
}
