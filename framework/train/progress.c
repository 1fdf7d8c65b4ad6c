#include "train/progress.h"

#include <stdio.h>
#include <string.h>

enum { EPOCH = 1, PARTS = 7, MOST_CELLS = 30, FEWEST_CELLS = 10, CELLS_STEP = 10 };

// In steps of ten cells, so that the bar keeps its place while numbers change their length.
static void add_bar(const progress *p, int room, text *out) {
    int cells = room - 3; // brackets and a blank
    if (cells > MOST_CELLS) cells = MOST_CELLS;
    cells -= cells % CELLS_STEP;
    if (cells < FEWEST_CELLS) return;
    const int done = (int)((double)cells * (double)p->step / (double)p->max_steps);
    text_add(out, "[");
    for (int i = 0; i < cells; i++) text_add(out, i < done ? "=" : i == done ? ">" : " ");
    text_add(out, "] ");
}

void progress_line(const progress *p, int columns, text *out) {
    char rate[32], left[32], parts[PARTS][64];
    text_count(p->tokens_per_second, rate, sizeof rate);
    text_duration(p->seconds_left, left, sizeof left);
    snprintf(parts[0], sizeof parts[0], "step %lld/%lld", (long long)p->step, (long long)p->max_steps);
    snprintf(parts[EPOCH], sizeof parts[EPOCH], "epoch %.2f/%g", p->epoch, p->epochs);
    snprintf(parts[2], sizeof parts[2], "loss %.4f", p->loss);
    snprintf(parts[3], sizeof parts[3], "lr %.3g", p->lr);
    snprintf(parts[4], sizeof parts[4], "grad_norm %.3g", p->grad_norm);
    snprintf(parts[5], sizeof parts[5], "%s tokens/s", rate);
    snprintf(parts[6], sizeof parts[6], "%s left", left);

    static const int left_out_first[PARTS] = {4, 3, 5, 6, 1, 2, 0};
    bool shown[PARTS];
    int used = -2;
    for (int i = 0; i < PARTS; i++) {
        shown[i] = i != EPOCH || p->epochs > 0;
        if (shown[i]) used += 2 + (int)strlen(parts[i]);
    }
    for (int i = 0; columns && i < PARTS && used >= columns; i++) {
        const int part = left_out_first[i];
        if (!shown[part]) continue;
        shown[part] = false;
        used -= 2 + (int)strlen(parts[part]);
    }
    if (columns) add_bar(p, columns - 1 - (used > 0 ? used : 0), out);
    const char *gap = "";
    for (int i = 0; i < PARTS; i++) {
        if (!shown[i]) continue;
        text_add(out, "%s%s", gap, parts[i]);
        gap = "  ";
    }
}
