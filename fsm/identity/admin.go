package identity

import (
	"coffer/fsm"
	"coffer/fsm/settings"
	"coffer/store"
)

// IsAdmin tells whether an actor's e-mail stands on an allow-list. Where the
// settings ask for it, the e-mail must also be verified.
func IsAdmin(r store.Reader, who fsm.Actor, list settings.Words) bool {
	if who.Kind != fsm.User {
		return false
	}
	u, ok := Active(r, store.ID(who.ID))
	if !ok || !list.Has(r, u.Email) {
		return false
	}
	return u.VerifiedAt != 0 || !settings.AdminIsVerified.Of(r)
}
