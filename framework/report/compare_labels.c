#include "report/compare_labels.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

enum { SHORT_NAME = 32, FEW_SETTINGS = 4 };

static bool all_differ(const char *const *labels, int count) {
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(labels[i], labels[k]) == 0) return false;
    return true;
}

static bool names_will_do(const report_run *runs, int count) {
    for (int i = 0; i < count; i++)
        if (strchr(runs[i].name, '=') || utf8_width(runs[i].name) > SHORT_NAME) return false;
    return true;
}

static const char *settings_label(const differing_setting *settings, int independent, int run, arena *a) {
    const char *label = "";
    for (int k = 0; k < independent; k++) {
        const char *value = settings[k].values[run];
        if (value)
            label = arena_format(a, "%s%s%s %s", label, *label ? ", " : "", settings[k].heading, value);
    }
    return label;
}

// Whether a name has the given part, which is the whole name or stands between commas.
static bool has_part(const char *name, const char *part, size_t length) {
    for (;;) {
        size_t own = strcspn(name, ",");
        if (own == length && memcmp(name, part, length) == 0) return true;
        if (!name[own]) return false;
        name += own + 1;
    }
}

static const char *shortened_name(const report_run *runs, int count, int run, arena *a) {
    const char *label = "";
    for (const char *part = runs[run].name;;) {
        const size_t length = strcspn(part, ",");
        bool common = true;
        for (int i = 0; i < count && common; i++) common = has_part(runs[i].name, part, length);
        if (!common) label = arena_format(a, "%s%s%.*s", label, *label ? ", " : "", (int)length, part);
        if (!part[length]) return *label ? label : runs[run].name;
        part += length + 1;
    }
}

const char **report_labels(const report_run *runs, int count, const differing_setting *settings,
                           int independent, arena *a) {
    const char **labels = arena_alloc(a, (size_t)count * sizeof *labels);
    for (int i = 0; i < count; i++) labels[i] = runs[i].name;
    if (count == 1 || names_will_do(runs, count)) return labels;
    for (int i = 0; i < count; i++) labels[i] = settings_label(settings, independent, i, a);
    if (independent <= FEW_SETTINGS && all_differ(labels, count)) return labels;
    for (int i = 0; i < count; i++) labels[i] = shortened_name(runs, count, i, a);
    return labels;
}

swept_number report_swept_number(const differing_setting *settings, int independent, int count, arena *a) {
    swept_number s = {.low = INFINITY, .high = -INFINITY};
    const differing_setting *only = NULL;
    for (int k = 0; k < independent; k++) {
        if (strcmp(settings[k].path, "seed") == 0) continue;
        if (only) return s;
        only = &settings[k];
    }
    if (!only) return s;
    s.values = arena_alloc(a, (size_t)count * sizeof *s.values);
    bool between = false;
    for (int i = 0; i < count; i++) {
        if (!only->values[i] || !text_to_real(only->values[i], &s.values[i])) return s;
        s.low = fmin(s.low, s.values[i]);
        s.high = fmax(s.high, s.values[i]);
    }
    for (int i = 0; i < count; i++) between = between || (s.values[i] > s.low && s.values[i] < s.high);
    if (between) s.setting = only;
    s.logarithmic = s.low > 0 && s.high >= 8 * s.low;
    return s;
}
