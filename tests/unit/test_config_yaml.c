// YAML: what is refused and how it is said, odd files, limits.
#include "support/config_load.h"

#include <stdlib.h>

static void test_syntax_errors_in_plain_words(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"a: [1,\nb: 2\n", "1:4: error: a bracket [ or { is opened but never closed"},
        {"a: {b: 1\n", "1:4: error: a bracket [ or { is opened but never closed"},
        {"a: [1 2}\n", "1:4: error: a comma or the closing ] is missing in this list"},
        {"a: 'x\nb: 1", "1:4: error: the closing quote of this string is missing"},
        {"a:\n\tb: 1\n", "2:1: error: a tab is used for indentation"},
        {"a: b: c\n", "1:5: error: a colon is not allowed here"},
        {"a: @x\n", "1:4: error: a string that begins with @ needs quotes"},
        {"a: `x`\n", "1:4: error: a string that begins with ` needs quotes"},
        {"a: \"\\q\"\n", "1:5: error: unknown escape sequence"},
        {"a: \"\\ud800\"\n", "error: this escape sequence is incomplete or not a character"},
        {"a: 1\n b: 2\n", "2:3: error: a colon is not allowed here"},
        {"a:\n  b: 1\n c: 2\n", "3:2: error: this line does not continue the mapping that it is in"},
        {"a: |x\n  b", "1:5: error: this block of text (| or >) is not written correctly"},
        {"a: - b\n", "1:4: error: a list entry is not allowed here"},
        {"{a: 1}}\n", "1:7: error: this is outside the mapping of the experiment"},
        {"a: 1\n---\nb: 1\n", "2:1: error: a second document begins here"},
        {"- 1\n", "1:1: error: x.yaml is not an experiment but a list"},
        {"hello\n", "1:1: error: x.yaml is not an experiment but a string"},
        {"a: \xFF\n", "1:4: error: byte 0xFF is not UTF-8 text"},
        {"a: \xC3\xA9\xC0\x80\n", "1:5: error: byte 0xC0 is not UTF-8 text"},
        {"a: \x07\n", "1:4: error: control character U+0007"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loaded l = load(cases[i].yaml, NULL);
        assert_int_equal(l.p.count, 1);
        assert_some_problem(&l, cases[i].message);
        done(&l);
    }
}

static void test_the_line_and_the_caret(void **state) {
    (void)state;
    loaded l = load("name: x\nmodel:\n\twidth: 3\n", NULL);
    assert_one_problem(&l, "x.yaml:3:1: error: a tab is used for indentation\n"
                           "     width: 3\n" // the tab as one blank
                           "    ^\n"
                           "  indent with spaces\n");
    // Columns count characters, not bytes.
    l = load("{name: x, dataset: {source: \xC3\xA9t\xC3\xA9}, sed: 1}\n", NULL);
    assert_one_problem(&l, "x.yaml:1:35: error: unknown key \"sed\"\n"
                           "    {name: x, dataset: {source: \xC3\xA9t\xC3\xA9}, sed: 1}\n"
                           "                                      ^\n"
                           "  did you mean seed?\n");
}

static void test_refused_parts_of_yaml(void **state) {
    (void)state;
    loaded l =
        load(HEAD "seed: &a 1\ntraining: {max_steps: *a}\nmodel: {width: !!int 3}\n<<: {seed: 1}\n", NULL);
    assert_int_equal(l.p.count, 4);
    assert_some_problem(&l, "x.yaml:3:7: error: anchors (&a) are not supported");
    assert_some_problem(&l, "x.yaml:4:23: error: a string that begins with * needs quotes");
    assert_some_problem(&l, "x.yaml:5:16: error: tags (tag:yaml.org,2002:int) are not supported");
    assert_some_problem(&l, "x.yaml:6:1: error: merge keys (<<) are not supported");
    done(&l);
    l = load(HEAD "[a]: 1\n", NULL);
    assert_some_problem(&l, "x.yaml:3:1: error: a key must be a plain word, not a list");
    done(&l);
    l = load(HEAD "description: \"a\\0b\"\n", NULL);
    assert_one_problem(&l, "x.yaml:3:14: error: a string cannot contain the character \\0\n"
                           "    description: \"a\\0b\"\n                 ^\n");
}

static void test_duplicate_keys(void **state) {
    (void)state;
    loaded l = load(HEAD "seed: 1\nmodel:\n  width: 8\n  depth: 2\n  width: 9\n", NULL);
    assert_one_problem(&l, "x.yaml:7:3: error: duplicate key \"width\", already set in line 5\n"
                           "      width: 9\n"
                           "      ^\n"
                           "  remove one of the two\n");
    l = load(HEAD "model: {layers: [{mlp: {}, mlp: {}}]}\n", NULL);
    assert_some_problem(&l, "duplicate key \"mlp\", already set in line 3");
    done(&l);
    l = load(HEAD, "training={max_steps: 1, max_steps: 2}");
    assert_one_problem(&l, "command line: error: duplicate key \"max_steps\"\n"
                           "    training={max_steps: 1, max_steps: 2}\n"
                           "                            ^\n"
                           "  remove one of the two\n");
}

static void test_line_ends_and_byte_order_mark(void **state) {
    (void)state;
    loaded l = load("\xEF\xBB\xBFname: x\r\ndataset: {source: a}\r\nseed: 4\r\n", NULL);
    assert_fine(&l);
    assert_int_equal(l.s->seed, 4);
    done(&l);
    l = load("\xEF\xBB\xBFname: x\r\ndataset: {source: a}\r\n\r\nsed: 4\r\n", NULL);
    assert_one_problem(&l,
                       "x.yaml:4:1: error: unknown key \"sed\"\n    sed: 4\n    ^\n  did you mean seed?\n");
    l = load("name: x\rdataset: {source: a}\rsed: 4", NULL);
    assert_some_problem(&l, "x.yaml:3:1: error: unknown key \"sed\"\n    sed: 4\n");
    done(&l);
}

static void test_scalars_in_every_style(void **state) {
    (void)state;
    loaded l = load(
        "name: >-\n  a\n  b\ndataset: {source: 'it''s'}\nsampling:\n  prompt: |\n    O God,\n      O God!\n"
        "description: \"\\u00e9\\n\"\n",
        NULL);
    assert_fine(&l);
    assert_string_equal(l.s->name, "a b");
    assert_string_equal(l.s->dataset.source.values[0], "it's");
    assert_string_equal(l.s->sampling.prompt, "O God,\n  O God!\n");
    assert_string_equal(l.s->description, "\xC3\xA9\n");
    done(&l);
}

static void test_references_between_brackets_need_no_quotes(void **state) {
    (void)state;
    loaded l =
        load("{name: a_${model.width}_b, dataset: {source: [${name}, \"${name}\"]}, seed: ${model.depth}}",
             NULL);
    assert_fine(&l);
    assert_string_equal(l.s->name, "a_128_b");
    assert_string_equal(l.s->dataset.source.values[1], "a_128_b");
    assert_int_equal(l.s->seed, 4);
    done(&l);
}

static void test_nesting_is_limited(void **state) {
    (void)state;
    text yaml = {0};
    text_add(&yaml, "a: ");
    for (int i = 0; i < 100000; i++) text_add(&yaml, "[");
    loaded l = load(yaml.bytes, NULL);
    assert_int_equal(l.p.count, 1);
    assert_some_problem(&l, "x.yaml:1:68: error: nested deeper than 64 levels");
    text_free(&yaml);
    done(&l);
}

static void test_size_is_limited(void **state) {
    (void)state;
    size_t length = (1 << 20) + 1;
    char *yaml = memory_alloc(length + 1);
    memset(yaml, '\n', length);
    loaded l = load(yaml, NULL);
    assert_some_problem(&l, "x.yaml: error: the file has 1.0 MiB; an experiment has at most 1 MiB");
    free(yaml);
    done(&l);
    text many = {0};
    for (int i = 0; i < 10001; i++) text_add(&many, "k%d: 1\n", i);
    l = load(many.bytes, NULL);
    assert_some_problem(&l, "this mapping has more than 10000 entries");
    text_free(&many);
    done(&l);
}

static void test_long_lines_are_cut(void **state) {
    (void)state;
    text yaml = {0};
    text_add(&yaml, "%sdescription: ", HEAD);
    for (int i = 0; i < 300; i++) text_add(&yaml, "\xC3\xA9");
    text_add(&yaml, "\nsed: 1\nmodel: {width: 1, %600s sed: 1}\n", "");
    loaded l = load(yaml.bytes, NULL);
    assert_int_equal(l.p.count, 2);
    assert_int_equal(l.p.items[1].what.column, 620);
    assert_string_equal(l.p.items[1].what.source, ""); // the caret would be beyond what is shown
    text_free(&yaml);
    done(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax_errors_in_plain_words),
        cmocka_unit_test(test_the_line_and_the_caret),
        cmocka_unit_test(test_refused_parts_of_yaml),
        cmocka_unit_test(test_duplicate_keys),
        cmocka_unit_test(test_line_ends_and_byte_order_mark),
        cmocka_unit_test(test_scalars_in_every_style),
        cmocka_unit_test(test_references_between_brackets_need_no_quotes),
        cmocka_unit_test(test_nesting_is_limited),
        cmocka_unit_test(test_size_is_limited),
        cmocka_unit_test(test_long_lines_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
