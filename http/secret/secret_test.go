package secret

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cheap is a cost for tests.
var cheap = Cost{MemoryKiB: 64, Passes: 1, Threads: 1}

func passwords(t testing.TB, o PasswordOptions) *Passwords {
	t.Helper()
	if o.Cost == (Cost{}) {
		o.Cost = cheap
	}
	p, err := NewPasswords(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPasswordsVerifyWhatTheyHash(t *testing.T) {
	p, ctx := passwords(t, PasswordOptions{}), context.Background()
	for _, password := range []string{"", "correct horse", strings.Repeat("x", MaxPassword), "пароль", "a\x00b"} {
		encoded, err := p.Hash(ctx, password)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(encoded, "$argon2id$v=19$m=64,t=1,p=1$") {
			t.Fatalf("encoded as %s", encoded)
		}
		if ok, stale, err := p.Verify(ctx, encoded, password); !ok || stale || err != nil {
			t.Fatalf("the right password: %v %v %v", ok, stale, err)
		}
		if ok, _, err := p.Verify(ctx, encoded, password+"x"); ok || err != nil {
			t.Fatalf("a wrong password: %v %v", ok, err)
		}
	}
}

// The vector is of the reference implementation:
// echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32.
func TestPasswordsReadOtherImplementations(t *testing.T) {
	const vector = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	p, ctx := passwords(t, PasswordOptions{}), context.Background()
	if ok, stale, err := p.Verify(ctx, vector, "password"); !ok || !stale || err != nil {
		t.Fatalf("the vector: %v %v %v", ok, stale, err)
	}
	if ok, _, err := p.Verify(ctx, vector, "Password"); ok || err != nil {
		t.Fatalf("a wrong password: %v %v", ok, err)
	}
}

func TestSaltsDiffer(t *testing.T) {
	p, ctx := passwords(t, PasswordOptions{}), context.Background()
	one, _ := p.Hash(ctx, "same")
	two, _ := p.Hash(ctx, "same")
	if one == two {
		t.Fatal("two hashes of one password are equal")
	}
}

func TestPasswordsRefuse(t *testing.T) {
	p, ctx := passwords(t, PasswordOptions{}), context.Background()
	long := strings.Repeat("x", MaxPassword+1)
	if _, err := p.Hash(ctx, long); !errors.Is(err, ErrPasswordTooLong) {
		t.Fatalf("a long password: %v", err)
	}
	encoded, _ := p.Hash(ctx, "")
	if ok, _, err := p.Verify(ctx, encoded, long); ok || err != nil {
		t.Fatalf("a long password against the hash of none: %v %v", ok, err)
	}
	for _, damaged := range []string{
		"", "$", "plain", strings.Replace(encoded, "argon2id", "argon2i", 1), strings.Replace(encoded, "v=19", "v=16", 1),
		strings.Replace(encoded, "m=64", "m=4294967295", 1), strings.Replace(encoded, "m=64", "m=7", 1),
		strings.Replace(encoded, "m=64", "m=064", 1), strings.Replace(encoded, "t=1", "t=0", 1),
		strings.Replace(encoded, "t=1", "t=17", 1), strings.Replace(encoded, "p=1", "p=0", 1),
		strings.Replace(encoded, "p=1", "p=256", 1), encoded + "$", encoded + "=", encoded[:len(encoded)-30],
	} {
		if ok, _, err := p.Verify(ctx, damaged, ""); ok || err == nil {
			t.Errorf("damaged hash %q: %v %v", damaged, ok, err)
		}
	}
	for _, cost := range []Cost{{8, 1, 2}, {64, 0, 1}, {maxMemoryKiB + 1, 1, 1}, {64, 1, 0}} {
		if _, err := NewPasswords(PasswordOptions{Cost: cost}); err == nil {
			t.Errorf("cost %+v is accepted", cost)
		}
	}
}

// Whoever comes while all turns and places to wait are taken is sent away.
func TestPasswordsBoundWhatRunsAtOnce(t *testing.T) {
	p := passwords(t, PasswordOptions{Concurrent: 1, Waiting: 2})
	p.turns <- struct{}{} // somebody is hashing
	p.waiting.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	var waiters sync.WaitGroup
	var stopped atomic.Int64
	for range 2 {
		waiters.Go(func() {
			if _, err := p.Hash(ctx, "x"); errors.Is(err, context.Canceled) {
				stopped.Add(1)
			}
		})
	}
	for p.waiting.Load() < 3 {
		runtime.Gosched() // the two have not asked yet
	}
	soon, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if err := p.VerifyNobody(soon, "x"); !errors.Is(err, ErrBusy) {
		t.Fatalf("one more than may wait: %v", err)
	}
	cancel()
	waiters.Wait()
	if stopped.Load() != 2 {
		t.Fatalf("%d of 2 waiters ended with their context", stopped.Load())
	}
	<-p.turns
	p.waiting.Add(-1)
	if _, err := p.Hash(context.Background(), "x"); err != nil {
		t.Fatalf("after the others: %v", err)
	}
}

// The cost of an unknown user must be that of a known one: both run argon2id
// once with the same parameters, which the encoded hash of nobody names.
func TestNobodyCostsTheSame(t *testing.T) {
	p := passwords(t, PasswordOptions{})
	cost, salt, sum, err := decode(p.nobody)
	if err != nil || cost != p.cost || len(salt) != saltLength || len(sum) != sumLength {
		t.Fatalf("the hash of nobody: %+v %d %d %v", cost, len(salt), len(sum), err)
	}
	if err := p.VerifyNobody(context.Background(), "x"); err != nil {
		t.Fatal(err)
	}
}

func TestTokens(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	tokens, err := NewTokens(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, err := tokens.New("qpn_live_", 24)
	if err != nil || !strings.HasPrefix(one, "qpn_live_") || len(one) != len("qpn_live_")+32 {
		t.Fatalf("token %q: %v", one, err)
	}
	two, _ := tokens.New("qpn_live_", 24)
	if one == two {
		t.Fatal("two tokens are equal")
	}
	hash := tokens.Hash(one)
	if len(hash) != 64 || !tokens.Matches(hash, one) || tokens.Matches(hash, two) || tokens.Matches("", one) {
		t.Fatal("the hash does not tell tokens apart")
	}
	other, _ := NewTokens(bytes.Repeat([]byte{8}, 32), nil)
	if other.Hash(one) == hash {
		t.Fatal("the hash does not depend on the key")
	}
	if strings.Contains(fmt.Sprintf("%+v %#v", tokens, tokens), string(key)) {
		t.Fatal("printing shows the key")
	}
	if _, err := NewTokens(key[:31], nil); err == nil {
		t.Fatal("a short key is accepted")
	}
	if _, err := tokens.New("", 15); err == nil {
		t.Fatal("a short token is made")
	}
	failing, _ := NewTokens(key, strings.NewReader("too short"))
	if _, err := failing.New("", 32); err == nil {
		t.Fatal("a failing source of randomness is ignored")
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		one, two string
		want     bool
	}{{"", "", true}, {"a", "a", true}, {"a", "b", false}, {"a", "ab", false}, {"", "a", false}} {
		if got := Equal(c.one, c.two); got != c.want {
			t.Errorf("Equal(%q, %q) is %v", c.one, c.two, got)
		}
	}
}

func TestFields(t *testing.T) {
	for _, key := range []string{strings.Repeat("0f", 32), "a passphrase", strings.Repeat("0f", 31)} {
		f, err := NewFields(key, nil)
		if err != nil || !f.Enabled() {
			t.Fatal(err)
		}
		for _, text := range []string{"", "870101300123", "enc:v1:looks like it", strings.Repeat("x", 5000)} {
			stored, err := f.Encrypt(text, "kyc/usr_1")
			if err != nil || !strings.HasPrefix(stored, "enc:v1:") || (len(text) > 0 && strings.Contains(stored, text)) {
				t.Fatalf("stored %q: %v", stored, err)
			}
			again, _ := f.Encrypt(text, "kyc/usr_1")
			if again == stored {
				t.Fatal("the nonce is used twice")
			}
			if got, err := f.Decrypt(stored, "kyc/usr_1"); got != text || err != nil {
				t.Fatalf("decrypted %q: %v", got, err)
			}
			if _, err := f.Decrypt(stored, "kyc/usr_2"); !errors.Is(err, ErrField) {
				t.Fatalf("in another place: %v", err)
			}
			for i := range len(stored) {
				damaged := stored[:i] + string(stored[i]^1) + stored[i+1:]
				if got, err := f.Decrypt(damaged, "kyc/usr_1"); err == nil && strings.HasPrefix(damaged, "enc:v1:") {
					t.Fatalf("a flipped bit at %d decrypts to %q", i, got)
				}
				if len(text) > 100 && i > 60 {
					break
				}
			}
		}
	}
}

// NIST's GCM test case 14: zero key, zero nonce, 16 zero bytes of plaintext.
func TestFieldLayout(t *testing.T) {
	f, err := NewFields(strings.Repeat("00", 32), bytes.NewReader(make([]byte, 12)))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := f.Encrypt(string(make([]byte, 16)), "")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(stored, "enc:v1:"))
	if err != nil {
		t.Fatal(err)
	}
	const nonce, tag, text = "000000000000000000000000", "d0d1c8a799996bf0265b98b5d48ab919", "cea7403d4d606b6e074ec5d3baf39d18"
	if got := hex.EncodeToString(packed); got != nonce+tag+text {
		t.Fatalf("stored %s, want nonce, tag and ciphertext %s %s %s", got, nonce, tag, text)
	}
}

func TestFieldsWithoutKey(t *testing.T) {
	off, err := NewFields("", nil)
	if err != nil || off.Enabled() {
		t.Fatal(err)
	}
	if stored, err := off.Encrypt("plain", "x"); stored != "plain" || err != nil {
		t.Fatalf("%q %v", stored, err)
	}
	if _, err := off.Encrypt("enc:v1:AAAA", "x"); err == nil {
		t.Fatal("text that looks encrypted is stored without a key")
	}
	on, _ := NewFields("key", nil)
	stored, _ := on.Encrypt("secret", "x")
	if _, err := off.Decrypt(stored, "x"); !errors.Is(err, ErrFieldKey) {
		t.Fatalf("decrypt without key: %v", err)
	}
	if got, err := on.Decrypt("stored before there was a key", "x"); got != "stored before there was a key" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	if _, err := on.Decrypt("enc:v1:AAAA", "x"); !errors.Is(err, ErrField) {
		t.Fatalf("short: %v", err)
	}
	if _, err := on.Decrypt(stored+"\n", "x"); !errors.Is(err, ErrField) {
		t.Fatalf("with a line break: %v", err)
	}
	failing, _ := NewFields("key", strings.NewReader("short"))
	if _, err := failing.Encrypt("x", ""); err == nil {
		t.Fatal("a failing source of randomness is ignored")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$$")
	f.Add("$argon2id$v=19$m=10,t=1,p=1$00000000000$00000000000000\r000000000")
	f.Fuzz(func(t *testing.T, encoded string) {
		cost, salt, sum, err := decode(encoded)
		if err == nil && encode(cost, salt, sum) != encoded {
			t.Fatalf("%q is read as %q", encoded, encode(cost, salt, sum))
		}
	})
}

func BenchmarkHash(b *testing.B) {
	p, err := NewPasswords(PasswordOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Hash(context.Background(), "correct horse"); err != nil {
			b.Fatal(err)
		}
	}
}
