// Fuzzing of experiment files: whatever the bytes, loading ends in settings or in problems; what loads is
// written, and what is written loads to the same settings.
//
//   clang -g -O1 -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_config.c   a fuzzer
//   the same with -DFUZZ_DRIVER and without fuzzer: runs the files named on the command line, or, without
//   any, a fixed sequence of mutations of small experiments
//
// Input: the experiment, and after a byte 0x1E one override.
#include "support/config_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *separator = size ? memchr(data, 0x1E, size) : NULL;
    size_t length = separator ? (size_t)(separator - data) : size;
    char *yaml = memory_alloc(length + 1), *override = memory_alloc(size - length + 1);
    if (length) memcpy(yaml, data, length);
    if (separator) memcpy(override, separator + 1, size - length - 1);
    const char *overrides[] = {override};

    arena *a = arena_new();
    config first, second;
    problems p = {0};
    error err;
    if (config_load_text(&test_root, "fuzz.yaml", yaml, length, overrides, separator != NULL, a, &first, &p,
                         &err) == OK) {
        text written = {0}, difference = {0};
        config_write(&first, length % 2, length % 3 ? 0 : 60, &written);
        if (config_load_text(&test_root, "written.yaml", written.bytes, written.length, NULL, 0, a, &second,
                             &p, &err) != OK ||
            config_difference(&first, &second, NULL, &difference) != 0) {
            fprintf(stderr, "%s\n%s\n", written.bytes,
                    difference.bytes ? difference.bytes : p.items[0].what.message);
            abort();
        }
        text_free(&written);
        text_free(&difference);
    } else {
        char shown[4096];
        if (p.count == 0) abort(); // a refusal without a reason
        for (int i = 0; i < p.count; i++) error_text(&p.items[i].what, shown, sizeof shown);
    }
    problems_free(&p);
    arena_free(a);
    free(yaml);
    free(override);
    return 0;
}

#ifdef FUZZ_DRIVER
static const char *const seeds[] = {
    "name: x\ndataset: {source: a}\nmodel:\n  layers:\n    - embedding\n    - repeat:\n        times: ${model.depth}\n        layers:\n"
    "          - residual: [layernorm, {mlp: {hidden: 5}}]\n          - parallel: [[mlp], []]\n\x1E"
    "model.layers.1.repeat.0.residual.1.mlp.hidden=${seed}",
    "{name: \"a\\n${seed}\", vars: {a: [mlp, \"${vars.b}\"], b: layernorm}, dataset: {source: [a, ./b]}, model: {layers: ${vars.a}},\n"
    " optimizer: {type: sgd, momentum: 1e-1}, description: ~, sampling: {prompt: '$${x}'}}\x1Eoptimizer.type=adamw",
    "# c\nname: |\n  a\n  b\r\ndataset:\n  source: >-\n    x\n  split: [.5, 0.25, 2.5e-1]\noptimizer: adamw\nsecond: {type: sgd}\n\x1E"
    "dataset.split.1=0.5",
};

static const char *const pieces[] = {
    "${",   "}",    "${vars.a}", "[",     "]",    "{",    "}",       ": ",
    "\n",   "\n  ", "- ",        "~",     "\"",   "'",    "&a ",     "*a",
    "!!x ", "|",    "\t",        "#",     "---",  "<<: ", "\x1E",    "=",
    ".0.",  "type", "layers",    "1e400", "\xFF", ",",    "${seed}", "model.layers.0=",
    "\\",   "%",    "\r",        "null"};

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        arena *a = arena_new();
        char *bytes;
        size_t length;
        FILE *f = fopen(argv[i], "rb");
        if (!f) return 1;
        bytes = arena_alloc(a, 1 << 22);
        length = fread(bytes, 1, 1 << 22, f);
        fclose(f);
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, length);
        arena_free(a);
    }
    if (argc > 1) return 0;
    uint64_t random = 88172645463325252u;
#define NEXT(limit)                                                                                        \
    (random ^= random << 13, random ^= random >> 7, random ^= random << 17, (size_t)(random % (limit)))
    for (int round = 0; round < 30000; round++) {
        text t = {0};
        const char *seed = seeds[NEXT(sizeof seeds / sizeof *seeds)];
        text_add(&t, "%s", seed);
        for (size_t change = 1 + NEXT(6); change > 0; change--) {
            size_t at = NEXT(t.length + 1);
            text next = {0};
            const char *piece = pieces[NEXT(sizeof pieces / sizeof *pieces)];
            size_t cut = NEXT(3) ? 0 : NEXT(t.length - at + 1) % 12;
            text_add_bytes(&next, t.bytes, at);
            text_add_bytes(&next, piece, NEXT(4) ? strlen(piece) : 0);
            text_add_bytes(&next, t.bytes + at + cut, t.length - at - cut);
            text_free(&t);
            t = next;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)t.bytes, t.length);
        text_free(&t);
    }
    return 0;
}
#endif
