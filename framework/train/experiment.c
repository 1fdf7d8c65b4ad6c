#include "train/experiment.h"

#include "data/batches.h"
#include "train/optimizers/optimizer.h"
#include "train/schedules/schedule.h"

#define SETTINGS training_settings
static const option training_options[] = {
    INT(batch_size, "32", 1, 1 << 20, "sequences of block_size tokens per batch", .unit = "sequences"),
    INT(micro_batch_size, "0", 0, 1 << 20,
        "maximum number of sequences per pass; 0: chosen from the shapes so that activations stay in cache",
        .unit = "sequences"),
    INT(accumulation, "1", 1, 1 << 16, "batches per update: their gradients are averaged",
        .unit = "batches"),
    DURATION(max_steps, "1000", 1, "length of the run"),
    REAL(grad_clip, "1.0", 0, INFINITY,
         "maximum global norm of the gradient, which is scaled down to it; 0: no clipping"),
    REAL(average_decay, "0.0", 0, BELOW(1),
         "decay of a moving average of the weights, then used to evaluate and sample; 0: no average"),
    DURATION(log_interval, "1", 1, "interval between recorded rows of metrics"),
    {0},
};
#undef SETTINGS

const component training_section = {
    .name = "training",
    .kind = "section",
    .summary = "batches, length, clipping",
    .details =
        "A step is an update of the weights. Wherever a setting takes steps or epochs, a number means steps, and `5 epochs` or `0.5 epochs` as many steps as it takes to go through that much of the training split: the nearest whole number, 1 at least. `describe` says of each kind of batches (windows, chunks, stream) what an epoch of it is.",
    .example = "training: {batch_size: 32, max_steps: 5 epochs, grad_clip: 1.0}\n",
    .options = training_options,
    .settings_size = sizeof(training_settings),
};

#define SETTINGS evaluation_settings
static const option evaluation_options[] = {
    DURATION(interval, "250", 0, "interval between evaluations of the splits; 0: only at the end"),
    INT(stride, "0", 0, 1 << 30,
        "distance between windows; less gives tokens more context, at a higher cost; 0: block_size",
        .unit = "tokens"),
    INT(warmup_tokens, "256", 0, 1 << 30,
        "on a stream: how much text each lane reads before the first token that it is scored on",
        .unit = "tokens"),
    INT(train_tokens, "32768", 0, 1e12,
        "how much of the training split to evaluate, in evenly spread windows or lanes; 0: none",
        .unit = "tokens"),
    INT(patience, "0", 0, 1e9,
        "stop after this many evaluations without a better validation loss; 0: never",
        .unit = "evaluations"),
    REAL(min_delta, "0.0", 0, 1e6,
         "minimum decrease of the validation loss that counts as better, also for the best checkpoint"),
    INT(sample_tokens, "100", 0, 1e6,
        "length of the sample written to samples.txt at each evaluation; 0: none", .unit = "tokens"),
    {0},
};
#undef SETTINGS

const component evaluation_section = {
    .name = "evaluation",
    .kind = "section",
    .summary = "when whole splits are evaluated, and early stopping",
    .details =
        "The validation loss covers every token of the split once (never a random sample): in windows of block_size tokens or, when training reads a stream (dataset.batches), in lanes: consecutive parts of the split, at most 32 and of 1024 tokens or more, each with its state carried from beginning to end. The best checkpoint is the one with the smallest validation loss, but for decreases below min_delta.",
    .example = "evaluation: {interval: 250, patience: 5}\n",
    .options = evaluation_options,
    .settings_size = sizeof(evaluation_settings),
};

#define SETTINGS checkpoint_settings
static const option checkpoint_options[] = {
    DURATION(
        interval, "500", 0,
        "interval between writes of last.h5 (always written at the end and when interrupted); 0: not by steps"),
    REAL(minutes, "5.0", 0, 1e6,
         "last.h5 is also written when it is this old, so that a kill loses no more; 0: not by time",
         .unit = "minutes"),
    {0},
};
#undef SETTINGS

const component checkpoint_section = {
    .name = "checkpoint",
    .kind = "section",
    .summary = "how often the state of the run is saved",
    .example = "checkpoint: {interval: 500}\n",
    .options = checkpoint_options,
    .settings_size = sizeof(checkpoint_settings),
};

#define SETTINGS experiment
static const option experiment_options[] = {
    STRING(name, OPTIONAL, "name of the run and of its folder; if not set, the name of the file"),
    STRING(description, "\"\"", "one line, shown in tables and plots"),
    INT(seed, "1337", 0, 9007199254740992.0, "for initial weights, batches and dropout"),
    VARIABLES(vars, "your own variables, for use as ${vars.name} elsewhere in the file"),
    SECTION(dataset, "text, tokenizer, splits, batches"),
    SECTION(model, "layers of the model, and what they share"),
    COMPONENT(optimizer, "adamw", optimizer_registry, "how gradients change the weights"),
    COMPONENT(schedule, "constant", schedule_registry, "the learning rate over the run"),
    SECTION(training, "batches, length, clipping"),
    SECTION(evaluation, "how often splits are evaluated; early stopping"),
    SECTION(checkpoint, "how often the run is saved"),
    SECTION(sampling, "how text is generated"),
    {0},
};
#undef SETTINGS

const component experiment_component = {
    .name = "experiment",
    .kind = "file",
    .summary = "an experiment file: model, data, optimizer, schedule",
    .details =
        "`extends: FILE` (or a list of files) merges this file over others: mappings merge, lists replace. `${a.b}` stands for another setting. Everything not set has the default shown.",
    .options = experiment_options,
    .settings_size = sizeof(experiment),
};

int64_t experiment_steps_per_epoch(const experiment *e, const dataset *data) {
    return batches_steps_per_epoch(&e->dataset.batches, &data->splits[SPLIT_TRAIN],
                                   (int)e->dataset.block_size,
                                   (int)(e->training.batch_size * e->training.accumulation));
}
