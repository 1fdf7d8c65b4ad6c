#include "report/compare_labels.h"

#include "base/text.h"
#include "config/duration.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { SHORT_NAME = 32, FEW_SETTINGS = 4, TITLE = 80, SUBJECT = 48, LISTED_NAME = 36 };

#define BETWEEN_WORDS " _-,;/"

static bool all_differ(const char *const *labels, int count) {
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(labels[i], labels[k]) == 0) return false;
    return true;
}

static bool all_are_short(const char *const *labels, int count) {
    for (int i = 0; i < count; i++)
        if (utf8_columns(labels[i]) > SHORT_NAME) return false;
    return true;
}

// The length of a name without overrides, or of one of its overrides: up to the comma before the next one.
// Names and values may have commas too.
static size_t part_length(const char *name) {
    for (const char *comma = strchr(name, ','); comma; comma = strchr(comma + 1, ',')) {
        const char *end = comma + 1;
        while (isalnum((unsigned char)*end) || *end == '_' || *end == '.') end++;
        if (end > comma + 1 && *end == '=') return (size_t)(comma - name);
    }
    return strlen(name);
}

static bool has_overrides(const report_run *runs, int count) {
    for (int i = 0; i < count; i++)
        if (runs[i].name[part_length(runs[i].name)]) return true;
    return false;
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

static bool has_part(const char *name, const char *part, size_t length) {
    for (;;) {
        const size_t own = part_length(name);
        if (own == length && memcmp(name, part, length) == 0) return true;
        if (!name[own]) return false;
        name += own + 1;
    }
}

// Where the key of an override begins that is good enough to read: "lr=1e-3" of "optimizer.lr=1e-3".
static const char *short_key(const char *part, size_t length) {
    const char *equals = memchr(part, '=', length), *begin = equals;
    if (!equals) return part;
    while (begin > part && begin[-1] != '.') begin--;
    return strncmp(begin, "type=", strlen("type=")) == 0 ? part : begin;
}

// A name without the parts that all names have.
static const char *without_common_parts(const report_run *runs, int count, int run, arena *a) {
    const char *label = "";
    for (const char *part = runs[run].name;;) {
        const size_t length = part_length(part);
        bool common = true;
        for (int i = 0; i < count && common; i++) common = has_part(runs[i].name, part, length);
        const char *begin = part == runs[run].name ? part : short_key(part, length);
        if (!common)
            label =
                arena_format(a, "%s%s%.*s", label, *label ? ", " : "", (int)(part + length - begin), begin);
        if (!part[length]) return *label ? label : runs[run].name;
        part += length + 1;
    }
}

static size_t shortest(const char *const *texts, int count) {
    size_t least = strlen(texts[0]);
    for (int i = 1; i < count; i++)
        if (strlen(texts[i]) < least) least = strlen(texts[i]);
    return least;
}

// Whether what some text has behind its first `length` bytes begins with a digit, which alone says little.
static bool digits_follow(const char *const *texts, int count, size_t length) {
    for (int i = 0; i < count; i++)
        if (isdigit((unsigned char)texts[i][length])) return true;
    return false;
}

// The bytes of the words with which all texts begin; none of them is used up. `between` separates words.
static size_t common_beginning(const char *const *texts, int count, const char *between) {
    const size_t least = shortest(texts, count);
    size_t common = least ? least - 1 : 0;
    for (int i = 1; i < count; i++)
        for (size_t k = 0; k < common; k++)
            if (texts[i][k] != texts[0][k]) common = k;
    while (common > 0 && (!strchr(between, texts[0][common - 1]) || digits_follow(texts, count, common)))
        common--;
    return common;
}

// The same at the end, behind the common beginning.
static size_t common_end(const char *const *texts, int count, size_t beginning, const char *between) {
    const size_t least = shortest(texts, count);
    size_t common = least > beginning ? least - beginning - 1 : 0;
    const char *end = texts[0] + strlen(texts[0]);
    for (int i = 1; i < count; i++) {
        const char *other = texts[i] + strlen(texts[i]);
        for (size_t k = 0; k < common; k++)
            if (other[-1 - (ptrdiff_t)k] != end[-1 - (ptrdiff_t)k]) common = k;
    }
    while (common > 0 && !strchr(between, *(end - common))) common--;
    return common;
}

// Removes the words that all texts have at the beginning and at the end; `mark` stands for them.
static void drop_common_words(const char **texts, int count, const char *between, const char *mark,
                              arena *a) {
    const size_t beginning = common_beginning(texts, count, between);
    const size_t end = common_end(texts, count, beginning, between);
    for (int i = 0; i < count; i++)
        texts[i] =
            arena_format(a, "%s%.*s%s", beginning ? mark : "", (int)(strlen(texts[i]) - beginning - end),
                         texts[i] + beginning, end ? mark : "");
}

const char **report_labels(const report_run *runs, int count, const differing_setting *settings,
                           int independent, arena *a) {
    const char **labels = arena_alloc(a, (size_t)count * sizeof *labels);
    for (int i = 0; i < count; i++) labels[i] = runs[i].name;
    if (count == 1) labels[0] = arena_format(a, "%.*s", (int)part_length(runs[0].name), runs[0].name);
    if (count == 1 ||
        (all_are_short(labels, count) && !has_overrides(runs, count) && all_differ(labels, count)))
        return labels;
    for (int i = 0; i < count; i++) labels[i] = settings_label(settings, independent, i, a);
    if (independent <= FEW_SETTINGS && all_differ(labels, count)) return labels;
    for (int i = 0; i < count; i++) labels[i] = without_common_parts(runs, count, i, a);
    if (all_differ(labels, count)) {
        if (!all_are_short(labels, count) && !has_overrides(runs, count))
            drop_common_words(labels, count, BETWEEN_WORDS, "…", a);
        return labels;
    }
    for (int i = 0; i < count; i++) labels[i] = runs[i].folder;
    if (all_differ(labels, count)) {
        drop_common_words(labels, count, "/", "", a);
        return labels;
    }
    for (int i = 0; i < count; i++) labels[i] = runs[i].name; // a run beside itself
    return labels;
}

// "a, b and c", or "a, b and 7 others" in at most max_columns, but with one name at least. `one` and
// `many` are the words for the others.
static const char *list_of(const char *const *names, int count, int max_columns, const char *one,
                           const char *many, arena *a) {
    const int room_for_others = 10 + utf8_columns(many);
    int listed = 0, columns = 0, all = 0;
    for (int i = 0; i < count; i++) all += utf8_columns(names[i]) + (i ? 2 : 0);
    if (count > 1) all += 3; // "and" takes the place of a comma
    while (listed < count) {
        columns += utf8_columns(names[listed]) + 2;
        if (all > max_columns && listed > 0 && columns > max_columns - room_for_others) break;
        listed++;
    }
    const char *list = names[0];
    for (int i = 1; i < listed; i++)
        list = arena_format(a, "%s%s%s", list, i == count - 1 ? " and " : ", ", names[i]);
    const int others = count - listed;
    return others ? arena_format(a, "%s and %d %s", list, others, others == 1 ? one : many) : list;
}

const char *report_setting_list(const differing_setting *settings, int independent, int max_columns,
                                arena *a) {
    if (independent == 0) return "";
    const char **headings = arena_alloc(a, (size_t)independent * sizeof *headings);
    for (int i = 0; i < independent; i++) headings[i] = settings[i].heading;
    return list_of(headings, independent, max_columns, "more", "more", a);
}

static const char *in_columns(const char *s, int columns, arena *a) {
    text t = {0};
    text_add_shortened(&t, s, columns);
    const char *copy = arena_copy_text(a, t.length ? t.bytes : "");
    text_free(&t);
    return copy;
}

// The names of the runs without overrides, each once; returns how many.
static int base_names(const report_run *runs, int count, const char **out, arena *a) {
    int n = 0;
    for (int i = 0; i < count; i++) {
        out[n] = arena_format(a, "%.*s", (int)part_length(runs[i].name), runs[i].name);
        bool is_new = true;
        for (int k = 0; k < n && is_new; k++) is_new = strcmp(out[k], out[n]) != 0;
        n += is_new;
    }
    return n;
}

// What the names have in common, when they are long: "a_long_name…"; else NULL.
static const char *common_subject(const char *const *names, int count, arena *a) {
    enum { LEAST = 8 };
    size_t common = common_beginning(names, count, BETWEEN_WORDS);
    while (common > 0 && strchr(BETWEEN_WORDS, names[0][common - 1])) common--;
    if (common < LEAST || all_are_short(names, count)) return NULL;
    return in_columns(arena_format(a, "%.*s…", (int)common, names[0]), SUBJECT, a);
}

const char *report_compare_title(const report_run *runs, int count, const differing_setting *settings,
                                 int independent, arena *a) {
    if (count == 1) return runs[0].name;
    const char **names = arena_alloc(a, (size_t)count * sizeof *names);
    const int n = base_names(runs, count, names, a);
    const char *subject = n == 1 ? in_columns(names[0], SUBJECT, a) : common_subject(names, n, a);
    if (!subject) {
        for (int i = 0; i < n; i++) names[i] = in_columns(names[i], LISTED_NAME, a);
        subject = list_of(names, n, n == count ? TITLE : SUBJECT, "other", "others", a);
        if (n == count) return subject;
    }
    const char *title = arena_format(a, "%s: %d runs compared", subject, count);
    if (independent == 0 || independent > FEW_SETTINGS) return title;
    const char *longer =
        arena_format(a, "%s by %s", title, report_setting_list(settings, independent, TITLE, a));
    return utf8_columns(longer) <= TITLE ? longer : title;
}

static bool read_number(const char *written, bool in_epochs, double *number) {
    duration length;
    if (!in_epochs) return text_to_real(written, number);
    if (!duration_read(written, &length) || length.epochs == 0) return false;
    *number = length.epochs;
    return true;
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
    duration length;
    s.in_epochs = count && only->values[0] && duration_read(only->values[0], &length) && length.epochs > 0;
    for (int i = 0; i < count; i++) {
        if (!only->values[i] || !read_number(only->values[i], s.in_epochs, &s.values[i])) return s;
        s.low = fmin(s.low, s.values[i]);
        s.high = fmax(s.high, s.values[i]);
    }
    for (int i = 0; i < count; i++) between = between || (s.values[i] > s.low && s.values[i] < s.high);
    if (between) s.setting = only;
    s.logarithmic = s.low > 0 && s.high >= 8 * s.low;
    return s;
}
