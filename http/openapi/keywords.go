package openapi

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/swaggest/jsonschema-go"
)

// idPattern is what the validate tag id accepts.
const idPattern = "^([a-z]{2,5}_[0-9a-f]{8,64}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"

// keywords writes the tags doc, validate and clamp of a member as keywords of
// its schema.
func keywords(p jsonschema.InterceptPropParams) error {
	if !p.Processed {
		return nil
	}
	if p.PropertySchema.AnyOf != nil {
		p.PropertySchema.Type = nil // the alternatives have types of their own
		for _, one := range p.PropertySchema.AnyOf {
			if one.TypeObject != nil && one.TypeObject.Ref != nil {
				one.TypeObject.Type = nil
			}
		}
	}
	if doc := p.Field.Tag.Get("doc"); doc != "" {
		p.PropertySchema.WithDescription(doc)
	}
	if usual, most, clamped := strings.Cut(p.Field.Tag.Get("clamp"), ","); clamped {
		if err := clamp(p.PropertySchema, usual, most); err != nil {
			return err
		}
	}
	schema := p.PropertySchema
	for word := range strings.SplitSeq(p.Field.Tag.Get("validate"), ",") {
		tag, param, _ := strings.Cut(word, "=")
		switch tag {
		case "required":
			if schema == p.PropertySchema {
				p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
			}
			continue
		case "dive":
			if schema.Items == nil || schema.Items.SchemaOrBool == nil {
				return fmt.Errorf("%s dives into no list", p.Name)
			}
			schema = schema.Items.SchemaOrBool.TypeObject
			continue
		}
		if schema.Ref != nil {
			continue
		}
		if err := keyword(schema, tag, param); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// clamp describes a number that is brought into its range, never refused.
func clamp(schema *jsonschema.Schema, usual, most string) error {
	value, err := strconv.Atoi(usual)
	if err != nil {
		return fmt.Errorf("clamp %q: %w", usual, err)
	}
	schema.WithDefault(value)
	if schema.Description == nil {
		schema.WithDescription("Brought into the range 1 to " + most + ".")
	}
	return nil
}

// keyword writes one rule. Rules without a keyword are left to descriptions.
func keyword(schema *jsonschema.Schema, tag, param string) error {
	switch tag {
	case "id":
		schema.WithPattern(idPattern)
	case "mail", "email":
		schema.WithFormat("email")
	case "url", "http_url":
		schema.WithFormat("uri")
	case "uuid":
		schema.WithFormat("uuid")
	case "object":
		schema.AddType(jsonschema.Object)
	case "unique":
		schema.WithUniqueItems(true)
	case "oneof":
		for _, word := range strings.Fields(param) {
			schema.Enum = append(schema.Enum, strings.Trim(word, "'"))
		}
	case "min", "gte", "max", "lte", "len":
		limit, err := strconv.ParseInt(param, 10, 64)
		if err != nil {
			return fmt.Errorf("%s=%s: %w", tag, param, err)
		}
		bound(schema, tag, limit)
	}
	return nil
}

// bound writes a limit in the unit of the type.
func bound(schema *jsonschema.Schema, tag string, limit int64) {
	lower, upper := tag == "min" || tag == "gte" || tag == "len", tag == "max" || tag == "lte" || tag == "len"
	switch {
	case schema.HasType(jsonschema.String):
		if lower {
			schema.WithMinLength(limit)
		}
		if upper {
			schema.WithMaxLength(limit)
		}
	case schema.HasType(jsonschema.Array):
		if lower {
			schema.WithMinItems(limit)
		}
		if upper {
			schema.WithMaxItems(limit)
		}
	case schema.HasType(jsonschema.Integer):
		if lower {
			schema.WithMinimum(float64(limit))
		}
		if upper {
			schema.WithMaximum(float64(limit))
		}
	}
}
