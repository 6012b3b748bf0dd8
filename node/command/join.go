package command

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	Token     string        `env:"COFFER_TOKEN" placeholder:"TOKEN" help:"From coffer token create. On a command line others can see it: better in the environment or a file."`
	TokenFile string        `name:"token-file" placeholder:"FILE" help:"File that holds the token, - for standard input."`
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
	token, err := c.token(os.Stdin)
	if err != nil {
		return node.Usage{Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	id, err := node.Join(ctx, node.JoinFlags{
		DataDir: c.DataDir, Token: token, Peer: c.Peer, Advertise: c.Advertise, NodeID: c.NodeID, Secrets: secrets,
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s is node %s of cluster %s.\nStart it with coffer serve --cluster-addr %s, then coffer cluster promote %s.\n",
		c.DataDir, id.NodeID, id.ClusterID, c.Advertise, id.NodeID)
	return nil
}

// longestToken is far more than any token has, in bytes.
const longestToken = 1 << 12

// token is the token of the flag, the environment or the file.
func (c *joinCommand) token(input io.Reader) (string, error) {
	switch {
	case c.TokenFile == "" && c.Token == "":
		return "", errors.New("COFFER_TOKEN is not set, and neither --token-file nor --token is given")
	case c.TokenFile == "":
		return c.Token, nil
	case c.TokenFile != "-":
		file, err := os.Open(c.TokenFile)
		if err != nil {
			return "", err
		}
		defer file.Close()
		input = file
	}
	text, err := io.ReadAll(io.LimitReader(input, longestToken))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	return string(text), nil
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
