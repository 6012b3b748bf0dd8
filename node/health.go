package node

import (
	"context"
	"fmt"
	"time"

	"coffer/fsm"
	coffer "coffer/http"
)

// Reasons lists why this node is not ready for a role; empty means ready.
func (n *Node) Reasons(role coffer.Role) []string {
	v := n.vitals()
	v.alarms = n.alarms()
	return v.reasons(role)
}

// impediments are the reasons that end by themselves or never. An alarm is ended
// by an operator, who needs a running node for it, and so is a wrong clock.
func (n *Node) impediments() []string {
	v := n.vitals()
	v.clock = 0
	return v.reasons(coffer.RoleAny)
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
		"maxConnections": c.Connections, "maxMemory": c.MaxMemory, "encryption": c.Secrets.Encryption != "", "ztideKey": c.Secrets.ZTideKey != "",
	}
}

// epoch is the epoch of index tokens.
func (n *Node) epoch() uint32 {
	v := n.db.Latest()
	defer v.Close()
	return max(1, v.Applied().Epoch)
}
