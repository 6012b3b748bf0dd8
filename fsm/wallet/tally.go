package wallet

import "coffer/store"

// tally is what all transfers of a command mean to one user and currency.
type tally struct {
	user     store.ID
	currency string
	in, out  int64
	counted  int64
	moves    int64
	scores   int64 // transfers with somebody else
}

// tally finds a user's sums in a currency; they stand in order of first
// appearance.
func (m *mover) tally(user store.ID, currency string) *tally {
	if at := m.find(user, currency); at >= 0 {
		return &m.tallies[at]
	}
	if m.places != nil {
		m.places[store.PairOf(user, store.Text(currency))] = len(m.tallies)
	}
	m.tallies = append(m.tallies, tally{user: user, currency: currency})
	return &m.tallies[len(m.tallies)-1]
}

// fewTallies are searched faster than looked up.
const fewTallies = 8

// find returns the place of a user's sums, -1 for none yet.
func (m *mover) find(user store.ID, currency string) int {
	if len(m.tallies) <= fewTallies {
		for i := range m.tallies {
			if t := &m.tallies[i]; t.user == user && t.currency == currency {
				return i
			}
		}
		return -1
	}
	if m.places == nil {
		m.places = map[ownerCurrency]int{}
		for i, t := range m.tallies {
			m.places[store.PairOf(t.user, store.Text(t.currency))] = i
		}
	}
	if at, ok := m.places[store.PairOf(user, store.Text(currency))]; ok {
		return at
	}
	return -1
}

// byUser adds the scores of all currencies up, users in order of first
// appearance.
func (m *mover) byUser() []tally {
	places := make(map[store.ID]int, len(m.tallies))
	users := make([]tally, 0, len(m.tallies))
	for _, t := range m.tallies {
		at, ok := places[t.user]
		if !ok {
			at = len(users)
			places[t.user] = at
			users = append(users, tally{user: t.user})
		}
		users[at].scores += t.scores
	}
	return users
}
