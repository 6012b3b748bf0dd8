package openapi

import (
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/swaggest/openapi-go/openapi31"

	"coffer/http/api"
)

const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

// add describes one route.
func (d *document) add(area *api.Area, route api.Route, path string) error {
	id := route.Spec.Operation
	if id == "" {
		id = operationID(route.Method, path)
	}
	if other, twice := d.operations[id]; twice {
		return fmt.Errorf("operation id %s is that of %s too; give one a Spec.Operation", id, other)
	}
	d.operations[id] = route.Method + " " + path

	o := &openapi31.Operation{}
	o.WithID(id).WithSummary(route.Spec.Summary)
	if route.Spec.Description != "" {
		o.WithDescription(route.Spec.Description)
	}
	if route.Spec.Deprecated {
		o.WithDeprecated(true)
	}
	if area.Tag != "" {
		o.WithTags(area.Tag)
		d.tags = append(d.tags, area.Tag)
	}
	for _, scheme := range route.Spec.Auth.Schemes() {
		o.Security = append(o.Security, map[string][]string{scheme: {}})
	}
	if route.Spec.Role != "" {
		o.WithMapOfAnythingItem("x-role", route.Spec.Role)
	}
	if err := d.addRequest(o, route); err != nil {
		return err
	}
	if err := d.addResponses(o, area, route); err != nil {
		return err
	}
	return d.reflector.Spec.AddOperation(strings.ToLower(route.Method), path, *o)
}

// operationID makes post_wallets_id_close of POST /wallets/{id}/close.
func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
	})
	return strings.Join(append([]string{strings.ToLower(method)}, words...), "_")
}

// addRequest describes parameters and body.
func (d *document) addRequest(o *openapi31.Operation, route api.Route) error {
	for _, in := range []string{"path", "query", "header"} {
		if err := d.addParameters(o, route.In, in); err != nil {
			return err
		}
	}
	if !route.Writes() {
		return nil
	}
	if route.Spec.Idempotent {
		o.Parameters = append(o.Parameters, parameter("Idempotency-Key", "header",
			"Repeating a request with its key repeats the answer and nothing else.",
			map[string]any{"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}))
	}
	o.Parameters = append(o.Parameters, parameter("dryRun", "query",
		"Answers as if, and changes nothing.", map[string]any{"type": "boolean"}))
	if err := d.addBody(o, route.In, mediaJSON, "json"); err != nil {
		return err
	}
	return d.addBody(o, route.In, mediaForm, "form")
}

// addBody describes a body if the input has members with the tag.
func (d *document) addBody(o *openapi31.Operation, in reflect.Type, media, tag string) error {
	schema, required, err := d.bodySchema(in, tag)
	if err != nil || schema == nil {
		return err
	}
	body := openapi31.RequestBody{Content: map[string]openapi31.MediaType{media: {Schema: schema}}}
	body.WithRequired(required)
	o.RequestBody = &openapi31.RequestBodyOrReference{RequestBody: &body}
	return nil
}

func parameter(name, in, description string, schema map[string]any) openapi31.ParameterOrReference {
	p := openapi31.Parameter{Name: name, In: openapi31.ParameterIn(in), Schema: schema}
	if description != "" {
		p.WithDescription(description)
	}
	if in == "path" {
		p.WithRequired(true)
	}
	return openapi31.ParameterOrReference{Parameter: &p}
}

// addResponses describes the result and, by status, the problems.
func (d *document) addResponses(o *openapi31.Operation, area *api.Area, route api.Route) error {
	success, err := d.success(area, route)
	if err != nil {
		return err
	}
	status := route.Spec.Status
	if status == 0 {
		status = http.StatusOK
	}
	o.ResponsesEns().WithMapOfResponseOrReferenceValuesItem(strconv.Itoa(status), openapi31.ResponseOrReference{Response: success})

	byStatus, err := answersOf(area, route)
	if err != nil {
		return err
	}
	for status, answers := range byStatus {
		described, err := d.problem(area, status, answers)
		if err != nil {
			return err
		}
		o.Responses.WithMapOfResponseOrReferenceValuesItem(strconv.Itoa(status), described)
	}
	return nil
}

// success describes the result.
func (d *document) success(area *api.Area, route api.Route) (*openapi31.Response, error) {
	status := route.Spec.Status
	if status == 0 {
		status = http.StatusOK
	}
	response := &openapi31.Response{Description: http.StatusText(status)}
	if route.Spec.Idempotent {
		response.WithHeadersItem("Idempotent-Replayed", openapi31.HeaderOrReference{Header: &openapi31.Header{
			Schema: map[string]any{"type": "string", "const": "true"},
		}})
	}
	if status == http.StatusNoContent {
		return response, nil
	}
	media := route.Spec.Media
	if len(media) == 0 {
		media = []string{mediaJSON}
	}
	for _, name := range media {
		name, _, _ = strings.Cut(name, ";")
		content := openapi31.MediaType{}
		if name == mediaJSON && !writesItself(route.Out) {
			schema, err := d.answerSchema(area.Envelope.ResultSchema(route.Out))
			if err != nil {
				return nil, err
			}
			content.Schema = schema
		} else {
			content.Schema = rawSchema(name)
		}
		response.WithContentItem(name, content)
	}
	return response, nil
}

// rawSchema describes what no Go type does: text, and JSON of any form.
func rawSchema(media string) map[string]any {
	if media == mediaJSON {
		return map[string]any{"type": "object"}
	}
	return map[string]any{"type": "string"}
}

var responderType = reflect.TypeFor[api.Responder]()

// writesItself tells that a result is written by its own type.
func writesItself(t reflect.Type) bool {
	return t.Implements(responderType) || reflect.PointerTo(t).Implements(responderType)
}
