package wallet

import (
	"slices"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/outbox"
	"coffer/fsm/settings"
	"coffer/store"
)

// Open is the input of OpenWallet.
type Open struct {
	Currency string `cbor:"1,keyasint"`           // upper case
	Name     string `cbor:"2,keyasint,omitempty"` // empty for the primary wallet
	Metadata string `cbor:"3,keyasint,omitempty"`
}

// OpenWallet opens a wallet for the acting user. Without a name it is the
// primary one of its currency, and there is only one.
var OpenWallet = fsm.Command[Open, Wallet]{
	Name: "wallet.open/1", Rejects: fsm.Rejections{ErrExists, ErrBadCurrency, identity.ErrAuthRequired},
}

func open(ctx *fsm.Context, c Open) (Wallet, error) {
	owner, err := user(ctx)
	if err != nil {
		return Wallet{}, err
	}
	if !slices.Contains(settings.Currencies.Of(ctx), c.Currency) {
		return Wallet{}, ErrBadCurrency
	}
	primary, has := Primary(ctx, owner, c.Currency)
	if has && c.Name == "" {
		return Wallet{}, ErrExists.With(fsm.Text("walletId", string(primary.ID)))
	}
	w := Wallet{
		ID: ctx.NewID("wal"), Owner: owner, Currency: c.Currency, Name: c.Name, Status: Active,
		Primary: !has, Metadata: c.Metadata, CreatedAt: ctx.Now,
	}
	if w.Name == "" {
		w.Name = c.Currency + " wallet"
	}
	wallets.Put(ctx, w)
	ledger.Open(ctx, ledger.Account{ID: w.ID, Code: ledger.Customer, Currency: w.Currency,
		Kind: ledger.Liability, Owner: owner, Flags: ledger.NoOverdraft})
	count(ctx, Stats{Active: 1, Total: 1})
	identity.Audit(ctx, identity.QPayNetTrail, owner, "wallet_created", fsm.Text("walletId", string(w.ID)))
	outbox.Emit(ctx, outbox.Event{Kind: "wallet.opened", Users: []store.ID{owner}, Facts: []fsm.Detail{fsm.Text("walletId", string(w.ID))}})
	return w, nil
}

// Update is the input of UpdateWallet; what is not set stays.
type Update struct {
	ID          store.ID `cbor:"1,keyasint"`
	Name        string   `cbor:"2,keyasint,omitempty"`
	SetMetadata bool     `cbor:"3,keyasint,omitempty"`
	Metadata    string   `cbor:"4,keyasint,omitempty"` // empty clears
	SetCharges  bool     `cbor:"5,keyasint,omitempty"`
	DenyCharges bool     `cbor:"6,keyasint,omitempty"`
}

// Updated is a wallet as it stands after a change.
type Updated struct {
	Wallet  Wallet        `cbor:"1,keyasint"`
	Balance ledger.Amount `cbor:"2,keyasint"`
}

// UpdateWallet changes what the owner may decide.
var UpdateWallet = fsm.Command[Update, Updated]{
	Name: "wallet.update/1", Rejects: fsm.Rejections{ErrNotFound, identity.ErrAuthRequired},
}

func update(ctx *fsm.Context, c Update) (Updated, error) {
	owner, err := user(ctx)
	if err != nil {
		return Updated{}, err
	}
	w, ok := Owned(ctx, owner, c.ID)
	if !ok {
		return Updated{}, ErrNotFound
	}
	if c.Name != "" {
		w.Name = c.Name
	}
	if c.SetMetadata {
		w.Metadata = c.Metadata
	}
	if c.SetCharges {
		w.DenyCharges = c.DenyCharges
	}
	wallets.Put(ctx, w)
	identity.Audit(ctx, identity.QPayNetTrail, owner, "wallet_updated", fsm.Text("walletId", string(w.ID)))
	return Updated{Wallet: w, Balance: Balance(ctx, w.ID)}, nil
}
