package wallet

import (
	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/outbox"
	"coffer/fsm/settings"
	"coffer/store"
)

// Close is the input of CloseWallet.
type Close struct {
	ID store.ID `cbor:"1,keyasint"`
}

// CloseWallet ends an empty wallet for good. If it was primary, the oldest
// active one of its currency takes its place.
var CloseWallet = fsm.Command[Close, fsm.Nothing]{
	Name:    "wallet.close/1",
	Rejects: fsm.Rejections{ErrNotFound, ErrAlreadyClosed, ErrIsFrozen, ErrNotEmpty, identity.ErrAuthRequired},
}

func closeWallet(ctx *fsm.Context, c Close) (fsm.Nothing, error) {
	owner, err := user(ctx)
	if err != nil {
		return fsm.Nothing{}, err
	}
	w, ok := Owned(ctx, owner, c.ID)
	if !ok {
		return fsm.Nothing{}, ErrNotFound
	}
	if w.Status == Closed {
		return fsm.Nothing{}, ErrAlreadyClosed
	}
	if w.Status == Frozen {
		return fsm.Nothing{}, ErrIsFrozen
	}
	if !empty(ctx, w.ID) {
		return fsm.Nothing{}, ErrNotEmpty
	}
	shut(ctx, w)
	identity.Audit(ctx, identity.QPayNetTrail, owner, "wallet_closed", fsm.Text("walletId", string(w.ID)))
	return fsm.Nothing{}, nil
}

func empty(ctx *fsm.Context, id store.ID) bool {
	a, _ := ledger.Get(ctx, id)
	return a.Balance() == 0 && a.Pending == 0
}

// shut closes a wallet and passes its place as primary on.
func shut(ctx *fsm.Context, w Wallet) {
	delta := Stats{}
	if w.Status == Active {
		delta.Active = -1
	}
	wasPrimary := w.Primary
	w.Status, w.Primary = Closed, false
	wallets.Put(ctx, w)
	count(ctx, delta)
	if wasPrimary {
		promoteOldest(ctx, w.Owner, w.Currency)
	}
}

func promoteOldest(ctx *fsm.Context, owner store.ID, currency string) {
	var oldest Wallet
	for _, w := range ByOwner(ctx, owner, nil) {
		if w.Currency == currency && w.Status == Active {
			oldest = w // they come newest first
		}
	}
	if oldest.ID != "" {
		oldest.Primary = true
		wallets.Put(ctx, oldest)
	}
}

// Freeze is the input of FreezeWallet and UnfreezeWallet.
type Freeze struct {
	ID     store.ID `cbor:"1,keyasint"`
	Reason string   `cbor:"2,keyasint"`
}

// FreezeWallet stops every debit and credit of a wallet. Only administrators of
// QPayNet may.
var FreezeWallet = fsm.Command[Freeze, fsm.Nothing]{
	Name: "wallet.freeze/1", Rejects: fsm.Rejections{identity.ErrNotAdmin, ErrNotActive},
}

func freeze(ctx *fsm.Context, c Freeze) (fsm.Nothing, error) {
	w, err := administered(ctx, c.ID, Active, ErrNotActive)
	if err != nil {
		return fsm.Nothing{}, err
	}
	w.Status, w.FrozenReason = Frozen, c.Reason
	wallets.Put(ctx, w)
	count(ctx, Stats{Active: -1})
	tell(ctx, w, "wallet_frozen", "wallet.frozen", c.Reason)
	return fsm.Nothing{}, nil
}

// UnfreezeWallet makes a frozen wallet active again.
var UnfreezeWallet = fsm.Command[Freeze, fsm.Nothing]{
	Name: "wallet.unfreeze/1", Rejects: fsm.Rejections{identity.ErrNotAdmin, ErrNotFrozen},
}

func unfreeze(ctx *fsm.Context, c Freeze) (fsm.Nothing, error) {
	w, err := administered(ctx, c.ID, Frozen, ErrNotFrozen)
	if err != nil {
		return fsm.Nothing{}, err
	}
	w.Status, w.FrozenReason = Active, ""
	if _, has := Primary(ctx, w.Owner, w.Currency); !has {
		w.Primary = true
	}
	wallets.Put(ctx, w)
	count(ctx, Stats{Active: 1})
	tell(ctx, w, "wallet_unfrozen", "wallet.unfrozen", c.Reason)
	return fsm.Nothing{}, nil
}

// administered returns a wallet in the wanted state to an administrator.
func administered(ctx *fsm.Context, id store.ID, status Status, otherwise *fsm.Rejection) (Wallet, error) {
	if !identity.IsAdmin(ctx, ctx.Actor, settings.QPayNetAdmins) {
		return Wallet{}, identity.ErrNotAdmin
	}
	w, ok := wallets.Get(ctx, id)
	if !ok || w.Status != status {
		return Wallet{}, otherwise
	}
	return w, nil
}

func tell(ctx *fsm.Context, w Wallet, action, event, reason string) {
	details := []fsm.Detail{fsm.Text("walletId", string(w.ID)), fsm.Text("status", string(w.Status)), fsm.Text("reason", reason)}
	identity.Audit(ctx, identity.QPayNetTrail, w.Owner, action, details...)
	outbox.Emit(ctx, outbox.Event{Kind: event, Users: []store.ID{w.Owner}, Facts: details})
}

// ownerDeleted closes a deleted user's empty wallets and freezes the others.
func ownerDeleted(ctx *fsm.Context, owner store.ID) error {
	var open []Wallet
	for _, w := range ByOwner(ctx, owner, nil) {
		if w.Status != Closed {
			open = append(open, w)
		}
	}
	for _, w := range open {
		w, _ = wallets.Get(ctx, w.ID) // it may have become primary meanwhile
		if empty(ctx, w.ID) {
			shut(ctx, w)
			continue
		}
		if w.Status == Active {
			count(ctx, Stats{Active: -1})
		}
		w.Status, w.FrozenReason = Frozen, "account_deleted"
		wallets.Put(ctx, w)
	}
	return nil
}
