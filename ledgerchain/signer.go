package ledgerchain

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Types of key, the first byte of an encoded public key.
const (
	algorithmEd25519     = 0x01 // signs the text of a note
	algorithmCosignature = 0x04 // signs a time and the text: cosignature/v1
)

// signer implements note.Signer. The key is hidden in the closure, out of reach of fmt and encoders.
type signer struct {
	name string
	hash uint32
	sign func(text []byte) []byte
}

func (s *signer) Name() string                     { return s.name }
func (s *signer) KeyHash() uint32                  { return s.hash }
func (s *signer) Sign(text []byte) ([]byte, error) { return s.sign(text), nil }

// NewSigner returns the signer of the log or of manifests: Ed25519 over the text of the note.
func NewSigner(name string, key ed25519.PrivateKey) (note.Signer, error) {
	public, err := publicKey(name, key)
	if err != nil {
		return nil, err
	}
	return &signer{
		name: name,
		hash: keyHash(name, algorithmEd25519, public),
		sign: func(text []byte) []byte { return ed25519.Sign(key, text) },
	}, nil
}

// VerifierKey returns the public key as text, the vkey of C2SP signed-note.
func VerifierKey(name string, public ed25519.PublicKey) string {
	return verifierKey(name, algorithmEd25519, public)
}

// CosignatureVerifierKey returns a witness's public key as text.
func CosignatureVerifierKey(name string, public ed25519.PublicKey) string {
	return verifierKey(name, algorithmCosignature, public)
}

// NewVerifier reads the text of VerifierKey or CosignatureVerifierKey.
func NewVerifier(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	digits, encoded, _ := strings.Cut(rest, "+")
	raw, ok := decodeBase64(encoded)
	if !ok || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algorithmCosignature {
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, fmt.Errorf("verifier key %q: %w", vkey, err)
		}
		return verifier, nil
	}
	public := ed25519.PublicKey(raw[1:])
	hash := keyHash(name, algorithmCosignature, public)
	if err := checkKeyName(name); err != nil {
		return nil, err
	}
	if digits != hex.EncodeToString(binary.BigEndian.AppendUint32(nil, hash)) {
		return nil, fmt.Errorf("verifier key %q: wrong key id", vkey)
	}
	return &cosignatureVerifier{name: name, hash: hash, public: public}, nil
}

func publicKey(name string, key ed25519.PrivateKey) (ed25519.PublicKey, error) {
	if err := checkKeyName(name); err != nil {
		return nil, err
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("signer: not an Ed25519 private key")
	}
	return key.Public().(ed25519.PublicKey), nil
}

func checkKeyName(name string) error {
	if err := CheckLedgerID(name); err != nil {
		return fmt.Errorf("key name: %w", err)
	}
	return nil
}

func verifierKey(name string, algorithm byte, public ed25519.PublicKey) string {
	raw := append([]byte{algorithm}, public...)
	return fmt.Sprintf("%s+%08x+%s", name, keyHash(name, algorithm, public), base64.StdEncoding.EncodeToString(raw))
}

func keyHash(name string, algorithm byte, public ed25519.PublicKey) uint32 {
	message := append([]byte(name), '\n', algorithm)
	sum := sha256.Sum256(append(message, public...))
	return binary.BigEndian.Uint32(sum[:])
}

// decodeBase64 accepts only the one spelling that the encoder writes.
func decodeBase64(s string) ([]byte, bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	return raw, err == nil && len(s) == base64.StdEncoding.EncodedLen(len(raw))
}
