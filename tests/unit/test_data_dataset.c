#include "data/catalogue.h"
#include "data/batches.h"
#include "data/dataset.h"
#include "data/sha256.h"
#include "support/data_fixture.h"

// --- helpers

typedef struct world {
    dataset_settings settings;
    data_places places;
    const char *folders[3];
    error err;
    dataset *d;
} world;

static string_list list_of(fixture *f, const char *one, const char *two) {
    string_list list = {arena_alloc(f->a, 2 * sizeof(char *)), two ? 2 : one ? 1 : 0};
    if (one) list.values[0] = one;
    if (two) list.values[1] = two;
    return list;
}

static real_list fractions(fixture *f, double train, double val, double test) {
    real_list list = {arena_alloc(f->a, 3 * sizeof(double)), 3};
    list.values[0] = train, list.values[1] = val, list.values[2] = test;
    return list;
}

// A dataset of bytes cut by halves, with a catalogue of one whole corpus, one in parts and one of a
// package.
static world world_of(fixture *f, const char *source) {
    world w = {0};
    fixture_file(f, "catalogue.yaml",
                 arena_format(f->a,
                              "whole:\n  title: t\n  licence: l\n  home: h\n  files:\n"
                              "    - {name: whole.txt, url: http://localhost/x}\n"
                              "summed:\n  title: t\n  licence: l\n  home: h\n  files:\n"
                              "    - {name: summed.txt, url: http://localhost/x, sha256: "
                              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}\n"
                              "parts:\n  title: t\n  licence: l\n  home: h\n  files:\n"
                              "    - {name: a.txt, url: http://localhost/a, part: train}\n"
                              "    - {name: b.txt, url: http://localhost/b, part: val}\n"
                              "    - {name: c.txt, url: http://localhost/c, part: test}\n"
                              "packaged:\n  title: t\n  licence: l\n  home: h\n  package: sayings\n"
                              "  folder: %s/package\n  files: [two, one]\n",
                              f->folder));
    w.settings.source = list_of(f, source, NULL);
    w.settings.tokenizer = fixture_choice(f, tokenizer_registry, "byte");
    w.settings.batches = fixture_choice(f, batches_registry, "windows");
    w.settings.block_size = 1;
    w.settings.split = fractions(f, 0.5, 0.5, 0);
    w.places.catalogue = fixture_path(f, "catalogue.yaml");
    w.places.cache = fixture_path(f, "cache");
    return w;
}

static status open_world(fixture *f, world *w) {
    return dataset_open(&w->settings, &w->places, NULL, f->a, &w->d, &w->err);
}

static void assert_opens(fixture *f, world *w) {
    if (open_world(f, w) != OK) fail_msg("%s", w->err.message);
}

// The text of a split, decoded.
static const char *split_content(fixture *f, const world *w, split which) {
    text out = {0};
    text_add(&out, "%s", "");
    for (size_t i = 0; i < w->d->splits[which].count; i++)
        tokenizer_decode(w->d->tokenizer, w->d->splits[which].tokens[i], &out);
    const char *copy = arena_copy_bytes(f->a, out.bytes, out.length);
    text_free(&out);
    return copy;
}

static void assert_splits(fixture *f, const world *w, const char *train, const char *val,
                          const char *test) {
    assert_string_equal(split_content(f, w, SPLIT_TRAIN), train);
    assert_string_equal(split_content(f, w, SPLIT_VAL), val);
    assert_string_equal(split_content(f, w, SPLIT_TEST), test);
}

// --- splits

// nanoGPT's prepare.py: train = data[:int(n * 0.9)], val = data[int(n * 0.9):], n in characters.
static void test_splits_end_where_nanogpt_ends_them(void **state) {
    fixture *f = *state;
    for (int n = 20; n < 400; n += 7) {
        char *path = fixture_path(f, "n.txt");
        text content = {0};
        for (int i = 0; i < n; i++) text_add(&content, "%s", i % 3 ? "ж" : "a");
        world w = world_of(f, path);
        assert_int_equal(file_write(path, content.bytes, content.length, &w.err), OK);
        w.settings.tokenizer = fixture_choice(f, tokenizer_registry, "char");
        w.settings.split = fractions(f, 0.9, 0.1, 0);
        assert_opens(f, &w);
        int train = (int)(n * 0.9);
        assert_int_equal(w.d->splits[SPLIT_TRAIN].count, train);
        assert_int_equal(w.d->splits[SPLIT_VAL].count, n - train);
        assert_int_equal(w.d->splits[SPLIT_TEST].count, 0);
        assert_int_equal(w.d->splits[SPLIT_TRAIN].bytes + w.d->splits[SPLIT_VAL].bytes, content.length);
        text_free(&content);
    }
}

static void test_every_tokenizer_gets_the_same_split(void **state) {
    fixture *f = *state;
    for (int i = 0; tokenizer_registry[i]; i++) {
        world w = world_of(f, fixture_file(f, "s.txt", "жжжж😀aéa"));
        w.settings.split = fractions(f, 0.5, 0.25, 0.25);
        w.settings.tokenizer = fixture_choice(f, tokenizer_registry, tokenizer_registry[i]->name);
        if (tokenizer_registry[i]->options->key) fixture_set(&w.settings.tokenizer, "unknown", "bytes");
        assert_opens(f, &w);
        assert_splits(f, &w, "жжжж", "😀a", "éa");
        assert_int_equal(w.d->splits[SPLIT_VAL].characters, 2);
        assert_int_equal(w.d->splits[SPLIT_VAL].bytes, 5);
    }
}

static void test_a_split_may_run_over_several_files(void **state) {
    fixture *f = *state;
    fixture_file(f, "many/a.txt", "ab");
    fixture_file(f, "many/b.txt", "cdefgh");
    fixture_file(f, "many/c.txt", "ij");
    world w = world_of(f, fixture_path(f, "many/*.txt"));
    w.settings.split = fractions(f, 0.3, 0.2, 0.5);
    assert_opens(f, &w);
    assert_splits(f, &w, "abc", "de", "fghij");
    w.settings.split = fractions(f, 0.2, 0.8, 0);
    assert_opens(f, &w);
    assert_splits(f, &w, "ab", "cdefghij", "");
    w.settings.split = fractions(f, 0.5, 0, 0.2); // the rest is left out
    assert_opens(f, &w);
    assert_splits(f, &w, "abcde", "", "fg");
    char digest[SHA256_TEXT];
    assert_int_equal(sha256_bytes("abcde", 5, digest, &w.err), OK);
    assert_string_equal(w.d->digests.of[SPLIT_TRAIN], digest);
    assert_int_equal(sha256_bytes("fg", 2, digest, &w.err), OK);
    assert_string_equal(w.d->digests.of[SPLIT_TEST], digest);
    assert_null(w.d->digests.of[SPLIT_VAL]);
    text_digests alone;
    assert_int_equal(dataset_digests(&w.settings, &w.places, f->a, &alone, &w.err), OK);
    for (int s = 0; s < SPLIT_COUNT; s++) {
        const char *one = w.d->digests.of[s], *other = alone.of[s];
        assert_true(one && other ? strcmp(one, other) == 0 : one == other);
    }
}

static void test_own_sources_leave_the_rest_to_train(void **state) {
    fixture *f = *state;
    world w = world_of(f, fixture_file(f, "o.txt", "0123456789"));
    w.settings.split = fractions(f, 0.6, 0.2, 0.2);
    w.settings.val_source = list_of(f, fixture_file(f, "v.txt", "vw"), fixture_file(f, "v2.txt", "xyz"));
    assert_opens(f, &w);
    assert_splits(f, &w, "01234567", "vwxyz", "89");
    w.settings.test_source = list_of(f, fixture_file(f, "t.txt", "tt"), NULL);
    assert_opens(f, &w);
    assert_splits(f, &w, "0123456789", "vwxyz", "tt");
}

static void test_a_corpus_in_parts_keeps_them(void **state) {
    fixture *f = *state;
    world w = world_of(f, "parts");
    fixture_file(f, "cache/a.txt", "aaaa");
    fixture_file(f, "cache/b.txt", "bb");
    fixture_file(f, "cache/c.txt", "cc");
    assert_opens(f, &w);
    assert_splits(f, &w, "aaaa", "bb", "cc");
    w.settings.val_source = list_of(f, "parts", NULL); // of a corpus in parts, a split takes its own
    assert_opens(f, &w);
    assert_splits(f, &w, "aaaa", "bb", "cc");

    w.settings.source = list_of(f, "parts", fixture_file(f, "x.txt", "xx"));
    assert_int_equal(open_world(f, &w), ERR_CONFIG);
    assert_mentions(w.err.message, "mixes");
}

static void test_unseen_characters_of_other_splits_are_counted(void **state) {
    fixture *f = *state;
    world w = world_of(f, fixture_file(f, "u.txt", "abababxbyy"));
    w.settings.tokenizer = fixture_choice(f, tokenizer_registry, "char");
    w.settings.split = fractions(f, 0.6, 0.2, 0.2);
    assert_opens(f, &w);
    assert_int_equal(tokenizer_vocabulary(w.d->tokenizer), 3);
    assert_int_equal(w.d->splits[SPLIT_TRAIN].unknown, 0);
    assert_int_equal(w.d->splits[SPLIT_VAL].unknown, 1);
    assert_int_equal(w.d->splits[SPLIT_TEST].unknown, 2);
    assert_mentions(w.d->description, "test 2 (2 unknown)");
}

static void test_a_given_tokenizer_is_used(void **state) {
    fixture *f = *state;
    world w = world_of(f, fixture_file(f, "g.txt", "abc"));
    w.settings.tokenizer = fixture_choice(f, tokenizer_registry, "char");
    w.settings.split = fractions(f, 1, 0, 0);
    assert_opens(f, &w);
    world other = world_of(f, fixture_file(f, "h.txt", "cba"));
    other.settings.split = fractions(f, 0, 0, 1);
    assert_int_equal(
        dataset_open(&other.settings, &other.places, w.d->tokenizer, f->a, &other.d, &other.err), OK);
    assert_ptr_equal(other.d->tokenizer, w.d->tokenizer);
    assert_int_equal(other.d->splits[SPLIT_TEST].tokens[0], 2);
}

static void test_wrong_splits_are_refused(void **state) {
    fixture *f = *state;
    world w = world_of(f, fixture_file(f, "w.txt", "0123456789"));
    w.settings.split = fractions(f, 0.8, 0.3, 0);
    assert_int_equal(open_world(f, &w), ERR_CONFIG);
    assert_mentions(w.err.message, "add up to 1.1");
    w.settings.split = fractions(f, 0, 0.3, 0);
    assert_int_equal(open_world(f, &w), ERR_CONFIG);
    w.settings.split = fractions(f, 0.7, 0.2, 0.1); // adds up to a little less than 1 in binary
    w.settings.source = list_of(f, fixture_file(f, "w20.txt", "abcdefghijklmnopqrst"), NULL);
    assert_opens(f, &w);
    assert_splits(f, &w, "abcdefghijklmn", "opqr", "st");
    w.settings.source = list_of(f, fixture_file(f, "w.txt", "0123456789"), NULL);
    w.settings.split = fractions(f, 0.9, 0.1, 0); // one token: nothing to predict
    assert_int_equal(open_world(f, &w), ERR_DATA);
    assert_mentions(w.err.message, "val split");
    w.settings.split = fractions(f, 1, 0, 0);
    w.settings.block_size = 10;
    assert_int_equal(open_world(f, &w), ERR_DATA);
    assert_mentions(w.err.message, "needs at least 11");
    w.settings.block_size = 9;
    assert_opens(f, &w);
}

// --- sources

static void test_globs_are_sorted_and_must_match(void **state) {
    fixture *f = *state;
    fixture_file(f, "g/b.txt", "b");
    fixture_file(f, "g/B.txt", "B");
    fixture_file(f, "g/a.txt", "a");
    fixture_file(f, "g/a.md", "no");
    world w = world_of(f, fixture_path(f, "g/?.txt"));
    w.settings.split = fractions(f, 1, 0, 0);
    assert_opens(f, &w);
    assert_splits(f, &w, "Bab", "", "");
    assert_mentions(w.d->description, "3 files");
    w.settings.source = list_of(f, fixture_path(f, "g/*.tex"), NULL);
    assert_int_equal(open_world(f, &w), ERR_DATA);
    assert_mentions(w.err.message, "no file matches");
    w.settings.source = list_of(f, fixture_file(f, "g/[x].txt", "not a glob"), NULL);
    assert_opens(f, &w);
    w.settings.source = list_of(f, fixture_path(f, "g/none.txt"), NULL);
    assert_int_equal(open_world(f, &w), ERR_DATA);
}

static void test_a_folder_is_the_files_in_it(void **state) {
    fixture *f = *state;
    fixture_file(f, "d/b.txt", "b");
    fixture_file(f, "d/B", "B");
    fixture_file(f, "d/a.txt", "a");
    fixture_file(f, "d/.hidden", "no");
    fixture_file(f, "d/sub/c.txt", "c");
    assert_int_equal(symlink("../e.txt", fixture_path(f, "d/link")), 0);
    fixture_file(f, "e.txt", "e");
    world w = world_of(f, fixture_path(f, "d/"));
    w.settings.split = fractions(f, 1, 0, 0);
    assert_opens(f, &w);
    assert_splits(f, &w, "Babe", "", "");
    assert_ptr_equal(strstr(w.d->description, "d (4 files): "), w.d->description);
    w.settings.source = list_of(f, fixture_path(f, "e.txt"), fixture_path(f, "d/sub"));
    assert_opens(f, &w);
    assert_splits(f, &w, "ec", "", "");
    unlink(fixture_path(f, "e.txt"));
    w.settings.source = list_of(f, fixture_path(f, "d"), NULL);
    assert_int_equal(open_world(f, &w), ERR_IO);
    assert_mentions(w.err.message, "d/link");
}

static void test_a_folder_without_files_is_refused(void **state) {
    fixture *f = *state;
    fixture_file(f, "none/.hidden", "no");
    fixture_file(f, "none/sub/c.txt", "c");
    world w = world_of(f, fixture_path(f, "none"));
    assert_int_equal(open_world(f, &w), ERR_DATA);
    assert_mentions(w.err.message, "there is no file in the folder");
    assert_mentions(w.err.hint, "none/*/*");
}

static void test_the_home_folder_is_expanded(void **state) {
    fixture *f = *state;
    fixture_file(f, "home/corpus/a.txt", "ab");
    world w = world_of(f, "~/corpus/a.txt");
    w.settings.split = fractions(f, 1, 0, 0);
    assert_int_equal(open_world(f, &w), ERR_IO);
    assert_mentions(w.err.message, "~/corpus/a.txt is in the home folder, which is not known");
    w.places.home = fixture_path(f, "home");
    static const char *const items[] = {"~/corpus/a.txt", "~/corpus/", "~/*/?.txt"};
    for (int i = 0; i < 3; i++) {
        w.settings.source = list_of(f, items[i], NULL);
        assert_opens(f, &w);
        assert_splits(f, &w, "ab", "", "");
    }
    w.settings.source = list_of(f, "~/none.txt", NULL);
    assert_int_equal(open_world(f, &w), ERR_DATA);
    assert_mentions(w.err.message, fixture_path(f, "home/none.txt"));
}

static void test_a_text_by_itself(void **state) {
    fixture *f = *state;
    world w = world_of(f, fixture_file(f, "whole.txt", "abcd"));
    assert_opens(f, &w);
    split_tokens tokens;
    const char *name;
    const char *path = fixture_file(f, "t.txt", "xyz");
    assert_int_equal(
        dataset_open_text(path, SPLIT_VAL, &w.places, w.d->tokenizer, f->a, &tokens, &name, &w.err), OK);
    assert_string_equal(name, path);
    assert_int_equal(tokens.count, 3);
    assert_int_equal(tokens.tokens[2], 'z');
    fixture_file(f, "cache/a.txt", "aaa");
    fixture_file(f, "cache/b.txt", "bb");
    fixture_file(f, "cache/c.txt", "c");
    assert_int_equal(
        dataset_open_text("parts", SPLIT_TEST, &w.places, w.d->tokenizer, f->a, &tokens, &name, &w.err),
        OK);
    assert_string_equal(name, "parts (test)");
    assert_int_equal(tokens.count, 1);
    assert_int_equal(tokens.tokens[0], 'c');
}

static void test_a_missing_text_is_found_without_reading(void **state) {
    fixture *f = *state;
    error err;
    fixture_file(f, "here/text.txt", "ab");
    world w = world_of(f, fixture_path(f, "here/text.txt"));
    w.settings.split = fractions(f, 1, 0, 0);
    assert_int_equal(dataset_locate(&w.settings, NULL, &w.places, &err), OK);
    w.settings.val_source = list_of(f, fixture_path(f, "here/text.txt"), fixture_path(f, "here/txet.txt"));
    assert_int_equal(dataset_locate(&w.settings, NULL, &w.places, &err), ERR_CONFIG);
    assert_mentions(err.message, "dataset.val_source: there is no file");
    assert_mentions(err.hint, "did you mean");
    assert_mentions(err.hint, "here/text.txt?");
    w.settings.val_source = list_of(f, fixture_path(f, "nowhere/text.txt"), NULL);
    assert_int_equal(dataset_locate(&w.settings, NULL, &w.places, &err), ERR_CONFIG);
    assert_mentions(err.hint, "there is no folder");
    w.settings.val_source = list_of(f, "nothing", NULL);
    assert_int_equal(dataset_locate(&w.settings, NULL, &w.places, &err), ERR_CONFIG);
    // What only has to be fetched is no mistake of the experiment.
    w.settings.val_source = list_of(f, "whole", NULL);
    assert_int_equal(dataset_locate(&w.settings, NULL, &w.places, &err), ERR_DATA);
    assert_mentions(err.hint, "data get whole");
}

static void test_names_are_looked_up_in_folders_then_in_the_cache(void **state) {
    fixture *f = *state;
    world w = world_of(f, "whole");
    w.settings.split = fractions(f, 1, 0, 0);
    w.folders[0] = fixture_path(f, "first"), w.folders[1] = fixture_path(f, "second");
    w.places.folders = w.folders;
    assert_int_equal(open_world(f, &w), ERR_DATA);
    assert_mentions(w.err.message, "whole.txt");
    assert_mentions(w.err.hint, "runexp data get whole");
    assert_mentions(w.err.hint, w.folders[1]);
    fixture_file(f, "cache/whole.txt", "cache");
    assert_opens(f, &w);
    assert_splits(f, &w, "cache", "", "");
    fixture_file(f, "second/whole.txt", "second");
    assert_opens(f, &w);
    assert_splits(f, &w, "second", "", "");
    fixture_file(f, "first/whole.txt", "first");
    assert_opens(f, &w);
    assert_splits(f, &w, "first", "", "");
}

static void test_files_of_a_package_come_from_its_folder(void **state) {
    fixture *f = *state;
    world w = world_of(f, "packaged");
    w.settings.split = fractions(f, 1, 0, 0);
    assert_int_equal(open_world(f, &w), ERR_DATA);
    assert_mentions(w.err.hint, "apt-get install sayings");
    fixture_file(f, "package/one", "1");
    fixture_file(f, "package/two", "2");
    assert_opens(f, &w);
    assert_splits(f, &w, "21", "", "");
    w.folders[0] = fixture_path(f, "own");
    w.places.folders = w.folders;
    fixture_file(f, "own/packaged/one", "uno");
    assert_opens(f, &w);
    assert_splits(f, &w, "2uno", "", "");
}

static void test_unknown_names_get_the_nearest(void **state) {
    fixture *f = *state;
    world w = world_of(f, "summd");
    assert_int_equal(open_world(f, &w), ERR_CONFIG);
    assert_mentions(w.err.message, "did you mean \"summed\"?");
    assert_mentions(w.err.hint, "whole, summed, parts, packaged");
}

static void test_a_name_stands_for_that_very_text(void **state) {
    fixture *f = *state;
    world w = world_of(f, "summed");
    fixture_file(f, "cache/summed.txt", "abd");
    w.settings.split = fractions(f, 1, 0, 0);
    assert_int_equal(open_world(f, &w), ERR_DATA);
    assert_mentions(w.err.message, "ba7816bf");
    fixture_file(f, "cache/summed.txt", "abc");
    assert_opens(f, &w);
}

// --- catalogue

static void test_wrong_catalogues_say_where(void **state) {
    fixture *f = *state;
    static const struct {
        const char *yaml;
        int line, column;
        const char *mentions;
    } cases[] = {
        {"[a]", 1, 1, "mapping"},
        {"a: 5\n", 1, 4, "mapping"},
        {"a:\n  titel: x\n", 2, 3, "did you mean \"title\"?"},
        {"a/b:\n  title: x\n", 1, 1, "name of a corpus"},
        {"a: {title: t, licence: l, home: h}\n", 1, 4, "files"},
        {"a: {title: t, licence: l, home: h, files: []}\n", 1, 43, "at least one"},
        {"a: {title: t, licence: l, home: h, files: [x]}\n", 1, 44, "mapping"},
        {"a: {title: t, licence: l, home: h, files: [{name: x}]}\n", 1, 44, "\"url\" is missing"},
        {"a: {title: t, licence: l, home: h, files: [{name: ../x, url: http://x}]}\n", 1, 51,
         "plain file name"},
        {"a: {title: t, licence: l, home: h, files: [{name: x, url: ftp://x}]}\n", 1, 59, "https://"},
        {"a: {title: t, licence: l, home: h, files: [{name: x, url: http://x, sha256: 12}]}\n", 1, 77,
         "64 hex"},
        {"a: {title: t, licence: l, home: h, files: [{name: x, url: http://x, part: dev}]}\n", 1, 75,
         "train, val"},
        {"a: {title: t, licence: l, home: h, files: [{name: x, url: http://x, part: val},\n"
         "  {name: y, url: http://y}]}\n",
         2, 3, "either all"},
        {"a: {title: t, licence: l, home: h, folder: /x, files: [{name: x, url: http://x}]}\n", 1, 44,
         "package"},
        {"a: {title: t, licence: l, home: h, package: p, files: [x]}\n", 1, 4, "\"folder\" is missing"},
        {"a: {title: t, licence: l, home: h, package: p, folder: /x, files: [{name: x}]}\n", 1, 68,
         "package"},
        {"a: {title: [t], licence: l, home: h, package: p, folder: /x, files: [x]}\n", 1, 12,
         "should be a text"},
        {"a: {title: t\n", 0, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = fixture_file(f, "wrong.yaml", cases[i].yaml);
        catalogue c;
        error err;
        assert_int_equal(catalogue_load(path, f->a, &c, &err), ERR_CONFIG);
        assert_string_equal(err.file, path);
        assert_mentions(err.message, cases[i].mentions);
        if (cases[i].line == 0) continue;
        if (err.line != cases[i].line || err.column != cases[i].column)
            fail_msg("%s: at %d:%d, expected %d:%d", err.message, err.line, err.column, cases[i].line,
                     cases[i].column);
    }
    catalogue c;
    error err;
    assert_int_equal(catalogue_load(fixture_path(f, "none.yaml"), f->a, &c, &err), ERR_IO);
}

static void test_the_listing_tells_what_is_missing(void **state) {
    fixture *f = *state;
    world w = world_of(f, "whole");
    catalogue c;
    text out = {0};
    assert_int_equal(catalogue_load(w.places.catalogue, f->a, &c, &w.err), OK);
    fixture_file(f, "cache/whole.txt", "12345");
    fixture_file(f, "package/one", "1");
    unlink(fixture_path(f, "cache/b.txt"));
    unlink(fixture_path(f, "package/two"));
    catalogue_list(&c, &w.places, 0, &out);
    assert_mentions(out.bytes, arena_format(f->a, "whole.txt  5 B  %s/cache/whole.txt\n", f->folder));
    assert_mentions(out.bytes, "b.txt  (val)  missing: runexp data get parts\n");
    assert_mentions(out.bytes, "1 of 2 files missing: sudo apt-get install sayings\n");
    fixture_file(f, "package/two", "2");
    text_clear(&out);
    catalogue_list(&c, &w.places, 0, &out);
    assert_mentions(out.bytes, arena_format(f->a, "2 files  2 B  %s/package\n", f->folder));
    text_free(&out);
}

static void test_the_shipped_catalogue_is_right(void **state) {
    fixture *f = *state;
    static const char *const names[] = {"tinyshakespeare", "pushkin", "wikitext2", "fortunes"};
    catalogue c;
    error err;
    if (catalogue_load("experiments/datasets.yaml", f->a, &c, &err) != OK) fail_msg("%s", err.message);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const catalogue_entry *entry;
        assert_int_equal(catalogue_need(&c, names[i], &entry, &err), OK);
    }
}

// --- sha256

static void test_sha256_known_answers(void **state) {
    (void)state;
    char digest[SHA256_TEXT];
    error err;
    assert_int_equal(sha256_bytes("", 0, digest, &err), OK);
    assert_string_equal(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const char *message =
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"; // FIPS 180-4, appendix B.2
    sha256 s;
    sha256_begin(&s);
    for (const char *c = message; *c; c++) sha256_add(&s, c, 1);
    assert_int_equal(sha256_end(&s, digest, &err), OK);
    assert_string_equal(digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_int_equal(sha256_file("/nonexistent", digest, &err), ERR_IO);
    assert_int_equal(sha256_file("/", digest, &err), ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_end_where_nanogpt_ends_them),
        cmocka_unit_test(test_every_tokenizer_gets_the_same_split),
        cmocka_unit_test(test_a_split_may_run_over_several_files),
        cmocka_unit_test(test_own_sources_leave_the_rest_to_train),
        cmocka_unit_test(test_a_corpus_in_parts_keeps_them),
        cmocka_unit_test(test_unseen_characters_of_other_splits_are_counted),
        cmocka_unit_test(test_a_given_tokenizer_is_used),
        cmocka_unit_test(test_wrong_splits_are_refused),
        cmocka_unit_test(test_globs_are_sorted_and_must_match),
        cmocka_unit_test(test_a_folder_is_the_files_in_it),
        cmocka_unit_test(test_a_folder_without_files_is_refused),
        cmocka_unit_test(test_the_home_folder_is_expanded),
        cmocka_unit_test(test_a_text_by_itself),
        cmocka_unit_test(test_a_missing_text_is_found_without_reading),
        cmocka_unit_test(test_names_are_looked_up_in_folders_then_in_the_cache),
        cmocka_unit_test(test_files_of_a_package_come_from_its_folder),
        cmocka_unit_test(test_unknown_names_get_the_nearest),
        cmocka_unit_test(test_a_name_stands_for_that_very_text),
        cmocka_unit_test(test_wrong_catalogues_say_where),
        cmocka_unit_test(test_the_listing_tells_what_is_missing),
        cmocka_unit_test(test_the_shipped_catalogue_is_right),
        cmocka_unit_test(test_sha256_known_answers),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
