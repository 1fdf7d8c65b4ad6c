#include "train/experiment_checks.h"

#include "base/text.h"
#include "config/option.h"
#include "data/batches.h"
#include "train/experiment.h"
#include "train/optimizers/optimizer.h"
#include "train/schedules/schedule.h"

#include <math.h>
#include <string.h>

// What a check looks at.
typedef struct subject {
    const experiment *experiment;
    node *root;
    const dataset *data; // NULL before it is read
    int64_t steps_per_epoch;
} subject;

// --- looking at settings

static const experiment *of(const subject *s) {
    return s->experiment;
}

// A number of the experiment; `otherwise` where there is no such setting (another type of schedule).
static double number_at(const subject *s, const char *path, double otherwise) {
    const node *n = node_find(s->root, path);
    double value;
    return n && n->kind == NODE_SCALAR && text_to_real(n->scalar, &value) ? value : otherwise;
}

static double steps_of(const subject *s, const node *n, double otherwise) {
    duration value;
    return n && n->kind == NODE_SCALAR && duration_read(n->scalar, &value)
               ? duration_steps(&value, s->steps_per_epoch)
               : otherwise;
}

// The same of a duration, in steps.
static double steps_at(const subject *s, const char *path, double otherwise) {
    return steps_of(s, node_find(s->root, path), otherwise);
}

static int64_t max_steps(const subject *s) {
    return s->experiment->training.max_steps.steps;
}

// Whether somebody gave a setting a value that is not its default, and that not below a later choice of
// what it belongs to (a file may choose another mode than the one that it extends). A run's own config.yaml
// gives every setting.
static bool is_chosen(const subject *s, const char *path, const char *belongs_to) {
    const node *n = node_find(s->root, path), *owner = node_find(s->root, belongs_to);
    double value, fallback;
    if (!n || n->kind != NODE_SCALAR || !n->option || !n->option->fallback || !owner) return false;
    if (node_is_override(n)) return true;
    return n->from.rank >= owner->from.rank && text_to_real(n->scalar, &value) &&
           text_to_real(n->option->fallback, &fallback) && value != fallback;
}

static bool follows_evaluations(const subject *s) {
    return ((const schedule_type *)of(s)->schedule.about)->observe != NULL;
}

static bool has_validation(const subject *s) {
    return s->data->splits[SPLIT_VAL].count > 0;
}

// Evaluations before the last step, after which nothing can follow from one.
static int64_t evaluations_in_time(const subject *s) {
    const int64_t interval = of(s)->evaluation.interval.steps;
    return interval ? (max_steps(s) - 1) / interval : 0;
}

// --- the checks: true when there is something to say

static bool step_too_large(const subject *s) {
    const double tokens = (double)of(s)->training.batch_size * (double)of(s)->training.accumulation *
                          (double)of(s)->dataset.block_size;
    return tokens > INT32_MAX;
}

static bool schedule_without_text(const subject *s) {
    return follows_evaluations(s) && !has_validation(s);
}

static bool patience_without_text(const subject *s) {
    return of(s)->evaluation.patience > 0 && !has_validation(s);
}

static bool val_source_without_text(const subject *s) {
    return of(s)->dataset.val_source.count > 0 && !has_validation(s);
}

static bool test_source_without_text(const subject *s) {
    return of(s)->dataset.test_source.count > 0 && s->data->splits[SPLIT_TEST].count == 0;
}

static bool warmup_as_long_as_run(const subject *s) {
    return steps_at(s, "schedule.warmup_steps", 0) >= (double)max_steps(s);
}

static bool floor_above_rate(const subject *s) {
    return number_at(s, "schedule.min_lr", 0) > optimizer_lr(&of(s)->optimizer);
}

static bool decay_within_warmup(const subject *s) {
    const double end = steps_at(s, "schedule.decay_steps", 0);
    return end > 0 && end <= steps_at(s, "schedule.warmup_steps", 0);
}

static bool warmup_within_decay(const subject *s) {
    const double start = (1 - number_at(s, "schedule.decay_fraction", 0)) * (double)max_steps(s);
    return steps_at(s, "schedule.warmup_steps", 0) > start && !warmup_as_long_as_run(s);
}

static bool period_as_long_as_run(const subject *s) {
    const node *milestones = node_find(s->root, "schedule.milestones");
    return milestones && milestones->count == 0 &&
           steps_at(s, "schedule.period", 0) >= (double)max_steps(s);
}

static bool milestones_do_not_ascend(const subject *s) {
    const node *milestones = node_find(s->root, "schedule.milestones");
    for (int i = 1; milestones && i < milestones->count; i++)
        if (steps_of(s, milestones->items[i], NAN) <= steps_of(s, milestones->items[i - 1], NAN))
            return true;
    return false;
}

// The last update is numbered max_steps - 1.
static bool milestones_beyond_run(const subject *s) {
    const node *milestones = node_find(s->root, "schedule.milestones");
    return milestones && milestones->count > 0 && !milestones_do_not_ascend(s) &&
           steps_of(s, milestones->items[0], NAN) >= (double)max_steps(s);
}

static bool schedule_too_patient(const subject *s) {
    // The first evaluation is always an improvement; the one after the patience reduces the rate.
    return (double)evaluations_in_time(s) < number_at(s, "schedule.patience", -INFINITY) + 2;
}

static bool patience_too_long(const subject *s) {
    const int64_t patience = of(s)->evaluation.patience;
    return patience > 0 && evaluations_in_time(s) <= patience;
}

static bool stride_above_block(const subject *s) {
    return of(s)->evaluation.stride > of(s)->dataset.block_size;
}

static bool carries_state(const subject *s) {
    return batches_carry_state(&of(s)->dataset.batches);
}

static bool stride_on_stream(const subject *s) {
    return carries_state(s) && of(s)->evaluation.stride > 0;
}

static bool warmup_without_stream(const subject *s) {
    return !carries_state(s) && is_chosen(s, "evaluation.warmup_tokens", "dataset.batches");
}

static bool separator_without_stream(const subject *s) {
    return !carries_state(s) && of(s)->dataset.document_separator;
}

static bool separator_missing(const subject *s) {
    const split_tokens *train = &s->data->splits[SPLIT_TRAIN];
    if (!train->separator) return false;
    for (size_t at = 0; at < train->count; at++)
        if (split_begins_document(train, at)) return false;
    return true;
}

static bool micro_batch_above_batch(const subject *s) {
    return of(s)->training.micro_batch_size > of(s)->training.batch_size;
}

static bool nothing_recorded(const subject *s) {
    return of(s)->training.log_interval.steps > max_steps(s);
}

static bool k_unused(const subject *s) {
    return of(s)->sampling.mode != SAMPLE_TOP_K && is_chosen(s, "sampling.k", "sampling.mode");
}

static bool p_unused(const subject *s) {
    return of(s)->sampling.mode != SAMPLE_TOP_P && is_chosen(s, "sampling.p", "sampling.mode");
}

static bool min_p_unused(const subject *s) {
    return of(s)->sampling.mode != SAMPLE_MIN_P && is_chosen(s, "sampling.min_p", "sampling.mode");
}

static bool temperature_unused(const subject *s) {
    return of(s)->sampling.mode == SAMPLE_ARGMAX && is_chosen(s, "sampling.temperature", "sampling.mode");
}

static bool temperature_picks_the_first(const subject *s) {
    const int mode = (int)of(s)->sampling.mode;
    return of(s)->sampling.temperature == 0 && mode != SAMPLE_ARGMAX && mode != SAMPLE_PROB;
}

static bool window_unused(const subject *s) {
    return of(s)->sampling.repetition_penalty == 1 &&
           is_chosen(s, "sampling.repetition_window", "sampling.repetition_penalty");
}

typedef enum check_kind { PROBLEM, NOTE } check_kind;

// What must be known: nothing but the settings; how many steps durations have, which may be in epochs; the
// text.
typedef enum check_needs { SETTINGS, STEPS, TEXT } check_needs;

static const struct check {
    check_kind kind;
    check_needs needs;
    const char *setting; // which the message begins with
    bool (*applies)(const subject *s);
    const char *what, *hint;
} checks[] = {
    {PROBLEM, SETTINGS, "training.batch_size", step_too_large,
     "times accumulation and block_size is more than 2147483647 tokens for one update",
     "make batch_size, accumulation or dataset.block_size smaller"},
    {PROBLEM, STEPS, "schedule.milestones", milestones_do_not_ascend, "do not ascend",
     "list the steps in the order in which they are reached, each once"},
    {PROBLEM, TEXT, "dataset.val_source", val_source_without_text, "has no text",
     "give files that have some, or leave it out"},
    {PROBLEM, TEXT, "dataset.test_source", test_source_without_text, "has no text",
     "give files that have some, or leave it out"},
    {PROBLEM, TEXT, "schedule.type", schedule_without_text,
     "this schedule needs a validation text, and this experiment has none",
     "give dataset.split a second fraction, or dataset.val_source, or choose another schedule"},
    {PROBLEM, TEXT, "evaluation.patience", patience_without_text,
     "needs a validation text, and this experiment has none",
     "give dataset.split a second fraction, or dataset.val_source, or set patience to 0"},
    {PROBLEM, TEXT, "dataset.document_separator", separator_missing,
     "never stands in the training text: there is no document to begin",
     "give a text that stands between documents, or leave it out"},
    {NOTE, SETTINGS, "dataset.document_separator", separator_without_stream,
     "has no effect without dataset.batches: stream", NULL},
    {NOTE, STEPS, "schedule.warmup_steps", warmup_as_long_as_run,
     "is as long as the run: the rate never reaches optimizer.lr", NULL},
    {NOTE, SETTINGS, "schedule.min_lr", floor_above_rate, "is above optimizer.lr: the rate does not fall",
     NULL},
    {NOTE, STEPS, "schedule.decay_steps", decay_within_warmup,
     "ends within the warm-up: the rate falls to min_lr at once after it", NULL},
    {NOTE, STEPS, "schedule.warmup_steps", warmup_within_decay, "ends after the decay has begun", NULL},
    {NOTE, STEPS, "schedule.period", period_as_long_as_run, "is as long as the run: the rate never falls",
     NULL},
    {NOTE, STEPS, "schedule.milestones", milestones_beyond_run,
     "are all beyond the run: the rate never falls", NULL},
    {NOTE, STEPS, "schedule.patience", schedule_too_patient,
     "is longer than the run has evaluations: the rate never falls", NULL},
    {NOTE, STEPS, "evaluation.patience", patience_too_long,
     "is longer than the run has evaluations: it never stops early", NULL},
    {NOTE, SETTINGS, "evaluation.stride", stride_above_block,
     "is above dataset.block_size, which is used instead", NULL},
    {NOTE, SETTINGS, "evaluation.stride", stride_on_stream, "has no effect with dataset.batches: stream",
     NULL},
    {NOTE, SETTINGS, "evaluation.warmup_tokens", warmup_without_stream,
     "has no effect without dataset.batches: stream", NULL},
    {NOTE, SETTINGS, "training.micro_batch_size", micro_batch_above_batch,
     "is above training.batch_size: it has no effect", NULL},
    {NOTE, STEPS, "training.log_interval", nothing_recorded,
     "is longer than the run: no row of training metrics is recorded", NULL},
    {NOTE, SETTINGS, "sampling.k", k_unused, "has no effect without mode top_k", NULL},
    {NOTE, SETTINGS, "sampling.p", p_unused, "has no effect without mode top_p", NULL},
    {NOTE, SETTINGS, "sampling.min_p", min_p_unused, "has no effect without mode min_p", NULL},
    {NOTE, SETTINGS, "sampling.temperature", temperature_unused, "has no effect in mode argmax", NULL},
    {NOTE, SETTINGS, "sampling.temperature", temperature_picks_the_first,
     "is 0: the most likely token is taken, whatever the mode", NULL},
    {NOTE, SETTINGS, "sampling.repetition_window", window_unused,
     "has no effect without repetition_penalty", NULL},
};

enum { CHECKS = sizeof checks / sizeof checks[0] };

static void add_problem(const subject *s, const struct check *check, problems *p) {
    const char *dot = strchr(check->setting, '.');
    char section[32] = "";
    strncat(section, check->setting, (size_t)(dot - check->setting));
    problem_add(p, problem_place(node_get(s->root, section), dot + 1), check->hint, "%s: %s",
                check->setting, check->what);
}

static void add_note(const subject *s, const struct check *check, string_list *notes, arena *a) {
    const node *n = node_find(s->root, check->setting);
    const bool written = n && n->from.rank > 0;
    const char *note = arena_format(a, "%s%s%s%s %s", check->setting, written ? " (" : "",
                                    written ? n->from.text : "", written ? ")" : "", check->what);
    string_list_add(notes, note, a);
}

static void run_check(const subject *s, const struct check *check, string_list *notes, arena *a,
                      problems *p) {
    if (!check->applies(s)) return;
    if (check->kind == NOTE)
        add_note(s, check, notes, a);
    else
        add_problem(s, check, p);
}

// Steps are known before the text is, unless some are given in epochs.
static bool waits_for_text(const struct check *check, const config *c) {
    return check->needs == TEXT || (check->needs == STEPS && c->in_epochs.count);
}

void experiment_check(config *c, check_scope scope, arena *a, problems *p) {
    const subject s = {c->settings, c->root, NULL, 0};
    for (int i = 0; i < CHECKS; i++) {
        const struct check *check = &checks[i];
        if (waits_for_text(check, c)) continue;
        if (scope == CHECK_OVERRIDES && !node_is_override(node_find(c->root, check->setting))) continue;
        run_check(&s, check, &c->notes, a, p);
    }
}

status experiment_check_text(config *c, const dataset *data, arena *a, error *err) {
    const int64_t steps_per_epoch = experiment_steps_per_epoch(c->settings, data);
    const subject s = {c->settings, c->root, data, steps_per_epoch};
    problems p = {0};
    TRY(durations_count_epochs(&c->in_epochs, steps_per_epoch, err));
    for (int i = 0; i < CHECKS; i++)
        if (waits_for_text(&checks[i], c)) run_check(&s, &checks[i], &c->notes, a, &p);
    const status result = p.count ? ERR_CONFIG : OK;
    if (p.count) *err = p.items[0].what;
    problems_free(&p);
    return result;
}
