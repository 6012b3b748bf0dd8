package command

import (
	"context"
	"os"

	"coffer/node"
)

type auditCommand struct {
	running
	List auditListCommand `cmd:"" help:"What operators have asked, oldest first. COFFER_REASON in the environment of a command says why it was given."`
}

type auditListCommand struct {
	After uint64 `placeholder:"NUMBER" help:"Only what comes after this record."`
}

func (l *auditListCommand) Run(ctx context.Context, a *auditCommand) error {
	return node.ShowAudit(ctx, a.DataDir, l.After, os.Stdout)
}
