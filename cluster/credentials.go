package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Credentials are what a node shows to its peers and whom it believes.
type Credentials struct {
	clusterID string
	nodeID    string
	own       tls.Certificate
	roots     *x509.CertPool
	authority *x509.Certificate // of the own certificate; sent to joining nodes
}

// ParseCredentials reads a node's certificate, its key and the authorities it trusts, one or several, all PEM.
// It fails unless they belong together and are valid now, so a bad renewal never replaces a good certificate.
func ParseCredentials(certificatePEM, keyPEM []byte, now time.Time, bundlePEM []byte) (*Credentials, error) {
	own, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	c := &Credentials{own: own, roots: x509.NewCertPool()}
	if c.clusterID, c.nodeID, err = identityOf(own.Leaf); err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	authorities, err := Authorities(bundlePEM)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	for _, authority := range authorities {
		root, err := parseCertificate(authority)
		if err != nil {
			return nil, fmt.Errorf("read credentials: authority: %w", err)
		}
		named, err := authorityOf(root)
		if err == nil && named != c.clusterID {
			err = fmt.Errorf("it belongs to cluster %q, the certificate to %q", named, c.clusterID)
		}
		if err != nil {
			return nil, fmt.Errorf("read credentials: authority: %w", err)
		}
		c.roots.AddCert(root)
		if own.Leaf.CheckSignatureFrom(root) == nil {
			c.authority = root
		}
	}
	if c.authority == nil {
		return nil, errors.New("read credentials: none of the authorities signed the certificate")
	}
	if _, err := c.verify([]*x509.Certificate{own.Leaf}, now); err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	return c, nil
}

// ClusterID returns the cluster that the certificate names.
func (c *Credentials) ClusterID() string { return c.clusterID }

// NodeID returns the node that the certificate names.
func (c *Credentials) NodeID() string { return c.nodeID }

// Expiry returns when the node's own certificate ends.
func (c *Credentials) Expiry() time.Time { return c.own.Leaf.NotAfter }

// verify returns the node that a peer's chain proves, which must be of the same cluster.
func (c *Credentials) verify(chain []*x509.Certificate, now time.Time) (string, error) {
	if len(chain) == 0 {
		return "", errors.New("peer shows no certificate")
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
		_, err := chain[0].Verify(x509.VerifyOptions{Roots: c.roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
		if err != nil {
			return "", fmt.Errorf("verify peer certificate: %w", err)
		}
	}
	clusterID, nodeID, err := identityOf(chain[0])
	if err != nil {
		return "", err
	}
	if clusterID != c.clusterID {
		return "", fmt.Errorf("peer belongs to cluster %q, this node to %q", clusterID, c.clusterID)
	}
	return nodeID, nil
}
