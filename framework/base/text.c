#include "base/text.h"

#include "base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static void reserve(text *t, size_t more) {
    if (t->bytes && t->length + more + 1 <= t->capacity) return;
    t->capacity = (t->length + more + 1) * 2;
    t->bytes = memory_resize(t->bytes, t->capacity);
}

void text_add_list(text *t, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    reserve(t, (size_t)length);
    vsnprintf(t->bytes + t->length, (size_t)length + 1, format, again);
    va_end(again);
    t->length += (size_t)length;
}

void text_add(text *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text_add_list(t, format, arguments);
    va_end(arguments);
}

void text_add_bytes(text *t, const char *bytes, size_t count) {
    reserve(t, count);
    if (count) memcpy(t->bytes + t->length, bytes, count);
    t->length += count;
    t->bytes[t->length] = '\0';
}

void text_clear(text *t) {
    t->length = 0;
    if (t->bytes) t->bytes[0] = '\0';
}

void text_free(text *t) {
    free(t->bytes);
    *t = (text){0};
}

// Whether s is a decimal number: [+-] digits [. digits] [e [+-] digits], with at least one digit in the
// mantissa.
static bool is_decimal(const char *s) {
    if (*s == '+' || *s == '-') s++;
    int digits = 0;
    while (isdigit((unsigned char)*s)) s++, digits++;
    if (*s == '.') {
        s++;
        while (isdigit((unsigned char)*s)) s++, digits++;
    }
    if (digits == 0) return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-') s++;
        if (!isdigit((unsigned char)*s)) return false;
        while (isdigit((unsigned char)*s)) s++;
    }
    return *s == '\0';
}

bool text_to_real(const char *s, double *value) {
    if (!is_decimal(s)) return false;
    double number = strtod(s, NULL);
    if (!isfinite(number)) return false;
    *value = number;
    return true;
}

bool text_to_int(const char *s, int64_t *value) {
    if (!is_decimal(s)) return false;
    if (strpbrk(s, ".eE")) {
        double number = strtod(s, NULL);
        if (fabs(number) > 9007199254740992.0 || number != floor(number)) return false;
        *value = (int64_t)number;
        return true;
    }
    errno = 0;
    long long number = strtoll(s, NULL, 10);
    if (errno) return false;
    *value = number;
    return true;
}

int utf8_decode(const char *s, size_t count, uint32_t *code_point) {
    const unsigned char *b = (const unsigned char *)s;
    if (count == 0) return 0;
    if (b[0] < 0x80) {
        *code_point = b[0];
        return 1;
    }
    int length = b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : b[0] >= 0xC0 ? 2 : 0;
    if (length == 0 || b[0] > 0xF4 || count < (size_t)length) return 0;
    uint32_t value = b[0] & (0xFFu >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((b[i] & 0xC0) != 0x80) return 0;
        value = value << 6 | (b[i] & 0x3F);
    }
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
    *code_point = value;
    return length;
}

bool utf8_is_valid(const char *s) {
    uint32_t c;
    for (int length; *s; s += length)
        if ((length = utf8_decode(s, strnlen(s, 4), &c)) == 0) return false;
    return true;
}

int utf8_length(uint32_t c) {
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

int utf8_encode(uint32_t c, char *buffer) {
    const int length = utf8_length(c);
    if (length == 1) {
        buffer[0] = (char)c;
        return 1;
    }
    static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = length - 1; i > 0; i--, c >>= 6) buffer[i] = (char)(0x80 | (c & 0x3F));
    buffer[0] = (char)(lead[length] | c);
    return length;
}

int utf8_count(const char *s, size_t length) {
    int count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

int utf8_width(const char *s) {
    return utf8_count(s, strlen(s));
}

// Columns of a character by itself. Controls, which cells and lines show as something else, count as one.
static int columns_of(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) ? 1 : utf8proc_charwidth((utf8proc_int32_t)c);
}

// The length of what is seen as one character at s, which is not empty, and its columns: a letter with its
// accents, an emoji of several. Terminals differ on the latter; the sum of the parts is the most they take.
// A byte that is not UTF-8 counts as one.
static size_t step(const char *s, int *columns) {
    enum { FIRST_THAT_CONTINUES = 0xCC }; // the lead byte of U+0300: what comes before stands by itself
    uint32_t c, next;
    utf8proc_int32_t state = 0;
    size_t length = (size_t)utf8_decode(s, strnlen(s, 4), &c);
    *columns = length ? columns_of(c) : 1;
    if (length == 0) return 1;
    for (int more; (unsigned char)s[length] >= FIRST_THAT_CONTINUES; length += (size_t)more, c = next) {
        more = utf8_decode(s + length, strnlen(s + length, 4), &next);
        if (more == 0 ||
            utf8proc_grapheme_break_stateful((utf8proc_int32_t)c, (utf8proc_int32_t)next, &state))
            break;
        *columns += columns_of(next);
    }
    return length;
}

int utf8_columns(const char *s) {
    int total = 0, columns;
    for (size_t length; *s; s += length) {
        length = step(s, &columns);
        total += columns;
    }
    return total;
}

int utf8_columns_of(const char *s, int characters) {
    int total = 0, columns;
    for (size_t length; *s && characters > 0; s += length) {
        length = step(s, &columns);
        characters -= utf8_count(s, length);
        total += columns;
    }
    return characters > 0 ? total + characters : total;
}

static bool continues(char byte) {
    return ((unsigned char)byte & 0xC0) == 0x80;
}

size_t utf8_cut(const char *s, size_t count, size_t most) {
    if (count <= most) return count;
    size_t cut = most;
    while (cut > 0 && most - cut < 4 && continues(s[cut])) cut--;
    return continues(s[cut]) ? most : cut; // not UTF-8
}

void utf8_trim(char *s) {
    const size_t length = strlen(s);
    size_t start = length;
    uint32_t c;
    while (start > 0 && length - start < 3 && continues(s[start - 1])) start--;
    if (start == 0 || (unsigned char)s[start - 1] < 0xC0) return;
    start--;
    if (utf8_decode(s + start, length - start, &c) == 0) s[start] = '\0';
}

void text_add_shortened(text *t, const char *s, int columns) {
    const int all = utf8_columns(s);
    if (all <= columns) {
        text_add(t, "%s", s);
        return;
    }
    if (columns < 1) return;
    const int head = columns / 2, tail = columns - 1 - head;
    int used = 0, width;
    const char *rest = s;
    for (size_t length; *rest; rest += length, used += width) {
        length = step(rest, &width);
        if (used + width > head) break;
    }
    text_add_bytes(t, s, (size_t)(rest - s));
    text_add(t, "\xE2\x80\xA6");
    for (size_t length; *rest && all - used > tail; rest += length, used += width)
        length = step(rest, &width);
    text_add(t, "%s", rest);
}

enum { LONGEST_NAME = 64 }; // that is compared

// The characters of a name in lower case; a byte that is not UTF-8 is one. Returns their number;
// LONGEST_NAME when there are that many or more.
static int lower_case(const char *name, int32_t out[LONGEST_NAME]) {
    int count = 0;
    for (int length; *name && count < LONGEST_NAME; name += length) {
        uint32_t c = (unsigned char)*name;
        length = utf8_decode(name, strnlen(name, 4), &c);
        if (length == 0) length = 1;
        out[count++] = utf8proc_tolower((utf8proc_int32_t)c);
    }
    return count;
}

// Optimal string alignment distance: insertions, deletions, substitutions, swaps of neighbours.
static int edit_distance(const char *one, const char *other) {
    int32_t a[LONGEST_NAME], b[LONGEST_NAME];
    const int n = lower_case(one, a), m = lower_case(other, b);
    if (n >= LONGEST_NAME || m >= LONGEST_NAME) return LONGEST_NAME;
    int d[LONGEST_NAME][LONGEST_NAME];
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            int same = a[i - 1] == b[j - 1];
            int best = d[i - 1][j - 1] + !same;
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *nearest_name(const char *word, const char *const *candidates) {
    const char *nearest = NULL;
    int length = utf8_width(word), best = length <= 3 ? 1 : length <= 6 ? 2 : length / 3;
    for (; *candidates; candidates++) {
        int distance = edit_distance(word, *candidates);
        // A word that begins a name ("warmup" for "warmup_steps") is near as well.
        if (length >= 4 && strncmp(word, *candidates, strlen(word)) == 0 && distance > 2) distance = 2;
        if (distance <= best && (!nearest || distance < best)) {
            best = distance;
            nearest = *candidates;
        }
    }
    return nearest;
}

void text_add_composed(text *t, const char *s) {
    utf8proc_uint8_t *composed = NULL;
    const utf8proc_option_t options = UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const bool good = utf8proc_map((const utf8proc_uint8_t *)s, 0, &composed, options) >= 0;
    text_add(t, "%s", good ? (const char *)composed : s);
    free(composed);
}

char *text_count(double count, char *buffer, size_t size) {
    static const char *const units[] = {"", " K", " M", " G", " T"};
    int unit = 0;
    while (count >= 999.5 && unit < 4) count /= 1000, unit++;
    snprintf(buffer, size, unit == 0 ? "%.0f%s" : "%.3g%s", count, units[unit]);
    return buffer;
}

char *text_bytes(double bytes, char *buffer, size_t size) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1023.5 && unit < 4) bytes /= 1024, unit++;
    snprintf(buffer, size, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return buffer;
}

char *text_shape(const int *shape, int rank, char *buffer, size_t size) {
    size_t used = 0;
    buffer[0] = '\0';
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(buffer + used, size - used, i ? " x %d" : "%d", shape[i]);
    return buffer;
}

char *text_duration(double seconds, char *buffer, size_t size) {
    long whole = (long)(seconds + 0.5);
    if (seconds < 60)
        snprintf(buffer, size, "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(buffer, size, "%ld min %02ld s", whole / 60, whole % 60);
    else
        snprintf(buffer, size, "%ld h %02ld min", whole / 3600, whole % 3600 / 60);
    return buffer;
}

size_t text_line_that_fits(const char *s, int width, const char **next) {
    size_t fits = 0, i = 0;
    int used = 0, columns;
    for (size_t length; s[i] && s[i] != '\n'; i += length) {
        if (s[i] == ' ') fits = i;
        length = step(s + i, &columns);
        if (used + columns > width && used > 0) break;
        used += columns;
    }
    if (!s[i] || s[i] == '\n')
        fits = i;
    else if (fits == 0)
        fits = i;
    *next = s + fits;
    while (**next == ' ') (*next)++;
    if (**next == '\n') (*next)++;
    while (fits > 0 && s[fits - 1] == ' ') fits--;
    return fits;
}

// The length of the paragraph at s: up to an empty line, or one that begins with a blank.
static size_t paragraph_length(const char *s) {
    size_t length = strcspn(s, "\n");
    while (s[length] && s[length + 1] && !strchr(" \n", s[length + 1]))
        length += 1 + strcspn(s + length + 1, "\n");
    return length;
}

void text_add_wrapped(text *t, const char *paragraphs, const char *indent, int columns) {
    const int room = columns - utf8_columns(indent) > 1 ? columns - utf8_columns(indent) : 1;
    for (const char *s = paragraphs, *rest; *s; s += *s == '\n') {
        const bool as_it_is = strchr(" \n", *s);
        const size_t length = as_it_is ? strcspn(s, "\n") : paragraph_length(s);
        if (as_it_is) {
            text_add(t, "%s%.*s\n", length ? indent : "", (int)length, s);
            s += length;
            continue;
        }
        text paragraph = {0};
        text_add_bytes(&paragraph, s, length);
        s += length;
        for (char *c = paragraph.bytes; *c; c++)
            if (*c == '\n') *c = ' ';
        for (const char *line = paragraph.bytes; *line; line = rest) {
            const int fits = (int)text_line_that_fits(line, room, &rest);
            text_add(t, "%s%.*s\n", indent, fits, line);
        }
        text_free(&paragraph);
    }
}

// U+0080 to U+009F. s has two bytes, or ends in a NUL.
static bool is_high_control(const char *s) {
    return (unsigned char)s[0] == 0xC2 && ((unsigned char)s[1] & 0xE0) == 0x80;
}

void text_add_visible(text *t, const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
            text_add(t, "^%c", c ^ 0x40);
        else if (i + 1 < count && is_high_control(bytes + i))
            text_add(t, "^[%c", (bytes[++i] & 0x1F) | 0x40);
        else
            text_add_bytes(t, bytes + i, 1);
    }
}

bool text_has_control(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F || is_high_control(s)) return true;
    return false;
}
