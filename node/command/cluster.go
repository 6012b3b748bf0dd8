package command

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"coffer/node"
)

// running names the node that a command talks to.
type running struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of a running node."`
}

func (r running) operator() *node.Operator { return node.NewOperator(r.DataDir) }

type clusterCommand struct {
	running
	Status   clusterStatusCommand   `cmd:"" help:"All members and what they say of themselves."`
	Members  clusterMembersCommand  `cmd:"" help:"One line per member, for scripts."`
	Promote  clusterChangeCommand   `cmd:"" help:"Give non-voters a vote, back to back."`
	Demote   clusterChangeCommand   `cmd:"" help:"Take a node's vote away."`
	Remove   clusterChangeCommand   `cmd:"" help:"Remove a node for good: its id never comes back."`
	Transfer clusterTransferCommand `cmd:"" help:"Let another voter lead."`
	Finalize clusterFinalizeCommand `cmd:"" name:"finalize-upgrade" help:"Put a state-machine version in force. There is no way back."`
}

type clusterStatusCommand struct {
	JSON bool `name:"json" help:"Print all that is known as JSON."`
}

func (s *clusterStatusCommand) Run(ctx context.Context, c *clusterCommand) error {
	if s.JSON {
		members, err := c.operator().Members(ctx)
		if err != nil {
			return err
		}
		return node.PrintJSON(os.Stdout, members)
	}
	return node.ShowCluster(ctx, c.DataDir, os.Stdout)
}

type clusterMembersCommand struct{}

func (clusterMembersCommand) Run(ctx context.Context, c *clusterCommand) error {
	return node.ShowMembers(ctx, c.DataDir, os.Stdout)
}

type clusterChangeCommand struct {
	Nodes []string `arg:"" help:"Ids of the nodes."`
	Prev  int64    `name:"prev-index" help:"Only if the membership is still that of this log entry. Default: what it is now."`
}

func (p *clusterChangeCommand) Run(ctx context.Context, parsed *kong.Context, c *clusterCommand) error {
	done, err := c.operator().ChangeMembers(ctx, parsed.Selected().Name, p.Prev, p.Nodes...)
	if err == nil {
		fmt.Println("membership of entry", done)
	}
	return err
}

type clusterTransferCommand struct {
	Node string `arg:"" optional:"" help:"Who shall lead. Default: the best voter."`
}

func (t *clusterTransferCommand) Run(ctx context.Context, c *clusterCommand) error {
	return c.operator().TransferLeadership(ctx, t.Node)
}

type clusterFinalizeCommand struct {
	Version int64 `arg:"" help:"State-machine version."`
}

func (f *clusterFinalizeCommand) Run(ctx context.Context, c *clusterCommand) error {
	return c.operator().FinalizeUpgrade(ctx, f.Version)
}
