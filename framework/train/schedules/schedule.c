// The registry of schedules, and the warm-up that all of them take.
#include "train/schedules/schedule.h"

const component *const schedule_registry[] = {
    &schedule_constant.about,    &schedule_step.about,
    &schedule_exponential.about, &schedule_cosine.about,
    &schedule_linear.about,      &schedule_inverse_sqrt.about,
    &schedule_wsd.about,         &schedule_one_cycle.about,
    &schedule_plateau.about,     NULL,
};

schedule schedule_begin(const component_choice *choice, double lr) {
    schedule s = {.type = (const schedule_type *)choice->about, .settings = choice->settings, .lr = lr};
    for (int i = 0; i < s.type->state_count; i++) s.state[i] = s.type->state[i].initial;
    return s;
}

double schedule_rate(const schedule *s, const schedule_progress *p) {
    const int64_t warmup = ((const schedule_common *)s->settings)->warmup_steps.steps;
    if (p->step < warmup) return s->lr * (double)(p->step + 1) / (double)(warmup + 1);
    return s->type->rate(s, p);
}

void schedule_observe(schedule *s, double val_loss) {
    if (s->type->observe) s->type->observe(s, val_loss);
}

double schedule_fraction(const schedule_common *common, const schedule_progress *p, int64_t end) {
    const int64_t warmup = common->warmup_steps.steps;
    if (p->step >= end || end <= warmup) return 1;
    return (double)(p->step - warmup) / (double)(end - warmup);
}
