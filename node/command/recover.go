package command

import (
	"context"
	"os"

	"coffer/node"
)

type recoverCommand struct {
	DataDir    string `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the stopped node."`
	Inspect    bool   `xor:"what" required:"" help:"Print what the node has left and change nothing."`
	LostQuorum bool   `name:"i-have-lost-quorum" xor:"what" required:"" help:"Make this node the only voter. What only the others had is gone; none of them may ever start again."`
	ClusterID  string `name:"cluster-id" placeholder:"ID" help:"With --i-have-lost-quorum: id of the cluster, typed."`
	Advertise  string `name:"cluster-addr" env:"COFFER_CLUSTER_ADVERTISE,COFFER_CLUSTER_ADDR" placeholder:"HOST:PORT" help:"Address of the cluster port, if it is another than before."`
	SaltFile   string `name:"salt-file" placeholder:"FILE" help:"Chain salt. Default: VEILNETX_SALT, else the one development made."`
}

func (r *recoverCommand) Run(ctx context.Context) error {
	if r.Inspect {
		left, err := node.Survey(r.DataDir)
		if err != nil {
			return err
		}
		return node.PrintJSON(os.Stdout, left)
	}
	salt, err := node.StoredSalt(r.DataDir, r.SaltFile, os.LookupEnv)
	if err != nil {
		return err
	}
	report, err := node.Recover(ctx, node.RecoverFlags{
		DataDir: r.DataDir, ClusterID: r.ClusterID, Advertise: r.Advertise, Salt: salt, Terminal: os.Stderr,
	})
	if err != nil {
		return err
	}
	return node.PrintJSON(os.Stdout, report)
}
