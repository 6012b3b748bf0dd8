package settings_test

import (
	"testing"
	"unicode/utf8"

	"coffer/fsm"
	"coffer/fsm/fsmtest"
	"coffer/fsm/fsmtest/bank"
	"coffer/fsm/settings"
	"coffer/store"
)

func update(changes ...settings.Change) settings.Update {
	return settings.Update{By: "tester", Changes: changes}
}

func set(name, text string) settings.Change { return settings.Change{Name: name, Text: text} }

func reset(name string) settings.Change { return settings.Change{Name: name, Reset: true} }

// must updates as an operator and says how many values differ.
func must(b *bank.Bank, changes ...settings.Change) int64 {
	b.Helper()
	b.As(fsm.Actor{Kind: fsm.Operator, ID: "root"})
	return fsmtest.Must(b.Machine, settings.UpdateSettings, update(changes...)).Count
}

func TestEveryRejectionOfSettingsIsReached(t *testing.T) {
	operator := func(change settings.Change) func(*bank.Bank) error {
		return func(b *bank.Bank) error {
			b.As(fsm.Actor{Kind: fsm.Operator})
			return bank.Submit(b, settings.UpdateSettings, update(change))
		}
	}
	bank.CheckRefusals(t, "settings.", []bank.Refusal{
		bank.On("settings.update/1", "not_permitted", func(b *bank.Bank) error {
			b.As(b.Admin()) // an administrator of a module is no operator
			return bank.Submit(b, settings.UpdateSettings, update())
		}),
		bank.On("settings.update/1", "unknown_setting", operator(set("NO_SUCH", "1"))),
		bank.On("settings.update/1", "unknown_setting", operator(reset("NO_SUCH"))),
		bank.On("settings.update/1", "invalid_setting", operator(set("QPAYNET_FEE_PPM", "many"))),
	})
}

// texts are values of each form, good and bad.
var texts = []struct {
	name      string
	good, bad []string
}{
	{"AEVION_ENV", []string{"development", "production"}, []string{"", "Production", "test"}},
	{"AEVION_COMPAT", []string{"seed", "legacy"}, []string{"", "both"}},
	{"QPAYNET_KYC_AUTO_VERIFY", []string{"0", "1"}, []string{"", "true", "2", "01"}},
	{"QPAYNET_DAILY_DEPOSIT_CAP", []string{"0", "1", "1125899906842624"}, []string{"", "-1", "1125899906842625", "1.5", "1e3", "0x1", " 1", "99999999999999999999"}},
	{"QPAYNET_FEE_PPM", []string{"0", "1000000"}, []string{"1000001", "-1"}},
	{"QPAYNET_ADMIN_EMAILS", []string{"", "a@b.c", " a@b.c ,, d@e.f"}, []string{"a\nb", "\x00", "\x7f"}},
	{"QPAYNET_CAP_RATES", []string{"", "USD:1", "USD:500, EUR:9", "A:B:3"}, []string{"USD", "USD:", ":5", "USD:0", "USD:-1", "USD:x", "USD:1.5"}},
	{"ZTIDE_RANKS", []string{"a:0", "a:0,b:1,c:9223372036854775807"}, []string{"", "a:1", "a:0,b:0", "a:0,b:5,c:4", "a:-1,b:0", "0"}},
	{"AUTH_JWT_EXPIRES_IN", []string{"1m", "60s", "7d", "90m", "1h30m", "36500d", "876000h"}, []string{"", "0", "0d", "59s", "d", "7", "-1h", "-1d", "1.5d", "36501d", "876001h", "106751992d", "2147483647d", "9999999999d", "1w"}},
	{"COFFER_REQUEST_RETENTION", []string{"24h", "10m", "600s", "30d"}, []string{"0", "0d", "0s", "599s", "1ns", "-24h", "36501d"}},
	{"FRONTEND_URL", []string{"", "https://a.b"}, []string{"https://a.b\r"}},
}

func TestValuesAreCheckedByTheirForm(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	b.As(fsm.Actor{Kind: fsm.Operator, ID: "root"})
	for _, c := range texts {
		for _, text := range c.good {
			fsmtest.Must(b.Machine, settings.UpdateSettings, update(set(c.name, text)))
			b.Read(func(v *store.View) {
				s, _ := settings.Find(c.name)
				b.Equal(s.Text(v), text)
			})
		}
		for _, text := range append(c.bad, string(make([]byte, 4097))) {
			refused, ok := fsm.AsRejection(bank.Submit(b, settings.UpdateSettings, update(set(c.name, text))))
			if !ok || !refused.Is(settings.ErrInvalid) {
				t.Errorf("%s = %q gives %v", c.name, text, refused)
				continue
			}
			name, _ := refused.Detail("name")
			reason, _ := refused.Detail("reason")
			if name.Text != c.name || reason.Text == "" {
				t.Errorf("%s = %q is refused with %v", c.name, text, refused)
			}
		}
	}
}

// Whatever a check lets through can be read, and durations are never negative.
func FuzzValuesReadAsTheyWereChecked(f *testing.F) {
	for _, c := range texts {
		for _, text := range append(c.good, c.bad...) {
			f.Add(text)
		}
	}
	b := bank.New(f, fsmtest.Options{Unchecked: true})
	b.As(fsm.Actor{Kind: fsm.Operator, ID: "root"})
	f.Fuzz(func(t *testing.T, text string) {
		b.TB = t
		for _, name := range []string{"AUTH_JWT_EXPIRES_IN", "COFFER_REQUEST_RETENTION", "QPAYNET_CAP_RATES", "ZTIDE_RANKS", "QPAYNET_MAX_TRANSFER"} {
			s, _ := settings.Find(name)
			if s.Check(text) != nil || !utf8.ValidString(text) {
				continue // what is no UTF-8 is refused at the door
			}
			fsmtest.Must(b.Machine, settings.UpdateSettings, update(set(name, text)))
		}
		b.Read(func(v *store.View) {
			lifetime, kept := settings.TokenLifetime.Of(v), settings.RequestKeep.Of(v)
			if lifetime < store.Minute || lifetime > 36_500*store.Day || kept < 10*store.Minute || kept > 36_500*store.Day {
				t.Fatalf("%q: a token lives %d, a request %d", text, lifetime, kept)
			}
			if ranks := settings.RankLadder.Of(v); len(ranks) == 0 || ranks[0].Number != 0 {
				t.Fatalf("%q: ranks %v", text, ranks)
			}
			for _, rate := range settings.CapRates.Of(v) {
				if rate.Number < 1 {
					t.Fatalf("%q: rate %v", text, rate)
				}
			}
			if settings.MaxTransfer.Of(v) < 0 {
				t.Fatalf("%q: a negative cap", text)
			}
		})
	})
}

func TestDefaultsDependOnTheMode(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	look := func() (stub, verified bool) {
		b.Read(func(v *store.View) { stub, verified = settings.StubDeposit.Of(v), settings.AdminIsVerified.Of(v) })
		return stub, verified
	}
	expect := func(wantStub, wantVerified bool) {
		t.Helper()
		stub, verified := look()
		b.Equal([]bool{stub, verified}, []bool{wantStub, wantVerified})
	}
	expect(true, false)
	must(b, set("AEVION_ENV", "production"))
	expect(false, true)
	must(b, set("QPAYNET_STUB_DEPOSIT", "1"))
	expect(true, true)
	must(b, set("AEVION_ENV", "development"))
	expect(true, false)
	must(b, set("AEVION_ENV", "production"), reset("QPAYNET_STUB_DEPOSIT"))
	expect(false, true)
	for _, s := range settings.All() {
		for _, mode := range []string{settings.Development, settings.Production} {
			if err := s.Check(s.Default(mode)); err != nil {
				t.Errorf("the default of %s in %s %v", s.Name, mode, err)
			}
		}
		if s.Doc == "" {
			t.Errorf("%s has no description", s.Name)
		}
	}
}

func TestTheContractsDefaults(t *testing.T) {
	for name, want := range map[string][2]string{
		"AEVION_ENV": {"development", "development"}, "AEVION_COMPAT": {"seed", "seed"}, "AUTH_JWT_EXPIRES_IN": {"7d", "7d"},
		"AEVION_ADMIN_REQUIRE_VERIFIED_EMAIL": {"0", "1"}, "QPAYNET_ADMIN_EMAILS": {"", ""}, "ZTIDE_ADMIN_EMAILS": {"", ""},
		"QPAYNET_DAILY_DEPOSIT_CAP": {"500000", "500000"}, "QPAYNET_MAX_TRANSFER": {"100000", "100000"},
		"QPAYNET_KYC_THRESHOLD": {"1000000", "1000000"}, "QPAYNET_CAP_RATES": {"USD:500", "USD:500"}, "QPAYNET_CURRENCIES": {"KZT,USD", "KZT,USD"},
		"QPAYNET_KYC_AUTO_VERIFY": {"0", "0"}, "QPAYNET_STUB_DEPOSIT": {"1", "0"}, "QPAYNET_HIDE_COUNTERPARTY_BALANCE": {"0", "0"},
		"FRONTEND_URL": {"https://aevion.app", "https://aevion.app"}, "PUBLIC_BACKEND_URL": {"https://api.aevion.app", "https://api.aevion.app"},
		"AEVION_CHAIN_VERIFY_INTERVAL": {"1h", "1h"}, "CORS_ALLOWED_ORIGINS": {"*", "*"},
		"AEVION_RATE_READ": {"240", "240"}, "AEVION_RATE_WRITE": {"60", "60"}, "AEVION_RATE_STRICT": {"20", "20"}, "AEVION_RATE_MONEY": {"30", "30"},
		"AEVION_RATE_PUBLIC": {"60", "60"}, "AEVION_RATE_CSV": {"5", "5"}, "ZTIDE_RANKS": {"seedling:0,sprout:50,steady:140,strong:500,titan:1500", "seedling:0,sprout:50,steady:140,strong:500,titan:1500"},
	} {
		s, ok := settings.Find(name)
		if !ok || s.Default(settings.Development) != want[0] || s.Default(settings.Production) != want[1] {
			t.Errorf("%s: known %v, want %v", name, ok, want)
		}
	}
}

func TestAnUpdateIsAllOrNothing(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	b.As(fsm.Actor{Kind: fsm.Operator, ID: "root"})
	fsmtest.Rejects(b.Machine, settings.UpdateSettings, update(set("QPAYNET_FEE_PPM", "5"), set("QPAYNET_FEE_PPM", "x")), settings.ErrInvalid)
	fsmtest.Rejects(b.Machine, settings.UpdateSettings, update(set("QPAYNET_FEE_PPM", "5"), set("NO_SUCH", "x")), settings.ErrUnknown)
	b.Read(func(v *store.View) {
		b.Equal(settings.TransferFee.Of(v), int64(1000))
		b.Equal(settings.Revision(v), uint64(0))
		b.Equal(len(settings.History(v, 10)), 0)
	})
}

func TestTheRevisionCountsRealChanges(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	b.Equal(must(b, set("QPAYNET_FEE_PPM", "5"), set("AEVION_RATE_CSV", "9")), int64(2))
	b.Equal(must(b, set("QPAYNET_FEE_PPM", "5")), int64(0))
	b.Equal(must(b, reset("QPAYNET_MAX_TRANSFER")), int64(0))                                               // nobody had set it
	b.Equal(must(b, settings.Change{Name: "AEVION_RATE_CSV", Text: "not a number", Reset: true}), int64(1)) // the text of a reset does not count
	at := b.Clock
	b.Equal(must(b, set("QPAYNET_MAX_TRANSFER", "100000")), int64(1)) // set to its default, it no longer follows it
	b.Equal(must(b), int64(0))
	b.Read(func(v *store.View) {
		b.Equal(settings.Revision(v), uint64(4))
		list := settings.History(v, 2)
		b.Equal(list[0], settings.Changed{Name: "QPAYNET_MAX_TRANSFER", After: "100000", By: "tester", At: at + 1})
		b.Equal(list[1], settings.Changed{Name: "AEVION_RATE_CSV", Before: "9", Reset: true, By: "tester", At: at})
		b.Equal(len(settings.History(v, 100)), 4)
		for _, c := range settings.List(v) {
			origin, want := c.Origin, "default"
			if c.Setting.Name == "QPAYNET_FEE_PPM" || c.Setting.Name == "QPAYNET_MAX_TRANSFER" {
				want = "tester"
			}
			b.Equal(origin, want)
			b.Equal(c.Text, c.Setting.Text(v))
		}
		b.Equal(len(settings.List(v)), len(settings.All()))
	})
}

// The same names in another order or letter case are other settings.
func TestNamesAreExact(t *testing.T) {
	for _, name := range []string{"", "qpaynet_fee_ppm", "QPAYNET_FEE_PPM ", "QPAYNET_FEE_PPM\x00"} {
		if _, ok := settings.Find(name); ok {
			t.Errorf("%q is a setting", name)
		}
	}
	seen := map[string]bool{}
	for _, s := range settings.All() {
		if seen[s.Name] {
			t.Errorf("%s is declared twice", s.Name)
		}
		seen[s.Name] = true
	}
}

func TestWordsAndPairs(t *testing.T) {
	b := bank.New(t, fsmtest.Options{})
	must(b, set("QPAYNET_ADMIN_EMAILS", " Ann@X.org,, bob@x.org ,"), set("QPAYNET_CAP_RATES", "USD:500,A:B:7,USD:9"))
	b.Read(func(v *store.View) {
		b.Equal(settings.QPayNetAdmins.Of(v), []string{"Ann@X.org", "bob@x.org"})
		for word, want := range map[string]bool{"ann@x.org": true, "BOB@X.ORG": true, "": false, "ann@x.or": false, "nn@x.org": false, " bob@x.org": false} {
			b.Equal(settings.QPayNetAdmins.Has(v, word), want)
		}
		b.Equal(settings.CapRates.Of(v), []settings.Pair{{Name: "USD", Number: 500}, {Name: "A:B", Number: 7}, {Name: "USD", Number: 9}})
		for name, want := range map[string]int64{"USD": 500, "A:B": 7, "usd": 0, "A": 0} {
			n, ok := settings.CapRates.Number(v, name)
			b.Equal([]any{n, ok}, []any{want, want > 0})
		}
		b.Equal(settings.ZTideAdmins.Has(v, ""), false)
	})
}

// A stored text that no update lets in is damage: the node stops instead of
// guessing a cap.
func TestADamagedValueIsDamage(t *testing.T) {
	b := bank.New(t, fsmtest.Options{Unchecked: true})
	must(b, set("QPAYNET_MAX_TRANSFER", "77"))
	key := []byte("QPAYNET_MAX_TRANSFER\x00")
	b.Edit(damage("settings.values", key, "77", "7x"))
	defer func() {
		if found, ok := recover().(store.Corruption); !ok || found.Bucket != "settings.values" {
			t.Errorf("it is read as if nothing were wrong: %+v", found)
		}
	}()
	b.Read(func(v *store.View) { _ = settings.MaxTransfer.Of(v) })
}
