#include "base/pool.h"

#include "base/clock.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

// What follows was measured with two threads on two cores: alone, beside a second run, and beside a program
// that keeps one core busy (CONTRIBUTING.md, "Threads"). A spin takes 20 to 40 ns.
enum {
    IDLE_SPINS = 10000, // for the next loop, before a worker sleeps: waking it takes 50 us or more
    WAIT_SPINS = 2000,  // for a worker's last pieces, before the caller sleeps and leaves it its core
};

// A worker that loses its core in the middle of its pieces holds up everybody for a time slice of the
// scheduler, hundreds of times what its help is worth. So a worker that kept the caller waiting for LATE
// seconds, and for longer than the caller's own work took, gets no work: for BACKOFF_MIN, and twice as long
// each time that it then works for a shorter time than it had none (exponential backoff). The same for one
// that has not come for LATE seconds although it should be awake.
static const double LATE = 300e-6, BACKOFF_MIN = 5e-3, BACKOFF_MAX = 640e-3;

// IDLE -> OFFERED (caller) -> TAKEN (worker) -> IDLE (worker, when it finds no more pieces), or OFFERED ->
// IDLE (caller, when all pieces are done). IDLE -> ASLEEP (worker) -> OFFERED. TAKEN -> AWAITED (the caller
// sleeps) -> IDLE.
enum { IDLE, OFFERED, TAKEN, AWAITED, ASLEEP };

// A slot for the work of each thread. A cache line of its own: an offer is one transfer between caches.
typedef struct slot {
    _Alignas(128) atomic_int state;
    int threads, least;
    atomic_uint_fast64_t left; // begin << 32 | end: the pieces of its range that nobody has taken
    pool_work *work;
    const void *context;
    // The caller's own. Times are those of clock_seconds.
    _Alignas(128) bool offered;
    double away_since;             // no offer has been taken since then; 0: the last one was
    double backoff_until, backoff; // the end and the length of the latest backoff
} slot;

static slot slots[POOL_THREADS]; // the first is the caller's
static int slot_count = 1;
static _Thread_local int at_work = -1; // the thread's number, within a loop

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Sleeps while *state is `value`.
static void sleep_while(atomic_int *state, int value) {
    while (atomic_load(state) == value) syscall(SYS_futex, state, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(atomic_int *state) {
    syscall(SYS_futex, state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool change(atomic_int *state, int from, int to) {
    return atomic_compare_exchange_strong(state, &from, to);
}

// Takes half of what a range has left, but at least `least`.
static bool take(atomic_uint_fast64_t *left, int least, pool_share *s) {
    uint_fast64_t old = atomic_load_explicit(left, memory_order_relaxed), new;
    do {
        const int begin = (int)(old >> 32), end = (int)(old & UINT32_MAX), half = (end - begin + 1) / 2;
        if (begin >= end) return false;
        const int count = half > least ? half : least;
        s->begin = begin;
        s->end = count < end - begin ? begin + count : end;
        new = (uint_fast64_t)s->end << 32 | (uint_fast64_t)end;
    } while (!atomic_compare_exchange_weak_explicit(left, &old, new, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

// The pieces of its own range, then what is left of the others' (work stealing).
static void do_pieces(int thread) {
    const slot *own = &slots[thread];
    pool_share s = {.thread = thread};
    at_work = thread;
    for (int i = 0; i < own->threads; i++)
        while (take(&slots[(thread + i) % own->threads].left, own->least, &s)) own->work(own->context, s);
    at_work = -1;
}

static void *worker(void *of) {
    slot *d = of;
    for (int spins = 0;; spins++) {
        if (atomic_load_explicit(&d->state, memory_order_relaxed) == OFFERED) {
            if (change(&d->state, OFFERED, TAKEN)) {
                do_pieces((int)(d - slots));
                if (atomic_exchange(&d->state, IDLE) == AWAITED) wake(&d->state);
            }
            spins = 0;
        }
        relax();
        if (spins < IDLE_SPINS) continue;
        if (change(&d->state, IDLE, ASLEEP)) sleep_while(&d->state, ASLEEP);
        spins = 0;
    }
    return NULL;
}

// Slots without a worker are all right: others do their pieces.
static void open_slots(int count) {
    for (; slot_count < count; slot_count++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, &slots[slot_count]) == 0) pthread_detach(thread);
    }
}

static void offer(slot *d) {
    if (atomic_exchange(&d->state, OFFERED) != ASLEEP) return;
    d->away_since = 0;
    wake(&d->state);
}

static void back_off(slot *d, double now) {
    d->backoff = now - d->backoff_until < d->backoff ? 2 * d->backoff : BACKOFF_MIN;
    if (d->backoff > BACKOFF_MAX) d->backoff = BACKOFF_MAX;
    d->backoff_until = now + d->backoff;
    d->away_since = 0;
}

// For the worker's last pieces. began, done: when the caller's own work did.
static void wait_for(slot *d, double began, double done) {
    for (int spins = 0; spins < WAIT_SPINS; spins++) {
        if (atomic_load_explicit(&d->state, memory_order_acquire) == IDLE) return;
        relax();
    }
    if (change(&d->state, TAKEN, AWAITED)) sleep_while(&d->state, AWAITED);
    const double now = clock_seconds();
    if (now - done > LATE + (done - began)) back_off(d, now);
}

// All pieces are taken: sees to it that the worker has done its own.
static void collect(slot *d, double began, double done) {
    // Looked at before it is changed: changing takes the cache line from the worker.
    if (atomic_load_explicit(&d->state, memory_order_acquire) != OFFERED ||
        !change(&d->state, OFFERED, IDLE)) {
        d->away_since = 0;
        wait_for(d, began, done);
    } else if (d->away_since == 0) {
        d->away_since = done;
    } else if (done - d->away_since > LATE) {
        back_off(d, done);
    }
}

void pool_run(int threads, int pieces, int least, pool_work *work, const void *context) {
    if (threads > pieces) threads = pieces;
    if (threads > POOL_THREADS) threads = POOL_THREADS;
    if (threads <= 1 || at_work >= 0) {
        if (pieces > 0) work(context, (pool_share){0, pieces, at_work >= 0 ? at_work : 0});
        return;
    }
    if (slot_count < threads) open_slots(threads);
    const double began = clock_seconds();
    for (int i = 0; i < threads; i++) {
        slot *d = &slots[i];
        const uint_fast64_t begin = (uint_fast64_t)pieces * (uint_fast64_t)i / (uint_fast64_t)threads,
                            end = (uint_fast64_t)pieces * (uint_fast64_t)(i + 1) / (uint_fast64_t)threads;
        d->threads = threads;
        d->least = least;
        d->work = work;
        d->context = context;
        atomic_store_explicit(&d->left, begin << 32 | end, memory_order_relaxed);
        d->offered = i > 0 && began >= d->backoff_until;
        if (d->offered) offer(d);
    }
    do_pieces(0);
    const double done = clock_seconds();
    for (int i = 1; i < threads; i++)
        if (slots[i].offered) collect(&slots[i], began, done);
}
