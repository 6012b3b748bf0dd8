package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"coffer/cluster"
)

// The files of a node's part in its cluster, below the secrets of its data
// directory. The certificate is written last: with it, all others are there.
const (
	authorityFile    = "ca.crt"   // whom this node trusts: one authority, two while it changes
	authorityKeyFile = "ca.key"   // whoever has it can add nodes
	nodeKeyFile      = "node.key" // of the certificate, or
	nextKeyFile      = "node.key.next"
	certificateFile  = "node.crt"
)

// credentialFiles are the contents of these files, PEM.
type credentialFiles struct {
	authority, authorityKey, key, certificate []byte
}

// hasCredentials tells whether this node belongs to a cluster with peers.
func (d *dataDir) hasCredentials() bool { return d.has(secretFile(certificateFile)) }

func secretFile(name string) string { return filepath.Join(secretsDir, name) }

// saveCredentials writes the files of a node that has none.
func (d *dataDir) saveCredentials(f credentialFiles) error {
	if err := makeDir(d.file(secretsDir)); err != nil {
		return fmt.Errorf("save credentials: %w", err)
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{{authorityFile, f.authority}, {authorityKeyFile, f.authorityKey}, {nodeKeyFile, f.key}, {certificateFile, f.certificate}} {
		if err := d.writeSecret(file.name, file.content); err != nil {
			return fmt.Errorf("save credentials: %w", err)
		}
	}
	return nil
}

func (d *dataDir) writeSecret(name string, content []byte) error {
	return writeDurably(d.file(secretFile(name)), content)
}

// readCredentials reads what a node shows and whom it trusts. Of two keys it
// takes the one that fits the certificate.
func (d *dataDir) readCredentials() (f credentialFiles, err error) {
	if f.certificate, err = d.readSecret(certificateFile); err != nil {
		return f, err
	}
	if f.authority, err = d.readSecret(authorityFile); err != nil {
		return f, err
	}
	f.key, _, err = d.fittingKey(f.certificate)
	return f, err
}

// fittingKey is the key of the node's certificate, and in which file it is. That
// may be the next one: a renewal replaces the certificate between the two.
func (d *dataDir) fittingKey(certificate []byte) (key []byte, name string, err error) {
	var mistakes []error
	for _, name := range []string{nodeKeyFile, nextKeyFile} {
		key, err := d.readSecret(name)
		if err == nil {
			if err = cluster.CheckPair(certificate, key); err == nil {
				return key, name, nil
			}
		}
		if name == nodeKeyFile || !errors.Is(err, os.ErrNotExist) {
			mistakes = append(mistakes, err)
		}
	}
	return nil, "", errors.Join(mistakes...)
}

// readAuthority reads the authority with which this node signs. A node without
// its key works, and admits nobody.
func (d *dataDir) readAuthority() (*cluster.Authority, error) {
	trusted, err := d.readSecret(authorityFile)
	if err != nil {
		return nil, err
	}
	key, err := d.readSecret(authorityKeyFile)
	if err != nil {
		return nil, err
	}
	return cluster.ParseAuthority(trusted, key)
}

func (d *dataDir) readSecret(name string) ([]byte, error) {
	content, err := os.ReadFile(d.file(secretFile(name)))
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	return content, nil
}

// credentials are what this node shows to its peers.
func (f credentialFiles) credentials(now time.Time) (*cluster.Credentials, error) {
	return cluster.ParseCredentials(f.certificate, f.key, now, f.authority)
}

// newAuthority makes the root of a new cluster and the certificate of its first
// node.
func newAuthority(id Identity, now time.Time) (f credentialFiles, err error) {
	authority, err := cluster.NewAuthority(id.ClusterID, now)
	if err != nil {
		return f, err
	}
	f.authority = authority.Certificate()
	if f.authorityKey, err = authority.Key(); err != nil {
		return f, err
	}
	return f, f.issue(authority, id.NodeID, now)
}

// issue makes a new key for a node and signs its certificate.
func (f *credentialFiles) issue(authority *cluster.Authority, nodeID string, now time.Time) error {
	key, err := cluster.NewKey()
	if err != nil {
		return err
	}
	encoded, err := cluster.EncodeKey(key)
	if err != nil {
		return err
	}
	certificate, err := authority.Issue(nodeID, key.Public(), now)
	f.key, f.certificate = encoded, certificate
	return err
}

// Renew gives a node a new key and certificate. A running node takes them by
// itself.
func Renew(dir string) (expires time.Time, err error) {
	d, unlock, err := openSecrets(dir)
	if err != nil {
		return expires, err
	}
	authority, err := d.readAuthority()
	if errors.Is(err, os.ErrNotExist) {
		err = refused("%s cannot sign certificates: it has no %s", dir, secretFile(authorityKeyFile))
	}
	if err == nil {
		expires, err = d.renew(authority, time.Now())
	}
	return expires, errors.Join(err, unlock())
}

func (d *dataDir) renew(authority *cluster.Authority, now time.Time) (expires time.Time, err error) {
	f := credentialFiles{}
	if f.authority, err = d.readSecret(authorityFile); err != nil {
		return expires, err
	}
	if err := f.issue(authority, d.Identity.NodeID, now); err != nil {
		return expires, err
	}
	credentials, err := f.credentials(now)
	if err != nil {
		return expires, err
	}
	for _, step := range d.renewal(f) {
		if err := step(); err != nil {
			return expires, err
		}
	}
	return credentials.Expiry(), nil
}

// renewal puts another key and certificate in the place of a node's. It may end
// behind each step: the certificate always has a key that fits.
func (d *dataDir) renewal(f credentialFiles) []func() error {
	return []func() error{
		d.settleKey, // a renewal before this one may have ended early
		func() error { return d.writeSecret(nextKeyFile, f.key) },
		func() error { return d.writeSecret(certificateFile, f.certificate) },
		d.settleKey,
	}
}

// settleKey gives the key of the certificate its usual name. Without a key that
// fits there is nothing to keep.
func (d *dataDir) settleKey() error {
	certificate, err := d.readSecret(certificateFile)
	if err != nil {
		return err
	}
	if _, name, err := d.fittingKey(certificate); err != nil || name != nextKeyFile {
		return nil
	}
	if err := os.Rename(d.file(secretFile(nextKeyFile)), d.file(secretFile(nodeKeyFile))); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	return syncDir(d.file(secretsDir))
}

var errMember = errors.New("belongs to a cluster already")
