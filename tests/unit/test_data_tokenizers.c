#include "data/tokenizer.h"
#include "support/data_fixture.h"

#include <math.h>

static tokenizer *build(fixture *f, const char *type, const char *unknown, const char *errors,
                        const char *training, const char *rest) {
    component_choice choice = fixture_choice(f, tokenizer_registry, type);
    if (unknown) fixture_set(&choice, "unknown", unknown);
    if (errors) fixture_set(&choice, "errors", errors);
    text_part train = {"train.txt", training, 0, strlen(training)};
    text_part other = {"val.txt", rest, 0, strlen(rest)};
    tokenizer *t = NULL;
    error err;
    assert_int_equal(tokenizer_build(&choice, &train, 1, &other, 1, f->a, &t, &err), OK);
    return t;
}

static encoding encode(fixture *f, const tokenizer *t, const char *sample) {
    encoding e;
    error err;
    assert_int_equal(tokenizer_encode(t, "text", sample, strlen(sample), f->a, &e, &err), OK);
    return e;
}

static const char *decode(fixture *f, const tokenizer *t, const encoding *e) {
    text out = {0};
    for (size_t i = 0; i < e->count; i++) tokenizer_decode(t, e->ids[i], &out);
    const char *copy = arena_copy_bytes(f->a, out.bytes, out.length);
    text_free(&out);
    return copy;
}

// What the tokens of an encoding stand for must add up to what was encoded.
static void assert_adds_up(const tokenizer *t, const encoding *e) {
    size_t characters = 0, bytes = 0;
    for (size_t i = 0; i < e->count; i++) {
        assert_in_range(e->ids[i], 0, tokenizer_vocabulary(t) - 1);
        characters += (size_t)tokenizer_characters(t, e->ids[i]);
        bytes += (size_t)tokenizer_bytes(t, e->ids[i]);
    }
    assert_int_equal(characters, e->characters);
    assert_int_equal(bytes + (tokenizer_unknown(t) >= 0 ? e->unknown_bytes : 0), e->bytes);
}

static void test_char_ids_are_sorted_code_points(void **state) {
    fixture *f = *state;
    tokenizer *t = build(f, "char", NULL, NULL, "hello\n", "ole");
    assert_int_equal(tokenizer_vocabulary(t), 5); // \n e h l o
    assert_int_equal(tokenizer_unknown(t), -1);
    encoding e = encode(f, t, "hello\n");
    const int32_t expected[] = {2, 1, 3, 3, 4, 0};
    assert_int_equal(e.count, 6);
    assert_memory_equal(e.ids, expected, sizeof expected);
}

static void test_char_takes_every_length_of_utf8(void **state) {
    fixture *f = *state;
    const char *sample = "Мой дядя, naïve €5 😀!";
    tokenizer *t = build(f, "char", NULL, NULL, sample, "");
    encoding e = encode(f, t, sample);
    assert_int_equal(e.characters, 21);
    assert_int_equal(e.count, 21);
    assert_int_equal(e.bytes, strlen(sample));
    assert_string_equal(decode(f, t, &e), sample);
    assert_adds_up(t, &e);
}

static void test_byte_is_lossless(void **state) {
    fixture *f = *state;
    const char *sample = "Мой \xFF\x80 😀";
    tokenizer *t = build(f, "byte", NULL, NULL, "", "");
    assert_int_equal(tokenizer_vocabulary(t), 256);
    encoding e = encode(f, t, sample);
    assert_int_equal(e.count, strlen(sample));
    assert_int_equal(e.ids[0], 0xD0);
    assert_string_equal(decode(f, t, &e), sample);
    assert_adds_up(t, &e);
}

static void test_characters_unseen_in_training_get_an_id_only_when_there_are_any(void **state) {
    fixture *f = *state;
    tokenizer *t = build(f, "char", "auto", NULL, "abc", "abd");
    assert_int_equal(tokenizer_vocabulary(t), 4);
    assert_int_equal(tokenizer_unknown(t), 0);
    encoding e = encode(f, t, "adé");
    const int32_t expected[] = {1, 0, 0};
    assert_int_equal(e.count, 3);
    assert_memory_equal(e.ids, expected, sizeof expected);
    assert_int_equal(e.unknown, 2);
    assert_int_equal(e.characters, 3);
    assert_string_equal(decode(f, t, &e), "a\uFFFD\uFFFD");
    assert_int_equal(e.unknown_bytes, 3);
    assert_int_equal(tokenizer_characters(t, 0), 1);
    assert_adds_up(t, &e);
    assert_true(tokenizer_unknown_nats(t) == log(0x110000 - 3));
    assert_true(tokenizer_unknown_nats(build(f, "char", "bytes", NULL, "abc", "abd")) == 0);
    assert_int_equal(tokenizer_unknown(build(f, "char", "auto", NULL, "abc", "cab")), -1);
    assert_int_equal(tokenizer_unknown(build(f, "char", "unk", NULL, "abc", "cab")), 0);
}

static void test_unknown_error_names_character_and_place(void **state) {
    fixture *f = *state;
    tokenizer *t = build(f, "char", "error", NULL, "ab\n", "");
    encoding e;
    error err;
    assert_int_equal(tokenizer_encode(t, "prompt", "ab\nbéa", 7, f->a, &e, &err), ERR_DATA);
    assert_mentions(err.message, "\"é\" (U+00E9)");
    assert_string_equal(err.file, "prompt");
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 2);
}

static void test_unknown_skip_leaves_out(void **state) {
    fixture *f = *state;
    tokenizer *t = build(f, "char", "skip", NULL, "abc", "é");
    encoding e = encode(f, t, "aébéc");
    assert_string_equal(decode(f, t, &e), "abc");
    assert_int_equal(e.unknown, 2);
    assert_int_equal(tokenizer_vocabulary(t), 3);
}

static void test_unknown_bytes_is_lossless(void **state) {
    fixture *f = *state;
    tokenizer *t = build(f, "char", "bytes", "replace", "abc", "");
    assert_int_equal(tokenizer_vocabulary(t), 3 + 256);
    assert_int_equal(tokenizer_unknown(t), -1);
    const char *sample = "a😀b\xFFЖ";
    encoding e = encode(f, t, sample);
    assert_int_equal(e.count, 1 + 4 + 1 + 1 + 2);
    assert_int_equal(e.unknown, 3);
    assert_string_equal(decode(f, t, &e), sample);
    assert_adds_up(t, &e);
}

static void test_invalid_utf8_is_refused_with_its_place(void **state) {
    fixture *f = *state;
    static const char *const wrong[] = {"\x80",    "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                        "\xE2\x82"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *sample = arena_format(f->a, "строка\nдве %s", wrong[i]);
        component_choice choice = fixture_choice(f, tokenizer_registry, "char");
        text_part train = {"corpus.txt", sample, 0, strlen(sample)};
        tokenizer *t;
        error err;
        assert_int_equal(tokenizer_build(&choice, &train, 1, NULL, 0, f->a, &t, &err), ERR_DATA);
        assert_string_equal(err.file, "corpus.txt");
        assert_int_equal(err.line, 2);
        assert_int_equal(err.column, 5);
        assert_true(err.hint[0]);
    }
}

static void test_utf16_is_recognised(void **state) {
    fixture *f = *state;
    const tokenizer *t = build(f, "char", NULL, NULL, "abc", "");
    encoding e;
    error err;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tokenizer_encode(t, "text",
                                          i ? "\xFE\xFF\0a"
                                            : "\xFF\xFE"
                                              "a\0",
                                          4, f->a, &e, &err),
                         ERR_DATA);
        assert_non_null(strstr(err.hint, "iconv -f UTF-16"));
    }
}

// Nothing is normalised or left out: marks, joiners, line ends, a byte order mark and NUL are characters.
static void test_every_code_point_is_a_character(void **state) {
    fixture *f = *state;
    static const char sample[] = "\uFEFFи\u0306 👩\u200D👧 👍🏽 ❤\uFE0F\r\n\u2028\xC2\x85\0x";
    const size_t length = sizeof sample - 1;
    tokenizer *t;
    encoding e;
    error err;
    const component_choice choice = fixture_choice(f, tokenizer_registry, "char");
    const text_part all = {"x", sample, 0, length};
    assert_int_equal(tokenizer_build(&choice, &all, 1, NULL, 0, f->a, &t, &err), OK);
    assert_int_equal(tokenizer_vocabulary(t), 17);
    assert_int_equal(tokenizer_encode(t, "x", sample, length, f->a, &e, &err), OK);
    assert_int_equal(e.count, 19);
    text out = {0};
    for (size_t i = 0; i < e.count; i++) tokenizer_decode(t, e.ids[i], &out);
    assert_int_equal(out.length, length);
    assert_memory_equal(out.bytes, sample, length);
    text_free(&out);
}

static void test_places_count_from_the_start_of_the_file(void **state) {
    fixture *f = *state;
    const char *sample = "one\ntwo\nthr\xFF";
    component_choice choice = fixture_choice(f, tokenizer_registry, "char");
    text_part train = {"corpus.txt", sample, 6, strlen(sample)};
    tokenizer *t;
    error err;
    assert_int_equal(tokenizer_build(&choice, &train, 1, NULL, 0, f->a, &t, &err), ERR_DATA);
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 4);
}

static void test_invalid_utf8_can_be_replaced(void **state) {
    fixture *f = *state;
    tokenizer *t = build(f, "char", NULL, "replace", "a\xFF\xFE", "");
    assert_int_equal(tokenizer_vocabulary(t), 2);
    encoding e = encode(f, t,
                        "\xC3"
                        "a");
    assert_string_equal(decode(f, t, &e), "\uFFFD"
                                          "a");
}

static void test_parts_make_one_sequence(void **state) {
    fixture *f = *state;
    tokenizer *t = build(f, "char", NULL, NULL, "abc", "");
    const text_part parts[] = {{"x", "xxab", 2, 4}, {"y", "caa", 0, 2}};
    encoding e;
    error err;
    assert_int_equal(tokenizer_encode_parts(t, parts, 2, f->a, &e, &err), OK);
    assert_string_equal(decode(f, t, &e), "abca");
    assert_int_equal(e.bytes, 4);
}

static void test_unseen_characters_are_listed(void **state) {
    fixture *f = *state;
    tokenizer *t = build(f, "char", NULL, NULL, "abcd ", "");
    text out = {0};
    const char *prompt = "abc é ł é\a";
    assert_int_equal(tokenizer_unknown_characters(t, prompt, strlen(prompt), &out), 4);
    assert_string_equal(
        out.bytes, "\"é\" (U+00E9) at character 5, \"ł\" (U+0142) at character 7, U+0007 at character 10");
    text_clear(&out);
    assert_int_equal(tokenizer_unknown_characters(t, "dada", 4, &out), 0);
    assert_int_equal(out.length, 0);
    assert_int_equal(tokenizer_unknown_characters(t, "0123456789ABC0", 14, &out), 14);
    assert_mentions(out.bytes, "\"9\" (U+0039) at character 10, and others");
    assert_null(strstr(out.bytes, "\"A\""));
    text_free(&out);
    assert_int_equal(tokenizer_unknown_characters(build(f, "byte", NULL, NULL, "", ""), prompt, 5, &out),
                     0);
}

static void test_saved_tokenizers_come_back(void **state) {
    fixture *f = *state;
    const char *sample = "Мой дядя\n😀 самых честных правил";
    tokenizer *all[] = {
        build(f, "char", "auto", NULL, sample, "z"),      build(f, "char", "error", NULL, sample, ""),
        build(f, "char", "skip", "replace", sample, "z"), build(f, "char", "bytes", "replace", sample, "z"),
        build(f, "byte", NULL, NULL, sample, "z"),
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        text saved = {0}, again = {0};
        tokenizer *t = NULL;
        error err;
        tokenizer_save(all[i], &saved);
        assert_int_equal(tokenizer_load(saved.bytes, saved.length, f->a, &t, &err), OK);
        tokenizer_save(t, &again);
        assert_string_equal(saved.bytes, again.bytes);
        assert_string_equal(tokenizer_name(t), tokenizer_name(all[i]));
        assert_int_equal(tokenizer_vocabulary(t), tokenizer_vocabulary(all[i]));
        assert_int_equal(tokenizer_unknown(t), tokenizer_unknown(all[i]));
        encoding before = encode(f, all[i], sample), after = encode(f, t, sample);
        assert_int_equal(before.count, after.count);
        assert_memory_equal(before.ids, after.ids, before.count * sizeof *before.ids);
        assert_string_equal(decode(f, t, &after), sample);
        text_free(&saved);
        text_free(&again);
    }
}

static void test_damaged_tokenizers_are_refused(void **state) {
    fixture *f = *state;
    static const struct {
        const char *saved, *mentions;
    } cases[] = {
        {"", "line 1"},
        {"tokenizer char", "line 1"},
        {"tokenizer char 1 more\n", "line 1"},
        {"tokenizer morse 1\n", "\"morse\" of version 1"},
        {"tokenizer char 99\n", "version 99"},
        {"tokenizer char 1\nunknown auto\n", "line 2"},
        {"tokenizer char 1\nunknown unk\nerrors maybe\n", "line 3"},
        {"tokenizer char 1\nunknown unk\nerrors fail\ncharacters -1\n", "line 4"},
        {"tokenizer char 1\nunknown unk\nerrors fail\ncharacters 900000\n61\n", "line 4"},
        {"tokenizer char 1\nunknown unk\nerrors fail\ncharacters 2\n61\n", "line 6"},
        {"tokenizer char 1\nunknown unk\nerrors fail\ncharacters 2\n61\n61\n", "line 6"},
        {"tokenizer char 1\nunknown unk\nerrors fail\ncharacters 2\n61\nD800\n", "line 6"},
        {"tokenizer char 1\nunknown unk\nerrors fail\ncharacters 1\n0x61\n", "line 5"},
        {"tokenizer char 1\nunknown unk\nerrors fail\ncharacters 1\n61\n62\n", "line 6"},
        {"tokenizer byte 1\n00\n", "line 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tokenizer *t;
        error err;
        assert_int_equal(tokenizer_load(cases[i].saved, strlen(cases[i].saved), f->a, &t, &err), ERR_DATA);
        assert_mentions(err.message, cases[i].mentions);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_char_ids_are_sorted_code_points),
        cmocka_unit_test(test_char_takes_every_length_of_utf8),
        cmocka_unit_test(test_byte_is_lossless),
        cmocka_unit_test(test_characters_unseen_in_training_get_an_id_only_when_there_are_any),
        cmocka_unit_test(test_unknown_error_names_character_and_place),
        cmocka_unit_test(test_unknown_skip_leaves_out),
        cmocka_unit_test(test_unknown_bytes_is_lossless),
        cmocka_unit_test(test_invalid_utf8_is_refused_with_its_place),
        cmocka_unit_test(test_utf16_is_recognised),
        cmocka_unit_test(test_every_code_point_is_a_character),
        cmocka_unit_test(test_places_count_from_the_start_of_the_file),
        cmocka_unit_test(test_invalid_utf8_can_be_replaced),
        cmocka_unit_test(test_parts_make_one_sequence),
        cmocka_unit_test(test_unseen_characters_are_listed),
        cmocka_unit_test(test_saved_tokenizers_come_back),
        cmocka_unit_test(test_damaged_tokenizers_are_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
