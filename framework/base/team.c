#include "base/team.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum {
    MOST_WORKERS = 255,
    SPINS = 2000, // looks at the desk before going to sleep: 30 to 100 microseconds
};

// When other programs want the cores, a thread that is not there, or that loses its core in the middle of a
// part, holds up everybody for a time slice of the scheduler, hundreds of times what its help is worth. So
// a desk whose worker was away for LATE seconds is left alone: for LEAST_REST, and twice as long each time
// that it then works for a shorter time than it rested. Waking up takes a third of LATE.
static const double LATE = 300e-6, LEAST_REST = 5e-3, MOST_REST = 640e-3;

// IDLE -> OFFERED (caller) -> TAKEN (worker or caller, whoever comes first) -> IDLE (who took it). A worker
// that is tired of waiting: IDLE -> ASLEEP -> OFFERED.
enum { IDLE, OFFERED, TAKEN, ASLEEP };

// Where a worker finds its part. A cache line of its own: an offer and its answer cost one transfer each.
typedef struct desk {
    _Alignas(128) atomic_int state;
    int part, parts;
    team_part *work;
    const void *what;
    pthread_mutex_t mutex;
    pthread_cond_t called;
    // The caller's own. Times are those of clock_seconds.
    _Alignas(128) double away_since; // no offer has been taken since then; 0: the last one was
    double resting_until, rest;      // the end and the length of the latest rest
} desk;

static desk desks[MOST_WORKERS];
static int desk_count;

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Does the part that is offered, unless somebody else took it first.
static bool try_part(desk *d) {
    int expected = OFFERED;
    if (!atomic_compare_exchange_strong_explicit(&d->state, &expected, TAKEN, memory_order_acquire,
                                                 memory_order_relaxed))
        return false;
    d->work(d->what, d->part, d->parts);
    atomic_store_explicit(&d->state, IDLE, memory_order_release);
    return true;
}

static void sleep_until_called(desk *d) {
    int expected = IDLE;
    pthread_mutex_lock(&d->mutex);
    if (atomic_compare_exchange_strong(&d->state, &expected, ASLEEP))
        while (atomic_load(&d->state) == ASLEEP) pthread_cond_wait(&d->called, &d->mutex);
    pthread_mutex_unlock(&d->mutex);
}

static void *worker(void *of) {
    desk *d = of;
    for (int spins = 0;; spins++) {
        if (atomic_load_explicit(&d->state, memory_order_relaxed) == OFFERED) {
            try_part(d);
            spins = 0;
        }
        relax();
        if (spins >= SPINS) {
            sleep_until_called(d);
            spins = 0;
        }
    }
    return NULL;
}

// Desks without a worker are all right: the caller does their parts.
static void open_desks(int count) {
    for (; desk_count < count; desk_count++) {
        desk *d = &desks[desk_count];
        pthread_t thread;
        pthread_mutex_init(&d->mutex, NULL);
        pthread_cond_init(&d->called, NULL);
        if (pthread_create(&thread, NULL, worker, d) == 0) pthread_detach(thread);
    }
}

static void offer(desk *d, int part, int parts, team_part *work, const void *what) {
    d->part = part;
    d->parts = parts;
    d->work = work;
    d->what = what;
    if (atomic_exchange(&d->state, OFFERED) != ASLEEP) return;
    d->away_since = 0;
    pthread_mutex_lock(&d->mutex);
    pthread_cond_signal(&d->called);
    pthread_mutex_unlock(&d->mutex);
}

static void begin_rest(desk *d, double now) {
    d->rest = now - d->resting_until < d->rest ? 2 * d->rest : LEAST_REST;
    if (d->rest > MOST_REST) d->rest = MOST_REST;
    d->resting_until = now + d->rest;
    d->away_since = 0;
}

// For a worker that takes longer than the caller did for its own part.
static void wait_until_done(desk *d, double began, double done) {
    bool late = false;
    for (int spins = 1; atomic_load_explicit(&d->state, memory_order_acquire) == TAKEN; spins++) {
        relax();
        if (spins % SPINS != 0) continue;
        const double now = clock_seconds();
        if (now - done > LATE + (done - began)) late = true;
        // Its core is taken; perhaps it can have this one.
        if (late) nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    if (late) begin_rest(d, clock_seconds());
}

// Sees to it that the desk's part is done.
static void collect(desk *d, double began, double done) {
    if (try_part(d)) {
        if (d->away_since == 0)
            d->away_since = done;
        else if (done - d->away_since > LATE)
            begin_rest(d, done);
        return;
    }
    d->away_since = 0;
    wait_until_done(d, began, done);
}

void team_run(int parts, team_part *work, const void *what) {
    if (parts == 1) {
        work(what, 0, 1);
        return;
    }
    const int helped = parts - 1 < MOST_WORKERS ? parts - 1 : MOST_WORKERS;
    if (desk_count < helped) open_desks(helped);
    const double began = clock_seconds();
    for (int i = 0; i < helped; i++)
        if (began >= desks[i].resting_until) offer(&desks[i], i + 1, parts, work, what);
    work(what, 0, parts);
    for (int part = helped + 1; part < parts; part++) work(what, part, parts);
    const double done = clock_seconds();
    for (int i = 0; i < helped; i++) {
        if (began >= desks[i].resting_until)
            collect(&desks[i], began, done);
        else
            work(what, i + 1, parts);
    }
}
