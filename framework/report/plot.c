#include "report/plot.h"

#include "base/file.h"

#include <math.h>
#include <string.h>

curve plot_train_curve(const metrics_data *m, size_t offset, arena *a) {
    double *x = arena_alloc(a, 2 * (m->train_count + 1) * sizeof *x), *y = x + m->train_count + 1;
    for (size_t i = 0; i < m->train_count; i++) {
        x[i] = (double)m->train[i].step;
        memcpy(&y[i], (const char *)&m->train[i] + offset, sizeof *y);
    }
    return (curve){x, y, m->train_count};
}

curve plot_eval_curve(const metrics_data *m, split part, size_t offset, arena *a) {
    size_t count = m->eval_count[part];
    double *x = arena_alloc(a, 2 * (count + 1) * sizeof *x), *y = x + count + 1;
    for (size_t i = 0; i < count; i++) {
        x[i] = (double)m->eval[part][i].step;
        memcpy(&y[i], (const char *)&m->eval[part][i] + offset, sizeof *y);
    }
    return (curve){x, y, count};
}

void plot_step_axis(const report_run *run, double last, axes *drawn, script_plot *plot, text *s) {
    script_x_axis(s, drawn, "step", last);
    if (run->steps_per_epoch > 0)
        script_axis_above(s, plot, "epoch", drawn->last / (double)run->steps_per_epoch);
}

curve plot_smoothed_curve(const curve *c, bool in_logarithm, arena *a) {
    double *in = arena_alloc(a, (c->count + 1) * sizeof *in);
    double *out = arena_alloc(a, (c->count + 1) * sizeof *out);
    for (size_t i = 0; i < c->count; i++) in[i] = in_logarithm ? log(c->y[i]) : c->y[i];
    history_smooth(in, c->count, out);
    for (size_t i = 0; in_logarithm && i < c->count; i++) out[i] = exp(out[i]);
    return (curve){c->x, out, c->count};
}

// The whole script of one plot; false when there is nothing to show.
static bool write_script(const plot_type *type, const report_run *run, arena *a, text *script) {
    const script_heading heading = {.stem = type->about.name,
                                    .title = arena_format(a, "%s: %s", run->name, type->title),
                                    .description = run->description,
                                    .height = type->height ? type->height(run) : SCRIPT_HEIGHT};
    script_begin(script, &heading);
    bool drawn = type->draw(run, a, script);
    script_end(script);
    return drawn;
}

static const char *folder_name(const char *path, arena *a) {
    char *full = path_absolute(a, path), *slash = strrchr(full, '/');
    return slash[1] ? slash + 1 : "run";
}

status report_plot_run(const report_run *run, const char *plots_folder, const gnuplot *program,
                       error *err) {
    enum { MAX_PLOTS = 32 };
    gnuplot_script scripts[MAX_PLOTS];
    text contents[MAX_PLOTS] = {{0}};
    int count = 0;
    arena *a = arena_new();
    const char *folder = path_join(a, plots_folder, folder_name(run->folder, a));
    for (int i = 0; plot_registry[i] && count < MAX_PLOTS; i++) {
        const plot_type *type = (const plot_type *)plot_registry[i];
        text *content = &contents[count];
        text_clear(content);
        if (!write_script(type, run, a, content)) continue;
        scripts[count++] = (gnuplot_script){.path = arena_format(a, "%s/%s.gp", folder, type->about.name),
                                            .content = content->bytes,
                                            .length = content->length};
    }
    status result = gnuplot_draw_all(program, folder, scripts, count, err);
    for (int i = 0; i < MAX_PLOTS; i++) text_free(&contents[i]);
    arena_free(a);
    return result;
}
