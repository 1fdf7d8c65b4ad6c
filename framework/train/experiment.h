// An experiment: everything that a run depends on, read from one file by the option tables of its sections.
#ifndef RUNEXP_TRAIN_EXPERIMENT_H
#define RUNEXP_TRAIN_EXPERIMENT_H

#include "config/component.h"
#include "data/dataset.h"
#include "models/model.h"
#include "train/sampling.h"

typedef struct training_settings {
    int64_t batch_size, micro_batch_size, accumulation;
    duration max_steps;
    double grad_clip;     // 0: off
    double average_decay; // EMA of the weights; 0: off
    duration log_interval;
} training_settings;

typedef struct evaluation_settings {
    duration interval;     // 0: only at the end
    int64_t stride;        // tokens between windows; 0: block_size
    int64_t warmup_tokens; // that a lane of a stream reads before it is scored
    int64_t train_tokens;  // how much of the training split is evaluated
    int64_t patience;      // evaluations without improvement before stopping; 0: never
    double min_delta;
    int64_t sample_tokens; // text generated at each evaluation, into samples.txt
} evaluation_settings;

typedef struct checkpoint_settings {
    duration interval; // 0: not by steps
    double minutes;    // 0: not by time
} checkpoint_settings;

typedef struct experiment {
    const char *name, *description;
    int64_t seed;
    dataset_settings dataset;
    model_settings model;
    component_choice optimizer, schedule;
    training_settings training;
    evaluation_settings evaluation;
    checkpoint_settings checkpoint;
    sampling_settings sampling;
} experiment;

// The top level of an experiment file; its settings struct is `experiment`.
extern const component experiment_component;

// The sections training, evaluation and checkpoint (dataset, model and sampling are declared where they are
// used).
extern const component training_section, evaluation_section, checkpoint_section;

// Updates of an epoch of training; at least 1.
int64_t experiment_steps_per_epoch(const experiment *e, const dataset *data);

#endif
