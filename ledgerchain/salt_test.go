package ledgerchain

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func hmacOf(key, message string) string {
	keyed := hmac.New(sha256.New, []byte(key))
	keyed.Write([]byte(message))
	return hex.EncodeToString(keyed.Sum(nil))
}

func TestNewSaltCutsOneNewlineAndRefusesShortSecrets(t *testing.T) {
	if mustSalt(t, vectorSecret+"\n").ID() != mustSalt(t, vectorSecret).ID() {
		t.Error("one trailing newline counts")
	}
	if mustSalt(t, vectorSecret+"\n\n").ID() == mustSalt(t, vectorSecret).ID() {
		t.Error("two trailing newlines do not count")
	}
	for _, secret := range []string{"", "\n", vectorSecret[1:], vectorSecret[1:] + "\n"} {
		if _, err := NewSalt([]byte(secret)); err == nil {
			t.Errorf("secret %q was accepted", secret)
		}
	}
	equal(t, "id", mustSalt(t, vectorSecret).ID(), hmacOf(vectorSecret, "vnx/salt-id/v1\n")[:8])
}

func TestSaltKeepsACopyOfTheSecret(t *testing.T) {
	secret := []byte(vectorSecret)
	salt, err := NewSalt(secret)
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	equal(t, "chain hash", salt.ChainHash([]byte("body")), hmacOf(vectorSecret, "body"))
}

func TestBlind(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	for identifier, message := range map[string]string{
		"wal_1": "wal_1", "  Alice@Example.COM\t\n": "alice@example.com", "ÄÖÜ": "äöü",
		strings.Repeat("x", 500): strings.Repeat("x", 500), "user:usr_1": "user:usr_1",
	} {
		for range 2 { // computed, then remembered
			equal(t, identifier, salt.Blind(identifier), hmacOf(vectorSecret, message))
		}
	}
	for _, empty := range []string{"", " ", "\n\t"} {
		equal(t, "blind of nothing", salt.Blind(empty), "")
	}
}

func TestBlindNeverGivesAKeyedHashOfTheChain(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	entry := Entry{Kind: "x", Prev: Hash(bytes.Repeat([]byte("p"), 32)), Commit: Hash(bytes.Repeat([]byte("c"), 32))}
	body := entry.AppendBody(nil)
	if salt.Blind(string(body)) == salt.ChainHash(body).String() {
		t.Error("Blind of an entry's body is its chain hash")
	}
	for _, label := range []string{saltIDLabel, bodyKeyLabel} {
		if salt.Blind(label) == hmacOf(vectorSecret, label) {
			t.Errorf("Blind gives the value derived under %q", label)
		}
	}
}

func TestBlindRemembersABoundedNumber(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	first := salt.Blind("wal_first")
	for i := range 3 * blindGeneration {
		salt.Blind(fmt.Sprintf("wal_%d", i))
		if i%1000 == 0 && salt.Blind("wal_first") != first {
			t.Fatal("the answer changed")
		}
	}
	cache := &salt.keys.blinds
	if len(cache.young) > blindGeneration || len(cache.old) > blindGeneration {
		t.Errorf("generations of %d and %d", len(cache.young), len(cache.old))
	}
	if _, ok := cache.get("wal_first"); !ok {
		t.Error("an identifier in constant use was forgotten")
	}
	if _, ok := cache.get("wal_0"); ok {
		t.Error("an old identifier is still remembered")
	}
}

func TestSaltIsSafeForConcurrentUse(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	want := make([]string, 64)
	for i := range want {
		want[i] = hmacOf(vectorSecret, fmt.Sprintf("wal_%d", i))
	}
	body := hmacOf(vectorSecret, "body")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 2000 {
				k := i % len(want)
				if salt.Blind(fmt.Sprintf("wal_%d", k)) != want[k] || salt.ChainHash([]byte("body")).String() != body {
					t.Error("wrong hash")
					return
				}
			}
		})
	}
	group.Wait()
}

func TestBodyHash(t *testing.T) {
	key, err := hex.DecodeString(hmacOf(vectorSecret, "coffer/body\n"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "body hash", mustSalt(t, vectorSecret).BodyHash([]byte("POST /x\n{}")), hmacOf(string(key), "POST /x\n{}"))
}

func TestSaltNeverPrintsItsSecret(t *testing.T) {
	salt := mustSalt(t, vectorSecret)
	salt.Blind("wal_1")
	ring, err := NewKeyRing(salt)
	if err != nil {
		t.Fatal(err)
	}
	run := NewRun(GenesisHead(vectorLedger), ring)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c"} {
		for _, value := range []any{salt, *salt, ring, *ring, run, struct{ S *Salt }{salt}, []*Salt{salt}, salt.keys, &salt.keys.chain} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("start", "salt", salt, "value", *salt, "ring", ring)
	}
	for _, value := range []any{salt, *salt, ring, struct{ S *Salt }{salt}} {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
	}
	secret := []byte(vectorSecret)
	bytesAsList := strings.Trim(fmt.Sprint(secret[:8]), "[]")
	for _, leak := range []string{vectorSecret[:8], hex.EncodeToString(secret[:8]), strings.ToUpper(hex.EncodeToString(secret[:8])), bytesAsList} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output contains %q:\n%s", leak, &out)
		}
	}
	if !strings.Contains(out.String(), "salt b8291859") {
		t.Error("output does not name the salt")
	}
}

func TestKeyRing(t *testing.T) {
	first, second := mustSalt(t, vectorSecret), mustSalt(t, strings.Repeat("2", 32))
	ring, err := NewKeyRing(first, second)
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := ring.Salt(second.ID()); !ok || found != second {
		t.Error("the second salt was not found")
	}
	if _, ok := ring.Salt(SaltID{1}); ok {
		t.Error("an unknown salt was found")
	}
	if _, err := NewKeyRing(first, mustSalt(t, vectorSecret)); err == nil {
		t.Error("two salts with one id were accepted")
	}
	if _, err := NewKeyRing(nil); err == nil {
		t.Error("a nil salt was accepted")
	}
}
