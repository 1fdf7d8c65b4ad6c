// runexp time FILE: where the time of a training step goes.
#include "base/log.h"
#include "base/machine.h"
#include "cli/commands.h"
#include "cli/compute.h"
#include "cli/load.h"
#include "timing/timing_table.h"

#include <stdio.h>

typedef struct time_options {
    compute_options compute;
    int by; // timing_group
    double seconds;
    bool tsv;
} time_options;

static const char *const groups[] = {"kind", "layer", "operator", NULL};

#define SETTINGS time_options
static const option options[] = {
    CHOICE(by, "kind", groups, "what a row stands for: a kind of operator, a layer, or one operator"),
    REAL(seconds, "2", 0, 3600, "how long to measure; at least five steps"),
    BOOL(tsv, OPTIONAL, "print only the table, as tab-separated values"),
    COMPUTE_OPTIONS,
    {0},
};
#undef SETTINGS

#define SECONDS_OF_CEILINGS 0.4

// The ceilings are measured before and after: a shared machine changes its speed.
static status measure(const command_call *call, trainer *t, timing *out, ceilings *c, error *err) {
    const time_options *o = call->options;
    if (!o->tsv) TRY(ceilings_measure(SECONDS_OF_CEILINGS, c, err));
    TRY(timing_measure(t, o->seconds, (timing_group)o->by, call->memory, out, err));
    if (!o->tsv) TRY(ceilings_measure(SECONDS_OF_CEILINGS, c, err));
    return OK;
}

static void print(const experiment *e, const timing *t, const ceilings *c) {
    char cpu[256];
    text out = {0};
    timing_table(t, c, log_columns(), &out);
    log_line("%s, %s kernels, %d thread%s", machine_cpu(cpu, sizeof cpu), kernels->name, kernels_threads(),
             kernels_threads() == 1 ? "" : "s");
    log_line("peak: %.1f GFLOP/s of %s multiply-adds; memory: %.1f GB/s (triad), %.1f GB/s read only",
             1e-9 * c->flops, sizeof(real) == 8 ? "fp64" : "fp32", 1e-9 * c->triad, 1e-9 * c->read);
    log_line("%s: %lld tokens a step, medians of %d steps after %d to warm up\n", e->name,
             (long long)t->tokens, t->steps, t->warm_up);
    fwrite(out.bytes, 1, out.length, stdout);
    text_free(&out);
}

static status run(const command_call *call, error *err) {
    const time_options *o = call->options;
    config settings;
    dataset *data;
    trainer *t;
    timing result;
    ceilings c = {0};
    TRY(compute_begin(&o->compute, err));
    TRY(load_experiment(call, call->arguments[0], call->arguments + 1, call->count - 1, &settings, err));
    const experiment *e = experiment_of(&settings);
    TRY(open_dataset(call, &settings, &data, err));
    const trainer_request request = {
        .experiment = e, .config = &settings, .dataset = data, .stop = call->stop};
    TRY(trainer_new(&request, &t, err));
    status measured = measure(call, t, &result, &c, err);
    if (measured == OK && o->tsv) {
        text out = {0};
        timing_tsv(&result, &out);
        fwrite(out.bytes, 1, out.length, stdout);
        text_free(&out);
    } else if (measured == OK) {
        print(e, &result, &c);
    }
    trainer_free(t);
    return measured;
}

const command command_time = {
    .about =
        {
            .name = "time",
            .kind = "command",
            .summary = "Times a training step, operator by operator",
            .details =
                "Trains the experiment's model for some steps and leaves nothing behind. Times are microseconds of a step, medians over the\n"
                "steps. GFLOP/s count the operations of the mathematics, forward and backward, not what kernels compute again; peak is what\n"
                "this processor reaches in multiply-adds on registers, measured before and after. GB/s count the tensors that an operator\n"
                "reads and writes; more than the memory's means that they come from a cache. (batch), (gradient norm) and (optimizer) are\n"
                "the parts of a step outside of the model, (everything else) what remains.",
            .example =
                "  runexp time experiments/gpt_nano.yaml --threads 1\n"
                "  runexp time experiments/gpt_nano.yaml model.depth=2 --by operator --tsv > before.tsv\n",
            .options = options,
            .settings_size = sizeof(time_options),
        },
    .usage = "EXPERIMENT.yaml [key.path=value ...]",
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run,
};
