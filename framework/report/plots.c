#include "report/plots.h"

const component *const plot_registry[] = {
    &plot_loss.about,      &plot_perplexity.about, &plot_gap.about,     &plot_lr.about,
    &plot_grad_norm.about, &plot_speed.about,      &plot_filters.about, NULL,
};
