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
		secret, err := readSecret(lookup, names...)
		mistakes = append(mistakes, err)
		return secret
	}
	s := Secrets{
		JWT:        read("AUTH_JWT_SECRET"),
		Salt:       read(saltNames...),
		ZTideKey:   read("ZTIDE_SERVICE_KEY"),
		Encryption: read("QPAYNET_ENCRYPTION_KEY"),
	}
	return s, errors.Join(mistakes...)
}

// saltNames are the variables that may hold the chain's salt.
var saltNames = []string{"VEILNETX_SALT", "SHARD_HMAC_SECRET"}

// readSecret is the first of some variables that is set.
func readSecret(lookup func(string) (string, bool), names ...string) (Secret, error) {
	for _, name := range names {
		text, err := lookupSecret(lookup, name)
		if err != nil || text != "" {
			return Secret(text), err
		}
	}
	return "", nil
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

const (
	tokenKeyFile = "jwt.key"
	saltFile     = "chain.salt"
)

// generate fills in what development may make up, from files under the data
// directory that survive a restart. It returns the files it has made. A salt is
// made for a new directory only: no chain goes on under another one.
func (s *Secrets) generate(dir string) (made []string, err error) {
	_, err = os.Stat(filepath.Join(dir, stateFile))
	fresh := errors.Is(err, os.ErrNotExist)
	for _, secret := range []struct {
		name string
		text *Secret
		make bool
	}{{tokenKeyFile, &s.JWT, true}, {saltFile, &s.Salt, fresh}} {
		if *secret.text != "" {
			continue
		}
		path := filepath.Join(dir, secretsDir, secret.name)
		*secret.text, err = storedSecret(path)
		if err != nil {
			return made, err
		}
		if *secret.text != "" {
			continue
		}
		if !secret.make {
			return made, refused("the chain in %s has a salt already: VEILNETX_SALT is not set and there is no %s", dir, path)
		}
		if *secret.text, err = makeSecret(path); err != nil {
			return made, err
		}
		made = append(made, path)
	}
	return made, nil
}

// storedSecret reads a secret from its file; it is empty if there is none.
func storedSecret(path string) (Secret, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	secret := Secret(strings.TrimSuffix(string(text), "\n"))
	if len(secret) < shortestSecret {
		return "", refused("%s is damaged: it is shorter than %d characters", path, shortestSecret)
	}
	return secret, nil
}

// keepSecrets stores what the first node of a development cluster has made up.
func (d *dataDir) keepSecrets(brought dowry) error {
	if err := makeDir(d.file(secretsDir)); err != nil {
		return fmt.Errorf("make secrets: %w", err)
	}
	for name, text := range map[string]string{tokenKeyFile: brought.JWT, saltFile: brought.Salt} {
		if text == "" {
			continue
		}
		if err := writeDurably(d.file(filepath.Join(secretsDir, name)), []byte(text+"\n")); err != nil {
			return err
		}
	}
	return nil
}

func makeSecret(path string) (Secret, error) {
	var random [32]byte
	// crypto/rand never fails: the runtime stops the program instead.
	_, _ = rand.Read(random[:])
	secret := Secret(base64.RawURLEncoding.EncodeToString(random[:]))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("make secret: %w", err)
	}
	return secret, writeDurably(path, []byte(secret+"\n"))
}
