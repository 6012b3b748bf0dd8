package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coffer/cluster"
	"coffer/fsm/settings"
)

// stopLimit is how long a graceful stop may take behind its drain delay.
const stopLimit = 30 * time.Second

// Run starts a node, lets it serve until the context ends, and stops it
// gracefully. Serving is called once the node is ready; it may be nil. A signal
// behind the one that ended the context ends the process at once: nothing
// acknowledged is lost by that.
func Run(ctx context.Context, c Config, serving func(ctx context.Context, n *Node) error) error {
	defer context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })()
	n, err := Start(ctx, c)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // told to stop before it was ready, and stopped
	}
	if err != nil {
		return err
	}
	if serving != nil {
		err = serving(ctx, n)
	}
	if ctx.Err() != nil {
		err = nil // what was cut short was told to end
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-n.ended:
		}
	}
	signal.Reset(os.Interrupt, syscall.SIGTERM) // before anybody can see that the node stops
	limit := stopLimit + c.DrainDelay
	defer time.AfterFunc(limit+time.Second, func() { c.exit(ExitFailed) }).Stop()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
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
	case errors.Is(err, errDiskFull):
		return ExitDiskFull
	}
	return ExitFailed
}

// ErrUnreachable is returned when no node answers.
var ErrUnreachable = errors.New("the node cannot be reached")

// Complete fills in what only the environment says: mode, secrets and wishes
// for settings. Usual is the mode of the verb.
func (c *Config) Complete(usual string, lookup func(string) (string, bool)) error {
	var mistakes []error
	c.Mode = usual
	for _, name := range []string{"NODE_ENV", "AEVION_ENV"} {
		if mode, ok := lookup(name); ok && mode != "" {
			c.Mode = mode
		}
	}
	if port, ok := lookup("PORT"); ok && port != "" && !set(lookup, "COFFER_HTTP_ADDR", "AEVION_LISTEN") && c.HTTPAddr == defaultAddress {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			mistakes = append(mistakes, fmt.Errorf("PORT %q is not a port", port))
		}
		c.HTTPAddr = net.JoinHostPort("127.0.0.1", port)
	}
	var err error
	c.Secrets, err = SecretsFrom(lookup)
	mistakes = append(mistakes, err)
	c.Environment = map[string]string{settings.Mode.Name: c.Mode}
	for _, s := range settings.All() {
		text, ok := lookup(s.Name)
		text = strings.TrimSpace(text)
		if ok && s.Name != settings.Mode.Name && (text != "" || s.Check("") == nil) {
			c.Environment[s.Name] = text
		}
	}
	if err := errors.Join(append(mistakes, c.validate())...); err != nil {
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
