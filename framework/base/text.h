// Text: growing strings, strict numbers, UTF-8, nearest names.
#ifndef RUNEXP_BASE_TEXT_H
#define RUNEXP_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A growing string. Start with {0}; text is NULL until something is added, then always terminated. Free
// with text_free.
typedef struct text {
    char *bytes;
    size_t length, capacity;
} text;

void text_add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_list(text *t, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
void text_add_bytes(text *t, const char *bytes, size_t count);
void text_clear(text *t); // keeps the memory
void text_free(text *t);

// Strict conversions of a whole string: no surrounding blanks, no trailing characters, no overflow, no
// hexadecimal, no "inf" or "nan" (text_to_real). Return false and leave *value alone when the text is not
// such a number. Integers may be written with exponents when exact ("1e6").
bool text_to_real(const char *s, double *value);
bool text_to_int(const char *s, int64_t *value);

// Decodes one UTF-8 sequence at s (count bytes left). Returns its length and sets *code_point; returns 0
// for an invalid sequence (overlong, surrogate, above U+10FFFF, cut short) and for count 0.
int utf8_decode(const char *s, size_t count, uint32_t *code_point);

bool utf8_is_valid(const char *s);

// Encodes a code point into buffer (at least 4 bytes); returns the length.
int utf8_encode(uint32_t code_point, char *buffer);

// The length that utf8_encode gives a code point.
int utf8_length(uint32_t code_point);

// Number of code points of a UTF-8 string, and of its first `length` bytes.
int utf8_width(const char *s);
int utf8_count(const char *s, size_t length);

// Number of terminal columns of a UTF-8 string: two for the wide characters of East Asia and emoji, none
// for accents that combine. And of its first characters (code points), one for each that it lacks.
int utf8_columns(const char *s);
int utf8_columns_of(const char *s, int characters);

// The most bytes of s, of its first `count`, that are at most `most` and end where a character ends.
size_t utf8_cut(const char *s, size_t count, size_t most);

// Removes the character that a fixed buffer cut off at the end of s.
void utf8_trim(char *s);

// s in normalization form C of Unicode (UAX #15): texts that look the same because they differ only in
// whether accents are characters of their own become the same. What is not UTF-8 stays as it is.
void text_add_composed(text *t, const char *s);

// s in at most `columns` columns: whole, or with an ellipsis in place of its middle. Letters keep their
// accents.
void text_add_shortened(text *t, const char *s, int columns);

// How many bytes of s go into a line of `width` columns, cut before the blanks or newline where there
// are some; *next is where the next line begins. A word longer than the line is cut.
size_t text_line_that_fits(const char *s, int width, const char **next);

// Appends paragraphs in lines of at most `columns`, each after the indent, which counts. A newline within a
// paragraph is a blank; empty lines, and lines that begin with a blank, are kept as they are.
void text_add_wrapped(text *t, const char *paragraphs, const char *indent, int columns);

// Appends text for a terminal: control characters other than newline and tab as ^G. Those of U+0080 to
// U+009F are shown as the escape sequences that they stand for, ^[ and a letter.
void text_add_visible(text *t, const char *bytes, size_t count);

// Whether a string has control characters, of which newline and tab are two.
bool text_has_control(const char *s);

// The name among candidates (NULL-terminated) nearest to word by edit distance with transpositions, or NULL
// when none is near enough to be a likely slip of the keyboard.
const char *nearest_name(const char *word, const char *const *candidates);

// "1.23 M" style for counts and "12.3 MiB" for bytes; buffer of 32 bytes suffices. Return buffer.
char *text_count(double count, char *buffer, size_t size);
char *text_bytes(double bytes, char *buffer, size_t size);

// The shape of an array, "12 x 64 x 65".
char *text_shape(const int *shape, int rank, char *buffer, size_t size);

// A duration such as "0.8 s", "2 min 05 s", "3 h 12 min".
char *text_duration(double seconds, char *buffer, size_t size);

#endif
