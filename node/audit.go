package node

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"coffer/http/admin"
	"coffer/store"
)

// userOf names the user behind a connection to the admin socket, as the system
// knows them; empty if it does not.
func userOf(ctx context.Context) string {
	user, known := ctx.Value(userKey{}).(uint32)
	if !known {
		return ""
	}
	return "uid " + strconv.FormatUint(uint64(user), 10)
}

// describe shows the input of a command as JSON, its members in lower camel case.
func (n *Node) describe(command string, input []byte) ([]byte, error) {
	h, err := n.machine.Handler(command)
	if err != nil {
		return nil, err
	}
	in := h.Input()
	if err := store.Decode(input, in); err != nil {
		return nil, fmt.Errorf("input of %s: %w", command, err)
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	return json.Marshal(lowered(value))
}

// lowered gives members the names that they have everywhere else in the API.
func lowered(value any) any {
	switch value := value.(type) {
	case map[string]any:
		members := make(map[string]any, len(value))
		for name, member := range value {
			first, size := utf8.DecodeRuneInString(name)
			members[string(unicode.ToLower(first))+name[size:]] = lowered(member)
		}
		return members
	case []any:
		for i := range value {
			value[i] = lowered(value[i])
		}
	}
	return value
}

// Audit returns what is on the record after a number, 0 for the beginning: as
// much as the node gives at once.
func (o *Operator) Audit(ctx context.Context, after uint64) (a admin.Audit, err error) {
	return a, o.call(ctx, http.MethodGet, "/admin/v1/audit?limit=1000&after="+strconv.FormatUint(after, 10), nil, &a)
}

// ShowAudit prints what operators have asked, after the record of a number, and
// refuses a record that does not follow the one before.
func ShowAudit(ctx context.Context, dataDir string, after uint64, out io.Writer) error {
	o := NewOperator(dataDir)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NUMBER\tENTRY\tTIME\tACTOR\tCOMMAND\tINPUT\tREFUSED\tREASON")
	previous := ""
	if after == 0 {
		previous = strings.Repeat("0", 64)
	}
	for {
		page, err := o.Audit(ctx, after)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if r.Number != after+1 || previous != "" && r.Previous != previous {
				return refused("record %d does not follow the one before: the audit was changed", r.Number)
			}
			after, previous = r.Number, r.Hash
			fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Number, r.Index, time.UnixMicro(int64(r.Time)).UTC().Format(time.RFC3339),
				actorLabel(r), r.Command, r.Input, orDash(r.Refused), orDash(r.Reason))
		}
		if after == page.Length && previous != "" && page.Last != previous {
			return refused("the last record is not the one that was written last: the audit was changed")
		}
		if len(page.Records) == 0 {
			return table.Flush()
		}
	}
}

func actorLabel(r admin.AuditRecord) string {
	if r.User == "" {
		return r.Actor
	}
	return r.Actor + " (" + r.User + ")"
}
