package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"coffer/cluster"
	"coffer/fsm/settings"
)

// stopLimit is how long a graceful stop may take.
const stopLimit = 30 * time.Second

// Run starts a node, lets it serve until the context ends, and stops it
// gracefully. Serving is called once the node is ready; it may be nil.
func Run(ctx context.Context, c Config, serving func(ctx context.Context, n *Node) error) error {
	n, err := Start(ctx, c)
	if err != nil {
		return err
	}
	if serving != nil {
		err = serving(ctx, n)
	}
	if err == nil {
		<-ctx.Done()
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	return errors.Join(err, n.Stop(stopping))
}

// Usage is a mistake in flags or environment.
type Usage struct{ Err error }

func (u Usage) Error() string { return u.Err.Error() }

// Unwrap returns what is wrong.
func (u Usage) Unwrap() error { return u.Err }

// CodeOf is the exit code of an error.
func CodeOf(err error) int {
	var usage Usage
	var own *RefusedError
	var log *cluster.Refused
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &own), errors.As(err, &log):
		return ExitRefused
	case errors.Is(err, ErrUnreachable):
		return ExitUnreachable
	}
	return ExitFailed
}

// ErrUnreachable is returned when no node answers.
var ErrUnreachable = errors.New("the node cannot be reached")

// Complete fills in what only the environment says: mode, secrets and wishes
// for settings. Usual is the mode of the verb.
func (c *Config) Complete(usual string, lookup func(string) (string, bool)) error {
	c.Mode = usual
	for _, name := range []string{"NODE_ENV", "AEVION_ENV"} {
		if mode, ok := lookup(name); ok && mode != "" {
			c.Mode = mode
		}
	}
	if port, ok := lookup("PORT"); ok && port != "" && !set(lookup, "COFFER_HTTP_ADDR", "AEVION_LISTEN") && c.HTTPAddr == defaultAddress {
		c.HTTPAddr = net.JoinHostPort("127.0.0.1", port)
	}
	var err error
	if c.Secrets, err = SecretsFrom(lookup); err != nil {
		return Usage{err}
	}
	c.Environment = map[string]string{settings.Mode.Name: c.Mode}
	for _, s := range settings.All() {
		if text, ok := lookup(s.Name); ok && s.Name != settings.Mode.Name {
			c.Environment[s.Name] = strings.TrimSpace(text)
		}
	}
	if err := c.validate(); err != nil {
		return Usage{fmt.Errorf("configuration:\n%w", err)}
	}
	return nil
}

const defaultAddress = "127.0.0.1:4001"

func set(lookup func(string) (string, bool), names ...string) bool {
	for _, name := range names {
		if text, ok := lookup(name); ok && text != "" {
			return true
		}
	}
	return false
}
