#include "config/value.h"

#include "config/option.h"

#include <string.h>

static bool in_range(const option *o, double value) {
    double end;
    bool excluded;
    if (option_lower(o, &end, &excluded) && (value < end || (excluded && value == end))) return false;
    if (option_upper(o, &end, &excluded) && (value > end || (excluded && value == end))) return false;
    return true;
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

const char *value_nearest(const option *o, const char *written) {
    return o->type == OPTION_CHOICE ? nearest_name(written, o->choices) : NULL;
}
