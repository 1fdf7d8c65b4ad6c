#include "config/duration.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

// Whole numbers up to here are exact as double.
static const double most_steps = 9007199254740992.0;

bool duration_read(const char *written, duration *out) {
    const char *blank = strchr(written, ' ');
    char number[32];
    *out = (duration){0};
    if (!blank) return text_to_int(written, &out->steps);
    const size_t length = (size_t)(blank - written);
    if (strcmp(blank + 1, "epochs") != 0 && strcmp(blank + 1, "epoch") != 0) return false;
    if (length >= sizeof number) return false;
    memcpy(number, written, length);
    number[length] = '\0';
    return text_to_real(number, &out->epochs) && out->epochs >= 0;
}

bool duration_nearest(const char *written, text *out) {
    static const char *const units[] = {"epochs", "epoch", "steps", "step", NULL};
    const size_t digits = strspn(written, "0123456789.");
    char word[16];
    size_t length = 0;
    for (const char *c = written + digits; *c; c++) {
        if (*c == ' ') continue;
        if (length == sizeof word - 1 || isdigit((unsigned char)*c)) return false;
        word[length++] = *c;
    }
    word[length] = '\0';
    const char *unit = digits && length ? nearest_name(word, units) : NULL;
    if (!unit) return false;
    text_add(out, "%.*s%s", (int)digits, written, unit[0] == 'e' ? " epochs" : "");
    return true;
}

bool duration_same(const char *a, const char *b) {
    duration x, y;
    return duration_read(a, &x) && duration_read(b, &y) && x.steps == y.steps && x.epochs == y.epochs;
}

double duration_steps(const duration *d, int64_t steps_per_epoch) {
    return d->epochs > 0 ? fmax(1, round(d->epochs * (double)steps_per_epoch)) : (double)d->steps;
}

status durations_count_epochs(const epochs_settings *settings, int64_t steps_per_epoch, error *err) {
    for (int i = 0; i < settings->count; i++) {
        const epochs_setting *s = &settings->items[i];
        const double steps = duration_steps(s->value, steps_per_epoch);
        if (steps > most_steps)
            return fail_at(err, ERR_CONFIG, s->where,
                           "%s: %g epochs of %lld steps are more than %.0f steps", s->path,
                           s->value->epochs, (long long)steps_per_epoch, most_steps);
        s->value->steps = (int64_t)steps;
    }
    return OK;
}
