// The inside of a trainer, for the files trainer*.c and for timing/.
#ifndef RUNEXP_TRAIN_TRAINER_PARTS_H
#define RUNEXP_TRAIN_TRAINER_PARTS_H

#include "data/batches.h"
#include "models/model.h"
#include "train/evaluate.h"
#include "train/generate.h"
#include "train/gradient_tree.h"
#include "train/optimizers/optimizer.h"
#include "train/run_state.h"
#include "train/schedules/schedule.h"
#include "train/trainer.h"

// A step from beginning to end; the optimizer's part includes the average of the weights.
typedef enum step_part { STEP_BATCH, STEP_PASSES, STEP_NORM, STEP_UPDATE, STEP_PARTS } step_part;

struct trainer {
    trainer_request request;
    arena *memory;
    model *model;
    model_graph built; // of training, a micro-batch x block_size
    optimizer *optimizer;
    evaluator *evaluator;
    generator *generator; // made when the first sample is written
    opening opening;      // of every sample
    bool sample_warned;   // a warning about a sample that failed has been given
    real *average;        // averaged weights, or NULL
    metrics *metrics;
    bool metrics_warned; // a warning about unwritten rows has been given
    run_state state;
    schedule schedule;
    int rows;            // sequences of a step, all passes
    int passes;          // of a step through the model, each with rows / passes sequences
    gradient_tree tree;  // how the gradients of the passes are summed
    double *pass_losses; // of the tokens of each pass, summed
    batch_tokens batch;  // rows x block_size; begins: NULL unless the text has documents
    int64_t steps_per_epoch;
    // A lane for each row; NULL when batches carry none. The other set has them as they were before the
    // step: what diverged() runs again begins there.
    state_set *states, *states_before;
    text tokenizer_text, config_text;
    // for progress lines
    double started, last_line, seconds_at_start;
    double last_saved; // when last.h5 was, or the start
    int64_t step_at_start, tokens_at_start;
    double *parts; // STEP_PARTS sums of seconds that steps add to; NULL: not measured
    double part_began;
};

// trainer.c: sets the weights and the state of a new run.
void trainer_initialise(trainer *t);

// trainer_step.c: one step of training, with the next batch: weights and state are those after it.
// ERR_DIVERGED when loss or gradient are not finite.
status trainer_step(trainer *t, train_row *row, error *err);

// trainer_step.c: fills ERR_DIVERGED: `what` of that step, "the loss", is not finite. where: the end of the
// sentence, may be empty.
status trainer_diverged(const trainer *t, const char *what, int64_t step, const char *where, error *err);

// trainer_step.c: ERR_DIVERGED, naming the last step, when a forward pass with its weights over the first
// micro-batch of the coming batch, which t->batch holds, gives a loss that is not finite.
status trainer_check_weights(trainer *t, error *err);
void trainer_fill_batch(trainer *t, int64_t step); // ids and targets of a step

// trainer_checkpoint.c: writes a checkpoint of everything (ERR_DIVERGED, and the file is left as it is,
// when an array is not finite or the weights give no finite loss); reads last.h5 back, to continue from
// there (ERR_DATA when an array is not finite or the data has changed); reads the weights of best.h5.
status trainer_save(trainer *t, const char *path, error *err);
status trainer_load(trainer *t, error *err);
status trainer_load_best(trainer *t, error *err);

#endif
