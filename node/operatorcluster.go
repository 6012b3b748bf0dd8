package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"coffer/http/admin"
)

// Members returns all nodes of the cluster as a node sees them.
func (o *Operator) Members(ctx context.Context) (m admin.Members, err error) {
	return m, o.call(ctx, http.MethodGet, "/admin/v1/cluster", nil, &m)
}

// ChangeMembers promotes, demotes or removes nodes and returns the index of the
// new membership. It happens only to that of a log entry, 0 for the one that the
// leader has: the node that is asked may be a moment behind.
func (o *Operator) ChangeMembers(ctx context.Context, verb string, previous int64, nodes ...string) (index uint64, err error) {
	var done admin.MemberChanged
	err = o.call(ctx, http.MethodPost, "/admin/v1/cluster/"+verb, admin.MemberChange{Nodes: nodes, PrevIndex: previous}, &done)
	return done.Index, err
}

// TransferLeadership lets another voter lead; without a name the cluster chooses.
func (o *Operator) TransferLeadership(ctx context.Context, node string) error {
	return o.call(ctx, http.MethodPost, "/admin/v1/cluster/transfer", admin.Transfer{Node: node}, &struct{}{})
}

// FinalizeUpgrade puts a state-machine version in force.
func (o *Operator) FinalizeUpgrade(ctx context.Context, version int64) error {
	return o.call(ctx, http.MethodPost, "/admin/v1/cluster/finalize-upgrade", admin.Finalize{Version: version}, &struct{}{})
}

// NewToken makes a join token.
func (o *Operator) NewToken(ctx context.Context, node string, lifetime time.Duration) (string, error) {
	var made admin.TokenMade
	wanted := admin.TokenWanted{Node: node, Seconds: int64(lifetime / time.Second)}
	err := o.call(ctx, http.MethodPost, "/admin/v1/tokens", wanted, &made)
	return made.Token, err
}

// Alarms lists what is raised.
func (o *Operator) Alarms(ctx context.Context) (a admin.Alarms, err error) {
	return a, o.call(ctx, http.MethodGet, "/admin/v1/alarms", nil, &a)
}

// Disarm ends an alarm.
func (o *Operator) Disarm(ctx context.Context, kind, node string) error {
	return o.call(ctx, http.MethodPost, "/admin/v1/alarms/disarm", admin.Disarm{Kind: kind, Node: node}, &struct{}{})
}

// Backup writes a hot copy of the node's state. What was written must be thrown
// away after an error.
func (o *Operator) Backup(ctx context.Context, to io.Writer, recipients []string, progress func(received int64)) (sum string, err error) {
	query := url.Values{"recipient": recipients}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/admin/v1/backup?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	o.sign(request)
	response, err := o.streaming.Do(request)
	if err != nil {
		return "", fmt.Errorf("%w through %s: %w", ErrUnreachable, o.socket, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		return "", errors.Join(refusal(response.StatusCode, text), err)
	}
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(to, hash, &counter{progress: progress}), response.Body); err != nil {
		return "", fmt.Errorf("receive backup: %w", err)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	if told := response.Trailer.Get(backupTrailer); told != sum {
		return "", fmt.Errorf("the backup is not whole: its SHA-256 is %s, the node says %q", sum, told)
	}
	return sum, nil
}

const backupTrailer = "Coffer-Backup-Sha256"

// counter counts what passes.
type counter struct {
	progress func(int64)
	passed   int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.passed += int64(len(p))
	if c.progress != nil {
		c.progress(c.passed)
	}
	return len(p), nil
}

// ShowCluster prints the members as a table.
func ShowCluster(ctx context.Context, dataDir string, out io.Writer) error {
	o := NewOperator(dataDir)
	m, err := o.Members(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tADDRESS\tVOTE\tSTATE\tTERM\tLAST\tAPPLIED\tLAG\tDIGEST\tRTT\tCLOCK\tDISK FREE\tMACHINE\tVERSION\tALARMS")
	var newest uint64
	for _, one := range m.Members {
		newest = max(newest, one.LastIndex)
	}
	for _, one := range m.Members {
		vote := map[bool]string{true: "voter", false: "-"}[one.Voter]
		if !one.Reachable {
			fmt.Fprintf(table, "%s\t%s\t%s\tunreachable: %s\n", one.ID, one.Address, vote, one.Problem)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%.1f ms\t%+.1f ms\t%.1f GiB\t%s\t%s\t%s\n", one.ID, one.Address, vote,
			one.State, one.Term, one.LastIndex, one.Applied, newest-min(newest, one.Applied), digestLabel(one), one.RoundTrip, one.Offset,
			float64(one.DiskFree)/(1<<30), one.Machine, one.Version, orDash(strings.Join(one.Alarms, ", ")))
	}
	fmt.Fprintf(table, "membership of entry %d, leader %s\n", m.Index, orDash(m.Leader))
	return table.Flush()
}

func digestLabel(m admin.Member) string {
	if len(m.Digest) < 8 {
		return "-"
	}
	return fmt.Sprintf("%s@%d", m.Digest[:8], m.DigestAt)
}

// ShowMembers prints one line per member: id, address, voter or not.
func ShowMembers(ctx context.Context, dataDir string, out io.Writer) error {
	m, err := NewOperator(dataDir).Members(ctx)
	if err != nil {
		return err
	}
	for _, one := range m.Members {
		role := "non-voter"
		switch {
		case one.ID == m.Leader:
			role = "leader"
		case one.Voter:
			role = "voter"
		}
		if _, err := fmt.Fprintf(out, "%s %s %s\n", one.ID, one.Address, role); err != nil {
			return err
		}
	}
	return nil
}

// ShowAlarms prints what is raised.
func ShowAlarms(ctx context.Context, dataDir string, out io.Writer) error {
	all, err := NewOperator(dataDir).Alarms(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tNODE\tRAISED\tREASON")
	for _, a := range all.Alarms {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", a.Kind, orDash(a.Node), time.UnixMicro(int64(a.Raised)).UTC().Format(time.RFC3339), a.Reason)
	}
	return table.Flush()
}
