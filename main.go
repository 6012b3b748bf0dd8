// Command coffer is a fintech appliance in one binary: a node, its tools and
// its benchmark. This file is nothing but wiring.
package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"coffer/node/command"
)

// version is set by the build.
var version = "dev"

//go:embed testdata/bench/*.sql
var peerSQL embed.FS

func main() {
	sql, err := fs.Sub(peerSQL, "testdata/bench")
	if err != nil {
		fmt.Fprintln(os.Stderr, "coffer:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, command.Build{Version: version, PeerSQL: sql}, os.Args[1:])
	stop()
	os.Exit(code)
}
