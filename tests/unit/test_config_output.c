// What goes out: the resolved experiment as YAML, differences, the JSON Schema, reference pages.
#include "support/config_load.h"

#include <ctype.h>

static const char *const rich =
    "name: w${model.width}\ndescription: \"x: y # ${name} $${z}\"\nvars: {h: 16, b: [layernorm, mlp]}\n"
    "dataset: {source: [a, \"b, c\", ./d], split: [1, 0, 0]}\n"
    "model:\n  layers:\n    - embedding\n    - repeat:\n        times: 2\n        layers:\n          - residual: ${vars.b}\n"
    "          - parallel: {combine: product, branches: [[mlp], [], [{mlp: {hidden: ${vars.h}}}]]}\n          - parallel: [[], []]\n"
    "optimizer: {lr: 1e-3}\nsampling: {prompt: \"a\\tb\\n\\x07\\e\\\\\\\"\\u2028\\U0001F600\"}\n";

// ---- config_write

static void assert_round_trip(const char *yaml, bool annotate, int columns) {
    loaded first = load(yaml, NULL);
    assert_fine(&first);
    text written = {0}, again = {0}, difference = {0};
    config_write(&first.c, annotate, columns, &written);
    loaded second = load(written.bytes, NULL);
    if (second.result != OK) print_error("%s", written.bytes);
    assert_fine(&second);
    assert_int_equal(config_difference(&first.c, &second.c, NULL, &difference), 0);
    assert_string_equal(second.s->name, first.s->name);
    assert_string_equal(second.s->sampling.prompt, first.s->sampling.prompt);
    config_write(&first.c, false, 0, &again);
    text_clear(&written);
    config_write(&second.c, false, 0, &written);
    assert_string_equal(written.bytes, again.bytes);
    text_free(&written);
    text_free(&again);
    text_free(&difference);
    done(&first);
    done(&second);
}

static void test_round_trips(void **state) {
    (void)state;
    assert_round_trip(HEAD, false, 0);
    assert_round_trip(rich, false, 0);
    for (int columns = 0; columns < 120; columns += 20) {
        assert_round_trip(HEAD, true, columns);
        assert_round_trip(rich, true, columns);
    }
}

static void test_every_text_round_trips(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "~",
                                        "null",
                                        "true",
                                        "1",
                                        "1e5",
                                        "0x1F",
                                        "2024-01-01",
                                        "12:30",
                                        "-",
                                        "- a",
                                        "?",
                                        "? a",
                                        ":",
                                        "a:",
                                        "a: b",
                                        "a #b",
                                        "#a",
                                        "a#b",
                                        "&a",
                                        "*a",
                                        "!a",
                                        "|",
                                        ">",
                                        "'",
                                        "\"",
                                        "%a",
                                        "@a",
                                        "`a",
                                        "[a",
                                        "{a}",
                                        "a]",
                                        "a, b",
                                        "---",
                                        "...",
                                        "--- a",
                                        "<<",
                                        "=",
                                        "a\nb",
                                        "\n",
                                        "\t",
                                        " a",
                                        "a ",
                                        "\r\n",
                                        "a\x01",
                                        "\x7F",
                                        "\xC2\x85",
                                        "\xC2\xA0",
                                        "\xE2\x80\xA8",
                                        "\xEF\xBB\xBF",
                                        "${a}",
                                        "$${a}",
                                        "$$${",
                                        "${",
                                        "$",
                                        "\xF0\x9F\x98\x80",
                                        "yes",
                                        "No",
                                        "a\\nb",
                                        "\\",
                                        "-1",
                                        "-a",
                                        "+1",
                                        ".5",
                                        ".inf",
                                        "a:b"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        loaded first = load(HEAD, NULL);
        node *n = node_find(first.c.root, "sampling.prompt");
        n->scalar = texts[i];
        n->quoted = true;
        node *labels = node_find(first.c.root, "dataset.labels");
        node *list = node_list(first.memory, labels->where, labels->from);
        list->option = labels->option;
        node_append(first.memory, list, n);
        node_append(first.memory, list, n);
        node_put(first.memory, node_get(first.c.root, "dataset"), "labels", labels->where, list);
        text written = {0};
        config_write(&first.c, i % 2, 0, &written);
        loaded second = load(written.bytes, NULL);
        if (second.result != OK) print_error("%s", written.bytes);
        assert_fine(&second);
        assert_string_equal(second.s->sampling.prompt, texts[i]);
        assert_string_equal(second.s->dataset.labels.values[1], texts[i]);
        text_free(&written);
        done(&first);
        done(&second);
    }
}

static void test_what_is_written(void **state) {
    (void)state;
    loaded l = load(
        HEAD
        "model:\n  dropout: 0.1\n  layers: [embedding, {residual: [layernorm]}, {repeat: {times: 2, layers: []}}]\n",
        "optimizer.lr=1e-3");
    assert_fine(&l);
    text written = {0};
    config_write(&l.c, true, 0, &written);
    static const char *const expected =
        "name: x                         # string, required, from x.yaml:1\n"
        "description: null               # string, not set\n"
        "seed: 1337                      # int, default\n"
        "\n"
        "dataset:\n"
        "  source: a                     # string or list of strings, required, from x.yaml:2\n"
        "  labels: null                  # string or list of strings, not set\n"
        "  cache: null                   # string, not set\n"
        "  split: [0.9, 0.05, 0.05]      # list of 3 reals, default\n"
        "\n"
        "model:\n"
        "  width: 128                    # int (units), default\n"
        "  depth: 4                      # int, default\n"
        "  dropout: 0.1                  # real, default 0.0, from x.yaml:4\n"
        "  layers:                       # list of layers, default [embedding, {residual: [layernorm, mlp]}..., from x.yaml:5\n"
        "    - embedding\n"
        "    - residual:\n"
        "        - layernorm:\n"
        "            eps: 1e-5           # real, default\n"
        "            bias: true          # bool, default\n"
        "    - repeat:\n"
        "        times: 2                # int, required, from x.yaml:5\n"
        "        layers: []              # list of layers, required, from x.yaml:5\n"
        "\n"
        "optimizer:\n"
        "  type: adamw                   # optimizer, default\n"
        "  lr: 1e-3                      # real, default 6.0e-4, from override optimizer.lr=1e-3\n"
        "  betas: [0.9, 0.95]            # list of 2 reals, default\n"
        "  weight_decay: 0.2             # real, default\n"
        "\n"
        "second: null                    # optimizer, not set\n"
        "\n"
        "training:\n"
        "  batch_size: 32                # int (sequences), default\n"
        "  max_steps: 2000               # int (steps), default\n"
        "  grad_clip: 1.0                # real, default\n"
        "  shuffle: false                # bool, default\n"
        "\n"
        "sampling:\n"
        "  prompt: \"\\n\"                  # string, default\n"
        "  temperature: 1.0              # real, default\n";
    // Comments stand in one column: compare with runs of blanks as one.
    const char *a = written.bytes, *b = expected;
    while (*a && *b) {
        assert_int_equal(*a, *b);
        if (*a == ' ')
            while (*a == ' ') a++;
        else
            a++;
        if (*b == ' ')
            while (*b == ' ') b++;
        else
            b++;
    }
    assert_true(*a == *b);
    const char *first = strchr(written.bytes, '#');
    int column = (int)(first - written.bytes);
    for (const char *line = written.bytes; *line; line += strcspn(line, "\n") + 1) {
        const char *note = strstr(line, "  # ");
        if (note && note < line + strcspn(line, "\n")) assert_int_equal((int)(note + 2 - line), column);
    }
    text_free(&written);
    done(&l);
}

static void test_comments_fit(void **state) {
    (void)state;
    loaded l = load(HEAD "optimizer: {lr: 0.001}\n", NULL);
    assert_fine(&l);
    text written = {0};
    config_write(&l.c, true, 64, &written);
    assert_non_null(strstr(written.bytes, "  source: a                   # string or list of strings,\n"
                                          "                              # required, from x.yaml:2\n"));
    text_clear(&written);
    config_write(&l.c, true, 40, &written);
    assert_non_null(strstr(written.bytes, "  lr: 0.001\n"
                                          "    # real, default 6.0e-4, from\n"
                                          "    # x.yaml:3\n"));
    text_free(&written);
    done(&l);
}

// ---- config_difference

static void assert_difference(const char *yaml_a, const char *yaml_b, const char *const *ignore,
                              const char *expected) {
    loaded a = load(yaml_a, NULL), b = load(yaml_b, NULL);
    assert_fine(&a);
    assert_fine(&b);
    text out = {0};
    text_add(&out, "%s", "");
    int count = 0, found = config_difference(&a.c, &b.c, ignore, &out);
    assert_string_equal(out.bytes, expected);
    for (const char *c = expected; *c; c++) count += *c == '\n';
    assert_int_equal(found, count);
    text_free(&out);
    done(&a);
    done(&b);
}

static void test_differences(void **state) {
    (void)state;
    assert_difference(HEAD, HEAD, NULL, "");
    assert_difference(HEAD "seed: 1e6\ntraining: {grad_clip: 1}\n", HEAD "seed: 1000000\n", NULL,
                      ""); // the same numbers
    assert_difference("name: \"1\"\ndataset: {source: a}\n", "name: 1.0\ndataset: {source: [a]}\n", NULL,
                      "name: 1 -> 1.0\n");
    assert_difference(
        HEAD "seed: 1\nmodel: {width: 8}\n", "name: x\nseed: 2\ndataset: {source: a, split: [1, 0, 0]}\n",
        NULL, "seed: 1 -> 2\ndataset.split: [0.9, 0.05, 0.05] -> [1, 0, 0]\nmodel.width: 8 -> 128\n");
    static const char *const ignore[] = {"seed", "model", NULL};
    assert_difference(HEAD "seed: 1\nmodel: {width: 8}\n", HEAD "seed: 2\ndescription: z\n", ignore,
                      "description: null -> z\n");
    assert_difference(
        HEAD "optimizer: sgd\n", HEAD, NULL,
        "optimizer.type: sgd -> adamw\noptimizer.lr: 0.1 -> 6.0e-4\noptimizer.momentum: 0 -> (absent)\n"
        "optimizer.betas: (absent) -> [0.9, 0.95]\noptimizer.weight_decay: (absent) -> 0.2\n");
    assert_difference(HEAD "second: sgd\n", HEAD, NULL, "second: sgd -> null\n");
    assert_difference(
        HEAD "model: {layers: [embedding, {residual: [mlp, mlp]}]}\n",
        HEAD "model: {layers: [layernorm, {residual: [{mlp: {hidden: 3}}]}, mlp]}\n", NULL,
        "model.layers.0: embedding -> layernorm\nmodel.layers.1.residual.0.mlp.hidden: 0 -> 3\n"
        "model.layers.1.residual.1: mlp -> (absent)\nmodel.layers.2: (absent) -> mlp\n");
    assert_difference(HEAD "model: {layers: [{parallel: [[mlp], []]}]}\n",
                      HEAD "model: {layers: [{parallel: [[mlp], [mlp]]}]}\n", NULL,
                      "model.layers.0.parallel.branches.1: [] -> [mlp]\n");
}

// --- JSON Schema

// A strict reader of JSON: returns what follows the value, or NULL.
static const char *json_value(const char *s, int depth);

static const char *json_blanks(const char *s) {
    while (isspace((unsigned char)*s)) s++;
    return s;
}

static const char *json_string(const char *s) {
    if (*s++ != '"') return NULL;
    for (; *s && *s != '"'; s++) {
        if ((unsigned char)*s < 0x20) return NULL;
        if (*s == '\\' && !strchr("\"\\/bfnrtu", *++s)) return NULL;
    }
    return *s ? s + 1 : NULL;
}

static const char *json_members(const char *s, char close, int depth) {
    s = json_blanks(s);
    if (*s == close) return s + 1;
    for (;;) {
        s = json_blanks(s);
        if (close == '}') {
            if (!(s = json_string(s))) return NULL;
            s = json_blanks(s);
            if (*s++ != ':') return NULL;
        }
        if (!(s = json_value(s, depth + 1))) return NULL;
        s = json_blanks(s);
        if (*s == close) return s + 1;
        if (*s++ != ',') return NULL;
    }
}

static const char *json_value(const char *s, int depth) {
    static const char *const words[] = {"true", "false", "null"};
    if (depth > 100) return NULL;
    s = json_blanks(s);
    if (*s == '{') return json_members(s + 1, '}', depth);
    if (*s == '[') return json_members(s + 1, ']', depth);
    if (*s == '"') return json_string(s);
    for (int i = 0; i < 3; i++)
        if (strncmp(s, words[i], strlen(words[i])) == 0) return s + strlen(words[i]);
    char number[64];
    size_t length = strspn(s, "-+0123456789.eE");
    double value;
    if (length == 0 || length >= sizeof number) return NULL;
    snprintf(number, sizeof number, "%.*s", (int)length, s);
    return text_to_real(number, &value) ? s + length : NULL;
}

static void test_schema_is_json(void **state) {
    (void)state;
    text schema = {0};
    config_schema(&test_root, &schema);
    const char *end = json_value(schema.bytes, 0);
    assert_non_null(end);
    assert_string_equal(end, "\n");
    assert_non_null(strstr(schema.bytes, "https://json-schema.org/draft/2020-12/schema"));
    assert_non_null(strstr(schema.bytes, "\"exclusiveMinimum\": 0"));
    // Every definition that is referred to exists.
    for (const char *s = schema.bytes; (s = strstr(s, "\"#/$defs/")) != NULL; s++) {
        char definition[128];
        const char *name = s + strlen("\"#/$defs/");
        snprintf(definition, sizeof definition, "\n    \"%.*s\": {", (int)strcspn(name, "\""), name);
        if (!strstr(schema.bytes, definition)) fail_msg("no definition%s", definition);
    }
    text_free(&schema);
}

// --- reference pages

static void test_description(void **state) {
    (void)state;
    text page = {0};
    component_describe(&layer_mlp, 0, &page);
    assert_string_equal(
        page.bytes,
        "mlp (layer)\n"
        "  Two linear maps with a nonlinearity between them\n"
        "\n"
        "  Every position is treated alike: nothing moves along the sequence. The hidden layer is usually\n"
        "  four times as wide as the model, which makes this the place where most of the weights of a\n"
        "  Transformer are.\n"
        "\n"
        "  Dropout applies to the output.\n"
        "\n"
        "Settings\n"
        "  setting     type                     default           meaning\n"
        "  hidden      int 0 to 65536 (units)   0                 width of the hidden layer; 0 is four times\n"
        "                                                         the width of the model\n"
        "  activation  one of gelu, relu, silu  gelu              what stands between the two linear maps\n"
        "  dropout     real >= 0, < 1           ${model.dropout}  share of the outputs that is dropped in\n"
        "                                                         training\n"
        "\n"
        "Example\n"
        "  - mlp:\n"
        "      hidden: 512\n"
        "      activation: relu\n");
    text_clear(&page);
    component_describe(&layer_residual, 0, &page);
    assert_non_null(strstr(page.bytes, "{residual: [...]} means {residual: {layers: [...]}}"));
    assert_non_null(strstr(page.bytes, "required"));
    text_clear(&page);
    component_describe(&layer_embedding, 0, &page);
    assert_string_equal(page.bytes,
                        "embedding (layer)\n  A vector for every token\n\nIt has no settings.\n");
    text_clear(&page);
    component_describe(&test_root, 0, &page);
    assert_non_null(strstr(
        page.bytes,
        "\ntraining: how long\n  setting     type                         default  meaning\n  batch_size  int >= 1 (sequences) "));
    for (const char *line = page.bytes; *line; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 100);
    text_free(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),     cmocka_unit_test(test_every_text_round_trips),
        cmocka_unit_test(test_what_is_written), cmocka_unit_test(test_comments_fit),
        cmocka_unit_test(test_differences),     cmocka_unit_test(test_schema_is_json),
        cmocka_unit_test(test_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
