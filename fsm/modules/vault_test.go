package modules_test

import (
	"coffer/fsm"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/store"
)

// No command of the product reserves money yet: these do, on wallets, as cards
// and payouts will.
type reserve struct {
	Account   store.ID      `cbor:"1,keyasint"`
	Amount    ledger.Amount `cbor:"2,keyasint"`
	ExpiresAt store.Time    `cbor:"3,keyasint,omitempty"`
}

type capture struct {
	ID     store.ID      `cbor:"1,keyasint"`
	Amount ledger.Amount `cbor:"2,keyasint,omitempty"`
}

var (
	holdRejections = fsm.Rejections{ledger.ErrInsufficient, ledger.ErrNoHold, ledger.ErrNotHeld}

	reserveSum = fsm.Command[reserve, ledger.Hold]{Name: "vault.reserve/1", Rejects: holdRejections}
	captureSum = fsm.Command[capture, ledger.Hold]{Name: "vault.capture/1", Rejects: holdRejections}
	releaseSum = fsm.Command[capture, ledger.Hold]{Name: "vault.release/1", Rejects: holdRejections}
)

// domains are those of the product and the vault.
func domains() []fsm.Module {
	return append(modules.All(), fsm.Module{Name: "vault", Commands: []fsm.Handler{
		fsm.Handle(reserveSum, func(ctx *fsm.Context, c reserve) (ledger.Hold, error) {
			return ledger.Reserve(ctx, c.Account, c.Amount, "test", c.ExpiresAt)
		}),
		fsm.Handle(releaseSum, func(ctx *fsm.Context, c capture) (ledger.Hold, error) { return ledger.Release(ctx, c.ID) }),
		fsm.Handle(captureSum, func(ctx *fsm.Context, c capture) (ledger.Hold, error) {
			held, _ := ledger.HoldOf(ctx, c.ID)
			account, _ := ledger.Get(ctx, held.Account)
			h, _, err := ledger.Capture(ctx, c.ID, &ledger.Transaction{
				Module: "vault", Kind: "withdrawal", Currency: account.Currency, Amount: int64(c.Amount), From: "vault", To: "external:payout",
				Postings: []ledger.Posting{{Debit: held.Account, Credit: ledger.System(ledger.Payout, account.Currency), Amount: c.Amount}},
			})
			return h, err
		}),
	}})
}
