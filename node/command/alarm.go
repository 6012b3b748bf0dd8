package command

import (
	"context"
	"fmt"
	"os"
	"time"

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

type certCommand struct {
	Renew struct {
		DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the node."`
	} `cmd:"" help:"Give a node a new key and certificate. A running node takes them with SIGHUP."`
}

func (c *certCommand) Run() error {
	expires, err := node.Renew(c.Renew.DataDir)
	if err == nil {
		fmt.Println("valid until", expires.UTC().Format(time.RFC3339))
	}
	return err
}
