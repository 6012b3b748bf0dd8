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
// as a curl line, ready to be pasted, with its answer: two users, wallets, a
// deposit, a transfer with an idempotency key, its replay, the chain. A
// directory that has been used is left alone.
func Tour(ctx context.Context, n *Node, out io.Writer) error {
	t := &tour{ctx: ctx, url: n.URL(), out: out}
	switch used := n.users(); {
	case used > 0:
		t.say("%d accounts exist in %s: the tour is for an empty directory.", used, n.config.DataDir)
	case n.config.TLSCert != "":
		t.say("The tour speaks plain HTTP: start it without --tls-cert.")
	default:
		if err := t.walk(); err != nil {
			return fmt.Errorf("tour: %w", err)
		}
	}
	t.say("The node is up at %s - browse its API at %s/docs - Ctrl-C stops it, a restart keeps everything.", t.url, t.url)
	return nil
}

func (n *Node) users() int64 {
	v := n.db.Latest()
	defer v.Close()
	return identity.Count(v)
}

// tour is one walk.
type tour struct {
	ctx context.Context
	url string
	out io.Writer
}

func (t *tour) say(format string, values ...any) { fmt.Fprintf(t.out, "\n# "+format+"\n", values...) }

// person is a caller with the shell variable that holds the token.
type person struct{ variable, token string }

// step is one call of the tour.
type step struct {
	say    string
	method string
	path   string
	as     person // nobody, if it is empty
	key    string // Idempotency-Key
	body   string
}

func (t *tour) walk() error {
	ann, err := t.register("Ann registers.", "ANN", `{"email":"ann@example.org","password":"correct horse"}`)
	if err != nil {
		return err
	}
	bob, err := t.register("Bob registers.", "BOB", `{"email":"bob@example.org","password":"battery staple"}`)
	if err != nil {
		return err
	}
	opened, err := t.call(step{"Ann opens her primary wallet.", "POST", "/api/qpaynet/wallets", ann, "", `{"currency":"KZT"}`})
	if err != nil {
		return err
	}
	wallet := text(opened["id"])
	transfer := step{
		"Ann sends Bob 2,500.00 KZT. Both scores rise, one chain entry is written, all in one command.",
		"POST", "/api/qpaynet/transfer", ann, "tour-transfer-1",
		`{"fromWalletId":"` + wallet + `","toEmail":"bob@example.org","amountKzt":250000,"memo":"first transfer"}`,
	}
	again := transfer
	again.say = "The same call again: same key, same answer, nothing moves twice."
	for _, s := range []step{
		{"Bob opens his.", "POST", "/api/qpaynet/wallets", bob, "", `{"currency":"KZT"}`},
		{"Ann deposits 10,000.00 KZT (amounts are minor units).", "POST", "/api/qpaynet/deposit", ann, "tour-deposit-1",
			`{"walletId":"` + wallet + `","amountKzt":1000000}`},
		transfer,
		again,
		{"Ann's history, newest first.", "GET", "/api/qpaynet/transactions", ann, "", ""},
		{"Ann's reputation.", "GET", "/api/ztide/me", ann, "", ""},
		{"Anybody can verify the chain.", "GET", "/api/veilnetx-ledger/chain/verify", person{}, "", ""},
	} {
		if _, err := t.call(s); err != nil {
			return err
		}
	}
	return nil
}

// register makes an account and puts its token into a shell variable.
func (t *tour) register(say, variable, body string) (person, error) {
	answer, err := t.call(step{say, "POST", "/api/auth/register", person{}, "", body})
	if err != nil {
		return person{}, err
	}
	p := person{variable, text(answer["token"])}
	fmt.Fprintf(t.out, "\n# Paste this to make the calls below yourself.\n%s=%s\n", p.variable, p.token)
	return p, nil
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
	line := "curl -s " + t.url + s.path
	if s.as.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.as.token)
		line += fmt.Sprintf(` -H "Authorization: Bearer $%s"`, s.as.variable)
	}
	if s.key != "" {
		request.Header.Set("Idempotency-Key", s.key)
		line += fmt.Sprintf(" -H 'Idempotency-Key: %s'", s.key)
	}
	if s.body != "" {
		request.Header.Set("Content-Type", "application/json")
		line += " -H 'Content-Type: application/json' -d '" + s.body + "'"
	}
	fmt.Fprintln(t.out, line)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	return t.show(response)
}

// show prints an answer and takes it apart. A token is shortened: it stands in
// full on a line of its own.
func (t *tour) show(response *http.Response) (map[string]any, error) {
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, fmt.Errorf("answer %q: %w", body, err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return nil, fmt.Errorf("answer %q: %w", body, err)
	}
	shown := pretty.String()
	if token := text(members["token"]); len(token) > shownToken {
		shown = strings.Replace(shown, token, token[:shownToken]+"...", 1)
	}
	fmt.Fprintf(t.out, "HTTP %s\n", response.Status)
	if replayed := response.Header.Get("Idempotent-Replayed"); replayed != "" {
		fmt.Fprintln(t.out, "Idempotent-Replayed:", replayed)
	}
	fmt.Fprintln(t.out, shown)
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("answered %s", response.Status)
	}
	return members, nil
}

// shownToken is how much of a token an answer shows.
const shownToken = 12
