package command

import (
	"context"
	"os"

	"coffer/node"
)

type devCommand struct {
	node.Config
	Nodes int  `placeholder:"N" help:"Run a cluster of so many nodes on this machine, each in a directory below the data directory."`
	Tour  bool `help:"Walk the main job once through the API and print each call; on an empty directory only."`
}

func (d *devCommand) Run(ctx context.Context, build Build) error {
	if err := d.Complete(node.Development, os.LookupEnv); err != nil {
		return err
	}
	d.Version = build.Version
	if d.Nodes > 1 {
		return node.RunFleet(ctx, d.Config, d.Nodes, os.Stdout)
	}
	var serving func(context.Context, *node.Node) error
	if d.Tour {
		serving = func(ctx context.Context, n *node.Node) error { return node.Tour(ctx, n, os.Stdout) }
	}
	return node.Run(ctx, d.Config, serving)
}

type serveCommand struct {
	node.Config
}

func (s *serveCommand) Run(ctx context.Context, build Build) error {
	if err := s.Complete(node.Production, os.LookupEnv); err != nil {
		return err
	}
	s.Version = build.Version
	return node.Run(ctx, s.Config, nil)
}
