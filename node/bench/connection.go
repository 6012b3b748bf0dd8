package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// dialTimeout bounds the opening of one connection.
const dialTimeout = 5 * time.Second

// connection is one keep-alive HTTP/1.1 connection that sends ready-made bytes.
// One goroutine uses it at a time; only close may come from another.
type connection struct {
	network string // tcp, or unix for the socket of operators
	address string
	reader  *responseReader

	mutex  sync.Mutex // guards socket and closed against close from outside
	socket net.Conn
	closed bool
}

func newConnection(address string) *connection {
	return &connection{network: "tcp", address: address}
}

// host is what requests name; the path of a socket is none.
func (c *connection) host() string {
	if c.network == "unix" {
		return "admin"
	}
	return c.address
}

// exchange sends one request and waits for its answer. The body of the answer
// is valid until the next exchange. An error leaves the connection to be
// opened again by the next exchange; the request is never repeated.
func (c *connection) exchange(request []byte) (response, error) {
	socket, err := c.open()
	if err != nil {
		return response{}, err
	}
	if _, err := socket.Write(request); err != nil {
		c.drop()
		return response{}, fmt.Errorf("send request: %w", err)
	}
	answer, err := c.reader.read()
	if err != nil {
		c.drop()
		return response{}, fmt.Errorf("read answer: %w", err)
	}
	if answer.close {
		c.drop()
	}
	return answer, nil
}

func (c *connection) open() (net.Conn, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return nil, fmt.Errorf("open connection: %w", net.ErrClosed)
	}
	if c.socket != nil {
		return c.socket, nil
	}
	socket, err := net.DialTimeout(c.network, c.address, dialTimeout)
	if err != nil {
		return nil, fmt.Errorf("open connection: %w", err)
	}
	c.socket = socket
	if c.reader == nil {
		c.reader = newResponseReader(socket)
	} else {
		c.reader.reset(socket)
	}
	return socket, nil
}

// drop forgets the socket, so that the next exchange opens another.
func (c *connection) drop() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.socket != nil {
		c.socket.Close()
		c.socket = nil
	}
}

// close ends the connection for good; a waiting exchange fails at once.
func (c *connection) close() {
	c.drop()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.closed = true
}

// call describes one request that is made once, outside a measured loop.
type call struct {
	method, path, token, key string
	body                     any // encoded as JSON unless nil
}

// do makes one call and decodes its answer into result unless that is nil.
// Any status but 2xx is a refusal.
func (c *connection) do(ctx context.Context, call call, result any) error {
	body := []byte{}
	if call.body != nil {
		encoded, err := json.Marshal(call.body)
		if err != nil {
			return fmt.Errorf("encode %s: %w", call.path, err)
		}
		body = encoded
	}
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	answer, err := c.exchange(newRequest(c.host(), call, body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", call.method, call.path, err)
	}
	if answer.status/100 != 2 {
		return fmt.Errorf("%s %s: %w", call.method, call.path, refusalOf(answer))
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer.body, result); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w", call.method, call.path, err)
	}
	return nil
}

// refusal is an answer that is not the one we asked for.
type refusal struct {
	status int
	text   string
}

// Error names the status and the beginning of the answer.
func (r *refusal) Error() string { return fmt.Sprintf("answer %d: %s", r.status, r.text) }

func refusalOf(answer response) *refusal {
	return &refusal{status: answer.status, text: string(answer.body[:min(len(answer.body), 300)])}
}

// addressOf turns a base URL into host:port. Only plain HTTP can be measured:
// TLS would cost the generator more than the rest of a request.
func addressOf(base string) (string, error) {
	parsed, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("read url: %w", err)
	}
	if parsed.Scheme != "http" || parsed.Hostname() == "" || parsed.Path != "" && parsed.Path != "/" {
		return "", fmt.Errorf("read url: %q is not of the form http://host:port", base)
	}
	port := parsed.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(parsed.Hostname(), port), nil
}
