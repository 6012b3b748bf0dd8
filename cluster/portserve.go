package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// listen accepts connections until the port is closed. Each handshake has its own goroutine and a deadline.
func (p *Port) listen() {
	pause := firstPause
	for {
		conn, err := p.cfg.Listener.Accept()
		if p.ended() {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			p.cfg.Logger.Error("cannot accept a connection", "error", err)
			p.wait(pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = firstPause
		end := p.shaking.begin(conn)
		p.serving.Go(func() {
			defer end()
			p.receive(conn, end)
		})
	}
}

// wait pauses, but not beyond the end of the port.
func (p *Port) wait(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.closed:
	}
}

// receive performs one handshake and hands the connection on.
func (p *Port) receive(raw net.Conn, end func() bool) {
	if err := guardTCP(raw); err != nil {
		p.refuse(raw, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	release := p.untilClosed(cancel)
	defer release()
	var peer string
	conn := tls.Server(raw, p.serverConfig(ctx, &peer))
	err := conn.HandshakeContext(ctx)
	if !end() {
		err = errors.New("too many handshakes are under way")
	}
	if err != nil {
		p.refuse(raw, err)
		return
	}
	stop()
	protocol := conn.ConnectionState().NegotiatedProtocol
	kept, err := p.keep(conn, peer, protocol, true)
	if err != nil {
		p.refuse(raw, err)
		return
	}
	p.handOn(kept)
}

// untilClosed runs cancel when the port is closed; the returned function ends that.
func (p *Port) untilClosed(cancel context.CancelFunc) func() {
	done := make(chan struct{})
	go func() {
		select {
		case <-p.closed:
			cancel()
		case <-done:
		}
	}()
	return func() { close(done) }
}

func (p *Port) refuse(raw net.Conn, err error) {
	raw.Close()
	p.warn(raw.RemoteAddr(), "refused a connection", "error", err)
}

// warn writes a line about an address, unless it had one in this minute.
func (p *Port) warn(from net.Addr, message string, args ...any) {
	if suppressed, write := p.refused.note(from, time.Now()); write {
		p.cfg.Logger.Warn(message, append(args, "from", from, "suppressed", suppressed)...)
	}
}

// handOn gives the connection to whoever serves its protocol.
func (p *Port) handOn(conn *portConn) {
	var to chan net.Conn
	switch conn.protocol {
	case protocolRaft, protocolSnapshot:
		to = p.streams
	case protocolCall:
		to = p.calls
	case protocolJoin:
		p.serving.Go(func() { p.serveJoin(conn) })
		return
	default:
		conn.Close()
		return
	}
	timer := time.NewTimer(handshakeLimit)
	defer timer.Stop()
	select {
	case to <- conn:
	case <-p.closed:
		conn.Close()
	case <-timer.C: // nobody uses the port yet
		conn.Close()
	}
}

// serverConfig is made for each connection, so that rotation and removal take effect at once. It stores the proven peer.
func (p *Port) serverConfig(ctx context.Context, peer *string) *tls.Config {
	mine := p.credentials.Load()
	mutual := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{mine.own}, SessionTicketsDisabled: true,
		NextProtos: []string{protocolRaft, protocolCall, protocolSnapshot},
		ClientAuth: tls.RequireAnyClientCert, // VerifyConnection does the rest
		VerifyConnection: func(state tls.ConnectionState) error {
			if state.NegotiatedProtocol == "" {
				return errors.New("peer names no protocol")
			}
			found, err := mine.verify(state.PeerCertificates, time.Now())
			if err == nil {
				err = p.admits(ctx, found)
			}
			*peer = found
			return err
		},
	}
	mutual.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if p.cfg.Join == nil || !offers(hello, protocolJoin) {
			return mutual, nil
		}
		return joinConfig(mine), nil
	}
	return mutual
}

// admits says why a node with a good certificate is refused all the same.
func (p *Port) admits(ctx context.Context, nodeID string) error {
	if nodeID == p.credentials.Load().nodeID {
		return errors.New("peer has the id of this node")
	}
	if g := p.guest.Load(); g != nil {
		return g.admit(ctx, nodeID)
	}
	return nil
}

// dialTCP is the default for PortConfig.Dial.
func dialTCP(ctx context.Context, _, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := guardTCP(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// guardTCP makes a dead peer known within ten seconds: raft reads a snapshot without a deadline of its own.
func guardTCP(conn net.Conn) error {
	stream, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	alive := net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}
	if err := stream.SetKeepAliveConfig(alive); err != nil {
		return fmt.Errorf("guard connection: %w", err)
	}
	if err := limitUnacknowledged(stream, 10*time.Second); err != nil {
		return fmt.Errorf("guard connection: %w", err)
	}
	return nil
}
