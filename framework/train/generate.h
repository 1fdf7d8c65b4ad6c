// Generation: text from a model, one token at a time, with carried state (KV cache and the like).
#ifndef RUNEXP_TRAIN_GENERATE_H
#define RUNEXP_TRAIN_GENERATE_H

#include "data/tokenizer.h"
#include "models/model.h"
#include "train/sampling.h"

typedef struct generator generator;

// Builds the decoding graphs, for up to `streams` texts at once: fewer when their states would take too
// much memory. The parameters must have been allocated; each run uses the values of that moment.
// Errors of generator_check. Free with generator_free.
status generator_new(model *m, const sampling_settings *settings, int streams, generator **out, error *err);
// ERR_CONFIG when the overflow mode does not suit the model.
status generator_check(const model *m, const sampling_settings *settings, error *err);

int generator_streams(const generator *g); // most texts at once
// The pieces of text are the bytes of the tokens as they are, from now on, whether they are UTF-8 or not.
void generator_emit_bytes(generator *g);
// A document begins after this text, in prompts and in what is generated: recurrent layers then have no
// state, as in training on a stream (run_context.begins). NULL: there is none. It must outlive the
// generator.
void generator_separate_documents(generator *g, const encoding *separator);
void generator_free(generator *g);

typedef struct generated {
    size_t prompt_tokens, tokens; // of one text
    double prompt_seconds, seconds;
    bool finite; // false: it ended at logits none of which was finite
} generated;

// Receives a piece of the text of a stream as soon as it is complete UTF-8, with U+FFFD for what cannot
// become it; never an empty one.
typedef void generate_emit(void *to, uint32_t stream, const char *bytes, size_t count);

// Continues the prompt (at least one token) by up to max_tokens tokens, `streams` times at once (1 to
// generator_streams). The continuations are independent and numbered from first_stream on; each is the same
// text, whatever is generated beside it. emit may be NULL. stop, which may be NULL, ends the generation
// when it becomes non-zero.
void generate(generator *g, const tokenizer *t, const int32_t *prompt, size_t prompt_count,
              size_t max_tokens, uint32_t first_stream, int streams, generate_emit *emit, void *to,
              const volatile int *stop, generated *out);

// The logits that follow the context, by decoding it from the beginning: what tests compare with the
// training graph. The result (vocabulary values) stays valid until the next call.
const real *generator_logits(generator *g, const int32_t *context, size_t count);

// What a generation starts from.
typedef struct opening {
    const char *text;
    encoding tokens; // at least one
    bool replaced;   // it is not what was asked for
} opening;

// Encodes a prompt for a model. The default prompt (a newline, also for NULL and "") is replaced where the
// vocabulary has no newline: by a space, else by the first character that it has. A newline that was asked
// for on the command line is not. ERR_CONFIG when another prompt cannot be encoded, at `where`, or at its
// place in the prompt when `where` is but a file; characters that become the unknown token are a warning
// naming them. Memory from a.
status opening_encode(const tokenizer *t, const char *prompt, place where, arena *a, opening *out,
                      error *err);

#endif
