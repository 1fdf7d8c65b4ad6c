#include "models/builder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "config/problems.h"

tensor *builder_fail(builder *b, const component_choice *choice, const char *key, const char *hint,
                     const char *format, ...) {
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

tensor *builder_needs_input(builder *b, const component_choice *choice) {
    return builder_fail(b, choice, NULL, "begin the list with `embedding`",
                        "there are no vectors to work on yet");
}

tensor *builder_parameter(builder *b, const char *name, const parameter_declaration *about) {
    char full[sizeof b->path + 64];
    snprintf(full, sizeof full, "%s/%s", b->path, name);
    parameter *p;
    if (parameters_declare(b->graph->parameters, full, about, &p, b->err) != OK) return NULL;
    return graph_parameter(b->graph, p);
}

bool builder_linear(builder *b, const char *name, int out, int in, bool with_bias, bool to_residual,
                    int parts, tensor **weight, tensor **bias) {
    char full[64];
    double bound = 1 / sqrt(in), std = b->init_std;
    if (to_residual && b->residual_depth > 0 && b->residual_count > 0) std /= sqrt(b->residual_count);
    parameter_declaration about = {
        .rank = 2,
        .shape = {out, in},
        .init = b->init_torch ? INIT_UNIFORM : INIT_NORMAL,
        .init_value = b->init_torch ? bound : std,
        .decay = true,
        .matrix = true,
        .parts = parts,
    };
    snprintf(full, sizeof full, "%sweight", name);
    *weight = builder_parameter(b, full, &about);
    *bias = NULL;
    if (!*weight || !with_bias) return *weight != NULL;
    about = (parameter_declaration){
        .rank = 1,
        .shape = {out},
        .init = b->init_torch ? INIT_UNIFORM : INIT_CONSTANT,
        .init_value = b->init_torch ? bound : 0,
    };
    snprintf(full, sizeof full, "%sbias", name);
    *bias = builder_parameter(b, full, &about);
    return *bias != NULL;
}

tensor *builder_sequence(builder *b, const component_list *layers, tensor *x) {
    size_t length = strlen(b->path);
    for (int i = 0; i < layers->count; i++) {
        const component_choice *choice = &layers->items[i];
        const layer_type *type = (const layer_type *)choice->about;
        // A layer is called by its name, with a number when its list has several of them.
        int same = 0, number = 0;
        for (int k = 0; k < layers->count; k++)
            if (layers->items[k].about == choice->about) {
                same++;
                if (k <= i) number++;
            }
        const char *separator = length ? "/" : "";
        int needed = same > 1 ? snprintf(b->path + length, sizeof b->path - length, "%s%s%d", separator,
                                         type->about.name, number)
                              : snprintf(b->path + length, sizeof b->path - length, "%s%s", separator,
                                         type->about.name);
        if ((size_t)needed >= sizeof b->path - length)
            return builder_fail(b, choice, NULL, "nest fewer containers", "layers are nested too deeply");
        const char *outer = b->graph->path;
        b->graph->path = b->path;
        x = type->build(b, choice, x);
        b->graph->path = outer;
        b->path[length] = '\0';
        if (!x) return NULL;
    }
    return x;
}
