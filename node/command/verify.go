package command

import (
	"context"
	"fmt"
	"os"

	"coffer/node"
)

type verifyCommand struct {
	DataDir  string   `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the stopped node."`
	SaltFile string   `name:"salt-file" placeholder:"FILE" help:"Chain salt. Default: VEILNETX_SALT, else the one development made."`
	Only     []string `placeholder:"CHECK" help:"Checks to run: pages, rows, log, chain, tree, balances, invariants. Default all."`
	JSON     bool     `name:"json" help:"Print the report as JSON."`
}

func (v *verifyCommand) Run(ctx context.Context) error {
	code, err := node.VerifyCommand(ctx, node.VerifyFlags{
		DataDir: v.DataDir, SaltFile: v.SaltFile, Only: v.Only, JSON: v.JSON, Out: os.Stdout, Progress: os.Stderr,
	}, os.LookupEnv)
	if err != nil || code != 0 {
		return coded{code, err}
	}
	return nil
}

type checkCommand struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the stopped node."`
	JSON    bool   `name:"json" help:"Print the report as JSON."`
}

func (c *checkCommand) Run(ctx context.Context) error {
	v := verifyCommand{DataDir: c.DataDir, Only: node.QuickChecks(), JSON: c.JSON}
	return v.Run(ctx)
}

type compactCommand struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the stopped node."`
}

func (c *compactCommand) Run(ctx context.Context) error {
	before, after, err := node.Compact(ctx, c.DataDir, os.Stderr)
	if err == nil {
		fmt.Printf("state.db had %d bytes and has %d\n", before, after)
	}
	return err
}
