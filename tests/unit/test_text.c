// Text in fixed buffers and on terminals: never cut inside a character.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#include <cmocka.h>

static bool is_utf8(const char *s) {
    uint32_t c;
    for (size_t left = strlen(s); left > 0;) {
        const int length = utf8_decode(s, left, &c);
        if (length == 0) return false;
        s += length, left -= (size_t)length;
    }
    return true;
}

static void test_cuts_end_where_a_character_ends(void **state) {
    (void)state;
    static const char s[] = "aé€😀b"; // of 1, 2, 3, 4 and 1 bytes
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t most = 0; most < sizeof expected / sizeof *expected; most++)
        assert_int_equal(utf8_cut(s, strlen(s), most), expected[most]);
    // What is not UTF-8 is cut where it has to be.
    assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80\x80", 7, 6), 6);
}

static void test_trimming_removes_only_what_was_cut_off(void **state) {
    (void)state;
    static const char whole[] = "aé€😀";
    for (size_t length = 0; length <= strlen(whole); length++) {
        char s[sizeof whole] = "";
        memcpy(s, whole, length);
        utf8_trim(s);
        assert_true(is_utf8(s));
        assert_int_equal(strlen(s), utf8_cut(whole, strlen(whole), length));
    }
}

static void test_columns(void **state) {
    (void)state;
    assert_int_equal(utf8_columns("abc"), 3);
    assert_int_equal(utf8_columns("é"), 1);
    assert_int_equal(utf8_columns("e\xCC\x81"), 1); // e and a combining acute
    assert_int_equal(utf8_columns("日本"), 4);
    assert_int_equal(utf8_columns("😀"), 2);
    assert_int_equal(utf8_columns("Ёж, Анна"), 8);
    assert_int_equal(utf8_columns("и\u0306"), 1);
    assert_int_equal(utf8_columns("\u05d0\u05b8\u0e01\u0e34"), 2); // vowel signs of Hebrew and Thai
    assert_int_equal(utf8_columns("\uac00"), 2);
    assert_int_equal(utf8_columns("🥁🫠"), 4);
    assert_int_equal(utf8_columns("👍🏽"),
                     4); // of a terminal that shows the colour of the skin by itself
    assert_int_equal(utf8_columns("❤\uFE0F"), 1);
    assert_int_equal(utf8_columns("a\u200Bb\uFEFF"), 2);
    assert_int_equal(utf8_columns("\x80\xFF\xD0"), 3);
    assert_int_equal(utf8_columns_of("日本語 x", 2), 4);
    assert_int_equal(utf8_columns_of("ab", 5), 5);
}

static void test_shortened_in_the_middle(void **state) {
    (void)state;
    static const char *const names[] = {"gpt_nano,optimizer.lr=1e-3,seed=7", "ééééééééééééééé",
                                        "日本語の長い名前", "и\u0306од и\u0306од и\u0306од",
                                        "👩\u200D👩\u200D👧👍🏽👩\u200D👩\u200D👧"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int columns = 1; columns < 40; columns++) {
            text t = {0};
            text_add_shortened(&t, names[i], columns);
            assert_true(is_utf8(t.bytes));
            assert_true(utf8_columns(t.bytes) <= columns);
            if (utf8_columns(names[i]) <= columns) assert_string_equal(t.bytes, names[i]);
            text_free(&t);
        }
    text t = {0};
    text_add_shortened(&t, "abcdefghij", 5);
    assert_string_equal(t.bytes, "ab…ij");
    text_clear(&t);
    text_add_shortened(&t, "e\u0301e\u0301e\u0301e\u0301e\u0301", 3); // accents stay with their letters
    assert_string_equal(t.bytes, "e\u0301…e\u0301");
    text_clear(&t);
    text_add_shortened(&t, "ab👩\u200D👧xyz", 7); // an emoji is whole or not there
    assert_string_equal(t.bytes, "ab…xyz");
    text_free(&t);
}

// What looks the same is the same; what only looks alike, or is not UTF-8, stays.
static void test_composed(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"", ""},
                                           {"gpt", "gpt"},
                                           {"\u0438\u0306од", "\u0439од"},
                                           {"\u0439од", "\u0439од"},
                                           {"\uFB01", "\uFB01"},
                                           {"e\u0301\xFF", "e\u0301\xFF"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text t = {0};
        text_add_composed(&t, cases[i][0]);
        assert_string_equal(t.bytes, cases[i][1]);
        text_free(&t);
    }
}

static void test_nearest_names_are_compared_by_character(void **state) {
    (void)state;
    static const char *const names[] = {"стихи", "quickstart", "проза_двадцатого_века_полностью", NULL};
    assert_string_equal(nearest_name("стихы", names), "стихи");
    assert_string_equal(nearest_name("СТИХИ", names), "стихи");
    assert_string_equal(nearest_name("проза_двадцатова_века_полностью", names), names[2]);
    assert_null(nearest_name("мёд", names));
}

static void test_lines_count_columns(void **state) {
    (void)state;
    const char *next;
    assert_int_equal(text_line_that_fits("one two three", 8, &next), 7);
    assert_string_equal(next, "three");
    assert_int_equal(text_line_that_fits("日本語", 4, &next), 6);
    assert_string_equal(next, "語");
}

static void test_paragraphs_are_wrapped(void **state) {
    (void)state;
    text out = {0};
    text_add_wrapped(&out, "one two\nthree  four\n\n  as it is, and long\nпять шесть", "> ", 12);
    assert_string_equal(out.bytes, "> one two\n"
                                   "> three\n"
                                   "> four\n"
                                   "\n"
                                   ">   as it is, and long\n"
                                   "> пять шесть\n");
    text_free(&out);
}

static void test_errors_hold_whole_characters(void **state) {
    (void)state;
    text long_text = {0};
    for (int shift = 0; shift < 3; shift++) {
        text_clear(&long_text);
        text_add(&long_text, "%.*s", shift, "xx");
        for (int i = 0; i < 1000; i++) text_add(&long_text, "€");
        error err;
        const place where = {.file = long_text.bytes, .source = long_text.bytes};
        fail_at(&err, ERR_DATA, where, "%s", long_text.bytes);
        error_hint(&err, "%s", long_text.bytes);
        error_context(&err, "%s", long_text.bytes);
        assert_true(is_utf8(err.message));
        assert_true(is_utf8(err.hint));
        assert_true(is_utf8(err.file));
        assert_true(is_utf8(err.source));
    }
    text_free(&long_text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_end_where_a_character_ends),
        cmocka_unit_test(test_trimming_removes_only_what_was_cut_off),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_shortened_in_the_middle),
        cmocka_unit_test(test_lines_count_columns),
        cmocka_unit_test(test_composed),
        cmocka_unit_test(test_nearest_names_are_compared_by_character),
        cmocka_unit_test(test_paragraphs_are_wrapped),
        cmocka_unit_test(test_errors_hold_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
