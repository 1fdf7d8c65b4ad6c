// The pool of threads: every piece done exactly once, whatever the threads do meanwhile.
#include "base/clock.h"
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_PIECES = 1000, MOST_THREADS = 40 };

typedef struct counting {
    atomic_int *times; // that each piece was done
    int threads;       // numbers of threads must be below
} counting;

static void count_pieces(const void *context, pool_share s) {
    const counting *c = context;
    if (s.begin >= s.end || s.thread < 0 || s.thread >= c->threads) abort();
    for (int i = s.begin; i < s.end; i++) c->times[i]++;
}

// Runs the loop and checks it.
static void run_once(int threads, int pieces, int least) {
    static atomic_int times[MOST_PIECES];
    for (int i = 0; i < MOST_PIECES; i++) times[i] = 0;
    pool_run(threads, pieces, least, count_pieces, &(counting){times, threads});
    for (int i = 0; i < MOST_PIECES; i++) assert_int_equal(times[i], i < pieces);
}

static void every_piece_is_done_once(void **state) {
    (void)state;
    static const int sizes[] = {0, 1, 2, 3, 7, 64, MOST_PIECES};
    for (int threads = 1; threads <= MOST_THREADS; threads += threads < 5 ? 1 : 7)
        for (int i = 0; i < 7; i++)
            for (int least = 1; least <= MOST_PIECES; least *= 10) run_once(threads, sizes[i], least);
}

// More than the pool ever has.
static void there_may_be_any_number_of_threads(void **state) {
    (void)state;
    static atomic_int times[MOST_PIECES];
    pool_run(1000000, 3, 1, count_pieces, &(counting){times, 1000000});
    for (int i = 0; i < 3; i++) assert_int_equal(times[i], 1);
}

static void many_tiny_loops_follow_each_other(void **state) {
    (void)state;
    static atomic_int times[8];
    enum { LOOPS = 50000 };
    for (int i = 0; i < LOOPS; i++) {
        pool_run(1 + i % 3, 8, i % 2 ? 1 : 8, count_pieces, &(counting){times, 3});
        if (i % 5000 == 0) usleep(2000); // the threads go to sleep
    }
    for (int i = 0; i < 8; i++) assert_int_equal(times[i], LOOPS);
}

typedef struct outer {
    counting inner[16];
    atomic_int strangers; // pieces of an inner loop that another thread did
} outer;

typedef struct inner {
    const counting *c;
    outer *whole;
    int thread;
} inner;

static void do_inner(const void *context, pool_share s) {
    const inner *n = context;
    if (s.thread != n->thread) n->whole->strangers++;
    count_pieces(n->c, s);
}

static void do_outer(const void *context, pool_share s) {
    outer *o = *(outer *const *)context;
    for (int i = s.begin; i < s.end; i++) pool_run(3, 10, 1, do_inner, &(inner){&o->inner[i], o, s.thread});
}

static void a_loop_within_a_loop_stays_on_its_thread(void **state) {
    (void)state;
    static atomic_int times[16][10];
    outer o = {.strangers = 0}, *const context = &o;
    for (int i = 0; i < 16; i++) o.inner[i] = (counting){times[i], 3};
    for (int round = 1; round <= 200; round++) {
        pool_run(3, 16, 1, do_outer, &context);
        for (int i = 0; i < 16; i++)
            for (int k = 0; k < 10; k++) assert_int_equal(times[i][k], round);
    }
    assert_int_equal(o.strangers, 0);
}

// What a loop wrote before is seen by whoever reads it in the next.
static void add_neighbour(const void *context, pool_share s) {
    int64_t *const *arrays = (int64_t *const *)context;
    for (int i = s.begin; i < s.end; i++) arrays[1][i] = arrays[0][(i + 1) % 64] + 1;
}

static void loops_see_what_earlier_ones_wrote(void **state) {
    (void)state;
    static int64_t a[64], b[64];
    enum { LOOPS = 20000 };
    for (int i = 0; i < LOOPS; i++) {
        int64_t *const arrays[2] = {i % 2 ? b : a, i % 2 ? a : b};
        pool_run(3, 64, 1 + i % 40, add_neighbour, arrays);
    }
    for (int i = 0; i < 64; i++) assert_int_equal(LOOPS % 2 ? b[i] : a[i], LOOPS);
}

typedef struct straggler {
    pthread_t caller;
    atomic_int helped; // pieces done by the other thread
    bool stops;        // it stays away in the middle of a piece, as if it had lost its core
} straggler;

static void straggle(const void *context, pool_share s) {
    straggler *all = *(straggler *const *)context;
    if (pthread_equal(pthread_self(), all->caller)) {
        usleep(300); // for the other thread to come
        return;
    }
    all->helped += s.end - s.begin;
    if (all->stops) usleep(5000);
}

// Until the other thread has helped, or 10 seconds.
static void run_until_helped(straggler *s) {
    const int before = s->helped;
    const double begin = clock_seconds();
    while (s->helped == before && clock_seconds() - begin < 10) pool_run(2, 2, 1, straggle, &s);
    assert_true(s->helped > before);
}

static void a_thread_that_stops_is_left_alone_and_comes_back_later(void **state) {
    (void)state;
    straggler s = {.caller = pthread_self()}, *const context = &s;
    bool rested = false;
    // Again where this thread loses its own core.
    for (int i = 0; i < 50 && !rested; i++) {
        s.stops = true;
        run_until_helped(&s);
        s.stops = false;
        const int before = s.helped;
        pool_run(2, 2, 1, straggle, &context);
        rested = s.helped == before;
        run_until_helped(&s);
    }
    assert_true(rested);
}

static void *keep_busy(void *stop) {
    while (!*(atomic_bool *)stop) continue;
    return NULL;
}

// All threads on one core, and that core taken by others: work goes on, at the pace of the caller.
static void workers_without_a_core_hold_nobody_up(void **state) {
    (void)state;
    cpu_set_t before, one;
    atomic_bool stop = false;
    pthread_t busy[2];
    CPU_ZERO(&one);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&busy[i], NULL, keep_busy, &stop), 0);
    const double begin = clock_seconds();
    for (int i = 0; i < 300; i++) run_once(MOST_THREADS + 20, 100, 1); // some threads are made here
    assert_true(clock_seconds() - begin < 30);
    stop = true;
    for (int i = 0; i < 2; i++) pthread_join(busy[i], NULL);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_is_done_once),
        cmocka_unit_test(there_may_be_any_number_of_threads),
        cmocka_unit_test(many_tiny_loops_follow_each_other),
        cmocka_unit_test(a_loop_within_a_loop_stays_on_its_thread),
        cmocka_unit_test(loops_see_what_earlier_ones_wrote),
        cmocka_unit_test(a_thread_that_stops_is_left_alone_and_comes_back_later),
        cmocka_unit_test(workers_without_a_core_hold_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
