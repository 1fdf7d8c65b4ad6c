#include "data/dataset.h"

#include "base/file.h"
#include "config/problems.h"
#include "config/settings.h"
#include "data/batches.h"
#include "data/sha256.h"
#include "data/sources.h"

#include <stdlib.h>
#include <string.h>

const char *const split_names[] = {"train", "val", "test", NULL};

// --- section

#define SETTINGS dataset_settings
static const option options[] = {
    STRINGS(source, "tinyshakespeare",
            "a name from the catalogue (runexp data), a file, a folder, a glob, or a list of these to join",
            .may_be_path = true, .min_count = 1),
    STRINGS(val_source, OPTIONAL, "separate text for validation; its share of `split` then goes to train",
            .may_be_path = true, .min_count = 1),
    STRINGS(test_source, OPTIONAL, "separate text for testing; its share of `split` then goes to train",
            .may_be_path = true, .min_count = 1),
    COMPONENT(tokenizer, "char", tokenizer_registry, "how text becomes tokens"),
    COMPONENT(batches, "windows", batches_registry, "how batches are drawn from the training split"),
    STRING(
        document_separator, OPTIONAL,
        "on a stream: text after which a document begins, with state 0 (attention goes on); if not set, the text is one"),
    INT(block_size, "128", 1, 1 << 20, "length of the training sequences: the longest context",
        .unit = "tokens"),
    REALS(split, "[0.9, 0.05, 0.05]", 0, 1,
          "shares of train, val and test, in this order; not for a corpus with splits of its own",
          .min_count = 1, .max_count = SPLIT_COUNT),
    {0},
};
#undef SETTINGS

const component dataset_section = {
    .name = "dataset",
    .kind = "section",
    .summary = "the text, how it is split, turned into tokens and drawn in batches",
    .details =
        "A source with one of / . * ? [ in it is a path or glob, relative to the experiment's file, or to the\n"
        "home folder when it begins with ~/. A folder stands for the files directly in it, in the order of\n"
        "their names, without hidden ones. Any other source is a name of the catalogue (runexp data), and\n"
        "stands for exactly that text: a file with another SHA-256 is refused.\n"
        "\n"
        "Splits are cut by characters, whatever the tokenizer. A corpus that comes in\n"
        "parts (wikitext2) keeps them and must be complete; to use some of its files only, or another way,\n"
        "name them by path in source, val_source and test_source.",
    .example = "dataset:\n"
               "  source: tinyshakespeare\n"
               "  tokenizer: char\n"
               "  block_size: 256\n"
               "  split: [0.9, 0.05, 0.05]",
    .options = options,
    .settings_size = sizeof(dataset_settings),
};

static const double ROUNDING = 1e-9; // allowed in sums of fractions

static double sum(const real_list *list) {
    double total = 0;
    for (int i = 0; i < list->count; i++) total += list->values[i];
    return total;
}

void dataset_check(const dataset_settings *settings, const node *section, problems *p) {
    const real_list *s = &settings->split;
    if (sum(s) > 1 + ROUNDING)
        problem_add(p, problem_place(section, "split"), "make them add up to 1 or less",
                    "the fractions of split add up to %g", sum(s));
    if (s->count > 0 && s->values[0] <= 0)
        problem_add(p, problem_place(section, "split"), "the first fraction is that of train",
                    "nothing is left for training");
}

// --- reading, cutting

// The text of a split: parts of files, in order.
typedef struct split_text {
    text_part *parts;
    int count;
} split_text;

// Reads files into scratch, as whole parts, and verifies them.
static status read_files(const source_files *files, arena *scratch, text_part *parts, error *err) {
    for (int i = 0; i < files->count; i++) {
        const source_file *file = &files->items[i];
        char *bytes, digest[SHA256_TEXT];
        size_t length;
        TRY(file_read(file->path, scratch, &bytes, &length, err));
        if (file->sha256) {
            TRY(sha256_bytes(bytes, length, digest, err));
            TRY(catalogue_verify(file->path, digest, file->sha256, err));
        }
        parts[i] = (text_part){file->path, bytes, 0, length};
    }
    return OK;
}

// A character starts at the first byte of a file and at every byte that does not continue one. This is the
// number of code points of valid UTF-8, and never cuts between a lead byte and what follows it in anything
// else.
static bool starts_character(const text_part *file, size_t at) {
    return at == 0 || ((unsigned char)file->bytes[at] & 0xC0) != 0x80;
}

static size_t count_characters(const text_part *file) {
    size_t count = 0;
    for (size_t i = 0; i < file->end; i++) count += starts_character(file, i);
    return count;
}

// The offset of character number `index` of a file; its end when it has no more than that.
static size_t offset_of_character(const text_part *file, size_t index) {
    size_t i = 0;
    for (; i < file->end; i++)
        if (starts_character(file, i) && index-- == 0) break;
    return i;
}

static void add_part(split_text *to, text_part part) {
    if (part.begin < part.end) to->parts[to->count++] = part;
}

// Deals whole files out to the splits: their first fractions[0] of the characters to train, and so on.
static void cut(const text_part *files, int count, const double fractions[SPLIT_COUNT],
                split_text texts[SPLIT_COUNT]) {
    size_t total = 0;
    for (int i = 0; i < count; i++) total += count_characters(&files[i]);

    size_t boundary[SPLIT_COUNT]; // in characters from the start: where each split ends
    double share = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        share += fractions[s];
        boundary[s] = share > 1 - ROUNDING ? total : (size_t)(share * (double)total);
    }
    size_t before = 0; // characters of the files before this one
    for (int i = 0; i < count; i++) {
        size_t after = before + count_characters(&files[i]), start = 0;
        for (int s = 0; s < SPLIT_COUNT; s++) {
            size_t from = start > before ? start : before, to = boundary[s] < after ? boundary[s] : after;
            start = boundary[s];
            if (from >= to) continue;
            text_part part = files[i];
            part.begin = offset_of_character(&files[i], from - before);
            part.end = offset_of_character(&files[i], to - before);
            add_part(&texts[s], part);
        }
        before = after;
    }
}

// Fills fractions with the shares of source that the splits get (see dataset_open).
static status shares(const dataset_settings *settings, bool needs_train, double fractions[SPLIT_COUNT],
                     error *err) {
    const real_list *s = &settings->split;
    if (sum(s) > 1 + ROUNDING) {
        fail(err, ERR_CONFIG, "the fractions of dataset.split add up to %g", sum(s));
        return error_hint(err, "make them add up to 1 or less");
    }
    for (int i = 0; i < SPLIT_COUNT; i++) fractions[i] = i < s->count ? s->values[i] : 0;
    if (needs_train && fractions[SPLIT_TRAIN] <= 0) {
        fail(err, ERR_CONFIG, "dataset.split leaves nothing for training");
        return error_hint(err, "its first fraction is that of train");
    }
    const bool separate[SPLIT_COUNT] = {
        [SPLIT_VAL] = settings->val_source.count > 0, [SPLIT_TEST] = settings->test_source.count > 0};
    for (int i = SPLIT_VAL; i < SPLIT_COUNT; i++) {
        if (!separate[i]) continue;
        fractions[SPLIT_TRAIN] += fractions[i];
        fractions[i] = 0;
    }
    return OK;
}

// How many of the files belong to a corpus that comes in parts.
static int count_parts(const source_files *files) {
    int count = 0;
    for (int i = 0; i < files->count; i++) count += files->items[i].part != SPLIT_COUNT;
    return count;
}

// Texts of the splits that `source` gives.
static status read_source(const dataset_settings *settings, const source_files *files, bool needs_train,
                          arena *scratch, split_text texts[SPLIT_COUNT], error *err) {
    text_part *parts = arena_alloc(scratch, (size_t)files->count * sizeof *parts);
    const int in_parts = count_parts(files);
    if (in_parts > 0 && in_parts < files->count) {
        fail(err, ERR_CONFIG,
             "dataset.source mixes a corpus that comes in parts with text that is to be cut");
        return error_hint(err,
                          "name the files of each split by path in source, val_source and test_source");
    }
    double fractions[SPLIT_COUNT] = {0};
    TRY(shares(settings, needs_train, fractions, err));
    TRY(read_files(files, scratch, parts, err));
    if (in_parts == 0)
        cut(parts, files->count, fractions, texts);
    else
        for (int i = 0; i < files->count; i++) add_part(&texts[files->items[i].part], parts[i]);
    return OK;
}

// The text of a split with a source of its own. Every file of it belongs to that split; of a corpus in
// parts, only that part does.
static status read_own_source(const source_files *all, split which, arena *scratch, split_text *to,
                              error *err) {
    source_files files = {arena_alloc(scratch, (size_t)all->count * sizeof *files.items), 0};
    for (int i = 0; i < all->count; i++)
        if (all->items[i].part == SPLIT_COUNT || all->items[i].part == which)
            files.items[files.count++] = all->items[i];
    const int kept = files.count;
    *to = (split_text){arena_alloc(scratch, (size_t)kept * sizeof *to->parts), 0};
    text_part *parts = arena_alloc(scratch, (size_t)kept * sizeof *parts);
    TRY(read_files(&files, scratch, parts, err));
    for (int i = 0; i < kept; i++) add_part(to, parts[i]);
    return OK;
}

// --- documents

bool split_begins_document(const split_tokens *s, size_t at) {
    const encoding *e = s->separator;
    return e && at >= e->count && memcmp(s->tokens + at - e->count, e->ids, e->count * sizeof *e->ids) == 0;
}

status dataset_separator(const dataset_settings *settings, const tokenizer *t, arena *a,
                         const encoding **out, error *err) {
    const char *separator = settings->document_separator;
    *out = NULL;
    if (!separator || !batches_carry_state(&settings->batches)) return OK;
    encoding *e = arena_alloc(a, sizeof *e);
    error why;
    const bool is_known =
        tokenizer_encode(t, "the separator", separator, strlen(separator), a, e, &why) == OK;
    if (!is_known || e->unknown || e->count == 0) {
        fail(err, ERR_CONFIG, "dataset.document_separator %s",
             separator[0] ? "has characters that the training text lacks" : "is empty");
        return error_hint(err,
                          "give a text that stands between documents, such as \"\\n\\n\", or leave it out");
    }
    *out = e;
    return OK;
}

// --- opening

static status check_length(const dataset_settings *settings, const dataset *d, bool needs_train,
                           error *err) {
    size_t train = d->splits[SPLIT_TRAIN].count, needed = (size_t)settings->block_size + 1;
    if (needs_train && train < needed) {
        fail(err, ERR_DATA, "the train split has %zu tokens; with block_size %zu it needs at least %zu",
             train, needed - 1, needed);
        return error_hint(err, "give more text in dataset.source, or a smaller dataset.block_size");
    }
    for (int s = SPLIT_TRAIN; s < SPLIT_COUNT; s++) {
        if (d->splits[s].count != 1) continue;
        fail(err, ERR_DATA, "the %s split has a single token: nothing to predict", split_names[s]);
        return error_hint(err, "give it more text, or none: dataset.split, dataset.val_source");
    }
    return OK;
}

// The last part of a path, which may end in a slash.
static void add_base_name(text *out, const char *path) {
    size_t end = strlen(path), start;
    while (end > 1 && path[end - 1] == '/') end--;
    for (start = end; start > 0 && path[start - 1] != '/';) start--;
    text_add_bytes(out, path + start, end - start);
}

static const char *describe(const dataset_settings *settings, const source_files *source, const dataset *d,
                            arena *a) {
    text line = {0};
    size_t characters = 0, bytes = 0;
    for (int s = 0; s < SPLIT_COUNT; s++) {
        characters += d->splits[s].characters;
        bytes += d->splits[s].bytes;
    }
    for (int i = 0; i < settings->source.count; i++) {
        if (i) text_add(&line, ", ");
        add_base_name(&line, settings->source.values[i]);
    }
    if (source->count > settings->source.count) text_add(&line, " (%d files)", source->count);
    char size[32];
    text_add(&line, ": %s, %zu characters, %s vocabulary of %d;",
             text_bytes((double)bytes, size, sizeof size), characters, tokenizer_name(d->tokenizer),
             tokenizer_vocabulary(d->tokenizer));
    for (int s = 0, listed = 0; s < SPLIT_COUNT; s++) {
        const split_tokens *from = &d->splits[s];
        if (from->count == 0) continue;
        text_add(&line, "%s %s %zu", listed++ ? "," : "", split_names[s], from->count);
        if (from->unknown) text_add(&line, " (%zu unknown)", from->unknown);
    }
    text_add(&line, " tokens");
    const char *copy = arena_copy_text(a, line.bytes);
    text_free(&line);
    return copy;
}

static status digest_texts(const split_text texts[SPLIT_COUNT], arena *a, text_digests *out, error *err) {
    *out = (text_digests){0};
    for (int i = 0; i < SPLIT_COUNT; i++) {
        if (texts[i].count == 0) continue;
        char hexadecimal[SHA256_TEXT];
        sha256 s;
        sha256_begin(&s);
        for (int k = 0; k < texts[i].count; k++) {
            const text_part *part = &texts[i].parts[k];
            sha256_add(&s, part->bytes + part->begin, part->end - part->begin);
        }
        TRY(sha256_end(&s, hexadecimal, err));
        out->of[i] = arena_copy_text(a, hexadecimal);
    }
    return OK;
}

static status build_tokenizer(const dataset_settings *settings, const split_text texts[SPLIT_COUNT],
                              arena *scratch, arena *a, tokenizer **out, error *err) {
    const split_text *val = &texts[SPLIT_VAL], *test = &texts[SPLIT_TEST];
    int count = val->count + test->count;
    text_part *rest = arena_alloc(scratch, (size_t)count * sizeof *rest);
    if (val->count) memcpy(rest, val->parts, (size_t)val->count * sizeof *rest);
    if (test->count) memcpy(rest + val->count, test->parts, (size_t)test->count * sizeof *rest);
    return tokenizer_build(&settings->tokenizer, texts[SPLIT_TRAIN].parts, texts[SPLIT_TRAIN].count, rest,
                           count, a, out, err);
}

// The place of an item of a source setting, which may be a list.
static place item_place(const node *section, const char *key, int index) {
    const node *list = section ? node_get(section, key) : NULL;
    const bool is_written = list && list->from.rank > 0;
    if (is_written && list->kind == NODE_LIST && index < list->count) return list->items[index]->where;
    return problem_place(section, key);
}

static bool is_default(const node *section, const char *key) {
    const node *value = section ? node_get(section, key) : NULL;
    return value && value->from.rank == 0;
}

static status locate(const string_list *items, const node *section, const char *key,
                     const data_places *places, catalogue *c, arena *scratch, error *err) {
    for (int i = 0; i < items->count; i++) {
        source_files files;
        error missing;
        if (sources_resolve(&(string_list){items->values + i, 1}, places, c, scratch, &files, &missing) ==
            OK)
            continue;
        if (missing.file[0]) { // it is the catalogue that is wrong
            *err = missing;
            return err->code;
        }
        const bool is_mistake = missing.code == ERR_DATA && source_is_path(items->values[i]);
        const status code = is_mistake ? ERR_CONFIG : missing.code;
        if (is_default(section, key)) // which has no place of its own
            fail(err, code, "dataset.%s is not set, and its default is missing: %s", key, missing.message);
        else
            fail_at(err, code, item_place(section, key, i), "dataset.%s: %s", key, missing.message);
        return error_hint(err, "%s", missing.hint);
    }
    return OK;
}

status dataset_locate(const dataset_settings *settings, const node *section, const data_places *places,
                      error *err) {
    arena *scratch = arena_new();
    catalogue c = {0};
    status result = locate(&settings->source, section, "source", places, &c, scratch, err);
    if (result == OK)
        result = locate(&settings->val_source, section, "val_source", places, &c, scratch, err);
    if (result == OK)
        result = locate(&settings->test_source, section, "test_source", places, &c, scratch, err);
    arena_free(scratch);
    return result;
}

// Finds the files of `source` and reads the texts of all splits.
static status read_texts(const dataset_settings *settings, const data_places *places, bool needs_train,
                         arena *scratch, source_files *source, split_text texts[SPLIT_COUNT], error *err) {
    catalogue c = {0};
    TRY(sources_resolve(&settings->source, places, &c, scratch, source, err));
    for (int s = 0; s < SPLIT_COUNT; s++)
        texts[s] = (split_text){arena_alloc(scratch, (size_t)source->count * sizeof(text_part)), 0};
    TRY(read_source(settings, source, needs_train, scratch, texts, err));
    const string_list *own[SPLIT_COUNT] = {
        [SPLIT_VAL] = &settings->val_source, [SPLIT_TEST] = &settings->test_source};
    for (int s = SPLIT_VAL; s < SPLIT_COUNT; s++) {
        source_files files;
        if (own[s]->count == 0) continue;
        TRY(sources_resolve(own[s], places, &c, scratch, &files, err));
        TRY(read_own_source(&files, (split)s, scratch, &texts[s], err));
    }
    return OK;
}

// scratch holds the text, which is not needed once it is encoded.
static status open_with(const dataset_settings *settings, const data_places *places, tokenizer *given,
                        arena *scratch, arena *a, dataset *d, error *err) {
    source_files source;
    split_text texts[SPLIT_COUNT];
    TRY(read_texts(settings, places, !given, scratch, &source, texts, err));
    d->tokenizer = given;
    if (!given) TRY(build_tokenizer(settings, texts, scratch, a, &d->tokenizer, err));
    const encoding *separator;
    TRY(dataset_separator(settings, d->tokenizer, a, &separator, err));
    for (int s = 0; s < SPLIT_COUNT; s++) {
        encoding e;
        TRY(tokenizer_encode_parts(d->tokenizer, texts[s].parts, texts[s].count, a, &e, err));
        d->splits[s] = split_tokens_of(&e, separator);
    }
    TRY(check_length(settings, d, !given, err));
    TRY(digest_texts(texts, a, &d->digests, err));
    d->description = describe(settings, &source, d, a);
    return OK;
}

status dataset_open(const dataset_settings *settings, const data_places *places, tokenizer *given, arena *a,
                    dataset **out, error *err) {
    arena *scratch = arena_new();
    *out = arena_alloc(a, sizeof **out);
    status result = open_with(settings, places, given, scratch, a, *out, err);
    arena_free(scratch);
    return result;
}

status dataset_digests(const dataset_settings *settings, const data_places *places, arena *a,
                       text_digests *out, error *err) {
    arena *scratch = arena_new();
    source_files source;
    split_text texts[SPLIT_COUNT];
    status result = read_texts(settings, places, true, scratch, &source, texts, err);
    if (result == OK) result = digest_texts(texts, a, out, err);
    arena_free(scratch);
    return result;
}

static status open_text(const char *item, split which, const data_places *places, const tokenizer *t,
                        arena *scratch, arena *a, split_tokens *out, const char **name, error *err) {
    catalogue c = {0};
    source_files files;
    split_text whole;
    encoding e;
    TRY(sources_resolve(&(string_list){&item, 1}, places, &c, scratch, &files, err));
    TRY(read_own_source(&files, which, scratch, &whole, err));
    TRY(tokenizer_encode_parts(t, whole.parts, whole.count, a, &e, err));
    *name = count_parts(&files) ? arena_format(a, "%s (%s)", item, split_names[which]) : item;
    *out = split_tokens_of(&e, NULL);
    return OK;
}

status dataset_open_text(const char *item, split which, const data_places *places, const tokenizer *t,
                         arena *a, split_tokens *out, const char **name, error *err) {
    arena *scratch = arena_new();
    status result = open_text(item, which, places, t, scratch, a, out, name, err);
    arena_free(scratch);
    return result;
}
