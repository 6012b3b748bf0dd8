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
	authorityFile    = "ca.crt"
	authorityKeyFile = "ca.key" // whoever has it can add nodes
	nodeKeyFile      = "node.key"
	certificateFile  = "node.crt"
)

// credentialFiles are the contents of these files, PEM.
type credentialFiles struct {
	authority, authorityKey, key, certificate []byte
}

// hasCredentials tells whether this node belongs to a cluster with peers.
func (d *dataDir) hasCredentials() bool { return d.has(filepath.Join(secretsDir, certificateFile)) }

func (d *dataDir) saveCredentials(f credentialFiles) error {
	if err := makeDir(d.file(secretsDir)); err != nil {
		return fmt.Errorf("save credentials: %w", err)
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{{authorityFile, f.authority}, {authorityKeyFile, f.authorityKey}, {nodeKeyFile, f.key}, {certificateFile, f.certificate}} {
		if err := writeDurably(d.file(filepath.Join(secretsDir, file.name)), file.content); err != nil {
			return fmt.Errorf("save credentials: %w", err)
		}
	}
	return nil
}

func (d *dataDir) readCredentials() (f credentialFiles, err error) {
	for _, file := range []struct {
		name    string
		content *[]byte
	}{{authorityFile, &f.authority}, {authorityKeyFile, &f.authorityKey}, {nodeKeyFile, &f.key}, {certificateFile, &f.certificate}} {
		if *file.content, err = os.ReadFile(d.file(filepath.Join(secretsDir, file.name))); err != nil {
			return f, fmt.Errorf("read credentials: %w", err)
		}
	}
	return f, nil
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

// Renew gives a node a new key and certificate. A running node takes them with
// SIGHUP.
func Renew(dir string) (expires time.Time, err error) {
	id, err := readIdentity(dir)
	if err != nil {
		return expires, err
	}
	d := &dataDir{path: dir, Identity: id}
	f, err := d.readCredentials()
	if err != nil {
		return expires, err
	}
	authority, err := cluster.ParseAuthority(f.authority, f.authorityKey)
	if err != nil {
		return expires, err
	}
	now := time.Now()
	if err := f.issue(authority, id.NodeID, now); err != nil {
		return expires, err
	}
	credentials, err := f.credentials(now)
	if err != nil {
		return expires, err
	}
	return credentials.Expiry(), d.saveCredentials(f)
}

var errMember = errors.New("belongs to a cluster already")
