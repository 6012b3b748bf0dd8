package node

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"coffer/cluster"
)

// pair writes a self-signed certificate and its key.
func pair(t *testing.T, dir string, serial int64, until time.Time) (certificate, key string) {
	t.Helper()
	signer, err := cluster.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "api"}, NotAfter: until, IPAddresses: []net.IP{{127, 0, 0, 1}}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := cluster.EncodeKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "api.crt"), filepath.Join(dir, "api.key")
	for path, content := range map[string][]byte{certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), key: encoded} {
		if err := writeDurably(path, content); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// serial is that of the certificate that a server shows.
func serial(t *testing.T, address string) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// A certificate of the public API that was replaced is shown without a restart
// and without a word; SIGHUP is no end of a node, not even of one without peers.
func TestANewPublicCertificateIsShownWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	certificate, key := pair(t, dir, 1, time.Now().Add(time.Hour))
	h := mustHost(t, filepath.Join(dir, "data"), func(c *Config) { c.TLSCert, c.TLSKey = certificate, key })
	defer h.end(t)
	if got := serial(t, h.server.address); got != 1 {
		t.Fatalf("certificate %d is shown", got)
	}
	pair(t, dir, 2, time.Now().Add(time.Hour))
	eventually(t, "the new certificate is shown", func() bool { return serial(t, h.server.address) == 2 })
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node has heard SIGHUP", func() bool { return strings.Contains(h.log.String(), "asked to read certificates again") })
	if got := serial(t, h.server.address); got != 2 {
		t.Errorf("certificate %d is shown", got)
	}
}

// A bad certificate is not taken, and said so once.
func TestABadCertificateLeavesTheOldOneInUse(t *testing.T) {
	dir, log := t.TempDir(), &journalled{}
	certificate, key := pair(t, dir, 1, time.Now().Add(time.Hour))
	n := &Node{config: Config{TLSCert: certificate, TLSKey: key}, logger: slog.New(slog.NewJSONHandler(log, nil))}
	if err := n.watchPublicCredentials(); err != nil {
		t.Fatal(err)
	}
	looks := func(want int64, refusals int) {
		t.Helper()
		for range 3 {
			n.reloadOnce(false)
		}
		if got := n.public.Load().Leaf.SerialNumber.Int64(); got != want {
			t.Errorf("certificate %d is in use, want %d", got, want)
		}
		if got := strings.Count(log.String(), "are not taken"); got != refusals {
			t.Errorf("%d refusals, want %d:\n%s", got, refusals, log)
		}
	}
	looks(1, 0)
	if err := os.WriteFile(certificate, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	looks(1, 1)
	if err := os.Remove(certificate); err != nil {
		t.Fatal(err)
	}
	looks(1, 2)
	pair(t, dir, 2, time.Now().Add(-time.Hour))
	looks(1, 3)
	pair(t, dir, 3, time.Now().Add(time.Hour))
	looks(3, 3)
	n.reloadOnce(true)
	if got := strings.Count(log.String(), `"new credentials are in use"`); got != 2 {
		t.Errorf("new credentials were in use %d times:\n%s", got, log)
	}
}

// A start that fails gives back what it has opened, ports and goroutines.
func TestAFailedStartLeavesNothingRunning(t *testing.T) {
	d := credentialed(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // the process has one goroutine for signals, for good
	defer signal.Stop(heard)
	mark := pprof.Labels("test", t.Name()) // goroutines hand it on to those that they start
	pprof.Do(t.Context(), mark, func(ctx context.Context) {
		var sole Config
		_, err := host(t, d.path, func(c *Config) {
			sole = *c
			c.Cluster, c.HTTPAddr = port, taken.Addr().String()
		})
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("a start on a port that is taken: %v", err)
		}
		over, cancel := context.WithCancel(ctx)
		cancel()
		sole.DataDir = filepath.Join(t.TempDir(), "sole")
		if _, err := Start(over, sole); !errors.Is(err, context.Canceled) {
			t.Fatalf("a start that was given up: %v", err)
		}
	})
	eventually(t, "no goroutine of the node is left", func() bool {
		var running strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&running, 1); err != nil {
			t.Fatal(err)
		}
		return !strings.Contains(running.String(), t.Name()+`"`)
	})
	again, err := net.Listen("tcp", port)
	if err != nil {
		t.Errorf("the cluster port is still taken: %v", err)
	} else if err := again.Close(); err != nil {
		t.Error(err)
	}
	h := mustHost(t, d.path, func(c *Config) { c.Cluster = port })
	h.end(t)
}
