package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// panel is what the dashboard shows in one place.
type panel struct {
	ID      int
	Title   string
	Targets []struct{ Expr string }
	GridPos struct{ X, Y, W, H int }
}

var (
	metricName = regexp.MustCompile(`\b(?:coffer|go|process)_[a-z0-9_]+`)
	seriesOf   = regexp.MustCompile(`_(?:bucket|sum|count)$`)
	described  = regexp.MustCompile(`fqName: "([^"]+)"`)
)

// exported are the names of everything a node with peers can export, metrics
// with labels that nothing has used yet included.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Init(InitFlags{DataDir: dir}); err != nil {
		t.Fatal(err)
	}
	h := mustHost(t, dir, func(c *Config) { c.Cluster = "127.0.0.1:0" })
	defer h.end(t)
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		h.metrics.registry.Describe(descriptions)
	}()
	names := map[string]bool{}
	for d := range descriptions {
		names[described.FindStringSubmatch(d.String())[1]] = true
	}
	return names
}

func TestTheDashboardShowsWhatNodesExport(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	names, used := exported(t), map[string]bool{}
	checkPlaces(t, dashboard.Panels)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			found := metricName.FindAllString(target.Expr, -1)
			if len(found) == 0 {
				t.Errorf("%s: no metric in %s", p.Title, target.Expr)
			}
			for _, name := range found {
				base := seriesOf.ReplaceAllString(name, "")
				if !names[name] && !names[base] {
					t.Errorf("%s: a node exports no %s", p.Title, name)
				}
				used[name], used[base] = true, true
			}
		}
	}
	for name := range names {
		if own := regexp.MustCompile(`^coffer_`).MatchString(name); own && !used[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// checkPlaces says that no two panels share an id or a place.
func checkPlaces(t *testing.T, panels []panel) {
	t.Helper()
	ids, taken := map[int]string{}, map[[2]int]string{}
	for _, p := range panels {
		if other, twice := ids[p.ID]; twice {
			t.Errorf("%s and %s have the id %d", other, p.Title, p.ID)
		}
		ids[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, twice := taken[[2]int{x, y}]; twice || x >= 24 {
					t.Fatalf("%s lies on %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
