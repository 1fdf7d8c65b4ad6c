// The declaration of settings: one row of an option table for each member of a settings struct.
//
//     typedef struct sgd_settings {
//         double lr, momentum;
//         bool nesterov;
//     } sgd_settings;
//
//     #define SETTINGS sgd_settings
//     static const option sgd_options[] = {
//         REAL(lr, "0.1", ABOVE(0), INFINITY, "learning rate at the top of the schedule"),
//         REAL(momentum, "0.9", 0, BELOW(1), "share of the last step's direction that is kept; 0: none"),
//         BOOL(nesterov, "false", "look ahead along the momentum"),
//         {0},
//     };
//     #undef SETTINGS
//
// The member's name is the key. A member whose C type is not that of the row does not compile
// (tests/lint/setting_types.py).
//
// The default is what a user would write: "6.0e-4", "[0.9, 0.95]", "${model.dropout}". REQUIRED: there is
// none, and absence is a problem. OPTIONAL: there is none, and absence leaves the member NULL or zero; a
// file may say so with null, which also undoes what it extends. Everywhere else null is refused.
//
// The documentation is one line without a final full stop. Further members of `option` may follow it:
// .unit = "tokens", .min_count = 2.
//
// Rows that several tables share are macros of the same kind, in the header that declares what they fill:
// a group of members (`common` in every optimizer's settings) or a member that each table's struct has.
#ifndef RUNEXP_CONFIG_SETTINGS_H
#define RUNEXP_CONFIG_SETTINGS_H

#include "config/component.h"

#include <math.h>

// In place of a default.
#define REQUIRED NULL, .required = true
#define OPTIONAL NULL

// In place of the lower and of the upper end of a range: the end itself is excluded. A range without an end
// has -INFINITY or INFINITY there.
#define ABOVE(end) end, .min_excluded = true
#define BELOW(end) end, .max_excluded = true

#define BOOL(member, default_, ...)                                                                        \
    SETTING(OPTION_BOOL, bool, #member, member, .fallback = default_, .doc = __VA_ARGS__)
#define INT(member, default_, low, high, ...)                                                              \
    SETTING(OPTION_INT, int64_t, #member, member, .fallback = default_, .min = low, .max = high,           \
            .doc = __VA_ARGS__)
#define REAL(member, default_, low, high, ...)                                                             \
    SETTING(OPTION_REAL, double, #member, member, .fallback = default_, .min = low, .max = high,           \
            .doc = __VA_ARGS__)
// Steps, from `low` on, or epochs.
#define DURATION(member, default_, low, ...)                                                               \
    SETTING(OPTION_DURATION, duration, #member, member, .fallback = default_, .min = low, .max = INFINITY, \
            .doc = __VA_ARGS__)
#define STRING(member, default_, ...)                                                                      \
    SETTING(OPTION_STRING, const char *, #member, member, .fallback = default_, .doc = __VA_ARGS__)
#define CHOICE(member, default_, names, ...)                                                               \
    SETTING(OPTION_CHOICE, int, #member, member, .fallback = default_, .choices = names, .doc = __VA_ARGS__)

// Lists of values.
#define REALS(member, default_, low, high, ...)                                                            \
    SETTING(OPTION_REALS, real_list, #member, member, .fallback = default_, .min = low, .max = high,       \
            .doc = __VA_ARGS__)
#define DURATIONS(member, default_, low, ...)                                                              \
    SETTING(OPTION_DURATIONS, duration_list, #member, member, .fallback = default_, .min = low,            \
            .max = INFINITY, .doc = __VA_ARGS__)
#define STRINGS(member, default_, ...)                                                                     \
    SETTING(OPTION_STRINGS, string_list, #member, member, .fallback = default_, .doc = __VA_ARGS__)

// A mapping with a table of its own: SECTION(training, ...) fills a member `training_settings training` by
// the table of `training_section`.
#define SECTION(member, ...)                                                                               \
    SETTING(OPTION_SECTION, member##_settings, #member, member, .section = &member##_section,              \
            .doc = __VA_ARGS__)

// Components out of a registry: one, a list, a list of lists.
#define COMPONENT(member, default_, from, ...)                                                             \
    SETTING(OPTION_COMPONENT, component_choice, #member, member, .fallback = default_, .registry = from,   \
            .doc = __VA_ARGS__)
#define COMPONENTS(member, default_, from, ...)                                                            \
    SETTING(OPTION_COMPONENTS, component_list, #member, member, .fallback = default_, .registry = from,    \
            .doc = __VA_ARGS__)
#define BRANCHES(member, default_, from, ...)                                                              \
    SETTING(OPTION_BRANCHES, component_branches, #member, member, .fallback = default_, .registry = from,  \
            .doc = __VA_ARGS__)

// clang-format off
// Names of the user's choice, which fill no member.
#define VARIABLES(name, ...) {.key = #name, .type = OPTION_VARIABLES, .doc = __VA_ARGS__}

// What the rows above are made of; shared rows use it where the key is not the member's name.
#define SETTING(kind, c_type, name, member, ...) \
    {.key = name, .type = kind, \
     .offset = _Generic(((SETTINGS *)0)->member, c_type: offsetof(SETTINGS, member)), __VA_ARGS__}
// clang-format on

#endif
