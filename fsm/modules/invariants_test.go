package modules_test

import (
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/modules"
	"coffer/store"
)

// fields are the members of a stored row by number.
type fields = map[uint64]any

// doctor changes the rows of a bucket, under checksums that fit, so that only
// what they say is wrong. It returns how many it changed.
func doctor(b *bank.Bank, bucket string, change func(f fields) bool) (changed int) {
	b.Helper()
	b.Edit(func(tx *bbolt.Tx) error {
		encoder, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			return err
		}
		rows, fresh := tx.Bucket([]byte(bucket)), map[string][]byte{}
		err = rows.ForEach(func(key, stored []byte) error {
			f := fields{}
			if err := cbor.Unmarshal(stored[:len(stored)-4], &f); err != nil {
				return err
			}
			if !change(f) {
				return nil
			}
			encoded, err := encoder.Marshal(f)
			fresh[string(key)] = fsmtest.SealRow(bucket, key, encoded)
			return err
		})
		if err != nil {
			return err
		}
		for _, key := range sortedKeys(fresh) {
			changed++
			if err := rows.Put([]byte(key), fresh[key]); err != nil {
				return err
			}
		}
		return nil
	})
	return changed
}

// once changes the first row that fits.
func once(fits func(f fields) bool, field uint64, value any) func(f fields) bool {
	done := false
	return func(f fields) bool {
		if done || !fits(f) {
			return false
		}
		done, f[field] = true, value
		return true
	}
}

func anyRow(fields) bool { return true }

func with(field uint64, value any) func(f fields) bool {
	return func(f fields) bool { return f[field] == value }
}

// Every statement about the whole state must be able to fail, or a verifier
// that relies on it finds nothing.
func TestEveryInvariantFindsWhatItIsFor(t *testing.T) {
	customer := with(2, "customer")
	active := func(f fields) bool { return f[6] == true && f[5] == "active" }
	found := map[string]bool{}
	for _, c := range []struct {
		name, bucket string
		change       func(f fields) bool
		want         string
	}{
		{"money out of nothing", "ledger.accounts", once(customer, 7, uint64(123_456)), "debits equal credits in each currency"},
		{"a balance the chain does not know", "ledger.accounts", once(customer, 7, uint64(123_456)), "balances are the sums of the postings in the chain"},
		{"a debit beyond the balance", "ledger.accounts", once(customer, 6, uint64(1<<40)), "no account is overdrawn"},
		{"money set aside for nobody", "ledger.accounts", once(customer, 8, uint64(1)), "reserved amounts are the sums of their holds"},
		{"a history that ends elsewhere", "ledger.accounts", once(customer, 10, uint64(1)), "balances are the sums of the postings in the chain"},
		{"an owner's history that ends elsewhere", "ledger.owners", once(anyRow, 2, uint64(1)), "balances are the sums of the postings in the chain"},
		{"a count too many", "ledger.counts", once(anyRow, 3, uint64(99)), "entries are counted by hour and module"},
		{"a module's count too many", "ledger.modules", once(anyRow, 2, uint64(99)), "entries are counted by hour and module"},
		{"a user too many", "identity.census", once(anyRow, 1, uint64(99)), "the census counts the active users"},
		{"a deleted user with an e-mail", "identity.users", once(with(2, "ann@example.org"), 7, uint64(5)), "the census counts the active users"},
		{"a session of nobody", "identity.sessions", once(anyRow, 2, "usr_0"), "sessions belong to users"},
		{"a trail too long", "identity.trails", once(anyRow, 4, uint64(99)), "audit trails are whole"},
		{"a trail of somebody else", "identity.trails", once(with(1, "auth"), 3, uint64(1)), "audit trails are whole"},
		{"a window too large", "limits.windows", once(anyRow, 2, uint64(1)), "deposit windows add up"},
		{"a month with a day out of place", "limits.volumes", once(func(f fields) bool { return f[4] != nil }, 5, []any{fields{1: uint64(9)}, fields{1: uint64(9)}}), "days of a month ascend"},
		{"a score out of nothing", "reputation.scores", once(anyRow, 2, uint64(9999)), "scores are the sums of their events"},
		{"totals out of nothing", "reputation.totals", once(anyRow, 3, uint64(9999)), "totals are the sums of all scores"},
		{"a wallet with another owner", "wallet.wallets", once(anyRow, 2, "usr_0"), "wallets and accounts belong together"},
		{"a closed wallet with money", "wallet.wallets", once(active, 5, "closed"), "wallets and accounts belong together"},
		{"a wallet too many", "wallet.stats", once(anyRow, 2, uint64(99)), "wallet statistics count the wallets"},
		{"a token for ever", "system.tokens", once(anyRow, 3, uint64(1)<<62), "join tokens expire"},
		{"a record of another command", "system.audit", once(with(5, "system.create_token/1"), 5, "system.assert/1"), "the audit of operators is a chain"},
		{"a record of somebody else", "system.audit", once(anyRow, 3, fields{1: uint64(4), 2: "eve"}), "the audit of operators is a chain"},
		{"a last record that is gone", "system.audit_end", once(anyRow, 1, uint64(99)), "the audit of operators is a chain"},
		{"an alarm nobody counts", "system.freeze", once(anyRow, 1, uint64(0)), "the freeze counts the alarms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bank.New(t, fsmtest.Options{Unchecked: true})
			everything(b)
			b.CheckInvariants()
			if n := doctor(b, c.bucket, c.change); n != 1 {
				t.Fatalf("%d rows were changed", n)
			}
			b.Read(func(v *store.View) {
				broken := strings.Join(fsmtest.Broken(v, modules.All()), "\n")
				if !strings.Contains(broken, c.want) {
					t.Errorf("what is found is %q", broken)
				}
			})
			found[c.want] = true
		})
	}
	for _, module := range fsm.WithSystem(modules.All()) {
		for _, invariant := range module.Invariants {
			if !found[invariant.Name] && invariant.Name != onePrimary {
				t.Errorf("nothing shows that %q can fail", invariant.Name)
			}
		}
	}
}

// onePrimary reads an index, which has rows of its own to damage.
const onePrimary = "one primary wallet per user and currency"

func TestAUserWithoutAPrimaryWalletIsFound(t *testing.T) {
	b := bank.New(t, fsmtest.Options{Unchecked: true})
	everything(b)
	b.Edit(func(tx *bbolt.Tx) error {
		index := tx.Bucket([]byte("wallet.wallets/primary"))
		var keys [][]byte
		err := index.ForEach(func(key, _ []byte) error {
			keys = append(keys, append([]byte(nil), key...))
			return nil
		})
		for _, key := range keys {
			if err := index.Delete(key); err != nil {
				return err
			}
		}
		return err
	})
	b.Read(func(v *store.View) {
		if broken := strings.Join(fsmtest.Broken(v, modules.All()), "\n"); !strings.Contains(broken, onePrimary) {
			t.Errorf("what is found is %q", broken)
		}
	})
}
