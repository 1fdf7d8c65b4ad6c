#include "kernels/recurrence/through_time.h"

#include "kernels/parallel.h"
#include "kernels/sizes.h"

enum { ROWS_OF_A_THREAD = 4 }; // with fewer, each would fetch all of the weights for too little work

typedef struct walk {
    int batch, time, rows; // rows: of a piece
    bool backwards;
    token_step *step;
    const void *of;
} walk;

static void take_rows(const walk *w, int begin, int end) {
    for (int i = 0; i < w->time; i++) w->step(w->of, w->backwards ? w->time - 1 - i : i, begin, end);
}

static void take_pieces(const void *context, pool_share share) {
    const walk *w = context;
    for (int piece = share.begin; piece < share.end; piece++)
        take_rows(w, piece * w->rows, smaller((piece + 1) * w->rows, w->batch));
}

typedef struct shared_rows {
    token_step *work;
    const void *of;
    int t, first;
} shared_rows;

static void take_share(const void *context, pool_share share) {
    const shared_rows *r = context;
    r->work(r->of, r->t, r->first + share.begin, r->first + share.end);
}

void share_rows(token_step *work, const void *of, int t, int begin, int end, double operations) {
    const shared_rows r = {work, of, t, begin};
    parallel_for_short(end - begin, (end - begin) * operations, take_share, &r);
}

void through_time(int batch, int time, bool backwards, token_step *step, const void *of) {
    const bool by_rows = time > 1 && batch >= ROWS_OF_A_THREAD * kernels_thread_count;
    const int rows = by_rows ? divide_up(batch, kernels_thread_count) : batch;
    const walk w = {batch, time, rows, backwards, step, of};
    const int pieces = divide_up(batch, rows);
    if (by_rows)
        pool_run(pieces, pieces, 1, take_pieces, &w);
    else
        take_rows(&w, 0, batch);
}
