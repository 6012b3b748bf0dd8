package cluster

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
)

// A cluster has one authority, and two while it changes from one to the next: a node then trusts both.

// Authorities splits the authorities that a node trusts into single certificates, PEM. There is at least one.
func Authorities(bundlePEM []byte) ([][]byte, error) {
	var all [][]byte
	for rest := bundlePEM; len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != blockCertificate {
			return nil, errors.New("read authorities: certificate is not PEM")
		}
		one := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})
		certificate, err := parseCertificate(one)
		if err == nil {
			_, err = authorityOf(certificate)
		}
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, errors.New("read authorities: there is none")
	}
	return all, nil
}

// fingerprints returns the fingerprint of each authority of a bundle.
func fingerprints(bundlePEM []byte) ([][sha256.Size]byte, error) {
	all, err := Authorities(bundlePEM)
	if err != nil {
		return nil, err
	}
	list := make([][sha256.Size]byte, len(all))
	for i, one := range all {
		if list[i], err = Fingerprint(one); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// SignedBy says whether an authority, PEM, has signed the node's own certificate.
func (c *Credentials) SignedBy(authorityPEM []byte) bool {
	authority, err := parseCertificate(authorityPEM)
	return err == nil && authority.Equal(c.authority)
}

// CheckPair says why a key does not belong to a certificate, both PEM.
func CheckPair(certificatePEM, keyPEM []byte) error {
	if _, err := tls.X509KeyPair(certificatePEM, keyPEM); err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	return nil
}

// AuthorityOf returns the cluster whose authority a certificate is, PEM.
func AuthorityOf(authorityPEM []byte) (clusterID string, err error) {
	certificate, err := parseCertificate(authorityPEM)
	if err != nil {
		return "", fmt.Errorf("read authority: %w", err)
	}
	return authorityOf(certificate)
}
