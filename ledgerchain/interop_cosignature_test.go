package ledgerchain

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"testing"

	theirs "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// TestCosignatureInteroperates signs with one implementation and verifies with the other, in both directions.
func TestCosignatureInteroperates(t *testing.T) {
	_, witness, _, cosigner := signedVector(t)
	key := vectorKey(0x20)
	vkey := CosignatureVerifierKey("witness.example.org/w1", key.Public().(ed25519.PublicKey))
	text := []byte(Checkpoint{Origin: vectorLedger, Size: 3, Root: Hash{1}}.Text())

	verifier, err := theirs.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := cosigner.At(1790000002).Sign(text)
	if err != nil || !verifier.Verify(text, signature) || verifier.KeyHash() != witness.KeyHash() {
		t.Errorf("they refuse our cosignature, %v; key id %08x, ours %08x", err, verifier.KeyHash(), witness.KeyHash())
	}

	secret := base64.StdEncoding.EncodeToString(append([]byte{algorithmCosignature}, key.Seed()...))
	signer, err := theirs.NewSignerForCosignatureV1(fmt.Sprintf("PRIVATE+KEY+witness.example.org/w1+%08x+%s", witness.KeyHash(), secret))
	if err != nil {
		t.Fatal(err)
	}
	if signature, err = signer.Sign(text); err != nil || !witness.Verify(text, signature) {
		t.Errorf("we refuse their cosignature, %v", err)
	}
	line := note.Signature{Name: signer.Name(), Hash: signer.KeyHash(),
		Base64: base64.StdEncoding.EncodeToString(append([]byte{0, 0, 0, 0}, signature...))}
	ours, err := CosignatureTime(line)
	if their, theirErr := theirs.CoSigV1Timestamp(line); err != nil || theirErr != nil || uint64(their.Unix()) != ours {
		t.Errorf("time %d, %v; they read %v, %v", ours, err, their, theirErr)
	}
}
