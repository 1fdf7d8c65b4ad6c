// The plan of a training run in words.
#include "base/log.h"
#include "base/table.h"
#include "train/trainer_parts.h"

#include <stdio.h>
#include <string.h>

// Whether operator `number` trains the parameter, rather than packing it.
static bool trains(const graph *g, int number, const tensor *t) {
    const op *o = g->ops[number];
    for (int i = 0; i < o->in_count; i++)
        if (o->in[i] == t) return o->out[0]->differentiable;
    return false;
}

// Each parameter counts where it is first used, so that the column adds up to those of the model.
static size_t parameters_of(const graph *g, int number) {
    const op *o = g->ops[number];
    size_t count = 0;
    for (int i = 0; i < o->in_count; i++) {
        const tensor *t = o->in[i];
        if (!t || !t->parameter) continue;
        int first = 0;
        while (first < number && !trains(g, first, t)) first++;
        if (first == number && o->out[0]->differentiable) count += t->parameter->count;
    }
    return count;
}

static void describe_operators(const graph *g) {
    static const struct {
        const char *heading;
        bool to_the_right;
        int gives_way;
    } columns[] = {{"layer", false, 0},
                   {"operator", false, 0},
                   {"output", false, 2},
                   {"parameters", true, 1},
                   {"FLOP/token", true, 3}};
    arena *a = arena_new();
    table *t = table_new(a);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        table_column(t, columns[i].heading, columns[i].to_the_right);
        if (columns[i].gives_way)
            table_gives_way(t, columns[i].gives_way);
        else
            table_shortens(t);
    }
    for (int i = 0; i < g->op_count; i++) {
        const op *o = g->ops[i];
        char shape[64], parameters[32] = "", flops[32] = "";
        const size_t count = parameters_of(g, i);
        if (count) snprintf(parameters, sizeof parameters, "%zu", count);
        if (o->kind->flops) text_count(o->kind->flops(o) / (g->batch * g->time), flops, sizeof flops);
        table_row(t);
        table_cell(t, "%s", o->path);
        table_cell(t, "%s", o->kind->name);
        table_cell(t, "%s", text_shape(o->out[0]->shape, o->out[0]->rank, shape, sizeof shape));
        table_cell(t, "%s", parameters);
        table_cell(t, "%s", flops);
    }
    text out = {0};
    table_text(t, log_columns(), &out);
    out.bytes[--out.length] = '\0'; // log_line ends the last line
    log_line("%s", out.bytes);
    text_free(&out);
    arena_free(a);
}

// How many steps the durations have that are given in epochs.
static void describe_epochs(const trainer *t) {
    const epochs_settings *all = &t->request.config->in_epochs;
    if (all->count == 0) return;
    text line = {0};
    text_add(&line, "epoch: %lld step%s", (long long)t->steps_per_epoch,
             t->steps_per_epoch == 1 ? "" : "s");
    for (int i = 0; i < all->count; i++)
        text_add(&line, "%s%s = %lld", i ? ", " : "; ", all->items[i].path,
                 (long long)all->items[i].value->steps);
    log_line("%s", line.bytes);
    text_free(&line);
}

// Recurrent layers begin anew with each document, as do windows of convolutions. Attention does not.
static void note_mixed_documents(const trainer *t) {
    const op *mixing = t->batch.begins ? graph_mixing_documents(t->built.graph) : NULL;
    if (mixing)
        log_note(
            "dataset.document_separator does not bound what %s sees: within a block it sees the documents "
            "before, too, as it does when text is generated",
            mixing->path);
}

void trainer_describe(const trainer *t, bool details) {
    const experiment *e = t->request.experiment;
    const run_facts *facts = &t->request.facts;
    const graph *g = t->built.graph;
    const parameter_set *p = t->model->parameters;
    char parameters[32], flops[32], bytes[5][32];
    const int tokens = t->rows * t->model->block_size; // of a step, in which derived operators run once
    double forward = (graph_flops(g, false) * t->passes + graph_flops(g, true)) / tokens;
    size_t average = t->average ? p->block_bytes : 0, states = t->states ? 2 * states_bytes(t->states) : 0;
    const size_t gradients = p->gradient_reals * sizeof(real) + gradient_tree_bytes(&t->tree);
    size_t sizes[5] = {0, p->block_bytes + gradients + parameters_derived_bytes(p) + average,
                       optimizer_bytes(t->optimizer), g->plan_bytes + g->workspace_bytes + states,
                       evaluator_bytes(t->evaluator)};
    for (int i = 1; i < 5; i++) sizes[0] += sizes[i];
    for (int i = 0; i < 5; i++) text_bytes((double)sizes[i], bytes[i], sizeof bytes[i]);
    log_line("runexp %s, %d thread%s, %s kernels, %s of memory planned", facts->version, facts->threads,
             facts->threads == 1 ? "" : "s", facts->instruction_set, bytes[0]);
    log_line("%s%s%s", e->name, e->description[0] ? ": " : "", e->description);
    if (details) describe_operators(g);
    log_line("data: %s", t->request.dataset->description);
    if (t->opening.replaced)
        log_note("the text has no newline to begin samples with: they begin with \"%s\"", t->opening.text);
    note_mixed_documents(t);
    log_line("model: %s parameters, %s FLOP per token forward; %d tokens per update",
             text_count((double)p->learned, parameters, sizeof parameters),
             text_count(forward, flops, sizeof flops), tokens);
    describe_epochs(t);
    log_line("memory: weights, packed weights and gradients %s, optimizer %s, activations %s%s%s", bytes[1],
             bytes[2], bytes[3], sizes[4] ? ", evaluation " : ", which evaluation shares",
             sizes[4] ? bytes[4] : "");
}
