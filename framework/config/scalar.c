#include "config/scalar.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

// Whether other readers of YAML would take an unquoted string for another type.
static bool looks_typed(const char *s) {
    static const char *const words[] = {"true", "false", "yes", "no",   "on",
                                        "off",  "y",     "n",   ".inf", ".nan"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(s, words[i]) == 0) return true;
    // Numbers in all their forms, dates, times.
    const char *digits = s + (*s == '+' || *s == '-' || *s == '.');
    return isdigit((unsigned char)*digits) && s[strspn(s, "0123456789abcdefABCDEFxXoO_+-.:eETZ ")] == '\0';
}

static bool printable(uint32_t c) {
    if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return false;
    return c != 0x2028 && c != 0x2029 && c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
}

static bool may_be_plain(const char *s, bool in_list) {
    size_t length = strlen(s);
    if (length == 0 || s[0] == ' ' || s[length - 1] == ' ' || s[length - 1] == ':') return false;
    if (strchr("?:,[]{}#&*!|>'\"%@`=<", s[0])) return false;
    if (s[0] == '-' && !isalnum((unsigned char)s[1]) && s[1] != '.' && s[1] != '/') return false;
    if (strstr(s, ": ") || strstr(s, " #")) return false;
    if (in_list && strpbrk(s, ",[]{}:?")) return false;
    for (size_t i = 0; i < length;) {
        uint32_t c;
        int size = utf8_decode(s + i, length - i, &c);
        if (size == 0 || !printable(c)) return false;
        i += (size_t)size;
    }
    return true;
}

static void add_quoted(const char *s, text *out) {
    size_t length = strlen(s);
    text_add(out, "\"");
    for (size_t i = 0; i < length;) {
        uint32_t c;
        int size = utf8_decode(s + i, length - i, &c);
        if (size == 0) break; // impossible: all text is checked when it is read
        if (c == '"' || c == '\\')
            text_add(out, "\\%c", (int)c);
        else if (c == '\n')
            text_add(out, "\\n");
        else if (c == '\t')
            text_add(out, "\\t");
        else if (c == '\r')
            text_add(out, "\\r");
        else if (printable(c))
            text_add_bytes(out, s + i, (size_t)size);
        else
            text_add(out, c < 0x100 ? "\\x%02X" : "\\u%04X", (unsigned)c);
        i += (size_t)size;
    }
    text_add(out, "\"");
}

void scalar_write(const node *n, bool in_list, bool as_text, text *out) {
    if (node_is_null(n)) {
        text_add(out, "null");
        return;
    }
    // "${" would be a reference again.
    text escaped = {0};
    const char *s = n->scalar;
    if (strstr(s, "${")) {
        for (; *s; s++) {
            if (strncmp(s, "${", 2) == 0) text_add(&escaped, "$");
            text_add_bytes(&escaped, s, 1);
        }
        if (escaped.bytes) s = escaped.bytes;
    }
    node unquoted = {.kind = NODE_SCALAR, .scalar = s};
    if (may_be_plain(s, in_list) && !node_is_null(&unquoted) && !(as_text && looks_typed(s)))
        text_add(out, "%s", s);
    else
        add_quoted(s, out);
    text_free(&escaped);
}
