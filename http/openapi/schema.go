package openapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go/openapi31"

	"coffer/http/api"
)

const schemas = "#/components/schemas/"

var (
	integerType = reflect.TypeFor[api.Integer]()
	timeType    = reflect.TypeFor[api.Time]()
	cursorType  = reflect.TypeFor[api.Cursor]()
	rawType     = reflect.TypeFor[jsontext.Value]()
)

// optional is any api.Optional.
type optional interface{ Of() reflect.Type }

// prepare teaches the reflector the types of api.
func (d *document) prepare() {
	d.reflector.DefaultOptions = append(d.reflector.DefaultOptions,
		jsonschema.InterceptSchema(d.known),
		jsonschema.InterceptDefName(func(_ reflect.Type, name string) string {
			return strings.Map(func(c rune) rune {
				if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
					return c
				}
				return -1
			}, name)
		}))
}

// known writes the schemas of types that are more than their Go kind.
func (d *document) known(p jsonschema.InterceptSchemaParams) (stop bool, err error) {
	if !p.Value.IsValid() || p.Processed {
		return false, nil
	}
	t := p.Value.Type()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case integerType:
		p.Schema.AddType(jsonschema.Integer)
		p.Schema.WithMinimum(-api.MaxInteger).WithMaximum(api.MaxInteger)
	case timeType:
		p.Schema.AddType(jsonschema.String)
		p.Schema.WithFormat("date-time")
	case cursorType:
		p.Schema.AddType(jsonschema.String)
	case rawType:
		p.Schema.Type = nil
	default:
		if t.Kind() == reflect.Struct {
			if inner, ok := reflect.Zero(t).Interface().(optional); ok {
				return true, d.inline(p.Schema, t, inner.Of())
			}
		}
		return false, nil
	}
	d.reflector.InlineDefinition(reflect.Zero(t).Interface())
	return true, nil
}

// inline writes the schema of an Optional: that of its value, or null.
func (d *document) inline(schema *jsonschema.Schema, t, inner reflect.Type) error {
	d.reflector.InlineDefinition(reflect.Zero(t).Interface())
	reflected, err := d.reflect(inner, "json")
	if err != nil {
		return err
	}
	if reflected.Type != nil {
		reflected.AddType(jsonschema.Null)
	}
	*schema = reflected
	return nil
}

// reflect is the schema of a type by one tag; named structs become components.
func (d *document) reflect(t reflect.Type, tag string, options ...func(*jsonschema.ReflectContext)) (jsonschema.Schema, error) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	options = append([]func(*jsonschema.ReflectContext){
		jsonschema.DefinitionsPrefix(schemas),
		jsonschema.CollectDefinitions(d.collect),
		jsonschema.PropertyNameTag(tag),
		jsonschema.RootRef,
		jsonschema.InterceptProp(keywords),
		jsonschema.InterceptNullability(listsAreNeverNull),
		func(rc *jsonschema.ReflectContext) { rc.EnvelopNullability = true },
	}, options...)
	schema, err := d.reflector.Reflect(reflect.New(t).Elem().Interface(), options...)
	if err != nil {
		return schema, fmt.Errorf("schema of %s: %w", t, err)
	}
	return schema, nil
}

// listsAreNeverNull follows the encoder, which writes [] and {} for nil.
func listsAreNeverNull(p jsonschema.InterceptNullabilityParams) {
	if kind := p.Type.Kind(); p.NullAdded && (kind == reflect.Slice || kind == reflect.Map) {
		p.Schema.RemoveType(jsonschema.Null)
	}
}

// collect puts a named schema into the components.
func (d *document) collect(name string, schema jsonschema.Schema) {
	simple, err := schema.ToSchemaOrBool().ToSimpleMap()
	if err != nil {
		panic(fmt.Errorf("openapi: schema %s: %w", name, err)) // the library made it
	}
	d.reflector.Spec.ComponentsEns().WithSchemasItem(name, simple)
}

func simple(schema jsonschema.Schema) (map[string]any, error) {
	return schema.ToSchemaOrBool().ToSimpleMap()
}

// answerSchema is the schema of an answer. All members that are always there
// are required.
func (d *document) answerSchema(t reflect.Type) (map[string]any, error) {
	schema, err := d.reflect(t, "json", jsonschema.InterceptProp(alwaysThere))
	if err != nil {
		return nil, err
	}
	return simple(schema)
}

// alwaysThere requires a member that is never left out.
func alwaysThere(p jsonschema.InterceptPropParams) error {
	tag := p.Field.Tag.Get("json")
	if p.Processed && !strings.Contains(tag, ",omitempty") && !strings.Contains(tag, ",omitzero") &&
		!slices.Contains(p.ParentSchema.Required, p.Name) {
		p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
	}
	return nil
}

// bodySchema is the schema of the members that come from a body, nil when there
// are none, and whether one is required.
func (d *document) bodySchema(in reflect.Type, tag string) (schema map[string]any, required bool, err error) {
	if !hasTag(in, tag) {
		return nil, false, nil
	}
	reflected, err := d.reflect(in, tag, jsonschema.InterceptProp(func(p jsonschema.InterceptPropParams) error {
		required = required || p.Processed && isTop(p) && slices.Contains(p.ParentSchema.Required, p.Name)
		return nil
	}))
	if err != nil {
		return nil, false, err
	}
	schema, err = simple(reflected)
	return schema, required, err
}

// hasTag tells whether a member of a struct has a tag.
func hasTag(t reflect.Type, tag string) bool {
	return slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		name, ok := f.Tag.Lookup(tag)
		return ok && name != "-"
	})
}

// isTop tells that a member belongs to the type itself, not to one inside. The
// path of a member that is processed ends before its name.
func isTop(p jsonschema.InterceptPropParams) bool { return len(p.Path) == 1 }

// addParameters describes the members that come from one part of the request,
// in the order of their declaration.
func (d *document) addParameters(o *openapi31.Operation, in reflect.Type, part string) error {
	_, err := d.reflect(in, part, jsonschema.InlineRefs, jsonschema.InterceptProp(func(p jsonschema.InterceptPropParams) error {
		if !p.Processed || !isTop(p) {
			return nil
		}
		schema, err := simple(*p.PropertySchema)
		if err != nil {
			return err
		}
		description, _ := schema["description"].(string)
		delete(schema, "description")
		described := parameter(p.Name, part, description, schema)
		if slices.Contains(p.ParentSchema.Required, p.Name) {
			described.Parameter.WithRequired(true)
		}
		o.Parameters = append(o.Parameters, described)
		return nil
	}))
	return err
}
