package node

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"coffer/cluster"
)

// A cluster changes its authority in three steps, each on every node before the
// next one begins: trust the new one beside the old, use it, drop the old. Each
// step replaces files of one node; a running node takes them by itself, and the
// nodes understand each other between any two steps.

// mostAuthorities is how many a node trusts: the old and the new one.
const mostAuthorities = 2

// openSecrets keeps other commands about certificates away from a node, which may
// be running, until unlock.
func openSecrets(dir string) (d *dataDir, unlock func() error, err error) {
	id, err := readIdentity(dir)
	if err != nil {
		return nil, nil, err
	}
	d = &dataDir{path: dir, Identity: id}
	if !d.hasCredentials() {
		return nil, nil, refused("%s is no member of a cluster: run coffer init or coffer join first", dir)
	}
	lock, err := os.Open(d.file(secretsDir))
	if err != nil {
		return nil, nil, fmt.Errorf("lock credentials: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, nil, errors.Join(refused("another command changes the credentials of %s: %v", dir, err), lock.Close())
	}
	return d, lock.Close, nil
}

// MakeAuthority makes a further authority for the cluster of a node and writes it
// to a new file, key and all. It changes nothing else.
func MakeAuthority(dir, path string) error {
	id, err := readIdentity(dir)
	if err != nil {
		return err
	}
	authority, err := cluster.NewAuthority(id.ClusterID, time.Now())
	if err != nil {
		return err
	}
	key, err := authority.Key()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return refused("%s exists: an authority is never overwritten", path)
	}
	if err != nil {
		return fmt.Errorf("make authority: %w", err)
	}
	_, err = file.Write(append(authority.Certificate(), key...))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("make authority: %w", err), os.Remove(path))
	}
	return syncDir(filepath.Dir(filepath.Clean(path)))
}

// TrustAuthority makes a node trust the authority in a file beside its own. It
// needs no key. To trust the same one again changes nothing.
func TrustAuthority(dir, path string) error {
	return changeSecrets(dir, func(d *dataDir) error {
		added, _, err := d.readAuthorityFile(path)
		if err != nil {
			return err
		}
		trusted, err := d.trusted()
		if err != nil {
			return err
		}
		if contains(trusted, added) {
			return nil
		}
		if len(trusted) >= mostAuthorities {
			return refused("%s trusts %d authorities: end the change before this one with coffer cert authority drop", dir, len(trusted))
		}
		return d.trust(append(trusted, added))
	})
}

// UseAuthority makes a node sign with the authority in a file, which it trusts
// already, and gives it a certificate under it.
func UseAuthority(dir, path string) (expires time.Time, err error) {
	err = changeSecrets(dir, func(d *dataDir) error {
		used, key, err := d.readAuthorityFile(path)
		if err != nil {
			return err
		}
		authority, err := cluster.ParseAuthority(used, key)
		if err != nil {
			return refused("%s: %v", path, err)
		}
		trusted, err := d.trusted()
		if err != nil {
			return err
		}
		if !contains(trusted, used) {
			return refused("%s does not trust this authority: run coffer cert authority trust on every node first", dir)
		}
		// A crash behind this leaves a node that signs with the new one and shows a
		// certificate of the old one. All nodes trust both.
		if err := d.writeSecret(authorityKeyFile, key); err != nil {
			return err
		}
		expires, err = d.renew(authority, time.Now())
		return err
	})
	return expires, err
}

// DropAuthority makes a node trust only the new authority, which it uses. From then
// on nobody talks to it with a certificate of the old one.
func DropAuthority(dir string) error {
	return keepOne(dir, func(trusted [][]byte, own *cluster.Credentials) ([]byte, error) {
		newest := trusted[len(trusted)-1]
		if !own.SignedBy(newest) {
			return nil, refused("%s shows a certificate of the old authority: run coffer cert authority use on every node first", dir)
		}
		return newest, nil
	})
}

// KeepAuthority gives a change of the authority up: the node goes on with the old
// one alone. It is too late once the node uses the new one.
func KeepAuthority(dir string) error {
	return keepOne(dir, func(trusted [][]byte, own *cluster.Credentials) ([]byte, error) {
		if !own.SignedBy(trusted[0]) {
			return nil, refused("%s uses the new authority already: end the change with coffer cert authority drop", dir)
		}
		return trusted[0], nil
	})
}

// keepOne makes a node trust one of its authorities.
func keepOne(dir string, choose func(trusted [][]byte, own *cluster.Credentials) ([]byte, error)) error {
	return changeSecrets(dir, func(d *dataDir) error {
		trusted, err := d.trusted()
		if err != nil {
			return err
		}
		if len(trusted) < mostAuthorities {
			return refused("%s trusts one authority only", dir)
		}
		f, err := d.readCredentials()
		if err != nil {
			return err
		}
		own, err := f.credentials(time.Now())
		if err != nil {
			return err
		}
		kept, err := choose(trusted, own)
		if err != nil {
			return err
		}
		return d.trust([][]byte{kept})
	})
}

// changeSecrets runs a change of a node's credentials while nobody else changes
// them.
func changeSecrets(dir string, change func(d *dataDir) error) error {
	d, unlock, err := openSecrets(dir)
	if err != nil {
		return err
	}
	return errors.Join(change(d), unlock())
}

// trusted are the authorities of a node, oldest first, PEM.
func (d *dataDir) trusted() ([][]byte, error) {
	bundle, err := d.readSecret(authorityFile)
	if err != nil {
		return nil, err
	}
	return cluster.Authorities(bundle)
}

// trust replaces the authorities of a node, unless its own certificate would not
// hold any more.
func (d *dataDir) trust(authorities [][]byte) error {
	f, err := d.readCredentials()
	if err != nil {
		return err
	}
	f.authority = bytes.Join(authorities, nil)
	if _, err := f.credentials(time.Now()); err != nil {
		return refused("%v", err)
	}
	return d.writeSecret(authorityFile, f.authority)
}

// readAuthorityFile reads what MakeAuthority has written. The key may be missing.
func (d *dataDir) readAuthorityFile(path string) (authority, key []byte, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read authority: %w", err)
	}
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		part := &key
		if block.Type == "CERTIFICATE" {
			part = &authority
		}
		*part = append(*part, pem.EncodeToMemory(block)...)
	}
	all, err := cluster.Authorities(authority)
	if err != nil {
		return nil, nil, refused("%s: %v", path, err)
	}
	named, err := cluster.AuthorityOf(authority)
	switch {
	case len(all) != 1:
		return nil, nil, refused("%s holds %d authorities, not one", path, len(all))
	case err != nil:
		return nil, nil, refused("%s: %v", path, err)
	case named != d.Identity.ClusterID:
		return nil, nil, refused("%s is the authority of cluster %s, not of %s", path, named, d.Identity.ClusterID)
	}
	return all[0], key, nil
}

func contains(list [][]byte, one []byte) bool {
	return slices.ContainsFunc(list, func(other []byte) bool { return bytes.Equal(one, other) })
}
