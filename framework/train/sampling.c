// Sampling. Logits are made into weights (probabilities times a constant; the largest weight is 1), the
// mode's filter decides which of them take part, and one uniform number picks among these.
//
// top_k and top_p need the largest weights in order: they take them one by one from a heap over the
// vocabulary, so that the cost is one pass plus a little for each token that is kept.
#include "train/sampling.h"

#include "base/memory.h"
#include "base/rng.h"
#include "config/settings.h"

#include <math.h>
#include <stdlib.h>

static const char *const modes[] = {"argmax", "prob", "top_k", "top5", "top_p", "min_p", NULL};
static const char *const overflows[] = {"auto", "crop", "hop", "ring", NULL};

#define SETTINGS sampling_settings
static const option sampling_options[] = {
    STRING(prompt, "\n", "the text to continue"),
    CHOICE(mode, "prob", modes,
           "candidates: the most likely token, all, the k most likely (top5: 5), or chosen by p or min_p"),
    INT(k, "40", 1, INFINITY, "mode top_k: number of candidates, the most likely ones", .unit = "tokens"),
    REAL(p, "0.9", ABOVE(0), 1,
         "mode top_p: candidates are the most likely tokens whose probabilities add up to this"),
    REAL(min_p, "0.05", 0, 1,
         "mode min_p: probability of a candidate, at least, relative to that of the most likely token"),
    REAL(temperature, "0.8", 0, 100,
         "divides the logits: lower is more predictable, higher more random; 0: the same as mode argmax"),
    REAL(repetition_penalty, "1.0", 1, 100,
         "divides the positive logits of tokens already in the context, and multiplies negative ones"),
    INT(repetition_window, "0", 0, INFINITY,
        "how far back the repetition penalty looks; 0: over the whole context", .unit = "tokens"),
    INT(max_tokens, "200", 1, INFINITY, "number of tokens to generate", .unit = "tokens"),
    INT(seed, "1337", 0, INFINITY, "the same seed, prompt and weights give the same text"),
    CHOICE(overflow, "auto", overflows,
           "when text outgrows block_size: crop and recompute, keep half of it, or drop the oldest token"),
    {0},
};
#undef SETTINGS

const component sampling_section = {
    .name = "sampling",
    .kind = "section",
    .summary = "how text is generated from the trained model",
    .paper = "top_p: arXiv 1904.09751; min_p: arXiv 2407.01082; repetition_penalty: arXiv 1909.05858",
    .details =
        "Each mode has its own setting and leaves those of the other modes unused: argmax none, prob none, "
        "top_k k, top5 none, top_p p, min_p min_p. The repetition penalty comes first, then the temperature, "
        "then the mode's filter, then the draw.\n"
        "\n"
        "overflow: crop computes every further token from the last block_size tokens alone, at the cost of a "
        "whole forward pass each; hop keeps the second half of a full context and goes on from there; ring "
        "drops the oldest token from the cache and keeps counting positions, for models with rotary or no "
        "positions. auto is ring where the model's positions allow it, else hop.",
    .example = "sampling:\n  prompt: \"O God, O God!\"\n  mode: top_k\n  k: 5\n  temperature: 0.8\n",
    .options = sampling_options,
    .settings_size = sizeof(sampling_settings),
};

typedef struct candidate {
    double weight;
    int32_t id;
} candidate;

struct sampler {
    sampling_settings settings;
    int vocabulary;
    int k;           // how many of the likeliest take part at most
    double p, min_p; // 1 and 0: no filter
    double *weights; // vocabulary: first logits, then weights
    candidate *heap; // vocabulary
    bool *seen;      // vocabulary: false between calls
};

sampler *sampler_new(const sampling_settings *settings, int vocabulary) {
    const int mode = settings->mode;
    const int64_t k = mode == SAMPLE_TOP_K ? settings->k : mode == SAMPLE_TOP5 ? 5 : vocabulary;
    sampler *s = memory_alloc(sizeof *s);
    *s = (sampler){
        .settings = *settings,
        .vocabulary = vocabulary,
        .k = k < vocabulary ? (int)k : vocabulary,
        .p = mode == SAMPLE_TOP_P ? settings->p : 1,
        .min_p = mode == SAMPLE_MIN_P ? settings->min_p : 0,
        .weights = memory_alloc((size_t)vocabulary * sizeof(double)),
        .heap = memory_alloc((size_t)vocabulary * sizeof(candidate)),
        .seen = memory_alloc((size_t)vocabulary * sizeof(bool)),
    };
    return s;
}

void sampler_free(sampler *s) {
    if (s == NULL) return;
    free(s->weights);
    free(s->heap);
    free(s->seen);
    free(s);
}

// Copies the logits to s->weights; those that are not finite become -infinity.
static void load(sampler *s, const real *logits) {
    for (int i = 0; i < s->vocabulary; i++)
        s->weights[i] = isfinite(logits[i]) ? (double)logits[i] : -INFINITY;
}

// Each token of the context is penalised once, however often it occurs.
static void penalise(sampler *s, const int32_t *context, size_t count) {
    const double penalty = s->settings.repetition_penalty;
    if (penalty == 1) return;
    const size_t window = (size_t)s->settings.repetition_window;
    const size_t first = window > 0 && window < count ? count - window : 0;
    for (size_t i = first; i < count; i++) {
        const int32_t id = context[i];
        if (id < 0 || id >= s->vocabulary || s->seen[id]) continue;
        s->seen[id] = true;
        s->weights[id] = s->weights[id] > 0 ? s->weights[id] / penalty : s->weights[id] * penalty;
    }
    for (size_t i = first; i < count; i++)
        if (context[i] >= 0 && context[i] < s->vocabulary) s->seen[context[i]] = false;
}

static int32_t largest(const sampler *s) {
    int32_t best = 0;
    for (int32_t i = 1; i < s->vocabulary; i++)
        if (s->weights[i] > s->weights[best]) best = i;
    return best;
}

static bool ranks_before(candidate a, candidate b) {
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

static void sift_down(candidate *heap, int count, int at) {
    const candidate moving = heap[at];
    for (;;) {
        int child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && ranks_before(heap[child + 1], heap[child])) child++;
        if (!ranks_before(heap[child], moving)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

// The draw among the likeliest, in order of likelihood: at most k of them, until p of the mass is reached.
static int32_t draw_ranked(sampler *s, double mass, double uniform) {
    candidate *heap = s->heap;
    int count = 0;
    for (int32_t i = 0; i < s->vocabulary; i++)
        if (s->weights[i] > 0) heap[count++] = (candidate){s->weights[i], i};
    for (int i = count / 2 - 1; i >= 0; i--) sift_down(heap, count, i);

    // Taken candidates gather at the end of the array, the first of them last.
    const int all = count;
    double kept = 0;
    while (count > 0 && all - count < s->k) {
        const candidate top = heap[0];
        heap[0] = heap[--count];
        sift_down(heap, count, 0);
        heap[count] = top;
        kept += top.weight;
        if (kept >= s->p * mass) break;
    }
    double cumulative = 0;
    for (int i = all - 1; i > count; i--) {
        cumulative += heap[i].weight;
        if (cumulative > uniform * kept) return heap[i].id;
    }
    return heap[count].id;
}

// The draw among all weights, in order of id.
static int32_t draw_unranked(const sampler *s, double mass, double uniform) {
    double cumulative = 0;
    int32_t last = 0;
    for (int32_t i = 0; i < s->vocabulary; i++) {
        if (s->weights[i] == 0) continue;
        last = i;
        cumulative += s->weights[i];
        if (cumulative > uniform * mass) break;
    }
    return last;
}

int32_t sampler_pick(sampler *s, const real *logits, const int32_t *context, size_t context_count,
                     uint32_t stream, uint32_t number) {
    load(s, logits);
    penalise(s, context, context_count);
    const int32_t best = largest(s);
    const double top = s->weights[best], temperature = s->settings.temperature;
    if (s->settings.mode == SAMPLE_ARGMAX || temperature == 0 || top == -INFINITY) return best;

    double mass = 0;
    for (int i = 0; i < s->vocabulary; i++) {
        const double weight = exp((s->weights[i] - top) / temperature);
        s->weights[i] = weight >= s->min_p ? weight : 0;
        mass += s->weights[i];
    }
    const rng_stream random = {(uint64_t)s->settings.seed, RNG_SAMPLING, stream, number, 0};
    const double uniform = rng_uniform(&random, 0);
    const bool ranked = s->k < s->vocabulary || s->p < 1;
    return ranked ? draw_ranked(s, mass, uniform) : draw_unranked(s, mass, uniform);
}
