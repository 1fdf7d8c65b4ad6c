// Threads that stand by.
#include "base/team.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

static void count_part(const void *what, int part, int parts) {
    atomic_int *counts = *(atomic_int *const *)what;
    assert_in_range(part, 0, parts - 1);
    counts[part]++;
}

// Also when its threads have gone to sleep, and when there are more parts than threads can be had.
static void a_team_does_every_part_once(void **state) {
    (void)state;
    enum { MOST = 300, TIMES = 2000 };
    static atomic_int counts[MOST];
    atomic_int *const what = counts;
    int wanted[MOST] = {0};
    for (int i = 0; i < TIMES; i++) {
        const int parts = i % 500 == 499 ? MOST : 1 + i % 5;
        team_run(parts, count_part, &what);
        for (int part = 0; part < parts; part++) wanted[part]++;
        for (int part = 0; part < MOST; part++) assert_int_equal(counts[part], wanted[part]);
        if (i % 100 == 0) usleep(2000);
    }
}

typedef struct straggler {
    pthread_t caller;
    atomic_int helped; // parts done by the other thread
    bool stops;        // it stays away in the middle of its part, as if it had lost its core
} straggler;

static void straggle(const void *what, int part, int parts) {
    straggler *s = *(straggler *const *)what;
    (void)part, (void)parts;
    if (pthread_equal(pthread_self(), s->caller)) {
        usleep(300); // for the other thread to come
        return;
    }
    s->helped++;
    if (s->stops) usleep(5000);
}

static void a_team_does_without_a_thread_that_stops_and_with_it_later(void **state) {
    (void)state;
    straggler s = {.caller = pthread_self(), .stops = true}, *const what = &s;
    const double begin = clock_seconds();
    while (s.helped == 0 && clock_seconds() - begin < 10) team_run(2, straggle, &what);
    assert_int_equal(s.helped, 1);
    s.stops = false;
    const double again = clock_seconds();
    while (s.helped == 1 && clock_seconds() - again < 10) team_run(2, straggle, &what);
    assert_in_range(s.helped, 2, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_team_does_every_part_once),
        cmocka_unit_test(a_team_does_without_a_thread_that_stops_and_with_it_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
