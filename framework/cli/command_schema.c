// runexp schema: the JSON Schema of experiment files.
#include "cli/commands.h"
#include "config/config.h"
#include "train/experiment.h"

#include <stdio.h>

static status run(const command_call *call, error *err) {
    (void)call, (void)err;
    text schema = {0};
    config_schema(&experiment_component, &schema);
    fwrite(schema.bytes, 1, schema.length, stdout);
    text_free(&schema);
    return OK;
}

const command command_schema = {
    .about =
        {
            .name = "schema",
            .kind = "command",
            .summary =
                "Prints the JSON Schema of experiment files, for editors that complete and check them",
            .details =
                "Editors with the YAML language server find the schema by the first line of an experiment file, as below.",
            .example = "  runexp schema > runexp.schema.json\n"
                       "  # yaml-language-server: $schema=../runexp.schema.json\n",
        },
    .usage = "",
    .max_arguments = 0,
    .run = run,
};
