package ledgerchain

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// signedVector returns the keys and the signed checkpoint of the vectors.
func signedVector(t testing.TB) (log, witness note.Verifier, logSigner note.Signer, cosigner *Cosigner) {
	t.Helper()
	logKey, witnessKey := vectorKey(0x00), vectorKey(0x20)
	logSigner, err := NewSigner(vectorLedger, logKey)
	if err != nil {
		t.Fatal(err)
	}
	if cosigner, err = NewCosigner("witness.example.org/w1", witnessKey); err != nil {
		t.Fatal(err)
	}
	log = mustVerifier(t, VerifierKey(vectorLedger, logKey.Public().(ed25519.PublicKey)))
	witness = mustVerifier(t, CosignatureVerifierKey("witness.example.org/w1", witnessKey.Public().(ed25519.PublicKey)))
	return log, witness, logSigner, cosigner
}

func TestParseCheckpointRefuses(t *testing.T) {
	good := Checkpoint{Origin: vectorLedger, Size: 3, Root: Hash{1}}
	if parsed, err := ParseCheckpoint(good.Text()); err != nil || parsed != good {
		t.Errorf("parsed %+v, %v", parsed, err)
	}
	root := base64.StdEncoding.EncodeToString(good.Root[:])
	for _, text := range []string{
		"", "\n\n\n", "o\n3\n" + root, "o\n3\n" + root + "\n\n", "o\n3\n" + root + "\nextension\n", "o\n3\n" + root + "\nx", "\n3\n" + root + "\n", "o p\n3\n" + root + "\n", "o+p\n3\n" + root + "\n",
		"o\n03\n" + root + "\n", "o\n+3\n" + root + "\n", "o\n-3\n" + root + "\n", "o\n\n" + root + "\n", "o\n72057594037927937\n" + root + "\n", "o\n18446744073709551616\n" + root + "\n",
		"o\n3\n" + root[:43] + "\n", "o\n3\n" + root[:42] + "B=\n", "o\n3\n" + root[:20] + "\r" + root[20:] + "\n", "o\n3\nAAAA\n", "o\n0\n" + root + "\n", "o\r\n3\n" + root + "\n",
	} {
		if c, err := ParseCheckpoint(text); err == nil {
			t.Errorf("%q was accepted as %+v", text, c)
		}
	}
}

func TestOpenCheckpointRefuses(t *testing.T) {
	log, witness, logSigner, cosigner := signedVector(t)
	checkpoint := Checkpoint{Origin: vectorLedger, Size: 3, Root: Hash{1}}
	sign := func(c Checkpoint, signers ...note.Signer) []byte {
		signed, err := c.Sign(signers...)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	foreign, err := NewSigner("other.example.com", vectorKey(0x40))
	if err != nil {
		t.Fatal(err)
	}
	sameName, err := NewSigner(vectorLedger, vectorKey(0x40))
	if err != nil {
		t.Fatal(err)
	}
	full := sign(checkpoint, logSigner, cosigner.At(1))
	for name, signed := range map[string][]byte{
		"nothing":              nil,
		"no signature":         []byte(checkpoint.Text() + "\n"),
		"witness only":         sign(checkpoint, cosigner.At(1)),
		"another key":          sign(checkpoint, sameName),
		"another origin":       sign(Checkpoint{Origin: "other.example.com", Size: 3}, foreign, logSigner),
		"extension line":       mustSign(t, checkpoint.Text()+"extension\n", logSigner),
		"changed text":         bytes.Replace(full, []byte("\n3\n"), []byte("\n4\n"), 1),
		"changed signature":    bytes.Replace(full, []byte("— "+vectorLedger+" 91lx"), []byte("— "+vectorLedger+" 91ly"), 1),
		"bad witness":          bytes.Replace(full, []byte("AAAAAAAAAA"), []byte("AAAAAAAAAC"), 1),
		"cut":                  full[:len(full)-1],
		"control character":    append(bytes.Clone(full), '\r', '\n'),
		"cosignature as log's": sign(checkpoint, &signer{name: vectorLedger, hash: log.KeyHash(), sign: func([]byte) []byte { return make([]byte, 72) }}),
	} {
		if opened, err := OpenCheckpoint(signed, log, witness); err == nil {
			t.Errorf("%s was accepted as %+v", name, opened)
		}
	}
	if opened, err := OpenCheckpoint(full, log); err != nil || len(opened.Note.Sigs) != 1 || len(opened.Note.UnverifiedSigs) != 1 {
		t.Errorf("unknown witnesses are to be ignored: %+v, %v", opened, err)
	}
	if _, err := (Checkpoint{Origin: "a b", Size: 1}).Sign(logSigner); err == nil {
		t.Error("a checkpoint with a bad origin was signed")
	}
	for _, lines := range []string{"x", "— w AAAA\n", "\n— w AAAAAAAA\n"} {
		if joined, err := AddSignatures(full, []byte(lines)); err == nil {
			t.Errorf("lines %q were added: %s", lines, joined)
		}
	}
}

func mustSign(t *testing.T, text string, signer note.Signer) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestKeysRefuse(t *testing.T) {
	key := vectorKey(0)
	for _, name := range []string{"", "a b", "a+b", "a\n"} {
		if _, err := NewSigner(name, key); err == nil {
			t.Errorf("signer %q was accepted", name)
		}
		if _, err := NewCosigner(name, key); err == nil {
			t.Errorf("cosigner %q was accepted", name)
		}
		if _, err := NewVerifier(CosignatureVerifierKey(name, key.Public().(ed25519.PublicKey))); err == nil {
			t.Errorf("verifier %q was accepted", name)
		}
	}
	if _, err := NewSigner("a", key[:32]); err == nil {
		t.Error("a short key was accepted")
	}
	vkey := CosignatureVerifierKey("w", key.Public().(ed25519.PublicKey))
	for _, bad := range []string{"", "w", "w+", "w++", strings.Replace(vkey, "w+", "v+", 1), vkey[:len(vkey)-4], vkey + "AAAA", strings.ToUpper(vkey), vkey + "\n"} {
		if _, err := NewVerifier(bad); err == nil {
			t.Errorf("verifier key %q was accepted", bad)
		}
	}
}

func TestSignersNeverPrintTheirKey(t *testing.T) {
	_, _, logSigner, cosigner := signedVector(t)
	out := fmt.Sprintf("%+v %#v %d %+v %#v %+v", logSigner, logSigner, logSigner, cosigner, cosigner, cosigner.At(1))
	for _, leak := range []string{"0001020304", "0 1 2 3 4", "0x0, 0x1, 0x2, 0x3", "2021222324", "32 33 34 35"} {
		if strings.Contains(out, leak) {
			t.Errorf("output contains %q: %s", leak, out)
		}
	}
}

func TestCosignatureCoversItsTime(t *testing.T) {
	_, witness, _, cosigner := signedVector(t)
	text := []byte("text\n")
	signature, err := cosigner.At(7).Sign(text)
	if err != nil || !witness.Verify(text, signature) {
		t.Fatalf("a good cosignature was refused, %v", err)
	}
	for i := range signature {
		changed := bytes.Clone(signature)
		changed[i] ^= 1
		if witness.Verify(text, changed) {
			t.Errorf("byte %d can be changed", i)
		}
	}
	if witness.Verify(text, signature[:71]) || witness.Verify([]byte("texts\n"), signature) {
		t.Error("a wrong cosignature was accepted")
	}
	for _, raw := range []string{"", "AAAA", base64.StdEncoding.EncodeToString(make([]byte, 75))} {
		if _, err := CosignatureTime(note.Signature{Base64: raw}); err == nil {
			t.Errorf("%q has a time", raw)
		}
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	log, witness, _, _ := signedVector(f)
	f.Add([]byte(vectorNote))
	f.Add([]byte(strings.Replace(vectorNote, "\n3\n", "\n3\nmore\n", 1)))
	f.Fuzz(func(t *testing.T, signed []byte) {
		if c, err := ParseCheckpoint(string(signed)); err == nil && c.Text() != string(signed) {
			t.Fatalf("%q was read as %+v", signed, c)
		}
		opened, err := OpenCheckpoint(signed, log, witness)
		if err == nil && !strings.HasPrefix(vectorNote, opened.Text()) {
			t.Fatalf("%q was accepted as %+v", signed, opened)
		}
	})
}

func FuzzNewVerifier(f *testing.F) {
	f.Add("ledger.example.com/main+f7597131+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4")
	f.Add("witness.example.org/w1+f3c080b6+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X")
	f.Fuzz(func(t *testing.T, vkey string) {
		if verifier, err := NewVerifier(vkey); err == nil && !strings.HasPrefix(vkey, verifier.Name()+"+") {
			t.Fatalf("%q has the name %q", vkey, verifier.Name())
		}
	})
}
