// The registry of schedules, and the warm-up that all of them take.
#include "train/schedules/schedule.h"

const component *const schedule_registry[] = {
    &schedule_constant.about,    &schedule_step.about,
    &schedule_exponential.about, &schedule_cosine.about,
    &schedule_linear.about,      &schedule_inverse_sqrt.about,
    &schedule_wsd.about,         &schedule_one_cycle.about,
    &schedule_plateau.about,     NULL,
};

double schedule_rate(const component_choice *choice, double lr, const schedule_progress *p) {
    const schedule_type *type = (const schedule_type *)choice->about;
    const int64_t warmup = ((const schedule_common *)choice->settings)->warmup_steps;
    if (p->step < warmup) return lr * (double)(p->step + 1) / (double)(warmup + 1);
    return type->rate(choice->settings, lr, p);
}

void schedule_observe(const component_choice *choice, double lr, double val_loss, run_state *state) {
    const schedule_type *type = (const schedule_type *)choice->about;
    if (type->observe != NULL) type->observe(choice->settings, lr, val_loss, state);
}

double schedule_fraction(const schedule_common *common, const schedule_progress *p, int64_t end) {
    if (p->step >= end || end <= common->warmup_steps) return 1;
    return (double)(p->step - common->warmup_steps) / (double)(end - common->warmup_steps);
}
