// Package bank is a machine with all domains and a few customers, for tests of
// domains. Nothing of it is part of the product.
package bank

import (
	"strings"
	"testing"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/identity"
	"coffer/fsm/ledger"
	"coffer/fsm/modules"
	"coffer/fsm/reputation"
	"coffer/fsm/settings"
	"coffer/fsm/wallet"
	"coffer/store"
)

// Bank is a machine with customers.
type Bank struct {
	*fsmtest.Machine
	admin fsm.Actor
}

// New opens a bank. Modules and retention are those of the product unless set;
// more modules may follow them.
func New(t testing.TB, o fsmtest.Options, more ...fsm.Module) *Bank {
	t.Helper()
	o.Modules = append(modules.All(), more...)
	if o.Retention == nil {
		o.Retention = modules.Retention
	}
	return &Bank{Machine: fsmtest.New(t, o)}
}

// Register creates a user and acts as them from now on.
func (b *Bank) Register(email string) fsm.Actor {
	b.Helper()
	b.As(fsm.Actor{IP: "192.0.2.1", Agent: "test"})
	in := fsmtest.Must(b.Machine, identity.RegisterUser, identity.Register{
		Surface: identity.AEVION, Email: email, Name: email, Hash: "$argon2id$test"})
	who := fsm.Actor{Kind: fsm.User, ID: string(in.User.ID), Session: string(in.Session), Email: email, IP: "192.0.2.1", Agent: "test"}
	b.As(who)
	return who
}

// Open opens a wallet for the acting user and deposits an amount.
func (b *Bank) Open(currency, name string, amount ledger.Amount) store.ID {
	b.Helper()
	w := fsmtest.Must(b.Machine, wallet.OpenWallet, wallet.Open{Currency: currency, Name: name})
	if amount > 0 {
		fsmtest.Must(b.Machine, wallet.DepositFunds, wallet.Payment{Wallet: w.ID, Amount: amount})
	}
	return w.ID
}

// Balance is what is in a wallet.
func (b *Bank) Balance(id store.ID) (amount ledger.Amount) {
	b.Read(func(v *store.View) { amount = wallet.Balance(v, id) })
	return amount
}

// Set changes one setting.
func (b *Bank) Set(name, text string) {
	b.Helper()
	b.AsNode(func() {
		fsmtest.Must(b.Machine, settings.UpdateSettings, settings.Update{By: "test", Changes: []settings.Change{{Name: name, Text: text}}})
	})
}

// Score is a user's reputation.
func (b *Bank) Score(user string) (score int64) {
	b.Read(func(v *store.View) { score = reputation.Of(v, store.ID(user)).Score })
	return score
}

// Admin is the administrator of all modules, registered at the first call. The
// actor stays who it was.
func (b *Bank) Admin() fsm.Actor {
	b.Helper()
	if b.admin.ID != "" {
		return b.admin
	}
	before := b.Actor
	for _, list := range []string{"QPAYNET_ADMIN_EMAILS", "ZTIDE_ADMIN_EMAILS"} {
		b.Set(list, "admin@example.org")
	}
	b.admin = b.Register("admin@example.org")
	b.As(before)
	return b.admin
}

// Verify completes the acting user's KYC.
func (b *Bank) Verify() {
	b.Helper()
	b.Set("QPAYNET_KYC_AUTO_VERIFY", "1")
	fsmtest.Must(b.Machine, identity.SubmitKYC, identity.Submit{FullName: "Ann Example", IIN: "123456789012"})
	b.Set("QPAYNET_KYC_AUTO_VERIFY", "0")
}

// Submit asks for a command and returns only what went wrong.
func Submit[In, Out any](b *Bank, c fsm.Command[In, Out], in In) error {
	_, err := c.Submit(b.Caller(), b.Proposer(), in)
	return err
}

// Refusal is one way for a command to be refused.
type Refusal struct {
	Command string
	Code    string
	Ask     func(b *Bank) error
}

// On makes a Refusal.
func On(command, code string, ask func(b *Bank) error) Refusal { return Refusal{command, code, ask} }

// CheckRefusals runs each case on a bank of its own. It fails when a command
// whose name starts with the prefix declares a rejection without a case.
func CheckRefusals(t *testing.T, prefix string, cases []Refusal, more ...fsm.Module) {
	t.Helper()
	reached := map[string]bool{}
	for _, c := range cases {
		reached[c.Command+" "+c.Code] = true
		t.Run(strings.TrimPrefix(c.Command, prefix)+" "+c.Code, func(t *testing.T) {
			b := New(t, fsmtest.Options{Unchecked: true, Unfounded: c.Code == ledger.ErrUnfounded.Code}, more...)
			got, ok := fsm.AsRejection(c.Ask(b))
			if !ok || got.Code != c.Code {
				t.Fatalf("got %v", got)
			}
			h, known := b.Machine.Machine().Handlers()[c.Command]
			if !known || !declares(h.Rejects(), c.Code) {
				t.Errorf("%s does not declare it", c.Command)
			}
		})
	}
	for name, h := range New(t, fsmtest.Options{Unchecked: true}, more...).Machine.Machine().Handlers() {
		for _, r := range h.Rejects() {
			if strings.HasPrefix(name, prefix) && !reached[name+" "+r.Code] {
				t.Errorf("nothing reaches %s of %s", r.Code, name)
			}
		}
	}
}

func declares(rs fsm.Rejections, code string) bool {
	for _, r := range rs {
		if r.Code == code {
			return true
		}
	}
	return false
}
