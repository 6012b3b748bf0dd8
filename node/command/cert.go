package command

import (
	"fmt"
	"time"

	"coffer/node"
)

// member names the directory of a node, which may be running.
type member struct {
	DataDir string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the node, which may be running."`
}

type certCommand struct {
	member
	Renew     certRenewCommand     `cmd:"" help:"Give a node a new key and certificate. A running node takes them by itself."`
	Authority certAuthorityCommand `cmd:"" help:"Replace the authority that signs the certificates of all nodes."`
}

type certRenewCommand struct{}

func (certRenewCommand) Run(c *certCommand) error {
	expires, err := node.Renew(c.DataDir)
	if err == nil {
		sayValid(expires)
	}
	return err
}

type certAuthorityCommand struct {
	New   authorityNewCommand   `cmd:"" help:"First: make a new authority in a file, to copy to every node."`
	Trust authorityTrustCommand `cmd:"" help:"Then on every node: trust it beside the old one."`
	Use   authorityUseCommand   `cmd:"" help:"Then on every node: sign with it, and get a certificate of it."`
	Drop  authorityDropCommand  `cmd:"" help:"Last on every node: trust the old one no more."`
}

// authorityFile is what one node has made and every node gets.
type authorityFile struct {
	File string `arg:"" type:"path" help:"The file of the new authority."`
}

type authorityNewCommand struct{ authorityFile }

func (a *authorityNewCommand) Run(c *certCommand) error {
	if err := node.MakeAuthority(c.DataDir, a.File); err != nil {
		return err
	}
	fmt.Printf("%s holds a new authority and its key: whoever has it can add nodes.\n", a.File)
	return nil
}

type authorityTrustCommand struct{ authorityFile }

func (a *authorityTrustCommand) Run(c *certCommand) error {
	return node.TrustAuthority(c.DataDir, a.File)
}

type authorityUseCommand struct{ authorityFile }

func (a *authorityUseCommand) Run(c *certCommand) error {
	expires, err := node.UseAuthority(c.DataDir, a.File)
	if err == nil {
		sayValid(expires)
	}
	return err
}

type authorityDropCommand struct {
	New bool `help:"Give the change up instead: trust the new one no more. Too late once the node uses it."`
}

func (a *authorityDropCommand) Run(c *certCommand) error {
	if a.New {
		return node.KeepAuthority(c.DataDir)
	}
	return node.DropAuthority(c.DataDir)
}

func sayValid(expires time.Time) { fmt.Println("valid until", expires.UTC().Format(time.RFC3339)) }
