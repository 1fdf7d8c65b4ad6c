// Training: the loop from step to step, with evaluation, checkpoints, early stopping and the detection of
// divergence.
#ifndef RUNEXP_TRAIN_TRAINER_H
#define RUNEXP_TRAIN_TRAINER_H

#include "config/config.h"
#include "data/dataset.h"
#include "store/metrics.h"
#include "train/experiment.h"
#include "train/run_folder.h"

typedef struct trainer trainer;

// What a run is made of: an experiment that fits its text (train/experiment_checks.h). Everything must
// outlive the trainer.
typedef struct trainer_request {
    const experiment *experiment;
    const config *config;
    const dataset *dataset;
    run_folder folder;
    run_facts facts;          // parameters and steps_per_epoch are filled in by the trainer
    const volatile int *stop; // becomes non-zero to interrupt
} trainer_request;

// Builds model, graphs, optimizer and evaluator, and places all memory. Nothing is written. Free with
// trainer_free.
status trainer_new(const trainer_request *request, trainer **out, error *err);
void trainer_free(trainer *t);

// Logs the plan: layers, shapes, parameters, floating-point operations per token, memory. With details
// every operator has a line.
void trainer_describe(const trainer *t, bool details);

// Trains from the beginning (resume false) or from last.h5 to the end: rows of metrics, evaluations,
// samples, checkpoints. Returns ERR_INTERRUPTED after `stop` with the checkpoint written; ERR_DIVERGED,
// naming step and first bad tensor, with the earlier checkpoint kept; ERR_IO when a checkpoint cannot be
// written. Metrics carry the matching status in all cases.
status trainer_run(trainer *t, bool resume, error *err);

#endif
