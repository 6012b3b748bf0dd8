package command

import (
	"context"
	"fmt"
	"os"

	"coffer/node"
)

type backupCommand struct {
	Create  backupCreateCommand  `cmd:"" help:"Copy the state of a running node into a file."`
	Inspect backupInspectCommand `cmd:"" help:"Print what a backup says about itself, unchecked."`
	Verify  backupVerifyCommand  `cmd:"" help:"Recompute everything in a backup, without a node."`
	Restore backupRestoreCommand `cmd:"" help:"Make the directory of a new sole node from a backup."`
	Key     backupKeyCommand     `cmd:"" help:"Make a key for encrypted backups."`
}

type backupCreateCommand struct {
	running
	File       string   `arg:"" type:"path" help:"File to make."`
	Recipients []string `name:"recipient" placeholder:"RECIPIENT" help:"Encrypt to this recipient; may be repeated."`
}

func (b *backupCreateCommand) Run(ctx context.Context) error {
	sum, err := node.CreateBackup(ctx, b.DataDir, b.File, b.Recipients, os.Stderr)
	if err == nil {
		fmt.Printf("%s  %s\n", sum, b.File)
	}
	return err
}

// container is a backup to read.
type container struct {
	File string `arg:"" type:"existingfile" help:"The backup."`
	Key  string `name:"key-file" type:"existingfile" placeholder:"FILE" help:"Secret key of an encrypted backup."`
}

// secrets reads the keys of the backup.
func (c container) secrets() ([]string, error) { return node.ReadBackupKeys(c.Key) }

// verifiable is a backup whose keyed hashes can be checked too.
type verifiable struct {
	container
	SaltFile string `name:"salt-file" placeholder:"FILE" help:"Chain salt. Default: VEILNETX_SALT; without one keyed hashes are not checked."`
}

// read reads the keys of the backup and the salt.
func (v verifiable) read() (secrets []string, salt node.Secret, err error) {
	if secrets, err = v.secrets(); err != nil {
		return nil, "", err
	}
	salt, err = node.ReadSalt(v.SaltFile, os.LookupEnv)
	return secrets, salt, err
}

type backupInspectCommand struct{ container }

func (b *backupInspectCommand) Run() error {
	secrets, err := b.secrets()
	if err != nil {
		return err
	}
	report, err := node.InspectBackup(b.File, secrets)
	if err != nil {
		return err
	}
	return report.Print(os.Stdout)
}

type backupVerifyCommand struct{ verifiable }

func (b *backupVerifyCommand) Run(ctx context.Context) error {
	secrets, salt, err := b.read()
	if err != nil {
		return err
	}
	report, err := node.VerifyBackup(ctx, b.File, secrets, salt, os.Stderr)
	if err != nil {
		return coded{node.VerifyCode(err), err}
	}
	return report.Print(os.Stdout)
}

type backupRestoreCommand struct {
	verifiable
	DataDir     string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory to make."`
	SameCluster bool   `name:"same-cluster" help:"Go on as the cluster of the backup: none of its nodes may ever start again."`
	Epoch       uint32 `help:"With --same-cluster: above the epoch of every node of the cluster."`
	Advertise   string `name:"cluster-addr" env:"COFFER_CLUSTER_ADVERTISE,COFFER_CLUSTER_ADDR" placeholder:"HOST:PORT" help:"For a node that will take peers."`
}

func (b *backupRestoreCommand) Run(ctx context.Context) error {
	secrets, salt, err := b.read()
	if err != nil {
		return err
	}
	report, err := node.RestoreBackup(ctx, node.RestoreFlags{
		DataDir: b.DataDir, File: b.File, Secrets: secrets, Salt: salt, SameCluster: b.SameCluster, Epoch: b.Epoch,
		Advertise: b.Advertise, Terminal: os.Stderr,
	})
	if err != nil {
		return err
	}
	return report.Print(os.Stdout)
}

type backupKeyCommand struct {
	File string `arg:"" type:"path" help:"File for the secret key. Keep it away from the nodes."`
}

func (b *backupKeyCommand) Run() error {
	recipient, err := node.MakeBackupKey(b.File)
	if err == nil {
		fmt.Println(recipient)
	}
	return err
}
