#include "config/refusals.h"

#include "config/option.h"
#include "config/value.h"

#include <string.h>

void path_add(const path *at, text *out) {
    if (!at) return;
    path_add(at->up, out);
    const char *dot = at->up ? "." : "";
    if (at->key)
        text_add(out, "%s%s", dot, at->key);
    else
        text_add(out, "%s%d", dot, at->index);
}

// What was found instead: `, not "abc"`, ", not a list of length 2", ", but is empty".
static void add_value(const node *n, text *out) {
    if (node_is_null(n) && !n->scalar[0]) {
        text_add(out, ", but is empty");
        return;
    }
    text_add(out, ", not ");
    if (n->kind == NODE_LIST && n->count)
        text_add(out, "a list of length %d", n->count);
    else if (n->kind == NODE_LIST)
        text_add(out, "an empty list");
    else if (n->kind == NODE_MAP)
        text_add(out, "a mapping");
    else if (node_is_null(n))
        text_add(out, "%s", n->scalar);
    else
        value_quote(n->scalar, out);
    if (n->from.rank > 0 && strncmp(n->from.text, "${", 2) == 0)
        text_add(out, " (from %.*s)", (int)strcspn(n->from.text, "}") + 1, n->from.text);
}

void report_value(resolver *r, const option *o, node *n, const path *at, const char *must_be) {
    if (n->broken) return;
    complete_below(r, n); // variables count as used even if the value is not
    n->broken = true;
    text message = {0}, hint = {0};
    path_add(at, &message);
    text_add(&message, " must be ");
    if (must_be)
        text_add(&message, "%s", must_be);
    else
        option_expected(o, &message);
    add_value(n, &message);
    bool is_text = o->type == OPTION_STRING || o->type == OPTION_STRINGS;
    text nearest = {0};
    if (n->kind == NODE_SCALAR && !node_is_null(n) && value_nearest(o, n->scalar, &nearest))
        text_add(&hint, "did you mean \"%s\"?", nearest.bytes);
    else if (is_text && n->kind != NODE_SCALAR && n->count > 0)
        text_add(&hint, "quote a string that contains \": \" or begins with [ or {");
    else if (is_text && node_is_null(n))
        text_add(&hint, "write \"\" for an empty string");
    else if (o->type == OPTION_SECTION && n->kind == NODE_SCALAR && strchr(n->scalar, ':'))
        text_add(&hint, "put a space after the colon");
    else if (node_is_null(n) && o->fallback)
        text_add(&hint, "remove %s to get its default, %s", o->key, o->fallback);
    else if (o->doc && !must_be) {
        text_add(&hint, "%s: %s", o->key, o->doc);
        if (o->fallback) text_add(&hint, " (default %s)", o->fallback);
    }
    problem_add(r->p, n->where, hint.bytes, "%s", message.bytes);
    text_free(&message);
    text_free(&hint);
    text_free(&nearest);
}

// Adds the paths at which a misplaced key would be right: "sampling.k", "optimizer.momentum (of type sgd,
// muon)".
static void add_homes(const component *root, const char *key, text *out) {
    for (const option *o = root->options; o && o->key; o++) {
        if (o->type == OPTION_SECTION && option_find(o->section, key))
            text_add(out, "%s%s.%s", out->length ? " or " : "", o->key, key);
        if (o->type != OPTION_COMPONENT) continue;
        int types = 0;
        for (const component *const *c = o->registry; *c; c++) {
            if (!option_find(*c, key)) continue;
            if (types++ == 0) text_add(out, "%s%s.%s (of type ", out->length ? " or " : "", o->key, key);
            text_add(out, types > 1 ? ", %s" : "%s", (*c)->name);
        }
        if (types) text_add(out, ")");
    }
}

void report_unknown(resolver *r, const component *about, const entry *e, const path *at) {
    text message = {0}, hint = {0}, home = {0};
    text_add(&message, "unknown key \"%.*s\"", (int)utf8_cut(e->key, strlen(e->key), 100), e->key);
    if (at) {
        text_add(&message, " in ");
        path_add(at, &message);
    }
    const char *nearest = option_nearest(about, e->key);
    add_homes(r->table, e->key, &home);
    if (nearest)
        text_add(&hint, "did you mean %s?", nearest);
    else if (home.length)
        text_add(&hint, "did you mean %s?", home.bytes);
    else if (about->options && about->options->key) {
        text_add(&hint, "keys of %s: ", about->name);
        option_names(about, &hint);
    } else
        text_add(&hint, "%s has no settings", about->name);
    problem_add(r->p, e->key_place, hint.bytes, "%s", message.bytes);
    text_free(&message);
    text_free(&hint);
    text_free(&home);
}

void report_unknown_component(resolver *r, const component *const *registry, const char *name, place where,
                              const path *at) {
    text message = {0}, hint = {0};
    path_add(at, &message);
    text_add(&message, ": unknown %s \"%.*s\"", registry_kind(registry),
             (int)utf8_cut(name, strlen(name), 100), name);
    const char *nearest = registry_nearest(registry, name);
    if (nearest)
        text_add(&hint, "did you mean %s?", nearest);
    else {
        text_add(&hint, "choose from: ");
        registry_names(registry, &hint);
    }
    problem_add(r->p, where, hint.bytes, "%s", message.bytes);
    text_free(&message);
    text_free(&hint);
}

void report_entry(resolver *r, const option *o, node *item, const path *at) {
    if (item->broken) return;
    complete_below(r, item);
    item->broken = true;
    text message = {0}, hint = {0};
    path_add(at, &message);
    const char *kind = registry_kind(o->registry);
    text_add(&message, ": a %s must be NAME or {NAME: {its settings}}", kind);
    if (item->kind == NODE_MAP && item->count > 1) {
        text_add(&message, ", not a mapping with %d keys", item->count);
        if (strcmp(item->entries[0].key, "type") == 0)
            text_add(&hint, "write {%s: {its settings}}",
                     item->entries[0].value->kind == NODE_SCALAR ? item->entries[0].value->scalar : "NAME");
        else
            text_add(
                &hint,
                "indent its settings deeper than \"%s\"; if \"%s\" is another entry, begin it with a dash",
                item->entries[0].key, item->entries[1].key);
    } else {
        add_value(item, &message);
        text_add(&hint, "choose from: ");
        registry_names(o->registry, &hint);
    }
    problem_add(r->p, item->where, hint.bytes, "%s", message.bytes);
    text_free(&message);
    text_free(&hint);
}

void report_missing_type(resolver *r, const option *o, const node *n, const path *at) {
    text hint = {0}, message = {0};
    text_add(&hint, "one of ");
    registry_names(o->registry, &hint);
    path_add(at, &message);
    problem_add(r->p, n->where, hint.bytes, "%s.type is missing", message.bytes);
    text_free(&hint);
    text_free(&message);
}

void report_missing(resolver *r, const option *o, const node *settings, const path *at) {
    text message = {0}, hint = {0};
    path_add(at, &message);
    text_add(&hint, "%s: %s%s", o->key, o->doc ? o->doc : "", o->doc ? " (" : "");
    option_expected(o, &hint);
    if (o->doc) text_add(&hint, ")");
    problem_add(r->p, settings->where, hint.bytes, "%s is missing", message.bytes);
    text_free(&message);
    text_free(&hint);
}
