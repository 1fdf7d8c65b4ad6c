// runexp describe [NAME]: the reference manual.
#include "base/log.h"
#include "base/program.h"
#include "base/text.h"
#include "cli/commands.h"
#include "config/config.h"
#include "data/batches.h"
#include "data/tokenizer.h"
#include "models/registry.h"
#include "report/plot.h"
#include "train/experiment.h"
#include "train/optimizers/optimizer.h"
#include "train/schedules/schedule.h"

#include <stdio.h>
#include <string.h>

enum { MOST_COMPONENTS = 512 };

static const component *const file_and_sections[] = {
    &experiment_component, &dataset_section,    &model_section,    &training_section,
    &evaluation_section,   &checkpoint_section, &sampling_section, NULL,
};

typedef struct chapter {
    const char *title;
    const component *const *components;
} chapter;

static const chapter chapters[] = {
    {"experiment file and its sections", file_and_sections},
    {"layers", layer_registry},
    {"optimizers", optimizer_registry},
    {"schedules", schedule_registry},
    {"tokenizers", tokenizer_registry},
    {"batches", batches_registry},
    {"plots", plot_registry},
};
enum { CHAPTERS = sizeof chapters / sizeof chapters[0] };

static void print_contents(void) {
    help_text("runexp describe NAME prints what a component does and its settings. There are:\n");
    for (int i = 0; i < CHAPTERS; i++) {
        printf("\n%s\n", chapters[i].title);
        for (const component *const *c = chapters[i].components; *c; c++)
            help_entry((*c)->name, 14, (*c)->summary);
    }
}

static void print_page(const component *c) {
    text page = {0};
    component_describe(c, log_columns(), &page);
    fwrite(page.bytes, 1, page.length, stdout);
    text_free(&page);
}

static status run(const command_call *call, error *err) {
    if (call->count == 0) {
        print_contents();
        return OK;
    }
    const char *name = call->arguments[0], *names[MOST_COMPONENTS];
    bool all = strcmp(name, "all") == 0;
    int known = 0, found = 0;
    for (int i = 0; i < CHAPTERS; i++)
        for (const component *const *c = chapters[i].components; *c; c++) {
            if (known < MOST_COMPONENTS - 1) names[known++] = (*c)->name;
            if (!all && strcmp((*c)->name, name) != 0) continue;
            if (found++) printf("\n");
            print_page(*c);
        }
    names[known] = NULL;
    if (found) return OK;
    fail(err, ERR_USAGE, "there is no component \"%s\"", name);
    const char *near = nearest_name(name, names);
    if (near) return error_hint(err, "did you mean %s? %s describe lists them all", near, program_name());
    return error_hint(err, "%s describe lists them all", program_name());
}

const command command_describe = {
    .about =
        {
            .name = "describe",
            .kind = "command",
            .summary =
                "Describes a component and its settings, with an example; without a name, lists them; `all` prints the manual",
            .example = "  runexp describe attention\n  runexp describe all | less\n",
        },
    .usage = "[NAME]",
    .max_arguments = 1,
    .run = run,
};
