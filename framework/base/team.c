#include "base/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

enum {
    MOST_WORKERS = 255,
    SPINS = 2000, // looks at the desk before going to sleep: 30 to 80 microseconds
};

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
static void try_part(desk *d) {
    int expected = OFFERED;
    if (!atomic_compare_exchange_strong_explicit(&d->state, &expected, TAKEN, memory_order_acquire,
                                                 memory_order_relaxed))
        return;
    d->work(d->what, d->part, d->parts);
    atomic_store_explicit(&d->state, IDLE, memory_order_release);
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
    pthread_mutex_lock(&d->mutex);
    pthread_cond_signal(&d->called);
    pthread_mutex_unlock(&d->mutex);
}

static void wait_until_done(desk *d) {
    for (int spins = 0; atomic_load_explicit(&d->state, memory_order_acquire) == TAKEN; spins++) {
        relax();
        if (spins >= SPINS) sched_yield(); // its core is taken; perhaps it can have this one
    }
}

void team_run(int parts, team_part *work, const void *what) {
    const int helped = parts - 1 < MOST_WORKERS ? parts - 1 : MOST_WORKERS;
    if (desk_count < helped) open_desks(helped);
    for (int i = 0; i < helped; i++) offer(&desks[i], i + 1, parts, work, what);
    work(what, 0, parts);
    for (int part = helped + 1; part < parts; part++) work(what, part, parts);
    for (int i = 0; i < helped; i++) {
        try_part(&desks[i]);
        wait_until_done(&desks[i]);
    }
}
