package node

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// reloadEvery is how often a node looks whether its certificates have changed.
const reloadEvery = 2 * time.Second

// reloadable is something that a running node takes anew from its files.
type reloadable struct {
	what    string
	files   []string
	load    func() (expires time.Time, err error)
	expires func() time.Time
	seen    string // the files as they were when they were last read
}

// watchFiles makes a running node take something anew when its files change. It
// must be called before they are read for the first time.
func (n *Node) watchFiles(r reloadable) {
	r.seen = r.stamp()
	n.reloadables = append(n.reloadables, &r)
}

// stamp differs when a file was written or replaced.
func (r *reloadable) stamp() string {
	var all strings.Builder
	for _, name := range r.files {
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintln(&all, err)
			continue
		}
		var inode uint64
		if system, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = system.Ino
		}
		fmt.Fprintln(&all, inode, info.Size(), info.ModTime().UnixNano())
	}
	return all.String()
}

// changed tells once of every change.
func (r *reloadable) changed() bool {
	now := r.stamp()
	if now == r.seen {
		return false
	}
	r.seen = now
	return true
}

// hearHangups makes SIGHUP a word to this node, instead of the end of it, from
// the first moment of its start.
func (n *Node) hearHangups() { signal.Notify(n.hangups, syscall.SIGHUP) }

// reload takes certificates anew at SIGHUP and when their files have changed,
// until the node stops. The old ones stay if the new ones do not hold.
func (n *Node) reload() {
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		asked := false
		select {
		case <-n.hangups:
			asked = true
		case <-ticker.C:
		case <-n.stopping:
			return
		}
		n.reloadOnce(asked)
	}
}

// reloadOnce takes what has changed, or everything if somebody asks for it.
func (n *Node) reloadOnce(asked bool) {
	if asked {
		n.logger.Info("asked to read certificates again", "count", len(n.reloadables))
	}
	for _, r := range n.reloadables {
		if changed := r.changed(); changed || asked {
			n.take(r)
		}
	}
}

// take loads once. What changes while it is read is read again at the next look.
func (n *Node) take(r *reloadable) {
	expires, err := r.load()
	if err != nil && r.stamp() != r.seen {
		return
	}
	if err != nil {
		n.logger.Error("new credentials are not taken", "of", r.what, "err", err)
		return
	}
	n.logger.Info("new credentials are in use", "of", r.what, "expires", expires)
}

// watchPeerCredentials is about what this node shows to its peers.
func (n *Node) watchPeerCredentials() {
	names := []string{authorityFile, nodeKeyFile, nextKeyFile, certificateFile}
	for i, name := range names {
		names[i] = n.dir.file(secretFile(name))
	}
	n.watchFiles(reloadable{what: "cluster", files: names, load: n.rotate, expires: func() time.Time { return n.port.Expiry() }})
}

// rotate takes the credentials in the data directory for new connections.
func (n *Node) rotate() (expires time.Time, err error) {
	files, err := n.dir.readCredentials()
	if err != nil {
		return expires, err
	}
	credentials, err := files.credentials(time.Now())
	if err != nil {
		return expires, err
	}
	return credentials.Expiry(), n.port.Rotate(credentials)
}

// watchPublicCredentials loads the certificate of the public API, if it has one.
func (n *Node) watchPublicCredentials() error {
	if n.config.TLSCert == "" {
		return nil
	}
	n.watchFiles(reloadable{
		what: "api", files: []string{n.config.TLSCert, n.config.TLSKey}, load: n.loadPublic,
		expires: func() time.Time { return n.public.Load().Leaf.NotAfter },
	})
	_, err := n.loadPublic()
	return err
}

// loadPublic takes the certificate of the public API for new connections.
func (n *Node) loadPublic() (expires time.Time, err error) {
	certificate, err := tls.LoadX509KeyPair(n.config.TLSCert, n.config.TLSKey)
	if err != nil {
		return expires, fmt.Errorf("load certificate: %w", err)
	}
	if now := time.Now(); now.After(certificate.Leaf.NotAfter) && n.public.Load() != nil {
		return expires, fmt.Errorf("load certificate: it has ended at %s", certificate.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	n.public.Store(&certificate)
	return certificate.Leaf.NotAfter, nil
}

// publicTLS shows the newest certificate to each new client.
func (n *Node) publicTLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return n.public.Load(), nil },
	}
}
