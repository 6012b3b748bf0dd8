package modules_test

import (
	"time"

	"coffer/fsm"
	"coffer/fsm/identity"
	"coffer/fsm/reputation"
	"coffer/fsm/settings"
	"coffer/fsm/wallet"
	"coffer/store"
)

func (m *model) identity(r fsm.Request, actor *person, now store.Time, got fsm.Outcome) string {
	switch r.Command {
	case identity.RegisterUser.Name:
		in := input[identity.Register](m, r)
		if m.byEmail(in.Email) != nil {
			return "email_already_exists"
		}
		out := output[identity.LoggedIn](m, got)
		p := &person{id: string(out.User.ID), email: in.Email, version: 1, kyc: identity.KYCNone, outgoing: map[int64]int64{}, moves: map[int64]int64{}}
		m.people = append(m.people, p)
		m.session[string(out.Session)] = &session{p, true}
		m.want("time of a registration", out.At, int64(now))
		return ""
	case identity.StartSession.Name:
		in := input[identity.Login](m, r)
		p := m.person(string(in.User))
		if p == nil || p.deleted || in.Version != p.version || in.Surface != identity.AEVION {
			return "invalid_credentials"
		}
		m.session[string(output[identity.LoggedIn](m, got).Session)] = &session{p, true}
		return ""
	case identity.RecordFailure.Name:
		return ""
	case identity.RevokeSession.Name:
		s := m.session[string(input[identity.EndSession](m, r).Session)]
		if s == nil || !s.open || s.of != actor || r.Actor.Kind != fsm.User {
			return "session_not_found"
		}
		s.open = false
		return ""
	case identity.DecideKYC.Name:
		return m.decide(r)
	}
	if r.Actor.Kind != fsm.User {
		return "auth_required"
	}
	return m.ownAccount(r, actor, got)
}

func (m *model) ownAccount(r fsm.Request, actor *person, got fsm.Outcome) string {
	switch r.Command {
	case identity.SetPassword.Name:
		if input[identity.ChangePassword](m, r).Version != actor.version {
			return "invalid_credentials"
		}
		actor.version++
		m.closeSessions(actor, r.Actor.Session)
	case identity.RevokeOthers.Name:
		m.want("sessions ended", output[identity.Revoked](m, got).Count, m.closeSessions(actor, r.Actor.Session))
	case identity.DeleteAccount.Name:
		actor.deleted = true
		m.closeSessions(actor, "")
		m.abandon(actor)
	case identity.SubmitKYC.Name:
		if actor.kyc != identity.KYCVerified {
			actor.kyc = identity.KYCPending
			if m.texts["QPAYNET_KYC_AUTO_VERIFY"] == 1 {
				actor.kyc = identity.KYCVerified
			}
		}
		m.want("KYC", output[identity.Submitted](m, got).Status, actor.kyc)
	}
	return ""
}

func (m *model) closeSessions(p *person, except string) (closed int) {
	for id, s := range m.session {
		if s.of == p && s.open && id != except {
			s.open = false
			closed++
		}
	}
	return closed
}

// abandon closes a deleted user's empty wallets and freezes the others.
func (m *model) abandon(p *person) {
	for _, w := range m.purses {
		switch {
		case w.of != p || w.status == wallet.Closed:
		case w.balance == 0 && w.pending == 0:
			m.shut(w)
		default:
			w.status = wallet.Frozen
		}
	}
	for _, w := range m.purses { // who is left primary is nobody's business any more
		if w.of == p && w.status == wallet.Closed {
			w.primary = false
		}
	}
}

func (m *model) decide(r fsm.Request) string {
	in := input[identity.Decide](m, r)
	if !m.isAdmin(r) {
		return "not_admin"
	}
	p := m.person(string(in.User))
	if p == nil || p.kyc != identity.KYCPending {
		return "not_found_or_not_pending"
	}
	p.kyc = identity.KYCRejected
	if in.Verify {
		p.kyc = identity.KYCVerified
	}
	return ""
}

// platform is everything that is neither identity nor money.
func (m *model) platform(r fsm.Request, actor *person, now store.Time, got fsm.Outcome) string {
	switch r.Command {
	case settings.UpdateSettings.Name:
		return m.update(r)
	case reputation.IngestEvent.Name:
		in := input[reputation.Ingest](m, r)
		if r.Actor.Kind != fsm.Service { // nobody is on the list of this module
			return "admin_or_service_key_required"
		}
		if p := m.person(string(in.User)); p != nil {
			p.score += in.Weight
			m.want("score", output[reputation.Added](m, got).Score, p.score)
		}
	case reputation.ClaimStreak.Name:
		if r.Actor.Kind != fsm.User {
			return "auth_required"
		}
		if actor.streak != 0 && now < actor.streak+store.Time(20*store.Hour) {
			return "streak_cooldown"
		}
		actor.streak, actor.score = now, actor.score+1
		m.want("score", output[reputation.Added](m, got).Score, actor.score)
	case fsm.RaiseAlarm.Name, fsm.DisarmAlarm.Name:
		return m.alarm(r)
	case fsm.Assert.Name:
		if r.Actor.Kind != fsm.Node {
			return "not_permitted"
		}
	}
	return ""
}

func (m *model) update(r fsm.Request) string {
	if r.Actor.Kind != fsm.Node && r.Actor.Kind != fsm.Operator {
		return "not_permitted"
	}
	changes := input[settings.Update](m, r).Changes
	for _, c := range changes {
		if c.Name == "NO_SUCH" {
			return "unknown_setting"
		}
		if c.Text == "x" {
			return "invalid_setting"
		}
	}
	for _, c := range changes {
		if c.Name == "QPAYNET_ADMIN_EMAILS" {
			m.admin = c.Text
			continue
		}
		m.texts[c.Name] = number(c.Text)
	}
	return ""
}

func (m *model) alarm(r fsm.Request) string {
	in := input[fsm.AlarmChange](m, r)
	if r.Actor.Kind != fsm.Node && r.Actor.Kind != fsm.Operator {
		return "not_permitted"
	}
	key := in.Kind + " " + in.Node
	if r.Command == fsm.RaiseAlarm.Name {
		m.alarms[key] = true
		return ""
	}
	if !m.alarms[key] {
		return "alarm_not_found"
	}
	delete(m.alarms, key)
	return ""
}

// month is the calendar month of a time, year and month together.
func month(at store.Time) int64 {
	t := time.UnixMicro(int64(at)).UTC()
	return int64(t.Year())*12 + int64(t.Month()) - 1
}
