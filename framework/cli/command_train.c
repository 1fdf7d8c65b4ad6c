// runexp EXPERIMENT.yaml: trains.
#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/program.h"
#include "cli/commands.h"
#include "cli/compute.h"
#include "cli/load.h"
#include "cli/pictures.h"
#include "cli/runs.h"
#include "config/overrides.h"
#include "kernels/kernels.h"
#include "train/trainer.h"
#include "version.h"

typedef struct train_options {
    compute_options compute;
    const char *runs, *plots;
    bool dry_run, fresh, quiet, no_plots;
} train_options;

#define SETTINGS train_options
static const option options[] = {
    COMPUTE_OPTIONS,
    BOOL(dry_run, OPTIONAL, "print layers, shapes, parameters, FLOP per token and memory; train nothing"),
    BOOL(fresh, OPTIONAL, "replace an earlier run of this name"),
    BOOL(quiet, OPTIONAL, "print only warnings and errors"),
    BOOL(no_plots, OPTIONAL, "draw nothing at the end"),
    RUNS_OPTION,
    STRING(plots, "plots", "folder of the plots"),
    {0},
};
#undef SETTINGS

static run_facts facts_of(const experiment *e, const dataset *data, arena *a) {
    char *host = arena_alloc(a, 256), *cpu = arena_alloc(a, 256), *now = arena_alloc(a, 64);
    return (run_facts){
        .name = e->name,
        .version = RUNEXP_VERSION,
        .git_commit = RUNEXP_COMMIT,
        .hostname = machine_host(host, 256),
        .cpu = machine_cpu(cpu, 256),
        .instruction_set = kernels->name,
        .started = machine_time(now, 64),
        .seed = e->seed,
        .threads = kernels_threads(),
        .texts = data->digests,
    };
}

// Prepares the run's folder: as it is for a run that is resumed, new otherwise.
static status enter_folder(const run_folder *folder, const config *c, bool fresh, run_progress progress,
                           error *err) {
    if (fresh) TRY(run_folder_clear(folder, err));
    if (progress == RUN_NEW) TRY(run_folder_prepare(folder, c, err));
    error no_log;
    if (log_open_file(folder->log, &no_log) != OK) log_warning("%s", no_log.message);
    if (progress == RUN_BEGUN) log_line("%s holds no checkpoint yet: starting over", folder->path);
    return OK;
}

static status train(const command_call *call, config *c, const run_folder *folder, run_progress progress,
                    error *err) {
    const train_options *o = call->options;
    const experiment *e = experiment_of(c);
    dataset *data;
    TRY(open_dataset(call, c, &data, err));
    if (progress != RUN_NEW) TRY(run_folder_check_texts(folder, &data->digests, err));
    const trainer_request request = {
        .experiment = e,
        .config = c,
        .dataset = data,
        .folder = *folder,
        .facts = facts_of(e, data, call->memory),
        .stop = call->stop,
    };
    trainer *t;
    TRY(trainer_new(&request, &t, err));
    // An existing folder is touched only now, when everything has been read and placed.
    status result = o->dry_run ? OK : enter_folder(folder, c, o->fresh, progress, err);
    if (result == OK) {
        if (o->dry_run) log_set_quiet(false); // the plan is what was asked for
        trainer_describe(t, o->dry_run);
        if (!o->dry_run) result = trainer_run(t, progress == RUN_UNFINISHED, err);
    }
    trainer_free(t);
    return result;
}

// Missing pictures never fail a run. ERR_INTERRUPTED, which needs no further words, when *stop (NULL:
// never) asks to end.
static status draw(const char *folder, const train_options *o, const volatile int *stop, arena *a) {
    report_run run;
    error err;
    status result = report_run_load(folder, a, &run, &err);
    if (result == OK) result = draw_run(&run, o->plots, stop, a, &err);
    if (result == ERR_INTERRUPTED)
        log_warning("interrupted while drawing: pictures are missing; `%s plot %s` draws them",
                    program_name(), folder);
    else if (result != OK)
        log_warning("the plots of %s are missing: %s", folder, err.message);
    return result == ERR_INTERRUPTED ? result : OK;
}

// A finished run is left as it is, when it is a run of this text. A text that is gone cannot be compared.
static status say_finished(const command_call *call, const experiment *e, const run_folder *folder,
                           error *err) {
    text_digests now;
    error unreadable;
    if (dataset_digests(&e->dataset, &call->places, call->memory, &now, &unreadable) == OK)
        TRY(run_folder_check_texts(folder, &now, err));
    else
        log_warning("the text of the run could not be compared: %s", unreadable.message);
    log_line("%s is finished: results in %s (add --fresh to train it anew)", e->name, folder->path);
    return OK;
}

static status run(const command_call *call, error *err) {
    const train_options *o = call->options;
    config c;
    log_set_quiet(o->quiet);
    TRY(compute_begin(&o->compute, err));
    TRY(load_experiment(call, call->arguments[0], call->arguments + 1, call->count - 1, &c, err));
    const experiment *e = experiment_of(&c);
    const run_folder folder = run_folder_at(call->memory, path_join(call->memory, o->runs, e->name));
    run_progress progress = RUN_NEW;
    if (!overrides_give(&c.overrides, "name"))
        TRY(run_folder_check_name(c.path, &experiment_component, call->memory, err));
    if (!o->fresh) TRY(run_folder_inspect(&folder, &experiment_component, &c, &progress, err));
    if (progress == RUN_FINISHED && !o->dry_run) return say_finished(call, e, &folder, err);
    status result = train(call, &c, &folder, progress, err);
    if (o->dry_run || o->no_plots || !file_exists(folder.path)) return result;
    // The signal that ended the training lets its pictures be drawn; another one ends the program.
    const volatile int *stop = result == ERR_INTERRUPTED ? NULL : call->stop;
    const status drawn = draw(folder.path, o, stop, call->memory);
    return result == OK && drawn != OK ? (err->code = drawn) : result;
}

const command command_train = {
    .about =
        {
            .name = "train",
            .kind = "command",
            .summary = "Trains the model of an experiment file",
            .details =
                "Leaves a folder runs/<name> (with overrides, runs/<name>,<key>=<value>,...) with config.yaml, metrics.h5, metrics.tsv, last.h5,\n"
                "best.h5, log.txt and samples.txt, and its plots in plots/<name>. A run that exists unfinished is resumed; a finished one is\n"
                "left as it is. `runexp EXPERIMENT.yaml` is short for `runexp train EXPERIMENT.yaml`.",
            .example =
                "  runexp experiments/quickstart.yaml\n"
                "  runexp experiments/gpt_nano.yaml optimizer.lr=3e-3 training.max_steps=500\n"
                "  for lr in 1e-4 3e-4 1e-3; do runexp experiments/gpt_nano.yaml optimizer.lr=$lr; done\n",
            .options = options,
            .settings_size = sizeof(train_options),
        },
    .usage = "EXPERIMENT.yaml [key.path=value ...]",
    .min_arguments = 1,
    .max_arguments = -1,
    .run = run,
};
