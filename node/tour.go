package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"coffer/fsm/identity"
)

// Tour walks the main job once through the node's own API and prints each call
// as a curl line with its answer: two users, wallets, a deposit, a transfer
// with an idempotency key, its replay, the chain. A directory that has been
// used is left alone.
func Tour(ctx context.Context, n *Node, out io.Writer) error {
	t := &tour{ctx: ctx, url: n.URL(), out: out}
	if used := n.users(); used > 0 {
		t.say("%d accounts exist in %s: the tour is for an empty directory.", used, n.config.DataDir)
	} else if err := t.walk(); err != nil {
		return fmt.Errorf("tour: %w", err)
	}
	t.say("The node is up at %s - browse its API at %s/docs - Ctrl-C stops it, a restart keeps everything.", t.url, t.url)
	return nil
}

func (n *Node) users() int64 {
	v := n.db.Latest()
	defer v.Close()
	return identity.Count(v)
}

// tour is one walk with what its calls have returned.
type tour struct {
	ctx context.Context
	url string
	out io.Writer
}

func (t *tour) say(format string, values ...any) { fmt.Fprintf(t.out, "\n# "+format+"\n", values...) }

// step is one call of the tour.
type step struct {
	say    string
	method string
	path   string
	token  string
	key    string // Idempotency-Key
	body   string
}

func (t *tour) walk() error {
	ann, err := t.call(step{"Ann registers.", "POST", "/api/auth/register", "", "", `{"email":"ann@example.org","password":"correct horse"}`})
	if err != nil {
		return err
	}
	bob, err := t.call(step{"Bob registers.", "POST", "/api/auth/register", "", "", `{"email":"bob@example.org","password":"battery staple"}`})
	if err != nil {
		return err
	}
	annToken, bobToken := text(ann["token"]), text(bob["token"])
	annWallet, err := t.call(step{"Ann opens her primary wallet.", "POST", "/api/qpaynet/wallets", annToken, "", `{"currency":"KZT"}`})
	if err != nil {
		return err
	}
	if _, err = t.call(step{"Bob opens his.", "POST", "/api/qpaynet/wallets", bobToken, "", `{"currency":"KZT"}`}); err != nil {
		return err
	}
	from := text(annWallet["id"])
	transfer := step{
		"Ann sends Bob 2,500.00 KZT. Both scores rise, one chain entry is written, all in one command.",
		"POST", "/api/qpaynet/transfer", annToken, "tour-transfer-1",
		`{"fromWalletId":"` + from + `","toEmail":"bob@example.org","amountKzt":250000,"memo":"first transfer"}`,
	}
	again := transfer
	again.say = "The same call again: same key, same answer, nothing moves twice (see the header Idempotent-Replayed)."
	for _, s := range []step{
		{"Ann deposits 10,000.00 KZT (amounts are minor units).", "POST", "/api/qpaynet/deposit", annToken, "tour-deposit-1",
			`{"walletId":"` + from + `","amountKzt":1000000}`},
		transfer,
		again,
		{"Ann's history, newest first.", "GET", "/api/qpaynet/transactions", annToken, "", ""},
		{"Ann's reputation.", "GET", "/api/ztide/me", annToken, "", ""},
		{"Anybody can verify the chain.", "GET", "/api/veilnetx-ledger/chain/verify", "", "", ""},
	} {
		if _, err := t.call(s); err != nil {
			return err
		}
	}
	return nil
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// call prints and makes one call.
func (t *tour) call(s step) (map[string]any, error) {
	t.say("%s", s.say)
	request, err := http.NewRequestWithContext(t.ctx, s.method, t.url+s.path, strings.NewReader(s.body))
	if err != nil {
		return nil, err
	}
	line := "curl -s"
	header := func(name, value string) {
		if value != "" {
			request.Header.Set(name, value)
			line += fmt.Sprintf(" -H '%s: %s'", name, value)
		}
	}
	if s.token != "" {
		header("Authorization", "Bearer "+s.token)
	}
	header("Idempotency-Key", s.key)
	if s.body != "" {
		header("Content-Type", "application/json")
		line += " -d '" + s.body + "'"
	}
	fmt.Fprintln(t.out, line+" "+t.url+s.path)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	return t.show(response)
}

// show prints an answer and takes it apart.
func (t *tour) show(response *http.Response) (map[string]any, error) {
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.Header.Get("Idempotent-Replayed") != "" {
		fmt.Fprintln(t.out, "Idempotent-Replayed: true")
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return nil, fmt.Errorf("answer %q: %w", body, err)
	}
	fmt.Fprintf(t.out, "%d %s\n", response.StatusCode, pretty.Bytes())
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("answered %s", response.Status)
	}
	var members map[string]any
	return members, json.Unmarshal(body, &members)
}
