// runexp data: the corpora of the catalogue; runexp data get NAME...: downloads them.
#include "base/log.h"
#include "base/program.h"
#include "cli/commands.h"
#include "data/catalogue.h"

#include <stdio.h>
#include <string.h>

static void list(const catalogue *c, const data_places *places) {
    text table = {0};
    catalogue_list(c, places, log_columns(), &table);
    fwrite(table.bytes, 1, table.length, stdout);
    text_free(&table);
}

// All names are looked up before the first download starts.
static status get(const catalogue *c, const command_call *call, error *err) {
    const catalogue_entry *corpus;
    for (int i = 1; i < call->count; i++) TRY(catalogue_need(c, call->arguments[i], &corpus, err));
    for (int i = 1; i < call->count; i++) {
        TRY(catalogue_need(c, call->arguments[i], &corpus, err));
        TRY(catalogue_get(corpus, &call->places, call->stop, err));
    }
    return OK;
}

static status run(const command_call *call, error *err) {
    const char *program = program_name();
    catalogue c;
    bool getting = call->count > 0 && strcmp(call->arguments[0], "get") == 0;
    if (call->count > 0 && !getting) {
        fail(err, ERR_USAGE, "%s data does not know \"%s\"", program, call->arguments[0]);
        return error_hint(err, "%s data lists the corpora, %s data get NAME... downloads them", program,
                          program);
    }
    if (getting && call->count < 2) {
        fail(err, ERR_USAGE, "%s data get needs the name of a corpus", program);
        return error_hint(err, "%s data lists them", program);
    }
    TRY(catalogue_load(call->places.catalogue, call->memory, &c, err));
    if (getting) return get(&c, call, err);
    list(&c, &call->places);
    return OK;
}

const command command_data = {
    .about =
        {
            .name = "data",
            .kind = "command",
            .summary = "Lists the corpora that experiments can name, or downloads them",
            .details =
                "Corpora are described in experiments/datasets.yaml. A file is looked for in the folders of\n"
                "RUNEXP_DATA (separated by colons), then in the cache, ~/.cache/runexp. `get` downloads\n"
                "into the cache and verifies the SHA-256 of every file, also of those already there.",
            .example = "  runexp data\n  runexp data get tinyshakespeare pushkin\n",
        },
    .usage = "[get NAME...]",
    .min_arguments = 0,
    .max_arguments = -1,
    .run = run,
};
