package openapi

import (
	"fmt"
	"strings"

	"github.com/swaggest/openapi-go/openapi31"

	"coffer/http/api"
)

// response is a refusal that several routes may share. It is then written once,
// among the components.
type response struct {
	name  string
	count int
}

// answersOf groups what a route may answer by status.
func answersOf(area *api.Area, route api.Route) (map[int][]api.Answer, error) {
	answers, err := area.Answers(route)
	if err != nil {
		return nil, err
	}
	byStatus := map[int][]api.Answer{}
	for _, answer := range answers {
		byStatus[answer.Status] = append(byStatus[answer.Status], answer)
	}
	return byStatus, nil
}

// key tells equal refusals from others.
func key(area *api.Area, status int, answers []api.Answer) string {
	return fmt.Sprint(area.Name, status, answers)
}

// countResponses finds out which refusals are shared.
func (d *document) countResponses(area *api.Area, route api.Route, _ string) error {
	byStatus, err := answersOf(area, route)
	for status, answers := range byStatus {
		k := key(area, status, answers)
		if d.shared[k] == nil {
			d.shared[k] = &response{}
		}
		d.shared[k].count++
	}
	return err
}

// problem describes the refusals of one status.
func (d *document) problem(area *api.Area, status int, answers []api.Answer) (openapi31.ResponseOrReference, error) {
	known := d.shared[key(area, status, answers)]
	if known.count == 1 {
		described, err := d.describeProblem(area, answers)
		return openapi31.ResponseOrReference{Response: described}, err
	}
	if known.name == "" {
		described, err := d.describeProblem(area, answers)
		if err != nil {
			return openapi31.ResponseOrReference{}, err
		}
		known.name = d.responseName(area, status, answers)
		d.reflector.Spec.ComponentsEns().WithResponsesItem(known.name, openapi31.ResponseOrReference{Response: described})
	}
	return openapi31.ResponseOrReference{
		Reference: &openapi31.Reference{Ref: "#/components/responses/" + known.name},
	}, nil
}

// responseName makes money.409.key_reused of area, status and codes.
func (d *document) responseName(area *api.Area, status int, answers []api.Answer) string {
	name := fmt.Sprintf("%s.%d.%s", area.Name, status, answers[0].Code)
	if len(answers) > 1 {
		name += fmt.Sprintf(".and%d", len(answers)-1)
	}
	taken := d.reflector.Spec.ComponentsEns().Responses
	unique := name
	for i := 2; ; i++ {
		if _, twice := taken[unique]; !twice {
			return unique
		}
		unique = fmt.Sprintf("%s.%d", name, i)
	}
}

func (d *document) describeProblem(area *api.Area, answers []api.Answer) (*openapi31.Response, error) {
	schema, err := d.answerSchema(area.Envelope.ProblemSchema())
	if err != nil {
		return nil, fmt.Errorf("schema of problems: %w", err)
	}
	media := area.ProblemMedia
	if media == "" {
		media = mediaJSON
	}
	described := &openapi31.Response{Content: map[string]openapi31.MediaType{media: {Schema: schema}}}
	var lines []string
	codes := []any{}
	for _, answer := range answers {
		lines = append(lines, strings.TrimSuffix("`"+answer.Code+"` "+answer.Message, " "))
		codes = append(codes, answer.Code)
	}
	described.WithDescription(strings.Join(lines, "\n\n"))
	described.WithMapOfAnythingItem("x-codes", codes)
	return described, nil
}
