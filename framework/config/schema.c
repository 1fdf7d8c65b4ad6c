// The JSON Schema of experiment files. Each registry and each of its components is a definition, so that
// containers may contain containers.
#include "config/config.h"
#include "config/option.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// --- JSON

typedef struct json {
    text *out;
    int depth;
    bool empty; // nothing written yet in the innermost object or array
} json;

static void add_string(text *out, const char *s) {
    text_add(out, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            text_add(out, "\\%c", c);
        else if (c < 0x20)
            text_add(out, "\\u%04x", c);
        else
            text_add_bytes(out, s, 1);
    }
    text_add(out, "\"");
}

// Begins the next member of an object (key) or item of an array (NULL).
static void next(json *j, const char *key) {
    text_add(j->out, "%s", j->empty ? "" : ",");
    if (j->depth) text_add(j->out, "\n%*s", 2 * j->depth, "");
    j->empty = false;
    if (!key) return;
    add_string(j->out, key);
    text_add(j->out, ": ");
}

static void begin(json *j, const char *key, char bracket) {
    next(j, key);
    text_add(j->out, "%c", bracket);
    j->depth++;
    j->empty = true;
}

static void end(json *j, char bracket) {
    j->depth--;
    if (!j->empty) text_add(j->out, "\n%*s", 2 * j->depth, "");
    text_add(j->out, "%c", bracket);
    j->empty = false;
}

static void put_string(json *j, const char *key, const char *value) {
    next(j, key);
    add_string(j->out, value);
}

static void put(json *j, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void put(json *j, const char *key, const char *format, ...) {
    char value[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    next(j, key);
    text_add(j->out, "%s", value);
}

// --- definitions

typedef struct schema {
    json json;
    const component *const *registries[32];
    int count;
} schema;

// "layer", or "layer2" when another registry of that kind came before.
static void registry_name(schema *s, const component *const *registry, text *out) {
    int number = 1, i = 0;
    for (; i < s->count && s->registries[i] != registry; i++)
        if (strcmp(registry_kind(s->registries[i]), registry_kind(registry)) == 0) number++;
    if (i == s->count && s->count < 32) s->registries[s->count++] = registry;
    text_add(out, "%s", registry_kind(registry));
    if (number > 1) text_add(out, "%d", number);
}

static void put_reference(schema *s, const char *key, const component *const *registry,
                          const char *suffix) {
    text name = {0};
    text_add(&name, "#/$defs/");
    registry_name(s, registry, &name);
    text_add(&name, "%s", suffix);
    begin(&s->json, key, '{');
    put_string(&s->json, "$ref", name.bytes);
    end(&s->json, '}');
    text_free(&name);
}

// A string that contains ${...} is allowed for any value.
static void put_any_reference(json *j) {
    begin(j, NULL, '{');
    put_string(j, "type", "string");
    put_string(j, "pattern", "\\$\\{[^}]+\\}");
    end(j, '}');
}

static void put_range(json *j, const option *o) {
    double bound;
    bool excluded;
    if (option_lower(o, &bound, &excluded))
        put(j, excluded ? "exclusiveMinimum" : "minimum", "%.17g", bound);
    if (option_upper(o, &bound, &excluded))
        put(j, excluded ? "exclusiveMaximum" : "maximum", "%.17g", bound);
}

// A number, also as a string: readers of YAML 1.1 take 1e-4 for a string.
static void put_number(json *j, const char *key, const option *o, bool integer) {
    begin(j, key, '{');
    begin(j, "anyOf", '[');
    begin(j, NULL, '{');
    put_string(j, "type", integer ? "integer" : "number");
    put_range(j, o);
    end(j, '}');
    begin(j, NULL, '{');
    put_string(j, "type", "string");
    put_string(j, "pattern", "^[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?$");
    end(j, '}');
    put_any_reference(j);
    end(j, ']');
    end(j, '}');
}

// Steps or epochs, and references, as items of an open anyOf.
static void put_duration(json *j, const option *o) {
    put_number(j, NULL, o, true);
    begin(j, NULL, '{');
    put_string(j, "type", "string");
    put_string(j, "pattern", "^\\+?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)? epochs?$");
    end(j, '}');
}

// Any scalar is allowed for a string.
static void put_text(json *j, const char *key) {
    begin(j, key, '{');
    begin(j, "type", '[');
    put_string(j, NULL, "string");
    put_string(j, NULL, "number");
    put_string(j, NULL, "boolean");
    end(j, ']');
    end(j, '}');
}

static void begin_list(json *j, const char *key, const option *o) {
    begin(j, key, '{');
    put_string(j, "type", "array");
    if (o->min_count) put(j, "minItems", "%d", o->min_count);
    if (o->max_count) put(j, "maxItems", "%d", o->max_count);
}

static void put_null(json *j) {
    begin(j, NULL, '{');
    put_string(j, "type", "null");
    end(j, '}');
}

static void put_settings(schema *s, const component *about, bool with_type, bool with_extends);

static void put_words(json *j, const char *const *words) {
    begin(j, NULL, '{');
    begin(j, "enum", '[');
    for (; *words; words++) put_string(j, NULL, *words);
    end(j, ']');
    end(j, '}');
}

// The alternatives for one option, as items of an open anyOf.
static void put_alternatives(schema *s, const option *o) {
    json *j = &s->json;
    switch (o->type) {
    case OPTION_BOOL:
        begin(j, NULL, '{');
        put_string(j, "type", "boolean");
        end(j, '}');
        break;
    case OPTION_INT:
    case OPTION_REAL:
        put_number(j, NULL, o, o->type == OPTION_INT);
        break;
    case OPTION_DURATION:
        put_duration(j, o);
        break;
    case OPTION_DURATIONS:
        begin_list(j, NULL, o);
        begin(j, "items", '{');
        begin(j, "anyOf", '[');
        put_duration(j, o);
        end(j, ']');
        end(j, '}');
        end(j, '}');
        break;
    case OPTION_STRING:
        put_text(j, NULL);
        break;
    case OPTION_CHOICE:
        put_words(j, o->choices);
        break;
    case OPTION_REALS: {
        option one = *o;
        begin_list(j, NULL, o);
        put_number(j, "items", &one, false);
        end(j, '}');
        break;
    }
    case OPTION_STRINGS:
        put_text(j, NULL);
        begin_list(j, NULL, o);
        put_text(j, "items");
        end(j, '}');
        break;
    case OPTION_SECTION:
        begin(j, NULL, '{');
        put_settings(s, o->section, false, false);
        end(j, '}');
        put_null(j); // a section whose settings are all commented out
        break;
    case OPTION_COMPONENT:
        put_reference(s, NULL, o->registry, "");
        break;
    case OPTION_COMPONENTS:
        begin_list(j, NULL, o);
        put_reference(s, "items", o->registry, ".entry");
        end(j, '}');
        break;
    case OPTION_BRANCHES:
        begin_list(j, NULL, o);
        begin(j, "items", '{');
        begin(j, "anyOf", '[');
        begin(j, NULL, '{');
        put_string(j, "type", "array");
        put_reference(s, "items", o->registry, ".entry");
        end(j, '}');
        put_any_reference(j);
        end(j, ']');
        end(j, '}');
        end(j, '}');
        break;
    case OPTION_VARIABLES:
        begin(j, NULL, '{');
        put_string(j, "type", "object");
        begin(j, "additionalProperties", '{');
        begin(j, "type", '[');
        put_string(j, NULL, "string");
        put_string(j, NULL, "number");
        put_string(j, NULL, "boolean");
        put_string(j, NULL, "null");
        put_string(j, NULL, "array");
        end(j, ']');
        end(j, '}');
        end(j, '}');
        put_null(j);
        break;
    }
    if (o->type != OPTION_SECTION && o->type != OPTION_VARIABLES) put_any_reference(j);
    if (option_may_be_absent(o)) put_null(j);
}

static void put_option(schema *s, const option *o) {
    json *j = &s->json;
    text about = {0};
    if (o->doc) text_add(&about, "%s", o->doc);
    text_add(&about, "%s(", about.length ? " " : "");
    option_type_name(o, &about);
    if (o->unit) text_add(&about, ", %s", o->unit);
    if (o->fallback) text_add(&about, "; default %s", o->fallback);
    text_add(&about, ")");
    begin(j, o->key, '{');
    put_string(j, "description", about.bytes);
    begin(j, "anyOf", '[');
    put_alternatives(s, o);
    end(j, ']');
    end(j, '}');
    text_free(&about);
}

// The members of the schema object of a mapping of settings. Nothing is required, since extends may provide
// it.
static void put_settings(schema *s, const component *about, bool with_type, bool with_extends) {
    json *j = &s->json;
    put_string(j, "type", "object");
    if (about->summary) put_string(j, "description", about->summary);
    begin(j, "properties", '{');
    if (with_type) {
        begin(j, "type", '{');
        put_string(j, "type", "string");
        end(j, '}');
    }
    if (with_extends) {
        begin(j, "extends", '{');
        put_string(j, "description",
                   "files that this one is merged over: a path or a list of paths, relative to this file");
        begin(j, "type", '[');
        put_string(j, NULL, "string");
        put_string(j, NULL, "array");
        end(j, ']');
        begin(j, "items", '{');
        put_string(j, "type", "string");
        end(j, '}');
        end(j, '}');
    }
    for (const option *o = about->options; o && o->key; o++) put_option(s, o);
    end(j, '}');
    put(j, "additionalProperties", "false");
}

static void put_names(json *j, const component *const *registry) {
    begin(j, NULL, '{');
    begin(j, "enum", '[');
    for (; registry && *registry; registry++) put_string(j, NULL, (*registry)->name);
    end(j, ']');
    end(j, '}');
}

// {type: NAME, ...}: NAME alone, or a mapping whose settings are those of its type; without a type, of any.
static void put_choice(schema *s, const char *name, const component *const *registry) {
    json *j = &s->json;
    begin(j, name, '{');
    begin(j, "anyOf", '[');
    put_names(j, registry);
    put_any_reference(j);
    begin(j, NULL, '{');
    put_string(j, "type", "object");
    begin(j, "properties", '{');
    begin(j, "type", '{');
    begin(j, "anyOf", '[');
    put_names(j, registry);
    put_any_reference(j);
    end(j, ']');
    end(j, '}');
    end(j, '}');
    begin(j, "allOf", '[');
    for (const component *const *c = registry; c && *c; c++) {
        text suffix = {0};
        text_add(&suffix, ".%s", (*c)->name);
        begin(j, NULL, '{');
        begin(j, "if", '{');
        begin(j, "properties", '{');
        begin(j, "type", '{');
        put_string(j, "const", (*c)->name);
        end(j, '}');
        end(j, '}');
        begin(j, "required", '[');
        put_string(j, NULL, "type");
        end(j, ']');
        end(j, '}');
        put_reference(s, "then", registry, suffix.bytes);
        end(j, '}');
        text_free(&suffix);
    }
    begin(j, NULL, '{');
    begin(j, "if", '{');
    begin(j, "not", '{');
    begin(j, "required", '[');
    put_string(j, NULL, "type");
    end(j, ']');
    end(j, '}');
    end(j, '}');
    begin(j, "then", '{');
    begin(j, "anyOf", '[');
    for (const component *const *c = registry; c && *c; c++) {
        text suffix = {0};
        text_add(&suffix, ".%s", (*c)->name);
        put_reference(s, NULL, registry, suffix.bytes);
        text_free(&suffix);
    }
    end(j, ']');
    end(j, '}');
    end(j, '}');
    end(j, ']');
    end(j, '}');
    end(j, ']');
    end(j, '}');
}

// An entry of a list: NAME, or {NAME: settings}, or {NAME: [...]} for containers.
static void put_entry(schema *s, const char *name, const component *const *registry) {
    json *j = &s->json;
    text entry_name = {0};
    text_add(&entry_name, "%s.entry", name);
    begin(j, entry_name.bytes, '{');
    begin(j, "anyOf", '[');
    put_names(j, registry);
    put_any_reference(j);
    begin(j, NULL, '{');
    put_string(j, "type", "object");
    put(j, "minProperties", "1");
    put(j, "maxProperties", "1");
    put(j, "additionalProperties", "false");
    begin(j, "properties", '{');
    for (const component *const *c = registry; c && *c; c++) {
        text suffix = {0};
        text_add(&suffix, ".%s", (*c)->name);
        begin(j, (*c)->name, '{');
        begin(j, "anyOf", '[');
        put_reference(s, NULL, registry, suffix.bytes);
        put_null(j);
        const option *list = option_of_list(*c);
        if (list) put_alternatives(s, list);
        end(j, ']');
        end(j, '}');
        text_free(&suffix);
    }
    end(j, '}');
    end(j, '}');
    end(j, ']');
    end(j, '}');
    text_free(&entry_name);
}

void config_schema(const component *root, text *out) {
    schema s = {.json = {.out = out, .empty = true}};
    json *j = &s.json;
    begin(j, NULL, '{');
    put_string(j, "$schema", "https://json-schema.org/draft/2020-12/schema");
    put_string(j, "title", "runexp experiment");
    put_settings(&s, root, false, true);
    // Writing a definition may add the registries that its options name to the list.
    begin(j, "$defs", '{');
    for (int i = 0; i < s.count; i++) {
        const component *const *registry = s.registries[i];
        text name = {0};
        registry_name(&s, registry, &name);
        put_choice(&s, name.bytes, registry);
        put_entry(&s, name.bytes, registry);
        for (const component *const *c = registry; c && *c; c++) {
            text full = {0};
            text_add(&full, "%s.%s", name.bytes, (*c)->name);
            begin(j, full.bytes, '{');
            put_settings(&s, *c, true, false);
            end(j, '}');
            text_free(&full);
        }
        text_free(&name);
    }
    end(j, '}');
    end(j, '}');
    text_add(out, "\n");
}
