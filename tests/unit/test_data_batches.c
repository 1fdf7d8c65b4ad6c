#include "data/batches.h"
#include "support/data_fixture.h"

enum { BLOCK = 8, ROWS = 4, MOST = 4096 };

static int32_t ids[MOST], targets[MOST];

// A split whose token number i is i + 1, so that a token tells where it stands and no token is 0.
static split_tokens counting(fixture *f, size_t count) {
    int32_t *tokens = arena_alloc(f->a, count * sizeof *tokens);
    for (size_t i = 0; i < count; i++) tokens[i] = (int32_t)i + 1;
    return (split_tokens){.tokens = tokens, .count = count};
}

static void assert_targets_follow(size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (targets[i] < 0)
            assert_int_equal(ids[i], 0);
        else
            assert_int_equal(targets[i], ids[i] + 1);
    }
}

static void test_windows_are_whole_and_reach_both_ends(void **state) {
    fixture *f = *state;
    component_choice windows = fixture_choice(f, batches_registry, "windows");
    split_tokens from = counting(f, BLOCK + 3); // three places to start
    int starts[3] = {0};
    for (int step = 0; step < 300; step++) {
        batches_fill(&windows, &from, BLOCK, ROWS, 7, step, &(batch_tokens){ids, targets, NULL});
        for (int row = 0; row < ROWS; row++) {
            int start = ids[row * BLOCK] - 1;
            assert_in_range(start, 0, 2);
            starts[start]++;
            for (int t = 0; t < BLOCK; t++) {
                assert_int_equal(ids[row * BLOCK + t], start + t + 1);
                assert_int_equal(targets[row * BLOCK + t], start + t + 2);
            }
        }
    }
    for (int i = 0; i < 3; i++) assert_in_range(starts[i], 320, 480); // 400 expected, 5 standard deviations
}

// An epoch of windows is as many steps as it takes to see as many targets as the split has.
static void test_an_epoch_of_windows(void **state) {
    fixture *f = *state;
    component_choice windows = fixture_choice(f, batches_registry, "windows");
    for (int steps = 1; steps < 4; steps++) {
        split_tokens from = counting(f, (size_t)(steps * BLOCK * ROWS) + 1);
        assert_int_equal(batches_steps_per_epoch(&windows, &from, BLOCK, ROWS), steps);
        from.count++; // one target more
        assert_int_equal(batches_steps_per_epoch(&windows, &from, BLOCK, ROWS), steps + 1);
    }
}

static void test_batches_depend_on_seed_and_step_alone(void **state) {
    fixture *f = *state;
    static int32_t again[MOST], other[MOST];
    split_tokens from = counting(f, 5000);
    for (int kind = 0; batches_registry[kind]; kind++) {
        component_choice choice = fixture_choice(f, batches_registry, batches_registry[kind]->name);
        batches_fill(&choice, &from, BLOCK, ROWS, 1, 41, &(batch_tokens){ids, targets, NULL});
        uint32_t digest = batches_digest(ids, targets, BLOCK * ROWS);
        batches_fill(&choice, &from, BLOCK, ROWS, 1, 42, &(batch_tokens){other, targets, NULL});
        batches_fill(&choice, &from, BLOCK, ROWS, 1, 41, &(batch_tokens){again, targets, NULL});
        assert_memory_equal(ids, again, BLOCK * ROWS * sizeof *ids);
        assert_int_equal(batches_digest(again, targets, BLOCK * ROWS), digest);
        assert_memory_not_equal(ids, other, BLOCK * ROWS * sizeof *ids);
        if (batches_carry_state(&choice)) continue; // there is no choice
        batches_fill(&choice, &from, BLOCK, ROWS, 2, 41, &(batch_tokens){other, targets, NULL});
        assert_memory_not_equal(ids, other, BLOCK * ROWS * sizeof *ids);
        batches_fill(&choice, &from, BLOCK, ROWS, 1ull << 40, 41, &(batch_tokens){again, targets, NULL});
        assert_memory_not_equal(again, other, BLOCK * ROWS * sizeof *ids);
    }
}

// Every epoch every token but the first is a target exactly once, whatever the lengths.
static void test_chunks_see_every_token_once_an_epoch(void **state) {
    fixture *f = *state;
    component_choice chunks = fixture_choice(f, batches_registry, "chunks");
    for (size_t count = 2; count < 300; count += 1 + count / 8) {
        split_tokens from = counting(f, count);
        int64_t steps = batches_steps_per_epoch(&chunks, &from, BLOCK, ROWS);
        size_t pieces = (count - 1 + BLOCK - 1) / BLOCK;
        assert_int_equal(steps, (pieces + ROWS - 1) / ROWS);
        for (int epoch = 0; epoch < 3; epoch++) {
            int *seen = arena_alloc(f->a, (count + 1) * sizeof *seen);
            for (int64_t step = epoch * steps; step < (epoch + 1) * steps; step++) {
                batches_fill(&chunks, &from, BLOCK, ROWS, 5, step, &(batch_tokens){ids, targets, NULL});
                assert_targets_follow(BLOCK * ROWS);
                int learned = 0;
                for (int i = 0; i < BLOCK * ROWS; i++)
                    if (targets[i] >= 0) {
                        seen[targets[i]]++;
                        learned++;
                    }
                assert_true(learned > 0);
            }
            assert_int_equal(seen[1], 0);
            for (size_t i = 2; i <= count; i++) assert_int_equal(seen[i], 1);
        }
    }
}

static void test_chunks_come_in_another_order_every_epoch(void **state) {
    fixture *f = *state;
    enum { PIECES = 5, EPOCHS = 2000 };
    component_choice chunks = fixture_choice(f, batches_registry, "chunks");
    split_tokens from = counting(f, PIECES * BLOCK + 1);
    int at[PIECES][PIECES] = {{0}};
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        batches_fill(&chunks, &from, BLOCK, PIECES, 3, epoch, &(batch_tokens){ids, targets, NULL});
        for (int row = 0; row < PIECES; row++) at[row][(ids[row * BLOCK] - 1) / BLOCK]++;
    }
    // Each chunk in each place 400 times, give or take 6 standard deviations of 18.
    for (int row = 0; row < PIECES; row++)
        for (int chunk = 0; chunk < PIECES; chunk++) assert_in_range(at[row][chunk], 292, 508);
}

static void test_a_batch_that_is_not_full_is_padded_or_dropped(void **state) {
    fixture *f = *state;
    component_choice chunks = fixture_choice(f, batches_registry, "chunks");
    split_tokens from = counting(f, 6 * BLOCK + 1); // six chunks in rows of four
    assert_int_equal(batches_steps_per_epoch(&chunks, &from, BLOCK, ROWS), 2);
    batches_fill(&chunks, &from, BLOCK, ROWS, 3, 1, &(batch_tokens){ids, targets, NULL});
    assert_true(targets[2 * BLOCK - 1] > 0);
    for (int i = 2 * BLOCK; i < ROWS * BLOCK; i++) assert_int_equal(targets[i], -1);

    fixture_set(&chunks, "drop_last", "true");
    assert_int_equal(batches_steps_per_epoch(&chunks, &from, BLOCK, ROWS), 1);
    for (int step = 0; step < 5; step++) {
        batches_fill(&chunks, &from, BLOCK, ROWS, 3, step, &(batch_tokens){ids, targets, NULL});
        for (int i = 0; i < ROWS * BLOCK; i++) assert_true(targets[i] > 0);
    }
    assert_int_equal(batches_steps_per_epoch(&chunks, &from, BLOCK, 100), 1); // nothing would be left
}

// Every epoch: each lane reads its own part of the text, block after block, and every target that all lanes
// have once.
static void test_lanes_of_a_stream_are_contiguous(void **state) {
    fixture *f = *state;
    component_choice stream = fixture_choice(f, batches_registry, "stream");
    assert_true(batches_carry_state(&stream));
    for (size_t count = ROWS + 1; count < 300; count += 1 + count / 8) {
        split_tokens from = counting(f, count);
        const int length = (int)(count - 1) / ROWS; // of a lane
        const int64_t steps = batches_steps_per_epoch(&stream, &from, BLOCK, ROWS);
        assert_int_equal(steps, (length + BLOCK - 1) / BLOCK);
        for (int64_t step = 0; step < 2 * steps; step++) {
            batches_fill(&stream, &from, BLOCK, ROWS, 5, step, &(batch_tokens){ids, targets, NULL});
            for (int i = 0; i < ROWS * BLOCK; i++) {
                const int at = (int)(step % steps) * BLOCK + i % BLOCK; // in the lane
                const int token = i / BLOCK * length + at + 1;
                assert_int_equal(ids[i], at < length ? token : 0);
                assert_int_equal(targets[i], at < length ? token + 1 : -1);
            }
        }
    }
}

// A document begins after every occurrence of the separator, also where it crosses from block to block.
static void test_a_stream_marks_documents(void **state) {
    fixture *f = *state;
    enum { COUNT = 12 * BLOCK };
    bool begins[ROWS * BLOCK];
    component_choice stream = fixture_choice(f, batches_registry, "stream");
    int32_t tokens[COUNT];
    for (int i = 0; i < COUNT; i++) tokens[i] = i % 7 == 2 || i % 7 == 3 ? 5 : i % 3;
    const encoding separator = {.ids = (int32_t[]){5, 5}, .count = 2};
    split_tokens from = {.tokens = tokens, .count = COUNT, .separator = &separator};
    const int length = (COUNT - 1) / ROWS;
    const int64_t steps = batches_steps_per_epoch(&stream, &from, BLOCK, ROWS);
    for (int64_t step = 0; step < steps; step++) {
        batches_fill(&stream, &from, BLOCK, ROWS, 5, step, &(batch_tokens){ids, targets, begins});
        for (int i = 0; i < ROWS * BLOCK; i++) {
            const int in_lane = (int)step * BLOCK + i % BLOCK, at = i / BLOCK * length + in_lane;
            assert_int_equal(begins[i], in_lane < length && at > 3 && at % 7 == 4);
        }
    }
    assert_false(split_begins_document(&from, 0));
    from.separator = NULL;
    batches_fill(&stream, &from, BLOCK, ROWS, 5, 0, &(batch_tokens){ids, targets, begins});
    for (int i = 0; i < ROWS * BLOCK; i++) assert_false(begins[i]);
}

static void test_lanes_without_text_are_padded(void **state) {
    fixture *f = *state;
    component_choice stream = fixture_choice(f, batches_registry, "stream");
    split_tokens from = counting(f, ROWS - 1);
    assert_int_equal(batches_steps_per_epoch(&stream, &from, BLOCK, ROWS), 1);
    batches_fill(&stream, &from, BLOCK, ROWS, 3, 7, &(batch_tokens){ids, targets, NULL});
    for (int i = 0; i < ROWS * BLOCK; i++) {
        const int lane = i / BLOCK;
        assert_int_equal(targets[i], i % BLOCK == 0 && lane < ROWS - 2 ? lane + 2 : -1);
    }
}

static void test_a_split_shorter_than_a_block_is_padded(void **state) {
    fixture *f = *state;
    for (int kind = 0; batches_registry[kind]; kind++) {
        component_choice choice = fixture_choice(f, batches_registry, batches_registry[kind]->name);
        split_tokens from = counting(f, 4);
        assert_int_equal(batches_steps_per_epoch(&choice, &from, BLOCK, 1), 1);
        batches_fill(&choice, &from, BLOCK, 1, 3, 9, &(batch_tokens){ids, targets, NULL});
        const int32_t expected_ids[BLOCK] = {1, 2, 3}, expected[BLOCK] = {2, 3, 4, -1, -1, -1, -1, -1};
        assert_memory_equal(ids, expected_ids, sizeof expected_ids);
        assert_memory_equal(targets, expected, sizeof expected);
    }
}

static void test_the_digest_is_crc32(void **state) {
    (void)state;
    int32_t words[2];
    memcpy(words, "12345678", 8);
    assert_int_equal(batches_digest(words, words + 1, 1), 0x9AE0DAAF); // zlib.crc32(b"12345678")
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_are_whole_and_reach_both_ends),
        cmocka_unit_test(test_an_epoch_of_windows),
        cmocka_unit_test(test_batches_depend_on_seed_and_step_alone),
        cmocka_unit_test(test_chunks_see_every_token_once_an_epoch),
        cmocka_unit_test(test_chunks_come_in_another_order_every_epoch),
        cmocka_unit_test(test_a_batch_that_is_not_full_is_padded_or_dropped),
        cmocka_unit_test(test_lanes_of_a_stream_are_contiguous),
        cmocka_unit_test(test_a_stream_marks_documents),
        cmocka_unit_test(test_lanes_without_text_are_padded),
        cmocka_unit_test(test_a_split_shorter_than_a_block_is_padded),
        cmocka_unit_test(test_the_digest_is_crc32),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
