#include "models/builder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "config/problems.h"

tensor *builder_fail(builder *b, const component_choice *choice, const char *key, const char *hint,
                     const char *format, ...) {
    if (b->failed) return NULL;
    b->failed = true;
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    place where = choice->where;
    if (key && choice->node) where = problem_place(choice->node, key);
    fail_at(b->err, ERR_CONFIG, where, "%s: %s", choice->about->name, message);
    if (hint) error_hint(b->err, "%s", hint);
    return NULL;
}

void builder_warn(builder *b, const component_choice *choice, const char *key, const char *format, ...) {
    if (!b->warnings) return;
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    arena *a = b->graph->parameters->memory;
    const place where = choice->node ? problem_place(choice->node, key) : choice->where;
    const char *line = where.line ? arena_format(a, "%d:%d:", where.line, where.column) : "";
    const char *file = where.file ? arena_format(a, "%s:%s ", where.file, line) : "";
    string_list_add(b->warnings, arena_format(a, "%s%s: %s", file, choice->about->name, message), a);
}

tensor *builder_parameter(builder *b, const char *name, parameter_declaration about) {
    char full[sizeof b->path + 64];
    snprintf(full, sizeof full, "%s/%s", b->path, name);
    parameter *p;
    if (b->failed || parameters_declare(b->graph->parameters, full, &about, &p, b->err) != OK) {
        b->failed = true;
        p = arena_alloc(b->graph->memory, sizeof *p); // a stand-in that operators can take the shape of
        p->about = about;
    }
    return graph_parameter(b->graph, p);
}

parameter_declaration builder_weight(const builder *b, int out, int in) {
    return (parameter_declaration){
        .rank = 2,
        .shape = {out, in},
        .init = b->init_torch ? INIT_UNIFORM : INIT_NORMAL,
        .init_value = b->init_torch ? 1 / sqrt(in) : b->init_std,
        .decay = true,
        .matrix = true,
    };
}

parameter_declaration builder_bias(const builder *b, int out, int in) {
    return (parameter_declaration){
        .rank = 1,
        .shape = {out},
        .init = b->init_torch ? INIT_UNIFORM : INIT_CONSTANT,
        .init_value = b->init_torch ? 1 / sqrt(in) : 0,
    };
}

parameter_declaration builder_glorot_weight(int out, int in) {
    return (parameter_declaration){.rank = 2,
                                   .shape = {out, in},
                                   .init = INIT_UNIFORM,
                                   .init_value = sqrt(6.0 / (in + out)),
                                   .decay = true,
                                   .matrix = true};
}

linear_parameters builder_linear_parameters(builder *b, int in, linear_map map) {
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%sweight", map.name);
    snprintf(bias, sizeof bias, "%sbias", map.name);
    parameter_declaration about = builder_weight(b, map.out, in);
    about.parts = map.parts;
    if (!b->init_torch && map.to_residual && b->residual_depth > 0 && b->residual_count > 0)
        about.init_value /= sqrt(b->residual_count);
    linear_parameters p = {.weight = builder_parameter(b, weight, about)};
    if (map.bias) p.bias = builder_parameter(b, bias, builder_bias(b, map.out, in));
    return p;
}

tensor *builder_linear(builder *b, tensor *x, linear_map map) {
    const linear_parameters p = builder_linear_parameters(b, tensor_width(x), map);
    return op_linear(b->graph, x, p.weight, p.bias, map.act);
}

// Appends a layer's name to the path, numbered where its list has several of the kind; false: no room.
static bool enter(builder *b, const component_list *layers, int index) {
    const component *about = layers->items[index].about;
    const size_t length = strlen(b->path), room = sizeof b->path - length;
    int same = 0, number = 0;
    for (int i = 0; i < layers->count; i++)
        if (layers->items[i].about == about) {
            same++;
            if (i <= index) number++;
        }
    char suffix[16] = "";
    if (same > 1) snprintf(suffix, sizeof suffix, "%d", number);
    return (size_t)snprintf(b->path + length, room, "%s%s%s", length ? "/" : "", about->name, suffix) <
           room;
}

// The layer just built, from operator `first` on, learns in a training graph that carries state.
static void check_carried(builder *b, const component_choice *choice, int first) {
    const graph_options *options = &b->graph->options;
    if (options->gradients && options->states && graph_without_gradient(b->graph, first))
        builder_fail(b, choice, NULL, "choose another dataset.batches: windows or chunks",
                     "cannot be trained on a stream, with state carried from block to block");
}

tensor *builder_sequence(builder *b, const component_list *layers, tensor *x) {
    const size_t length = strlen(b->path);
    for (int i = 0; i < layers->count && !b->failed; i++) {
        const component_choice *choice = &layers->items[i];
        const layer_type *type = (const layer_type *)choice->about;
        const int first = b->graph->op_count;
        tensor *y = NULL;
        if (!enter(b, layers, i))
            builder_fail(b, choice, NULL, "nest fewer containers", "layers are nested too deeply");
        else if (!x && !type->may_begin)
            builder_fail(b, choice, NULL, "begin the list with `embedding`",
                         "there are no vectors to work on yet");
        else
            y = type->build(b, choice, x);
        check_carried(b, choice, first);
        b->path[length] = '\0';
        if (!b->failed) x = y;
    }
    return x;
}

tensor *builder_branch(builder *b, int number, const component_list *layers, tensor *x) {
    const size_t length = strlen(b->path);
    // Where it is cut short, the name of the first layer does not fit either.
    snprintf(b->path + length, sizeof b->path - length, "/%d", number);
    x = builder_sequence(b, layers, x);
    b->path[length] = '\0';
    return x;
}
