// Runs of a graph allocate nothing and start no thread. The program's own malloc, calloc, realloc,
// aligned_alloc, mmap and pthread_create stand before the C library's and count.
//
// The address sanitizer brings its own malloc: under it this program only runs the graphs.
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/model.h"
#include "support/model_texts.h"

#include <cmocka.h>

static volatile int counting, allocations;

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

static void count(void) {
    if (counting) __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t bytes) {
    count();
    return __libc_malloc(bytes);
}

void *calloc(size_t number, size_t bytes) {
    count();
    return __libc_calloc(number, bytes);
}

void *realloc(void *block, size_t bytes) {
    count();
    return __libc_realloc(block, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    count();
    return __libc_memalign(alignment, bytes);
}

void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
    count();
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument) {
    create_function *next;
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    count();
    return next(thread, attributes, start, argument);
}

static void *nothing(void *argument) {
    return argument;
}

static void test_allocations_are_counted(void **state) {
    (void)state;
    pthread_t thread;
    error err = {0};
    void *block;
    counting = 1;
    free(memory_alloc(10));
    assert_int_equal(memory_planned_alloc(&block, 100, "a test", &err), OK);
    memory_planned_free(block, 100);
    counting = 0;
    assert_int_equal(allocations, 2);
    counting = 1;
    const int started = pthread_create(&thread, NULL, nothing, NULL);
    counting = 0;
    assert_int_equal(started, 0);
    pthread_join(thread, NULL);
    assert_true(allocations > 2);
    allocations = 0;
}
#else
static void test_allocations_are_counted(void **state) {
    (void)state;
    skip();
}
#endif

enum { BATCH = 4, TIME = 96, TOKENS = BATCH * TIME };

static void check_runs_of(int threads, int vocabulary) {
    static int32_t ids[TOKENS], targets[TOKENS];
    arena *a = arena_new();
    test_tokens(1, TOKENS, vocabulary, ids);
    test_tokens(2, TOKENS, vocabulary, targets);
    kernels_set_threads(threads);
    for (int i = 0; i < MODEL_TEXTS; i++)
        for (int kind = 0; kind < 4; kind++) { // training in one pass and in several, evaluation, decoding
            const char *inside = model_texts[i].yaml + strlen("model:\n");
            test_model t = test_model_new(arena_format(a, "model:\n  dropout: 0.1\n%s", inside), vocabulary,
                                          TIME, 0.1);
            state_set *states = states_new(BATCH);
            graph_options options[] = {test_training(BATCH, TIME), test_training(BATCH, TIME),
                                       test_evaluation(BATCH, TIME), test_decoding(BATCH, TIME, states)};
            options[1].packs_weights = true;
            model_graph built = test_model_build(&t, options[kind]);
            tokens_bind(built.ids, ids);
            if (built.targets) tokens_bind(built.targets, targets);
            for (uint32_t step = 0; step < 3; step++) {
                const run_context c = {.step = step, .gradient_scale = 1.0 / TOKENS};
                counting = step > 0; // the first run starts the pool's threads
                parameters_write(t.model->parameters);
                graph_forward(built.graph, &c);
                if (options[kind].gradients) graph_backward(built.graph, &c);
                if (options[kind].gradients) graph_backward_derived(built.graph, &c);
                counting = 0;
            }
            if (allocations) fail_msg("%s: %d allocations", model_texts[i].name, allocations);
            graph_free(built.graph);
            states_free(states);
            test_model_free(&t);
        }
    arena_free(a);
    kernels_set_threads(1);
}

static void check_runs(int threads) {
    check_runs_of(threads, 29);
    check_runs_of(threads, 1000); // the loss in chunks
}

static void test_runs_on_one_thread_allocate_nothing(void **state) {
    (void)state;
    check_runs(1);
}

static void test_runs_on_several_threads_allocate_nothing(void **state) {
    (void)state;
    check_runs(3);
}

// With short vectors more loops are worth threads.
static void test_plain_runs_allocate_nothing(void **state) {
    (void)state;
    error err;
    assert_int_equal(kernels_select("plain", &err), OK);
    check_runs(3);
    assert_int_equal(kernels_select("auto", &err), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations_are_counted),
        cmocka_unit_test(test_runs_on_one_thread_allocate_nothing),
        cmocka_unit_test(test_runs_on_several_threads_allocate_nothing),
        cmocka_unit_test(test_plain_runs_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
