package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// fieldPrefix marks an encrypted field and its format.
const fieldPrefix = "enc:v1:"

const (
	nonceLength = 12
	tagLength   = 16
)

var (
	// ErrField means that a stored field cannot be decrypted: wrong key, wrong
	// place or damage.
	ErrField = errors.New("field cannot be decrypted")
	// ErrFieldKey means that a stored field is encrypted, but there is no key.
	ErrFieldKey = errors.New("field is encrypted and there is no key")
	errMarked   = errors.New("text begins like an encrypted field and there is no key")
)

// Fields encrypts single fields with AES-256-GCM. Without a key it keeps them
// as they are. It is safe for concurrent use.
type Fields struct {
	aead   cipher.AEAD // nil without a key
	random io.Reader
}

// NewFields takes a key of 64 hex digits, a passphrase whose SHA-256 is the key,
// or nothing. Random is crypto/rand when nil.
func NewFields(key string, random io.Reader) (*Fields, error) {
	if random == nil {
		random = rand.Reader
	}
	if key == "" {
		return &Fields{random: random}, nil
	}
	bits, err := hex.DecodeString(key)
	if err != nil || len(bits) != 32 {
		sum := sha256.Sum256([]byte(key))
		bits = sum[:]
	}
	block, err := aes.NewCipher(bits)
	if err != nil {
		return nil, fmt.Errorf("field key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("field key: %w", err)
	}
	return &Fields{aead: aead, random: random}, nil
}

// Enabled tells that there is a key.
func (f *Fields) Enabled() bool { return f.aead != nil }

// Encrypt returns a field as state keeps it: enc:v1: and the base64 of nonce,
// tag and ciphertext. Place names where it is kept, such as table and row id;
// it decrypts nowhere else. An empty place binds it to none.
func (f *Fields) Encrypt(text, place string) (string, error) {
	if f.aead == nil {
		if strings.HasPrefix(text, fieldPrefix) {
			return "", errMarked
		}
		return text, nil
	}
	nonce := make([]byte, nonceLength)
	if _, err := io.ReadFull(f.random, nonce); err != nil {
		return "", fmt.Errorf("draw a nonce: %w", err)
	}
	sealed := f.aead.Seal(nil, nonce, []byte(text), []byte(place))
	split := len(sealed) - tagLength
	packed := append(append(nonce, sealed[split:]...), sealed[:split]...)
	return fieldPrefix + base64.StdEncoding.EncodeToString(packed), nil
}

// Decrypt reads what Encrypt wrote for the same place. Text without the mark was
// stored when there was no key, and comes back as it is.
func (f *Fields) Decrypt(stored, place string) (string, error) {
	encoded, marked := strings.CutPrefix(stored, fieldPrefix)
	if !marked {
		return stored, nil
	}
	if f.aead == nil {
		return "", ErrFieldKey
	}
	packed, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || hasLineBreak(encoded) || len(packed) < nonceLength+tagLength {
		return "", ErrField
	}
	nonce, tag, text := packed[:nonceLength], packed[nonceLength:nonceLength+tagLength], packed[nonceLength+tagLength:]
	plain, err := f.aead.Open(nil, nonce, append(append([]byte(nil), text...), tag...), []byte(place))
	if err != nil {
		return "", ErrField
	}
	return string(plain), nil
}
