package command

import (
	"context"
	"os"

	"coffer/node"
)

type alarmCommand struct {
	running
	List   alarmListCommand   `cmd:"" help:"What is raised."`
	Disarm alarmDisarmCommand `cmd:"" help:"End an alarm whose cause is gone."`
}

type alarmListCommand struct{}

func (alarmListCommand) Run(ctx context.Context, a *alarmCommand) error {
	return node.ShowAlarms(ctx, a.DataDir, os.Stdout)
}

type alarmDisarmCommand struct {
	Kind string `arg:"" help:"Such as no_space."`
	Node string `arg:"" optional:"" help:"Node that the alarm is about."`
}

func (d *alarmDisarmCommand) Run(ctx context.Context, a *alarmCommand) error {
	return a.operator().Disarm(ctx, d.Kind, d.Node)
}
