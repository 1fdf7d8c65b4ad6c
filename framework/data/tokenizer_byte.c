// Bytes as tokens: 256 ids, nothing to learn, nothing unknown, lossless.
#include "data/tokenizer_type.h"

#include <string.h>

static status byte_build(const void *settings, const text_part *training, int training_count,
                         const text_part *rest, int rest_count, arena *a, tokenizer **out, error *err) {
    (void)settings, (void)training, (void)training_count, (void)rest, (void)rest_count, (void)err;
    *out = arena_alloc(a, sizeof **out);
    **out = (tokenizer){.vocabulary = 256, .unknown = -1};
    return OK;
}

static bool starts_character(unsigned char byte) {
    return (byte & 0xC0) != 0x80;
}

static status byte_encode(const tokenizer *t, const text_part *part, encoding *out, error *err) {
    (void)t, (void)err;
    const unsigned char *bytes = (const unsigned char *)part->bytes;
    int32_t *ids = out->ids + out->count;
    size_t length = part->end - part->begin, characters = 0;
    for (size_t i = 0; i < length; i++) {
        ids[i] = bytes[part->begin + i];
        characters += starts_character(bytes[part->begin + i]);
    }
    out->count += length;
    out->bytes += length;
    out->characters += characters;
    return OK;
}

static void byte_decode(const tokenizer *t, int32_t id, text *out) {
    (void)t;
    text_add_bytes(out, &(char){(char)id}, 1);
}

static int byte_characters(const tokenizer *t, int32_t id) {
    (void)t;
    return starts_character((unsigned char)id);
}

static int byte_bytes(const tokenizer *t, int32_t id) {
    (void)t, (void)id;
    return 1;
}

static void byte_save(const tokenizer *t, text *out) {
    (void)t, (void)out; // the first line says it all
}

static status byte_load(line_reader *saved, arena *a, tokenizer **out, error *err) {
    (void)saved;
    return byte_build(NULL, NULL, 0, NULL, 0, a, out, err);
}

static const option options[] = {{0}};

const tokenizer_type tokenizer_byte = {
    .about =
        {
            .name = "byte",
            .kind = "tokenizer",
            .summary = "bytes as tokens: 256 ids, any text, lossless",
            .details =
                "The id of a token is the value of its byte. Nothing is learned from the text and nothing is\n"
                "unknown. A character outside ASCII takes 2 to 4 tokens, so losses per token compare with\n"
                "those of other tokenizers only as bits per byte or per character.",
            .example = "dataset: {tokenizer: byte}",
            .options = options,
        },
    .version = 1,
    .build = byte_build,
    .encode = byte_encode,
    .decode = byte_decode,
    .characters = byte_characters,
    .bytes = byte_bytes,
    .save = byte_save,
    .load = byte_load,
};
