package ledger_test

import (
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/ledger"
	"coffer/store"
)

// The vault is a domain that does to the ledger whatever a test wants.
type post struct {
	Currency string `cbor:"1,keyasint"`
	Postings []leg  `cbor:"2,keyasint"`
	Memo     string `cbor:"3,keyasint,omitempty"`
}

type leg struct {
	Debit  store.ID      `cbor:"1,keyasint"`
	Credit store.ID      `cbor:"2,keyasint"`
	Amount ledger.Amount `cbor:"3,keyasint"`
}

type posted struct {
	Height uint64   `cbor:"1,keyasint"`
	IDs    []string `cbor:"2,keyasint"`
	Entry  string   `cbor:"3,keyasint"`
}

type reserve struct {
	Account   store.ID      `cbor:"1,keyasint"`
	Amount    ledger.Amount `cbor:"2,keyasint"`
	ExpiresAt store.Time    `cbor:"3,keyasint,omitempty"`
}

type capture struct {
	ID       store.ID      `cbor:"1,keyasint"`
	To       store.ID      `cbor:"2,keyasint"`
	Amount   ledger.Amount `cbor:"3,keyasint"`
	More     ledger.Amount `cbor:"4,keyasint,omitempty"` // in a second posting
	Declined bool          `cbor:"5,keyasint,omitempty"` // a refusal keeps its writes
}

var (
	all = fsm.Rejections{ledger.ErrInsufficient, ledger.ErrCurrency, ledger.ErrTooLarge, ledger.ErrUnfounded, ledger.ErrNoHold, ledger.ErrNotHeld}

	openAccount = fsm.Command[ledger.Account, fsm.Nothing]{Name: "vault.open/1"}
	postMoney   = fsm.Command[post, posted]{Name: "vault.post/1", Rejects: all}
	reserveSum  = fsm.Command[reserve, ledger.Hold]{Name: "vault.reserve/1", Rejects: all}
	captureSum  = fsm.Command[capture, ledger.Hold]{Name: "vault.capture/1", Rejects: all}
	releaseSum  = fsm.Command[ledger.Expire, ledger.Hold]{Name: "vault.release/1", Rejects: all}
)

func vaultModule() fsm.Module {
	return fsm.Module{Name: "vault", Commands: []fsm.Handler{
		fsm.Handle(openAccount, func(ctx *fsm.Context, a ledger.Account) (fsm.Nothing, error) {
			ledger.Open(ctx, a)
			return fsm.Nothing{}, nil
		}),
		fsm.Handle(postMoney, func(ctx *fsm.Context, c post) (posted, error) {
			t := transaction(c.Currency, c.Postings)
			if c.Memo != "" {
				t.Private = []ledger.Member{ledger.Text("memo", c.Memo)}
			}
			p, err := ledger.Post(ctx, &t)
			if err != nil {
				return posted{}, err
			}
			out := posted{Height: p.Height, Entry: p.Entry()}
			for i := range 4 {
				out.IDs = append(out.IDs, p.Transaction(i))
			}
			return out, nil
		}),
		fsm.Handle(reserveSum, func(ctx *fsm.Context, c reserve) (ledger.Hold, error) {
			return ledger.Reserve(ctx, c.Account, c.Amount, "order 7", c.ExpiresAt)
		}),
		fsm.Handle(captureSum, captureHandler),
		fsm.Handle(releaseSum, func(ctx *fsm.Context, c ledger.Expire) (ledger.Hold, error) { return ledger.Release(ctx, c.ID) }),
	}}
}

func captureHandler(ctx *fsm.Context, c capture) (ledger.Hold, error) {
	held, _ := ledger.HoldOf(ctx, c.ID)
	legs := []leg{{held.Account, c.To, c.Amount}}
	if c.More > 0 {
		legs = append(legs, leg{held.Account, "other", c.More})
	}
	t := transaction("KZT", legs)
	h, _, err := ledger.Capture(ctx, c.ID, &t)
	if rejection, ok := fsm.AsRejection(err); ok && c.Declined {
		return h, fsm.Declined(rejection)
	}
	return h, err
}

func transaction(currency string, legs []leg) ledger.Transaction {
	t := ledger.Transaction{Module: "vault", Kind: "transfer", Currency: currency, Amount: 1, From: "vault", To: "vault"}
	for _, l := range legs {
		t.Postings = append(t.Postings, ledger.Posting{Debit: l.Debit, Credit: l.Credit, Amount: l.Amount})
	}
	return t
}

// newVault has accounts a and b of ann, c of bob, d of nobody, and "other", all
// in KZT, and z in USD. Account a holds 1,000.
func newVault(t testing.TB, o fsmtest.Options) *bank.Bank {
	t.Helper()
	b := bank.New(t, o, vaultModule())
	for id, owner := range map[store.ID]store.ID{"a": "ann", "b": "ann", "c": "bob"} {
		openIn(b, ledger.Account{ID: id, Owner: owner, Currency: "KZT"})
	}
	for _, id := range []store.ID{"d", "other"} {
		openIn(b, ledger.Account{ID: id, Currency: "KZT"})
	}
	openIn(b, ledger.Account{ID: "z", Owner: "ann", Currency: "USD"})
	pay(b, leg{ledger.System(ledger.Funding, "KZT"), "a", 1000})
	return b
}

func openIn(b *bank.Bank, a ledger.Account) {
	a.Code, a.Kind, a.Flags = ledger.Customer, ledger.Liability, ledger.NoOverdraft
	fsmtest.Must(b.Machine, openAccount, a)
}

func pay(b *bank.Bank, legs ...leg) posted {
	b.Helper()
	return fsmtest.Must(b.Machine, postMoney, post{Currency: "KZT", Postings: legs})
}

func account(b *bank.Bank, id store.ID) *ledger.Account {
	var a ledger.Account
	b.Read(func(v *store.View) { a, _ = ledger.Get(v, id) })
	return &a
}
