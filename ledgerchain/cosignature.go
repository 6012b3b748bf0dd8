package ledgerchain

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/note"
)

// Cosigner signs checkpoints as a witness: cosignature/v1.
type Cosigner struct {
	name string
	hash uint32
	sign func(message []byte) []byte
}

// NewCosigner returns a witness's signer.
func NewCosigner(name string, key ed25519.PrivateKey) (*Cosigner, error) {
	public, err := publicKey(name, key)
	if err != nil {
		return nil, err
	}
	return &Cosigner{
		name: name,
		hash: keyHash(name, algorithmCosignature, public),
		sign: func(message []byte) []byte { return ed25519.Sign(key, message) },
	}, nil
}

// At returns a signer that states the given time, in seconds since 1970.
func (c *Cosigner) At(unixSeconds uint64) note.Signer {
	return &signer{name: c.name, hash: c.hash, sign: func(text []byte) []byte {
		signature := binary.BigEndian.AppendUint64(nil, unixSeconds)
		return append(signature, c.sign(cosignedMessage(unixSeconds, text))...)
	}}
}

type cosignatureVerifier struct {
	name   string
	hash   uint32
	public ed25519.PublicKey
}

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return v.hash }

// Verify implements note.Verifier; the time in front of the signature is covered by it.
func (v *cosignatureVerifier) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	message := cosignedMessage(binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(v.public, message, signature[8:])
}

// CosignatureTime returns the time a verified cosignature states, in seconds since 1970.
func CosignatureTime(signature note.Signature) (unixSeconds uint64, err error) {
	raw, ok := decodeBase64(signature.Base64)
	if !ok || len(raw) != 4+8+ed25519.SignatureSize {
		return 0, fmt.Errorf("signature of %s: not a cosignature", signature.Name)
	}
	return binary.BigEndian.Uint64(raw[4:]), nil
}

func cosignedMessage(unixSeconds uint64, text []byte) []byte {
	message := strconv.AppendUint([]byte("cosignature/v1\ntime "), unixSeconds, 10)
	return append(append(message, '\n'), text...)
}
