#include "config/value.h"

#include "config/duration.h"
#include "config/option.h"

#include <string.h>

static bool in_range(const option *o, double value) {
    double end;
    bool excluded;
    if (option_lower(o, &end, &excluded) && (value < end || (excluded && value == end))) return false;
    if (option_upper(o, &end, &excluded) && (value > end || (excluded && value == end))) return false;
    return true;
}

static bool read_duration(const option *o, const char *written, duration *value) {
    return duration_read(written, value) && (value->epochs > 0 || in_range(o, (double)value->steps));
}

static bool read_bool(const char *written, bool *value) {
    *value = strcmp(written, "true") == 0;
    return *value || strcmp(written, "false") == 0;
}

static bool read_choice(const option *o, const char *written, int *value) {
    for (*value = 0; o->choices[*value]; ++*value)
        if (strcmp(o->choices[*value], written) == 0) return true;
    return false;
}

bool value_read(const option *o, const char *written, void *member) {
    switch (o->type) {
    case OPTION_BOOL:
        return read_bool(written, member);
    case OPTION_INT:
        return text_to_int(written, member) && in_range(o, (double)*(int64_t *)member);
    case OPTION_REAL:
        return text_to_real(written, member) && in_range(o, *(double *)member);
    case OPTION_DURATION:
        return read_duration(o, written, member);
    case OPTION_CHOICE:
        return read_choice(o, written, member);
    case OPTION_STRING:
        *(const char **)member = written;
        return true;
    default:
        return false;
    }
}

void value_quote(const char *written, text *out) {
    enum { LONGEST = 40 };
    const size_t length = strlen(written), cut = utf8_cut(written, length, LONGEST);
    text_add(out, "\"%.*s%s\"", (int)cut, written, cut < length ? "..." : "");
}

void value_refuse(const option *o, const char *written, text *out) {
    text_add(out, " must be ");
    option_expected(o, out);
    text_add(out, ", not ");
    value_quote(written, out);
}

static bool nearest_duration(const option *o, const char *written, text *out) {
    text nearest = {0};
    duration ignored;
    const bool found = duration_nearest(written, &nearest) && read_duration(o, nearest.bytes, &ignored);
    if (found) text_add(out, "%s", nearest.bytes);
    text_free(&nearest);
    return found;
}

bool value_nearest(const option *o, const char *written, text *out) {
    const char *name = o->type == OPTION_CHOICE ? nearest_name(written, o->choices) : NULL;
    if (name) text_add(out, "%s", name);
    return name || (o->type == OPTION_DURATION && nearest_duration(o, written, out));
}
