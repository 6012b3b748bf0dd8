package node

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"coffer/http/admin"
)

// TestOperatorsAreOnTheRecord does what operators do, and is refused what they are
// refused, and finds all of it in the audit, with who and why.
func TestOperatorsAreOnTheRecord(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	h := mustHost(t, dir)
	defer h.end(t)
	c := operators{t, NewOperator(dir)}
	c.o.name, c.o.reason = "Жанна", "a rehearsal"
	value := "2000"
	if _, err := c.o.Change(t.Context(), "QPAYNET_FEE_PPM", &value); err != nil {
		t.Fatal(err)
	}
	var refusal *RefusedError
	if err := c.o.FinalizeUpgrade(t.Context(), 1); !errors.As(err, &refusal) {
		t.Errorf("finalize: %v", err)
	}
	if _, err := c.o.ChangeMembers(t.Context(), "promote", 0, "nobody"); !errors.As(err, &refusal) {
		t.Errorf("promote: %v", err)
	}
	if err := c.o.TransferLeadership(t.Context(), "nobody"); !errors.As(err, &refusal) {
		t.Errorf("transfer: %v", err)
	}
	var copied bytes.Buffer
	sum, err := c.o.Backup(t.Context(), &copied, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := c.o.Audit(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range page.Records {
		got = append(got, r.Command+" "+string(r.Input)+" "+r.Refused)
		if r.Actor != "Жанна" || !strings.HasPrefix(r.User, "uid ") || r.Reason != "a rehearsal" || r.Index == 0 || r.Number != uint64(i)+1 {
			t.Errorf("record %+v", r)
		}
	}
	want := []string{
		`settings.update/1 {"by":"Жанна","changes":[{"name":"QPAYNET_FEE_PPM","reset":false,"text":"2000"}]} `,
		`system.finalize_upgrade/1 {"version":1} version_not_newer`,
		`system.record_action/1 {"about":"nobody refused: not_eligible","action":"promote"} `,
		`system.record_action/1 {"about":"nobody refused: not_eligible","action":"transfer"} `,
		`system.record_action/1 {"about":"sha256 ` + sum + ` for 0 recipients","action":"backup"} `,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the record is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if page, err = c.o.Audit(t.Context(), 4); err != nil || page.Length != 5 || len(page.Records) != 1 || page.Records[0].Hash != page.Last {
		t.Errorf("the last page is %+v, %v", page, err)
	}
	var shown bytes.Buffer
	if err := ShowAudit(t.Context(), dir, 0, &shown); err != nil || strings.Count(shown.String(), "\n") != 6 {
		t.Errorf("shown is %s, %v", shown.String(), err)
	}
	c.ask(409, "not_eligible", "POST", "/admin/v1/cluster/promote", `{"nodes":["`+strings.Repeat("ж", 1000)+`"]}`)
	if page, err = c.o.Audit(t.Context(), 5); err != nil || len(page.Records) != 1 {
		t.Errorf("a long name leaves %+v, %v", page, err)
	}
	c.ask(400, "validation_failed", "GET", "/admin/v1/audit?after=-1", "")
}

// TestAChangedAuditIsRefused serves records that somebody has changed.
func TestAChangedAuditIsRefused(t *testing.T) {
	t.Parallel()
	zero, one, two := strings.Repeat("0", 64), strings.Repeat("1", 64), strings.Repeat("2", 64)
	whole := []admin.AuditRecord{
		{Number: 1, Time: 1e15, Previous: zero, Hash: one, Input: []byte(`{}`)},
		{Number: 2, Time: 1e15, Previous: one, Hash: two, Input: []byte(`{}`)},
	}
	for name, c := range map[string]struct {
		change func(*admin.Audit)
		want   string
	}{
		"whole":           {func(*admin.Audit) {}, ""},
		"another record":  {func(a *admin.Audit) { a.Records[0].Hash = zero }, "record 2 does not follow"},
		"a first that is": {func(a *admin.Audit) { a.Records[0].Previous = two }, "record 1 does not follow"},
		"one left out":    {func(a *admin.Audit) { a.Records = a.Records[1:] }, "record 2 does not follow"},
		"another end":     {func(a *admin.Audit) { a.Last = one }, "not the one that was written last"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			socket, err := net.Listen("unix", filepath.Join(dir, adminSocket))
			if err != nil {
				t.Fatal(err)
			}
			all := admin.Audit{Length: 2, Last: two, Records: slices.Clone(whole)}
			c.change(&all)
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				page := all
				if r.URL.Query().Get("after") != "0" {
					page.Records = nil
				}
				if err := json.MarshalWrite(w, page); err != nil {
					t.Error(err)
				}
			})}
			go func() { _ = s.Serve(socket) }() // until it is closed
			defer s.Close()
			err = ShowAudit(t.Context(), dir, 0, &bytes.Buffer{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the audit is shown with %v, want %q", err, c.want)
			}
		})
	}
}
