#include "store/metrics_text.h"

#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char heading[] =
    "step\ttokens\tseconds\tloss\tlr\tgrad_norm\ttokens_per_second\ttrain_loss\tval_loss\ttest_loss\n";

// Columns after step, tokens and seconds.
enum { LOSS, LR, GRAD_NORM, TOKENS_PER_SECOND, SPLIT_LOSS, VALUES = SPLIT_LOSS + SPLIT_COUNT };

struct metrics_text {
    int fd;
    char *path;
    text pending; // lines that could not be written yet
};

static struct flock whole_file(short type) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static char *text_path(arena *a, const char *folder) {
    return path_join(a, folder, "metrics.tsv");
}

bool metrics_running(const char *folder) {
    arena *a = arena_new();
    int fd = open(text_path(a, folder), O_RDONLY | O_CLOEXEC);
    arena_free(a);
    if (fd < 0) return false;
    struct flock lock = whole_file(F_RDLCK);
    bool held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return held;
}

status metrics_text_open(const char *folder, metrics_text **out, error *err) {
    *out = NULL;
    metrics_text *t = memory_alloc(sizeof *t);
    arena *a = arena_new();
    t->path = memory_copy_text(text_path(a, folder));
    arena_free(a);
    t->fd = open(t->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    struct flock lock = whole_file(F_WRLCK);
    if (t->fd < 0) {
        fail_errno(err, "write", t->path);
    } else if (fcntl(t->fd, F_OFD_SETLK, &lock) == 0) {
        *out = t;
        return OK;
    } else if (errno == EAGAIN || errno == EACCES) {
        fail(err, ERR_DATA, "another process is training into %s", folder);
        error_hint(err,
                   "wait until it ends, or stop it (fuser %s names it); a run under another name can be "
                   "trained at the same time",
                   t->path);
    } else {
        fail_errno(err, "lock", t->path);
    }
    metrics_text_close(t);
    return err->code;
}

void metrics_text_close(metrics_text *t) {
    if (!t) return;
    if (t->fd >= 0) close(t->fd);
    text_free(&t->pending);
    free(t->path);
    free(t);
}

static status write_pending(metrics_text *t, error *err) {
    off_t end = lseek(t->fd, 0, SEEK_END);
    ssize_t written;
    do written = write(t->fd, t->pending.bytes, t->pending.length);
    while (written < 0 && errno == EINTR);
    if (written == (ssize_t)t->pending.length) {
        text_clear(&t->pending);
        return OK;
    }
    // A write cut short means that the disk is full: take the part back, so that the file has whole lines.
    if (written >= 0) {
        errno = ENOSPC;
        if (end >= 0 && ftruncate(t->fd, end) != 0) return fail_errno(err, "shorten", t->path);
        errno = ENOSPC;
    }
    return fail_errno(err, "write", t->path);
}

status metrics_text_reset(metrics_text *t, error *err) {
    if (ftruncate(t->fd, 0) != 0) return fail_errno(err, "empty", t->path);
    text_clear(&t->pending);
    text_add(&t->pending, "%s", heading);
    return write_pending(t, err);
}

static status add_line(metrics_text *t, int64_t step, int64_t tokens, double seconds,
                       const double values[VALUES], error *err) {
    text_add(&t->pending, "%lld\t%lld\t%.6f", (long long)step, (long long)tokens, seconds);
    for (int i = 0; i < VALUES; i++) {
        if (isnan(values[i])) // "-nan" is not what readers of such files expect
            text_add(&t->pending, "\tnan");
        else
            text_add(&t->pending, "\t%.9g", values[i]);
    }
    text_add(&t->pending, "\n");
    return write_pending(t, err);
}

status metrics_text_add_train(metrics_text *t, const train_row *row, error *err) {
    const double values[VALUES] = {row->loss, row->lr, row->grad_norm, row->tokens_per_second, NAN,
                                   NAN,       NAN};
    return add_line(t, row->step, row->tokens, row->seconds, values, err);
}

status metrics_text_add_eval(metrics_text *t, split part, const eval_row *row, error *err) {
    double values[VALUES] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    values[SPLIT_LOSS + part] = row->loss;
    return add_line(t, row->step, row->tokens, row->seconds, values, err);
}

typedef struct text_row {
    int64_t step, tokens;
    double seconds, values[VALUES];
} text_row;

// Parses one line (terminated by '\n'); false when it is not one of ours.
static bool parse_line(const char *line, text_row *row) {
    char *end;
    row->step = strtoll(line, &end, 10);
    if (end == line || *end != '\t') return false;
    line = end + 1;
    row->tokens = strtoll(line, &end, 10);
    if (end == line || *end != '\t') return false;
    line = end + 1;
    row->seconds = strtod(line, &end);
    for (int i = 0; i < VALUES; i++) {
        if (end == line || *end != '\t') return false;
        line = end + 1;
        row->values[i] = strtod(line, &end);
    }
    return end != line && *end == '\n';
}

// Parses the next line from *position on and moves *position past it; false at the end, at a line that was
// cut short, or at one of another form.
static bool next_row(const char *bytes, size_t length, size_t *position, text_row *row) {
    const char *line = bytes + *position, *end = memchr(line, '\n', length - *position);
    if (!end || !parse_line(line, row)) return false;
    *position = (size_t)(end + 1 - bytes);
    return true;
}

static bool has_heading(const char *bytes, size_t length) {
    return length >= sizeof heading - 1 && memcmp(bytes, heading, sizeof heading - 1) == 0;
}

status metrics_text_cut(metrics_text *t, int64_t step, error *err) {
    arena *a = arena_new();
    char *bytes;
    size_t length, keep = sizeof heading - 1;
    status result = file_read(t->path, a, &bytes, &length, err);
    if (result == OK && !has_heading(bytes, length)) {
        result = metrics_text_reset(t, err);
    } else if (result == OK) {
        text_row row;
        for (size_t position = keep; next_row(bytes, length, &position, &row) && row.step <= step &&
                                     isnan(row.values[SPLIT_LOSS + SPLIT_TEST]);)
            keep = position;
        if (ftruncate(t->fd, (off_t)keep) != 0) result = fail_errno(err, "shorten", t->path);
    }
    arena_free(a);
    return result;
}

static void add_row(metrics_data *out, const text_row *r) {
    if (!isnan(r->values[LR]) || !isnan(r->values[TOKENS_PER_SECOND]) || !isnan(r->values[LOSS])) {
        out->train[out->train_count++] = (train_row){.step = r->step,
                                                     .tokens = r->tokens,
                                                     .seconds = r->seconds,
                                                     .loss = r->values[LOSS],
                                                     .lr = r->values[LR],
                                                     .grad_norm = r->values[GRAD_NORM],
                                                     .tokens_per_second = r->values[TOKENS_PER_SECOND]};
        return;
    }
    for (int part = 0; part < SPLIT_COUNT; part++) {
        double loss = r->values[SPLIT_LOSS + part];
        if (isnan(loss)) continue;
        out->eval[part][out->eval_count[part]++] = (eval_row){.step = r->step,
                                                              .tokens = r->tokens,
                                                              .seconds = r->seconds,
                                                              .loss = loss,
                                                              .perplexity = exp(loss),
                                                              .bits_per_char = NAN,
                                                              .bits_per_byte = NAN};
    }
}

status metrics_text_read(const char *folder, arena *a, metrics_data *out, error *err) {
    char *bytes, *path = text_path(a, folder);
    size_t length;
    TRY(file_read(path, a, &bytes, &length, err));
    if (!has_heading(bytes, length))
        return fail(err, ERR_DATA, "cannot read %s: its first line is not that of a run's metrics", path);
    size_t lines = 0;
    for (size_t i = 0; i < length; i++) lines += bytes[i] == '\n';
    out->train = arena_alloc(a, lines * sizeof *out->train);
    out->train_count = 0;
    for (int part = 0; part < SPLIT_COUNT; part++) {
        out->eval[part] = arena_alloc(a, lines * sizeof *out->eval[part]);
        out->eval_count[part] = 0;
    }
    text_row row;
    for (size_t position = sizeof heading - 1; next_row(bytes, length, &position, &row);)
        add_row(out, &row);
    return OK;
}
