package qpaynet

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"coffer/fsm/ledger"
	"coffer/http/api"
	"coffer/store"
)

// maxCSV is how many rows an export has.
const maxCSV = 5000

type csvRequest struct {
	WalletID store.ID `query:"walletId" validate:"omitempty,id"`
}

// csvFile is an export of transactions.
type csvFile struct {
	day  string
	rows []ledger.Movement
}

func (a *Area) transactionsCSV(c *api.Call, in csvRequest) (csvFile, error) {
	file := csvFile{day: c.Time().UTC().Format(time.DateOnly)}
	err := c.Read(func(v *store.View) error {
		history, err := historyOf(v, user(c), in.WalletID)
		if err != nil {
			return err
		}
		file.rows, _, err = history.Page(nil, maxCSV, func(*ledger.Movement) bool { return true })
		return err
	})
	return file, err
}

// Respond writes the file.
func (f csvFile) Respond(_ *api.Call, w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="qpaynet-transactions-`+f.day+`.csv"`)
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180
	records := [][]string{{"id", "wallet_id", "type", "amount", "fee", "currency", "description", "status", "created_at"}}
	for i := range f.rows {
		m := &f.rows[i]
		records = append(records, []string{
			m.ID, string(m.Account), typeOf(m), strconv.FormatInt(m.Amount, 10), strconv.FormatInt(feeOf(m), 10),
			m.Currency, harmless(m.PrivateText("memo")), "completed", m.At.String(),
		})
	}
	return out.WriteAll(records)
}

// harmless keeps a spreadsheet from reading free text as a formula. Some skip
// white space before one.
func harmless(text string) string {
	if text != "" && strings.IndexByte("=+-@\t\r\n", text[0]) >= 0 {
		return "'" + text
	}
	return text
}
