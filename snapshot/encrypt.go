package snapshot

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// ErrEncrypted is returned for an encrypted container that comes without a key.
var ErrEncrypted = errors.New("the backup is encrypted: a key is needed")

// ErrRecipient is returned for a recipient that is none.
var ErrRecipient = errors.New("a recipient cannot be read")

// encryptedTitle begins every file in the format of age-encryption.org.
const encryptedTitle = "age-encryption.org/"

// GenerateKey makes a key for backups. The recipient encrypts and is no secret;
// the secret decrypts and must be kept away from the nodes. It also holds
// against quantum computers.
func GenerateKey() (secret, recipient string, err error) {
	key, err := age.GenerateHybridIdentity()
	if err != nil {
		return "", "", fmt.Errorf("generate a backup key: %w", err)
	}
	return key.String(), key.Recipient().String(), nil
}

// encrypt returns a writer whose Close ends the container, but not the writer
// below. Without recipients it changes nothing.
func encrypt(to io.Writer, recipients []string) (io.WriteCloser, error) {
	if len(recipients) == 0 {
		return openEnd{to}, nil
	}
	parsed, err := age.ParseRecipients(strings.NewReader(strings.Join(recipients, "\n")))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecipient, err)
	}
	sealed, err := age.Encrypt(to, parsed...)
	if err != nil {
		return nil, fmt.Errorf("encrypt the backup: %w", err)
	}
	return sealed, nil
}

type openEnd struct{ io.Writer }

func (openEnd) Close() error { return nil }

// decrypt returns the stream inside a container.
func decrypt(from io.Reader, secrets []string) (stream io.Reader, encrypted bool, err error) {
	buffered := bufio.NewReaderSize(from, 64<<10)
	start, err := buffered.Peek(len(encryptedTitle))
	if err != nil && err != io.EOF {
		return nil, false, fmt.Errorf("read the backup: %w", err)
	}
	if !bytes.Equal(start, []byte(encryptedTitle)) {
		return buffered, false, nil
	}
	if len(secrets) == 0 {
		return nil, true, ErrEncrypted
	}
	parsed, err := age.ParseIdentities(strings.NewReader(strings.Join(secrets, "\n")))
	if err != nil {
		return nil, true, errors.New("read the backup key: it is not one of age") // the cause may quote the key
	}
	opened, err := age.Decrypt(buffered, parsed...)
	if err != nil {
		return nil, true, fmt.Errorf("decrypt the backup: %w", err)
	}
	return opened, true, nil
}
