package cluster

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

const (
	scheme      = "coffer" // of the URI that names a node in its certificate
	maxName     = 64       // bytes of a cluster or node id
	clockSlack  = 5 * time.Minute
	authorityAs = "Coffer cluster "

	blockCertificate = "CERTIFICATE"
	blockKey         = "PRIVATE KEY"
)

// AuthorityValidity is how long a new authority signs; NodeValidity is what a node certificate gets at most.
const (
	AuthorityValidity = 20 * 365 * 24 * time.Hour
	NodeValidity      = 397 * 24 * time.Hour
)

// Authority is the root of one cluster. It signs node certificates and nothing else, and trusts no other root.
type Authority struct {
	clusterID   string
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority creates the root of a cluster with a new key.
func NewAuthority(clusterID string, now time.Time) (*Authority, error) {
	if err := checkName(clusterID); err != nil {
		return nil, fmt.Errorf("create authority: cluster id: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create authority: %w", err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: authorityAs + clusterID},
		NotBefore: now.Add(-clockSlack), NotAfter: now.Add(AuthorityValidity),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
		URIs:     []*url.URL{{Scheme: scheme, Host: clusterID, Path: "/"}},
	}
	certificate, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("create authority: %w", err)
	}
	return &Authority{clusterID: clusterID, certificate: certificate, key: key}, nil
}

// ParseAuthority reads what Certificate and Key returned. Of several authorities it takes the one that the key belongs to,
// and fails if there is none.
func ParseAuthority(bundlePEM, keyPEM []byte) (*Authority, error) {
	all, err := Authorities(bundlePEM)
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	for _, one := range all {
		certificate, err := parseCertificate(one)
		if err != nil {
			return nil, fmt.Errorf("read authority: %w", err)
		}
		if !ok || !public.Equal(certificate.PublicKey) {
			continue
		}
		clusterID, err := authorityOf(certificate)
		if err != nil {
			return nil, fmt.Errorf("read authority: %w", err)
		}
		return &Authority{clusterID: clusterID, certificate: certificate, key: key}, nil
	}
	return nil, errors.New("read authority: key and certificate do not belong together")
}

// Certificate returns the root's certificate as PEM.
func (a *Authority) Certificate() []byte { return encodeCertificate(a.certificate) }

// Key returns the root's private key as PEM. Whoever has it can add nodes to the cluster.
func (a *Authority) Key() ([]byte, error) { return EncodeKey(a.key) }

// Expiry returns when the root's certificate ends.
func (a *Authority) Expiry() time.Time { return a.certificate.NotAfter }

// Issue signs a certificate for the node's public key, as PEM. It is valid for NodeValidity or as long as the root.
func (a *Authority) Issue(nodeID string, public crypto.PublicKey, now time.Time) ([]byte, error) {
	if err := checkName(nodeID); err != nil {
		return nil, fmt.Errorf("issue certificate: node id: %w", err)
	}
	until := now.Add(NodeValidity)
	if until.After(a.certificate.NotAfter) {
		until = a.certificate.NotAfter
	}
	certificate, err := sign(&x509.Certificate{
		Subject:   pkix.Name{CommonName: nodeID},
		NotBefore: now.Add(-clockSlack), NotAfter: until,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		URIs:                  []*url.URL{nodeURI(a.clusterID, nodeID)},
	}, a.certificate, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for node %s: %w", nodeID, err)
	}
	return encodeCertificate(certificate), nil
}

// IssueFor signs a certificate for the key of a PKCS #10 request, whose signature proves possession of that key.
func (a *Authority) IssueFor(nodeID string, request []byte, now time.Time) ([]byte, error) {
	parsed, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, fmt.Errorf("read certificate request: %w", err)
	}
	if err := parsed.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check certificate request: %w", err)
	}
	return a.Issue(nodeID, parsed.PublicKey, now)
}

// Fingerprint returns the SHA-256 of an authority's certificate, by which a joining node recognises it.
func Fingerprint(certificatePEM []byte) ([sha256.Size]byte, error) {
	certificate, err := parseCertificate(certificatePEM)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("read authority: %w", err)
	}
	return sha256.Sum256(certificate.Raw), nil
}

// NewKey creates the private key of a node.
func NewKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// EncodeKey returns a private key as PEM.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}), nil
}

// ParseKey reads what EncodeKey returned.
func ParseKey(keyPEM []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil || block.Type != blockKey {
		return nil, errors.New("key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("key cannot sign")
	}
	return signer, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func encodeCertificate(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: certificate.Raw})
}

// parseCertificate reads exactly one certificate.
func parseCertificate(certificatePEM []byte) (*x509.Certificate, error) {
	block, rest := pem.Decode(certificatePEM)
	if block == nil || block.Type != blockCertificate {
		return nil, errors.New("certificate is not PEM")
	}
	if len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("more than one certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

func nodeURI(clusterID, nodeID string) *url.URL {
	return &url.URL{Scheme: scheme, Host: clusterID, Path: "/node/" + nodeID}
}

// identityOf returns whom a certificate names. It must name exactly one node.
func identityOf(certificate *x509.Certificate) (clusterID, nodeID string, err error) {
	if len(certificate.URIs) != 1 || certificate.URIs[0].Scheme != scheme {
		return "", "", errors.New("certificate names no node")
	}
	uri := certificate.URIs[0]
	nodeID, ok := strings.CutPrefix(uri.Path, "/node/")
	if !ok || checkName(nodeID) != nil || checkName(uri.Host) != nil || uri.String() != nodeURI(uri.Host, nodeID).String() {
		return "", "", fmt.Errorf("certificate names %q, which is no node", uri)
	}
	return uri.Host, nodeID, nil
}

// authorityOf returns the cluster whose root a certificate is.
func authorityOf(certificate *x509.Certificate) (string, error) {
	if !certificate.IsCA || len(certificate.URIs) != 1 || certificate.URIs[0].Scheme != scheme || certificate.URIs[0].Path != "/" {
		return "", errors.New("certificate is not a cluster's authority")
	}
	return certificate.URIs[0].Host, checkName(certificate.URIs[0].Host)
}

// checkName accepts ids that mean the same in a URI, a file name and a log line.
func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%q must have 1 to %d characters", name, maxName)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r) {
			return fmt.Errorf("%q contains %q, allowed are letters, digits, dot, dash and underscore", name, r)
		}
	}
	return nil
}
