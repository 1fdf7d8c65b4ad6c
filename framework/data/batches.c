#include "data/batches.h"

#include "base/rng.h"
#include "config/settings.h"

#include <string.h>

// A way to draw batches. about comes first, so that a component of the registry can be taken for its type.
typedef struct batches_type {
    component about;
    void (*fill)(const void *settings, const split_tokens *from, int block_size, int rows, uint64_t seed,
                 int64_t step, const batch_tokens *out);
    int64_t (*steps_per_epoch)(const void *settings, const split_tokens *from, int block_size, int rows);
    bool carries_state; // see batches_carry_state
} batches_type;

// Numbers of the random streams (the `site` of an rng_stream); changing one changes every run.
enum { STREAM_WINDOWS = 0, STREAM_CHUNKS = 1 };

// One row: the tokens from start on, each with its successor as target; padded from token `end` on, and
// beyond the end of the split.
static void fill_row(const split_tokens *from, size_t start, size_t end, int block_size, int row,
                     const batch_tokens *out) {
    int32_t *ids = out->ids + (size_t)row * (size_t)block_size;
    int32_t *targets = out->targets + (size_t)row * (size_t)block_size;
    size_t wanted = (size_t)block_size, last = from->count - 1;
    if (end > last) end = last;
    if (start > end) start = end;
    size_t present = end - start < wanted ? end - start : wanted;
    memcpy(ids, from->tokens + start, present * sizeof *ids);
    memcpy(targets, from->tokens + start + 1, present * sizeof *targets);
    memset(ids + present, 0, (wanted - present) * sizeof *ids);
    memset(targets + present, 0xFF, (wanted - present) * sizeof *targets); // -1
}

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

// --- windows

static void windows_fill(const void *settings, const split_tokens *from, int block_size, int rows,
                         uint64_t seed, int64_t step, const batch_tokens *out) {
    (void)settings;
    const rng_stream stream = {
        .seed = seed, .purpose = RNG_DATA, .site = STREAM_WINDOWS, .step = (uint32_t)step};
    size_t width = (size_t)block_size, starts = from->count > width ? from->count - width : 1;
    for (int row = 0; row < rows; row++) {
        size_t start = rng_below(&stream, (uint64_t)row, starts);
        fill_row(from, start, from->count, block_size, row, out);
    }
}

static int64_t windows_steps_per_epoch(const void *settings, const split_tokens *from, int block_size,
                                       int rows) {
    (void)settings;
    return (int64_t)divide_up(from->count - 1, (size_t)block_size * (size_t)rows);
}

// --- chunks

typedef struct chunks_settings {
    bool drop_last;
} chunks_settings;

// The image of index under the permutation of 0..count-1 that belongs to (seed, epoch): a balanced Feistel
// network on the smallest square power of two that holds count, with Philox as round function, walked along
// its cycle until it lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA
// 2002). The domain is less than four times count, so that the walk takes less than four steps on average.
static uint64_t permuted(uint64_t index, uint64_t count, uint64_t seed, uint32_t epoch) {
    enum { ROUNDS = 8 }; // four suffice for large domains, small ones need more to look shuffled
    int half = 1;
    while (half < 32 && (uint64_t)1 << 2 * half < count) half++;
    uint64_t mask = ((uint64_t)1 << half) - 1, value = index;
    rng_stream stream = {.seed = seed, .purpose = RNG_DATA, .site = STREAM_CHUNKS, .step = epoch};
    do {
        uint64_t left = value >> half, right = value & mask;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            stream.micro = round;
            uint64_t mixed = left ^ (rng_bits(&stream, right) & mask);
            left = right;
            right = mixed;
        }
        value = left << half | right;
    } while (value >= count);
    return value;
}

static size_t chunks_in(const split_tokens *from, int block_size) {
    return divide_up(from->count - 1, (size_t)block_size);
}

static int64_t chunks_steps_per_epoch(const void *settings, const split_tokens *from, int block_size,
                                      int rows) {
    const chunks_settings *s = settings;
    size_t chunks = chunks_in(from, block_size), full = chunks / (size_t)rows;
    return (int64_t)(s->drop_last && full > 0 ? full : divide_up(chunks, (size_t)rows));
}

static void chunks_fill(const void *settings, const split_tokens *from, int block_size, int rows,
                        uint64_t seed, int64_t step, const batch_tokens *out) {
    int64_t steps = chunks_steps_per_epoch(settings, from, block_size, rows);
    uint32_t epoch = (uint32_t)(step / steps);
    size_t chunks = chunks_in(from, block_size), width = (size_t)block_size;
    for (int row = 0; row < rows; row++) {
        size_t position = (size_t)(step % steps) * (size_t)rows + (size_t)row;
        size_t chunk = position < chunks ? permuted(position, chunks, seed, epoch) : chunks;
        size_t start = chunk < chunks ? chunk * width : from->count;
        fill_row(from, start, from->count, block_size, row, out);
    }
}

// --- stream

// Targets of a lane. A split with fewer targets than there are lanes leaves the last ones empty.
static size_t lane_length(const split_tokens *from, int lanes) {
    const size_t length = (from->count - 1) / (size_t)lanes;
    return length ? length : 1;
}

static int64_t stream_steps_per_epoch(const void *settings, const split_tokens *from, int block_size,
                                      int rows) {
    (void)settings;
    return (int64_t)divide_up(lane_length(from, rows), (size_t)block_size);
}

static void stream_fill(const void *settings, const split_tokens *from, int block_size, int rows,
                        uint64_t seed, int64_t step, const batch_tokens *out) {
    (void)seed;
    const size_t length = lane_length(from, rows), width = (size_t)block_size;
    const size_t block = (size_t)(step % stream_steps_per_epoch(settings, from, block_size, rows));
    for (int row = 0; row < rows; row++) {
        const size_t lane = (size_t)row, start = lane * length + block * width;
        fill_row(from, start, (lane + 1) * length, block_size, row, out);
        for (size_t i = 0; out->begins && i < width; i++)
            out->begins[lane * width + i] =
                out->targets[lane * width + i] >= 0 && split_begins_document(from, start + i);
    }
}

// --- registry

static const option windows_options[] = {{0}}, stream_options[] = {{0}};

#define SETTINGS chunks_settings
static const option chunks_options[] = {
    BOOL(drop_last, "false", "drop the last batch of an epoch if it is not full, instead of padding it"),
    {0},
};
#undef SETTINGS

static const batches_type batches_windows = {
    .about =
        {
            .name = "windows",
            .kind = "sampler",
            .summary = "random windows of block_size tokens, drawn anew every step",
            .details =
                "Each row of a batch starts at a place drawn uniformly from the training split, as nanoGPT\n"
                "does. An epoch is only a measure: as many steps as it takes to see as many tokens as the\n"
                "split has.",
            .example = "dataset: {batches: windows}",
            .options = windows_options,
        },
    .fill = windows_fill,
    .steps_per_epoch = windows_steps_per_epoch,
};

static const batches_type batches_chunks = {
    .about =
        {
            .name = "chunks",
            .kind = "sampler",
            .summary =
                "consecutive chunks of block_size tokens, each seen once an epoch, shuffled every epoch",
            .details =
                "The training split is cut into chunks of block_size tokens; every token is the target of\n"
                "exactly one chunk. Each epoch goes through all chunks in an order of its own, which is\n"
                "computed, not stored. The last chunk may be short and the last batch of an epoch may lack\n"
                "rows: what is missing is padded and does not count in the loss.",
            .example = "dataset:\n  batches: {type: chunks, drop_last: true}",
            .options = chunks_options,
            .settings_size = sizeof(chunks_settings),
        },
    .fill = chunks_fill,
    .steps_per_epoch = chunks_steps_per_epoch,
};

static const batches_type batches_stream = {
    .about =
        {
            .name = "stream",
            .kind = "sampler",
            .summary = "contiguous text, from block to block with the state that the model carries",
            .paper =
                "truncated backpropagation through time: Williams and Peng, Neural Computation 2 (1990)",
            .details =
                "The targets of the training split are cut into as many lanes of one length as an update has\n"
                "sequences (batch_size x accumulation); what is left over, less than a token for each lane, is\n"
                "not used. In every step each lane reads its next block_size tokens, and recurrent layers go\n"
                "on with the state in which they left the block before, without a gradient to it. All lanes\n"
                "begin anew, with state 0, when an epoch has ended; its last block may be short. A document that\n"
                "begins within a block (dataset.document_separator) begins with state 0, too, and so it does where\n"
                "text is generated.\n"
                "\n"
                "Attention and positions see the block alone and begin anew with each, but not with the documents\n"
                "in it: attention sees the documents of its block before its own. Layers that cannot be\n"
                "trained with carried state (hyena, long_conv) need another order.",
            .example = "dataset: {batches: stream, block_size: 50}",
            .options = stream_options,
        },
    .fill = stream_fill,
    .steps_per_epoch = stream_steps_per_epoch,
    .carries_state = true,
};

const component *const batches_registry[] = {&batches_windows.about, &batches_chunks.about,
                                             &batches_stream.about, NULL};

static const batches_type *type_of(const component_choice *batches) {
    return (const batches_type *)batches->about;
}

void batches_fill(const component_choice *batches, const split_tokens *from, int block_size, int rows,
                  uint64_t seed, int64_t step, const batch_tokens *out) {
    type_of(batches)->fill(batches->settings, from, block_size, rows, seed, step, out);
}

bool batches_carry_state(const component_choice *batches) {
    return type_of(batches)->carries_state;
}

int64_t batches_steps_per_epoch(const component_choice *batches, const split_tokens *from, int block_size,
                                int rows) {
    return type_of(batches)->steps_per_epoch(batches->settings, from, block_size, rows);
}

// --- digest

// Four bits at a time: the remainders of the sixteen nibbles for the reflected polynomial 0xEDB88320.
static uint32_t crc32_add(uint32_t crc, const void *data, size_t length) {
    static const uint32_t remainders[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    const unsigned char *bytes = data;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ remainders[crc & 15];
        crc = crc >> 4 ^ remainders[crc & 15];
    }
    return crc;
}

uint32_t batches_digest(const int32_t *ids, const int32_t *targets, size_t count) {
    uint32_t crc = crc32_add(0xFFFFFFFFu, ids, count * sizeof *ids);
    return ~crc32_add(crc, targets, count * sizeof *targets);
}
