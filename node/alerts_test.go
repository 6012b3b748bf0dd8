package node

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// alert is one rule of the page for Prometheus.
type alert struct{ name, expr, severity, summary, action string }

// readAlerts reads the page line by line: it uses a small part of YAML, and
// anything else on it is a mistake.
func readAlerts(t *testing.T) (rules []alert) {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "docs", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	frame := list("groups: rules: labels: annotations:")
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") || slices.Contains(frame, line) || line == "- name: coffer" {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "- "), ": ")
		if !ok || value == "" || strings.Contains(value, ": ") || strings.Contains(value, " #") {
			t.Fatalf("the line %q is not understood", line)
		}
		if key == "alert" {
			rules = append(rules, alert{name: value})
			continue
		}
		if len(rules) == 0 {
			t.Fatalf("%q is of no alert", line)
		}
		last := &rules[len(rules)-1]
		into, known := map[string]*string{
			"expr": &last.expr, "severity": &last.severity, "summary": &last.summary, "action": &last.action, "for": new(string),
		}[key]
		if !known || *into != "" {
			t.Fatalf("%q is unknown, or there twice", line)
		}
		*into = value
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestAlertsAreAboutWhatNodesExport(t *testing.T) {
	rules, names := readAlerts(t), exported(t)
	var have []string
	for _, a := range rules {
		have = append(have, a.name)
		if a.severity != "page" || a.summary == "" || a.action == "" {
			t.Errorf("%s: severity %q, summary %q, action %q", a.name, a.severity, a.summary, a.action)
		}
		found := metricName.FindAllString(a.expr, -1)
		if len(found) == 0 {
			t.Errorf("%s: no metric in %s", a.name, a.expr)
		}
		for _, name := range found {
			if !names[name] && !names[seriesOf.ReplaceAllString(name, "")] {
				t.Errorf("%s: a node exports no %s", a.name, name)
			}
		}
		if strings.Count(a.expr, "(") != strings.Count(a.expr, ")") || !regexp.MustCompile(`[<>=]=? `).MatchString(a.expr) {
			t.Errorf("%s: %s is no condition", a.name, a.expr)
		}
	}
	want := list("CofferNoLeader CofferLeaderChanges CofferLogStoreSlow CofferLogTooShort CofferDiverged CofferBackupOld CofferConservationError CofferCertificateEnds")
	if !slices.Equal(have, want) {
		t.Errorf("alerts %v, want %v", have, want)
	}
}
