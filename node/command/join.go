package command

import (
	"context"
	"fmt"
	"os"
	"time"

	"coffer/node"
)

type initCommand struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory to make."`
	Cluster string `name:"cluster" placeholder:"NAME" help:"Permanent name of the ledger. Default coffer.local/<cluster id>."`
}

func (c *initCommand) Run() error {
	id, err := node.Init(node.InitFlags{DataDir: c.DataDir, LedgerID: c.Cluster})
	if err != nil {
		return err
	}
	fmt.Printf("%s is node %s, the first of cluster %s with ledger %s.\nStart it with coffer serve --cluster-addr HOST:PORT.\n",
		c.DataDir, id.NodeID, id.ClusterID, id.LedgerID)
	return nil
}

type joinCommand struct {
	DataDir   string        `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory to make."`
	Token     string        `env:"COFFER_TOKEN" required:"" placeholder:"TOKEN" help:"From coffer token create."`
	Peer      string        `required:"" placeholder:"HOST:PORT" help:"Cluster port of a member."`
	Advertise string        `name:"cluster-addr" env:"COFFER_CLUSTER_ADVERTISE,COFFER_CLUSTER_ADDR" required:"" placeholder:"HOST:PORT" help:"Address under which the members will reach this node."`
	NodeID    string        `name:"node-id" placeholder:"ID" help:"Name of this node for good. Default: made up."`
	Timeout   time.Duration `default:"30s" help:"How long the cluster may take to answer."`
}

func (c *joinCommand) Run(ctx context.Context) error {
	secrets, err := node.SecretsFrom(os.LookupEnv)
	if err != nil {
		return node.Usage{Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	id, err := node.Join(ctx, node.JoinFlags{
		DataDir: c.DataDir, Token: c.Token, Peer: c.Peer, Advertise: c.Advertise, NodeID: c.NodeID, Secrets: secrets,
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s is node %s of cluster %s.\nStart it with coffer serve --cluster-addr %s, then coffer cluster promote %s.\n",
		c.DataDir, id.NodeID, id.ClusterID, c.Advertise, id.NodeID)
	return nil
}

type tokenCommand struct {
	Create struct {
		running
		TTL    time.Duration `name:"ttl" default:"30m" help:"How long the token is good, up to 24h."`
		NodeID string        `name:"node-id" placeholder:"ID" help:"The only node that may use it."`
	} `cmd:"" help:"Print a token that lets one node join. It is shown once."`
}

func (t *tokenCommand) Run(ctx context.Context) error {
	token, err := t.Create.operator().NewToken(ctx, t.Create.NodeID, t.Create.TTL)
	if err == nil {
		fmt.Println(token)
	}
	return err
}
