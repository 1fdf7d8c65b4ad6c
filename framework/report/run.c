#include "report/run.h"

#include "base/file.h"
#include "base/text.h"
#include "config/duration.h"
#include "config/yaml.h"
#include "train/run_folder.h"
#include "train/trained.h"

#include <string.h>

static const node *read_settings(const char *folder, const char *yaml, arena *a) {
    size_t length = yaml ? strlen(yaml) : 0;
    error ignored;
    char *bytes;
    if (!yaml && file_read(run_folder_at(a, folder).config, a, &bytes, &length, &ignored) == OK)
        yaml = bytes;
    if (!yaml) return NULL;
    problems found = {0};
    const yaml_input input = {.text = yaml, .length = length, .name = folder, .folder = folder};
    const node *tree = yaml_read(a, &input, &found);
    problems_free(&found);
    return tree && tree->kind == NODE_MAP ? tree : NULL;
}

static const char *scalar_at(const node *settings, const char *path) {
    const node *found = settings ? node_find((node *)settings, path) : NULL;
    return found && found->kind == NODE_SCALAR ? found->scalar : NULL;
}

static const char *last_part(const char *path, arena *a) {
    char *copy = path_absolute(a, path), *slash = strrchr(copy, '/');
    return slash && slash[1] ? slash + 1 : copy;
}

// Takes the length of the run as its settings give it.
static void set_length(report_run *run, const char *written) {
    const int64_t steps_per_epoch = run->metrics.facts.steps_per_epoch;
    duration length;
    if (!duration_read(written, &length)) return;
    if (length.epochs > 0) run->steps_per_epoch = steps_per_epoch;
    if (length.epochs == 0 || steps_per_epoch > 0)
        run->max_steps = (int64_t)duration_steps(&length, steps_per_epoch);
}

status report_run_load(const char *folder, arena *a, report_run *out, error *err) {
    *out = (report_run){.folder = folder, .description = ""};
    TRY(metrics_read(folder, a, &out->metrics, err));
    history_derive(&out->metrics, a, &out->history);
    out->settings = read_settings(folder, out->metrics.config_text, a);
    const char *value;
    out->name = last_part(folder, a);
    if ((value = scalar_at(out->settings, "description"))) out->description = value;
    if ((value = scalar_at(out->settings, "training.max_steps"))) set_length(out, value);
    if ((value = scalar_at(out->settings, "training.grad_clip"))) text_to_real(value, &out->grad_clip);
    return OK;
}

status report_run_load_filters(report_run *run, arena *a, error *err) {
    const run_folder folder = run_folder_at(a, run->folder);
    const char *path = run_folder_best(&folder);
    if (!file_exists(path)) return OK;
    trained t;
    problems none = {0}; // there are no overrides
    model_filter *filters;
    status result = trained_open(path, NULL, 0, a, &t, &none, err);
    problems_free(&none);
    if (result != OK) return result;
    result = model_filters(t.model, a, &filters, &run->filter_count, err);
    if (run->filter_count) run->filters = filters;
    trained_free(&t);
    return result;
}

const char *report_run_status(const report_run *run) {
    return strcmp(run->metrics.status, "killed") == 0 ? "interrupted (killed)" : run->metrics.status;
}
