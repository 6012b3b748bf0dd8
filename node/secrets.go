package node

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"coffer/fsm/settings"
)

// Secrets are the keys of this node. They come from the environment or from
// key files and never enter log, state or metrics.
type Secrets struct {
	JWT        Secret // signs session tokens; equal on all nodes
	Salt       Secret // of the chain; equal on all nodes
	ZTideKey   Secret // service key of reputation events; empty matches nothing
	Encryption Secret // of personal data at rest; empty stores it plain
}

// Secret is a text that prints as nothing.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[secret]" }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

const shortestSecret = 32

// SecretsFrom reads the secrets from an environment. Each may also be in a file
// that the variable with _FILE behind its name points to.
func SecretsFrom(lookup func(string) (string, bool)) (Secrets, error) {
	var mistakes []error
	read := func(names ...string) Secret {
		for _, name := range names {
			text, err := lookupSecret(lookup, name)
			if err != nil {
				mistakes = append(mistakes, err)
			}
			if text != "" {
				return Secret(text)
			}
		}
		return ""
	}
	s := Secrets{
		JWT:        read("AUTH_JWT_SECRET"),
		Salt:       read("VEILNETX_SALT", "SHARD_HMAC_SECRET"),
		ZTideKey:   read("ZTIDE_SERVICE_KEY"),
		Encryption: read("QPAYNET_ENCRYPTION_KEY"),
	}
	return s, errors.Join(mistakes...)
}

func lookupSecret(lookup func(string) (string, bool), name string) (string, error) {
	if text, ok := lookup(name); ok && text != "" {
		return text, nil
	}
	path, ok := lookup(name + "_FILE")
	if !ok || path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

// check says what a mode does not accept. Missing secrets are generated in
// development.
func (s *Secrets) check(mode string) error {
	var mistakes []error
	production := mode == settings.Production
	switch {
	case s.JWT == "" && production:
		mistakes = append(mistakes, errors.New("AUTH_JWT_SECRET is not set: production does not generate it"))
	case s.JWT != "" && len(s.JWT) < shortestSecret:
		mistakes = append(mistakes, fmt.Errorf("AUTH_JWT_SECRET is shorter than %d characters", shortestSecret))
	case production && strings.HasPrefix(string(s.JWT), "dev-"):
		mistakes = append(mistakes, errors.New("AUTH_JWT_SECRET starts with dev-: it is not for production"))
	}
	switch {
	case s.Salt == "" && production:
		mistakes = append(mistakes, errors.New("VEILNETX_SALT is not set: production does not generate it"))
	case s.Salt != "" && len(s.Salt) < shortestSecret:
		mistakes = append(mistakes, fmt.Errorf("VEILNETX_SALT is shorter than %d bytes", shortestSecret))
	}
	if s.ZTideKey != "" && len(s.ZTideKey) < shortestSecret && production {
		mistakes = append(mistakes, fmt.Errorf("ZTIDE_SERVICE_KEY is shorter than %d characters", shortestSecret))
	}
	return errors.Join(mistakes...)
}

// generate fills in what development may make up, from files under the data
// directory that survive a restart. It returns the files it has made.
func (s *Secrets) generate(dir string) (made []string, err error) {
	for _, secret := range []struct {
		name string
		text *Secret
	}{{"jwt.key", &s.JWT}, {"chain.salt", &s.Salt}} {
		if *secret.text != "" {
			continue
		}
		path := filepath.Join(dir, "secrets", secret.name)
		created, err := readOrMake(path, secret.text)
		if err != nil {
			return made, err
		}
		if created {
			made = append(made, path)
		}
	}
	return made, nil
}

func readOrMake(path string, text *Secret) (made bool, err error) {
	stored, err := os.ReadFile(path)
	if err == nil {
		*text = Secret(strings.TrimSuffix(string(stored), "\n"))
		return false, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("read secret: %w", err)
	}
	var random [32]byte
	// crypto/rand never fails: the runtime stops the program instead.
	_, _ = rand.Read(random[:])
	*text = Secret(base64.RawURLEncoding.EncodeToString(random[:]))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, fmt.Errorf("make secret: %w", err)
	}
	return true, writeDurably(path, []byte(*text+"\n"))
}
