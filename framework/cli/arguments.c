#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/places.h"
#include "config/value.h"

#include <stdio.h>
#include <string.h>

// --- parsing

// Whether a word without its dashes names an option: "dry-run" and "dry_run" are the same.
static bool same_name(const char *word, size_t length, const char *key) {
    if (strlen(key) != length) return false;
    for (size_t i = 0; i < length; i++)
        if (word[i] != key[i] && !(word[i] == '-' && key[i] == '_') && !(word[i] == '_' && key[i] == '-'))
            return false;
    return true;
}

enum { LONGEST_NAME = 48 };

// The name of an option as users write it: no_plots is --no-plots.
static const char *dashed(const char *key, char name[LONGEST_NAME]) {
    snprintf(name, LONGEST_NAME, "%s", key);
    for (char *c = name; *c; c++)
        if (*c == '_') *c = '-';
    return name;
}

static const option *find(const component *c, const char *word, size_t length) {
    for (const option *o = c ? c->options : NULL; o && o->key; o++)
        if (same_name(word, length, o->key)) return o;
    return NULL;
}

static int collect_names(const component *c, const char **names, int count, int most, arena *a) {
    char name[LONGEST_NAME];
    for (const option *o = c ? c->options : NULL; o && o->key && count < most; o++)
        names[count++] = arena_copy_text(a, dashed(o->key, name));
    return count;
}

// dashes: as they were written, one or two.
static status unknown_option(const command *c, const char *dashes, const char *word, size_t length,
                             arena *a, error *err) {
    const char *names[64];
    int count = collect_names(&c->about, names, 0, 62, a);
    count = collect_names(c->section, names, count, 62, a);
    names[count++] = "help";
    names[count] = NULL;
    const char *near = nearest_name(arena_copy_bytes(a, word, length), names);
    if (near && length == 1 && near[0] != word[0]) near = NULL;
    fail(err, ERR_USAGE, "unknown option %s%.*s", dashes, (int)length, word);
    if (near)
        return error_hint(err, "did you mean --%s? %s %s --help lists the options", near, program_name(),
                          c->about.name);
    if (strstr(c->usage, "key.path=value"))
        return error_hint(
            err,
            "settings are given without dashes, as in training.max_steps=500; %s %s --help lists "
            "the options",
            program_name(), c->about.name);
    return error_hint(err, "%s %s --help lists the options", program_name(), c->about.name);
}

static status store(const option *o, const char *written, void *settings, arena *a, error *err) {
    const char *value = arena_copy_text(a, written);
    if (value_read(o, value, (char *)settings + o->offset)) return OK;
    text refusal = {0};
    char name[LONGEST_NAME];
    value_refuse(o, value, &refusal);
    fail(err, ERR_USAGE, "--%s%s", dashed(o->key, name), refusal.bytes);
    text_free(&refusal);
    text nearest = {0};
    if (value_nearest(o, value, &nearest)) error_hint(err, "did you mean \"%s\"?", nearest.bytes);
    text_free(&nearest);
    return err->code;
}

// The options of a command line so far.
typedef struct given_options {
    struct {
        const option *option;
        const char *value;
    } items[64];
    int count;
} given_options;

static status refuse_twice(given_options *given, const option *o, const char *value, error *err) {
    char name[LONGEST_NAME];
    for (int i = 0; i < given->count; i++) {
        if (given->items[i].option != o) continue;
        if (!value || !given->items[i].value)
            fail(err, ERR_USAGE, "--%s is given twice", dashed(o->key, name));
        else
            fail(err, ERR_USAGE, "--%s is given twice: \"%s\" and \"%s\"", dashed(o->key, name),
                 given->items[i].value, value);
        return error_hint(err, "leave one of the two out");
    }
    given->items[given->count].option = o; // each option once: there is room for all that a command has
    given->items[given->count++].value = value;
    return OK;
}

static void add_string(string_list *list, const char *value, arena *a) {
    const char **grown = arena_alloc(a, (size_t)(list->count + 1) * sizeof *grown);
    if (list->count) memcpy(grown, list->values, (size_t)list->count * sizeof *grown);
    grown[list->count++] = value;
    list->values = grown;
}

// A string as a YAML scalar in double quotes, so that any text survives.
static char *quoted(const char *value, arena *a) {
    text t = {0};
    text_add(&t, "\"");
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\')
            text_add(&t, "\\%c", *c);
        else if (*c == '\n')
            text_add(&t, "\\n");
        else if (*c == '\t')
            text_add(&t, "\\t");
        else if ((unsigned char)*c < 0x20)
            text_add(&t, "\\x%02x", *c);
        else
            text_add_bytes(&t, c, 1);
    }
    text_add(&t, "\"");
    char *copy = arena_copy_text(a, t.bytes);
    text_free(&t);
    return copy;
}

static status take_defaults(const command *c, void *settings, arena *a, error *err) {
    for (const option *o = c->about.options; o && o->key; o++)
        if (o->fallback && o->type != OPTION_BOOL) TRY(store(o, o->fallback, settings, a, err));
    return OK;
}

// The option that an argument "key=value" or "section.key=value" sets, or NULL.
static const option *find_assigned(const command *c, const char *argument) {
    const char *equals = strchr(argument, '='), *key = argument;
    if (!equals) return NULL;
    for (const char *at = argument; at < equals; at++)
        if (*at == '.') key = at + 1;
    const option *own = find(&c->about, key, (size_t)(equals - key));
    return own ? own : find(c->section, key, (size_t)(equals - key));
}

static status check_count(const command *c, const command_call *call, error *err) {
    const char *program = program_name(), *usage = c->usage;
    char name[LONGEST_NAME];
    if (call->count < c->min_arguments) {
        fail(err, ERR_USAGE, "%s %s needs %s", program, c->about.name, usage);
    } else if (c->max_arguments >= 0 && call->count > c->max_arguments) {
        const char *first = call->arguments[c->max_arguments];
        const option *meant = find_assigned(c, first);
        fail(err, ERR_USAGE, "%s %s does not take \"%s\"", program, c->about.name, first);
        if (meant)
            return error_hint(err, "did you mean --%s%s?", dashed(meant->key, name), strchr(first, '='));
    } else {
        return OK;
    }
    return error_hint(err, "usage: %s %s%s%s", program, c->about.name, usage[0] ? " " : "", usage);
}

status arguments_parse(const command *c, const char *const *words, int count, command_call *call,
                       bool *help, error *err) {
    arena *a = call->memory;
    void *settings = arena_alloc(a, c->about.settings_size ? c->about.settings_size : 1);
    const char **arguments = arena_alloc(a, (size_t)(count + 1) * sizeof *arguments);
    bool only_arguments = false;
    given_options given = {0};
    *help = false;
    call->options = settings;
    call->arguments = arguments;
    TRY(take_defaults(c, settings, a, err));
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) *help = true;
    if (*help) return OK;
    for (int i = 0; i < count; i++) {
        const char *word = words[i];
        if (only_arguments || word[0] != '-' || word[1] == '\0') {
            TRY(path_expand_home(&word, home_folder(), a, err));
            arguments[call->count++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_arguments = true;
            continue;
        }
        if (word[1] != '-') return unknown_option(c, "-", word + 1, strcspn(word + 1, "="), a, err);
        const char *name = word + 2, *equals = strchr(name, '='), *value = equals ? equals + 1 : NULL;
        size_t length = equals ? (size_t)(equals - name) : strlen(name);
        const option *own = find(&c->about, name, length),
                     *setting = own ? NULL : find(c->section, name, length);
        if (!own && !setting) return unknown_option(c, "--", name, length, a, err);
        if (!value && !(own && own->type == OPTION_BOOL) && i + 1 < count) value = words[++i];
        TRY(refuse_twice(&given, own ? own : setting, value, err));
        if (own && own->type == OPTION_BOOL) {
            if (value) return fail(err, ERR_USAGE, "--%.*s takes no value", (int)length, name);
            *(bool *)((char *)settings + own->offset) = true;
            continue;
        }
        if (!value) return fail(err, ERR_USAGE, "--%.*s needs a value", (int)length, name);
        if (own) {
            // What the shell leaves as it is in quotes, or after an equals sign.
            if (own->type == OPTION_STRING) TRY(path_expand_home(&value, home_folder(), a, err));
            TRY(store(own, value, settings, a, err));
        } else {
            bool is_text = setting->type == OPTION_STRING;
            add_string(&call->overrides,
                       arena_format(a, "%s.%s=%s", c->section_key, setting->key,
                                    is_text ? quoted(value, a) : value),
                       a);
        }
    }
    return check_count(c, call, err);
}

// --- help

static const char *value_name(const option *o) {
    switch (o->type) {
    case OPTION_INT:
        return " N";
    case OPTION_REAL:
        return " X";
    case OPTION_STRING:
        return " TEXT";
    case OPTION_CHOICE:
        return " NAME";
    default:
        return "";
    }
}

enum { WIDEST_PAGE = 100 };

static int page_columns(void) {
    const int columns = log_columns();
    return columns && columns < WIDEST_PAGE ? columns : WIDEST_PAGE;
}

// Adds text that calls the program "runexp", with the name that it was called by.
static void add_as_called(text *out, const char *s) {
    static const char word[] = "runexp ";
    const size_t length = strlen(word);
    for (const char *at = s, *found; *at; at = found + length) {
        found = strstr(at, word);
        if (!found) {
            text_add(out, "%s", at);
            return;
        }
        const bool is_command = found == s || strchr(" \n`(", found[-1]);
        text_add_bytes(out, at, (size_t)(found - at));
        text_add(out, "%s ", is_command ? program_name() : "runexp");
    }
}

void help_text(const char *s) {
    text named = {0}, out = {0};
    add_as_called(&named, s);
    text_add_wrapped(&out, named.bytes, "", page_columns());
    fputs(out.bytes, stdout);
    text_free(&named);
    text_free(&out);
}

// The length of the beginning of a command line after which it can go on in another line and still fits
// with the backslash for that; a word that is too long is kept whole. All of it when it needs no other
// line.
static size_t command_that_fits(const char *line, size_t length, int room) {
    size_t fits = 0, indent = 0;
    bool quoted = false;
    while (indent < length && line[indent] == ' ') indent++;
    if ((int)length <= room || line[indent] == '#') return length;
    for (size_t i = indent; i < length; i++) {
        if (line[i] == '"') quoted = !quoted;
        if (line[i] != ' ' || quoted) continue;
        if ((int)i + 2 > room && fits > 0) break;
        fits = i;
        if ((int)i + 2 > room) break;
    }
    return fits ? fits : length;
}

// Command lines to be copied: what does not fit goes on in another line as the shell has it.
static void help_examples(const char *lines) {
    static const char deeper[] = "      ";
    text named = {0}, out = {0};
    add_as_called(&named, lines);
    for (const char *s = named.bytes, *end; *s; s = end + (*end == '\n')) {
        end = s + strcspn(s, "\n");
        for (int indent = 0; s < end; indent = (int)strlen(deeper)) {
            const size_t fits = command_that_fits(s, (size_t)(end - s), page_columns() - indent);
            text_add(&out, "%*s%.*s", indent, "", (int)fits, s);
            s += fits;
            while (s < end && *s == ' ') s++;
            text_add(&out, s < end ? " \\\n" : "\n");
        }
    }
    printf("\nExamples:\n%s", out.bytes);
    text_free(&named);
    text_free(&out);
}

// The meaning stands beside the name, or below it where that is too narrow.
void help_entry(const char *name, int width, const char *meaning) {
    enum { NARROWEST = 20 };
    const int page = page_columns(), left = width + 3;
    const bool beside = page - left >= NARROWEST && utf8_columns(name) <= width;
    text out = {0}, indent = {0};
    if (!beside) text_add_wrapped(&out, name, "  ", page);
    text_add(&indent, "%*s", beside ? left : 6, "");
    const size_t start = out.length;
    text_add_wrapped(&out, meaning, indent.bytes, page);
    if (beside) memcpy(out.bytes + start + 2, name, strlen(name));
    fputs(out.bytes, stdout);
    text_free(&indent);
    text_free(&out);
}

static void help_option(const option *o, bool is_setting) {
    enum { LEFT = 28 };
    char left[64], name[LONGEST_NAME];
    snprintf(left, sizeof left, "--%s%s", dashed(o->key, name), value_name(o));
    text doc = {0};
    text_add(&doc, "%s", o->doc);
    for (int i = 0; o->type == OPTION_CHOICE && o->choices[i]; i++)
        text_add(&doc, "%s%s%s", i ? " | " : " (", o->choices[i], o->choices[i + 1] ? "" : ")");
    if (is_setting)
        text_add(&doc, " [the experiment's]");
    else if (o->fallback && o->type != OPTION_BOOL)
        text_add(&doc, " [%s]", o->fallback);
    help_entry(left, LEFT, doc.bytes);
    text_free(&doc);
}

void help_command(const command *c) {
    bool has_options = (c->about.options && c->about.options[0].key) || c->section;
    text head = {0};
    text_add(&head, "runexp %s%s%s%s\n\n%s.\n", c->about.name, c->usage[0] ? " " : "", c->usage,
             has_options ? " [options]" : "", c->about.summary);
    if (c->about.details) text_add(&head, "\n%s\n", c->about.details);
    help_text(head.bytes);
    text_free(&head);
    if (has_options) printf("\nOptions:\n");
    for (const option *o = c->about.options; o && o->key; o++) help_option(o, false);
    for (const option *o = c->section ? c->section->options : NULL; o && o->key; o++) help_option(o, true);
    if (c->about.example) help_examples(c->about.example);
}

static void help_usage(const char *arguments, const char *meaning) {
    text line = {0};
    text_add(&line, "%s %s", program_name(), arguments);
    help_entry(line.bytes, (int)strlen(program_name()) + 41, meaning);
    text_free(&line);
}

void help_program(void) {
    help_text("runexp: trains and compares sequence models described in YAML files\n\n");
    help_usage("EXPERIMENT.yaml [key.path=value ...]", "train (the default command)");
    help_usage("COMMAND --help", "arguments and options of a command");
    printf("\nCommands:\n");
    for (int i = 0; commands[i]; i++) help_entry(commands[i]->about.name, 10, commands[i]->about.summary);
    help_text(
        "\nExit status: 0 done, 1 failed, 2 bad usage or experiment, 3 diverged, 130 interrupted (checkpoint written).\n");
}
