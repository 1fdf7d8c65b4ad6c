#include "base/file.h"
#include "base/log.h"
#include "base/table.h"
#include "report/compare.h"
#include "report/differences.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETTINGS = 12 }; // columns of the table in text

int report_better_first(const void *x, const void *y) {
    const report_run *a = *(const report_run *const *)x, *b = *(const report_run *const *)y;
    const history *p = &a->history, *q = &b->history;
    if (p->has_val != q->has_val) return p->has_val ? -1 : 1;
    if (p->has_val && p->best.loss != q->best.loss) return p->best.loss < q->best.loss ? -1 : 1;
    return a < b ? -1 : a > b;
}

static void add_real(table *t, bool known, const char *format, double value) {
    char number[64] = "";
    if (known) snprintf(number, sizeof number, format, value);
    table_cell(t, "%s", number);
}

static void add_run(table *t, const report_run *run, bool csv) {
    const history *h = &run->history;
    const char *const in_full = "%.10g", *loss = csv ? in_full : "%.4f";
    char buffer[64];
    if (run->metrics.facts.parameters <= 0)
        table_cell(t, "%s", "");
    else if (csv)
        table_cell(t, "%lld", (long long)run->metrics.facts.parameters);
    else
        table_cell(t, "%s", text_count((double)run->metrics.facts.parameters, buffer, sizeof buffer));
    table_cell(t, "%lld", (long long)h->steps);
    add_real(t, h->has_val, loss, h->best.loss);
    if (h->has_val)
        table_cell(t, "%lld", (long long)h->best.step);
    else
        table_cell(t, "%s", "");
    add_real(t, h->has_val, csv ? in_full : "%.3f", h->best.perplexity);
    add_real(t, h->has_val, loss, h->final.loss);
    add_real(t, h->tokens_per_second > 0, csv ? in_full : "%.0f", h->tokens_per_second);
    if (csv)
        add_real(t, true, in_full, h->seconds);
    else
        table_cell(t, "%s", text_duration(h->seconds, buffer, sizeof buffer));
    table_cell(t, "%s", report_run_status(run));
}

void report_compare_table(const report_run *runs, int count, bool csv, int columns, text *out) {
    arena *a = arena_new();
    differing_setting *settings;
    int independent, found = report_differences(runs, count, a, &settings, &independent);
    int shown = csv ? found : independent <= MAX_SETTINGS ? independent : MAX_SETTINGS;
    const report_run **order = arena_alloc(a, ((size_t)count + 1) * sizeof *order);
    for (int i = 0; i < count; i++) order[i] = &runs[i];
    qsort(order, (size_t)count, sizeof *order, report_better_first);

    table *t = table_new(a);
    table_column(t, "run", false);
    table_shortens(t);
    for (int i = 0; i < shown; i++) {
        table_column(t, csv ? settings[i].path : settings[i].heading, false);
        table_gives_way(t, 1 + i);
    }
    static const struct {
        const char *in_text, *in_csv;
        int gives_way; // before any setting does
    } headings[] = {{"parameters", "parameters", MAX_SETTINGS + 3},
                    {"step", "step", -2},
                    {"best val", "best_val_loss", 0},
                    {"at step", "best_step", MAX_SETTINGS + 6},
                    {"perplexity", "perplexity", MAX_SETTINGS + 4},
                    {"final val", "final_val_loss", MAX_SETTINGS + 5},
                    {"tokens/s", "tokens_per_second", MAX_SETTINGS + 1},
                    {"time", "seconds", MAX_SETTINGS + 2}};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) {
        table_column(t, csv ? headings[i].in_csv : headings[i].in_text, true);
        table_gives_way(t, headings[i].gives_way);
    }
    table_column(t, "status", false);
    table_shortens(t);
    table_gives_way(t, -1);
    for (int i = 0; i < count; i++) {
        table_row(t);
        table_cell(t, "%s", order[i]->name);
        for (int k = 0; k < shown; k++) {
            const char *value = settings[k].values[order[i] - runs];
            table_cell(t, "%s", value ? value : csv ? "" : "-");
        }
        add_run(t, order[i], csv);
    }
    if (csv)
        table_csv(t, out);
    else
        table_text(t, columns, out);
    if (shown < found) {
        const char *note = arena_format(a, "%d more setting%s; --csv shows all of them", found - shown,
                                        found - shown == 1 ? " differs" : "s differ");
        text_add_wrapped(out, note, "", columns > 0 ? columns : INT_MAX);
    }
    arena_free(a);
}

// "2024-05-01T12:00:00+0200" -> "2024-05-01 12:00"
static const char *minute_of(const char *time, arena *a) {
    if (!time) return "";
    char *copy = arena_copy_text(a, time);
    if (strlen(copy) > 16) copy[16] = '\0';
    if (strlen(copy) > 10 && copy[10] == 'T') copy[10] = ' ';
    return copy;
}

void report_list_table(const report_run *runs, int count, int columns, text *out) {
    arena *a = arena_new();
    table *t = table_new(a);
    table_column(t, "run", false);
    table_shortens(t);
    table_column(t, "status", false);
    table_shortens(t);
    table_column(t, "step", true);
    table_gives_way(t, -1);
    table_column(t, "best val", true);
    table_gives_way(t, -2);
    table_column(t, "when", false);
    table_gives_way(t, 1);
    for (int i = 0; i < count; i++) {
        const report_run *r = &runs[i];
        table_row(t);
        table_cell(t, "%s", r->name);
        table_cell(t, "%s", report_run_status(r));
        if (r->max_steps > 0)
            table_cell(t, "%lld/%lld", (long long)r->history.steps, (long long)r->max_steps);
        else
            table_cell(t, "%lld", (long long)r->history.steps);
        add_real(t, r->history.has_val, "%.4f", r->history.best.loss);
        table_cell(t, "%s",
                   minute_of(r->metrics.finished ? r->metrics.finished : r->metrics.facts.started, a));
    }
    table_text(t, columns, out);
    arena_free(a);
}

static bool is_run(arena *a, const char *folder) {
    return file_exists(path_join(a, folder, "metrics.h5")) ||
           file_exists(path_join(a, folder, "metrics.tsv"));
}

status report_find_runs(const char *folder, arena *a, report_run **runs, int *count, error *err) {
    struct dirent **entries;
    *runs = NULL;
    *count = 0;
    int found = scandir(folder, &entries, NULL, alphasort);
    if (found < 0) return fail_errno(err, "read the folder", folder);
    *runs = arena_alloc(a, ((size_t)found + 1) * sizeof **runs);
    for (int i = 0; i < found; i++) {
        const char *path = arena_format(a, "%s/%s", folder, entries[i]->d_name);
        bool hidden = entries[i]->d_name[0] == '.';
        free(entries[i]);
        if (hidden || !is_run(a, path)) continue;
        error failure;
        if (report_run_load(path, a, &(*runs)[*count], &failure) == OK)
            (*count)++;
        else
            log_warning("%s", failure.message);
    }
    free(entries);
    return OK;
}
