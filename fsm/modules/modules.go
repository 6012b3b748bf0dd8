// Package modules is the one list of all domains.
package modules

import (
	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/limits"
	"coffer/fsm/outbox"
	"coffer/fsm/reputation"
	"coffer/fsm/settings"
	"coffer/fsm/wallet"
	"coffer/store"
)

// All lists every domain, core domains first, in the order in which hooks run.
func All() []fsm.Module {
	return []fsm.Module{
		settings.Module(),
		identity.Module(),
		limits.Module(),
		outbox.Module(),
		reputation.Module(),
		ledger.Module(),
		wallet.Module(),
	}
}

// Retention is how long request ids are remembered, in microseconds.
func Retention(r store.Reader) int64 { return settings.RequestKeep.Of(r) }
