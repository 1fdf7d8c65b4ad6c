#include "config/yaml_message.h"

#include <stddef.h>
#include <string.h>

#define QUOTE_IT "quote the string if this is meant literally"

// The first row whose two texts occur in libyaml's context and problem gives the message. at: the character
// at the place of the problem, 0 for any.
static const struct row {
    const char *context, *problem;
    char at;
    yaml_message message;
} rows[] = {
    {"after ]", "", 0, {"a string that begins with [ needs quotes", "write \"[...\"", false}},
    {"", "cannot start any token", '\t', {"a tab is used for indentation", "indent with spaces", false}},
    {"", "cannot start any token", '@', {"a string that begins with @ needs quotes", QUOTE_IT, false}},
    {"", "cannot start any token", '`', {"a string that begins with ` needs quotes", QUOTE_IT, false}},
    {"", "cannot start any token", '%', {"a string that begins with % needs quotes", QUOTE_IT, false}},
    {"", "cannot start any token", 0, {"this character is not allowed here", QUOTE_IT, false}},
    {"", "found a tab character", 0, {"a tab is used for indentation", "indent with spaces", false}},
    {"quoted scalar",
     "unexpected end of stream",
     0,
     {"the closing quote of this string is missing", "add the closing quote", true}},
    {"quoted scalar",
     "unexpected document indicator",
     0,
     {"the closing quote of this string is missing before the end of the document", "add the closing quote",
      true}},
    {"quoted scalar",
     "unknown escape character",
     0,
     {"unknown escape sequence",
      "write \\\\ for a backslash, or use single quotes, which have no escape sequences", false}},
    {"quoted scalar",
     "",
     0,
     {"this escape sequence is incomplete or not a character", "write \\xNN, \\uNNNN or \\UNNNNNNNN",
      false}},
    {"simple key",
     "could not find expected ':'",
     0,
     {"the colon of `key: value` is missing in this line", "write `key: value`", true}},
    {"",
     "mapping values are not allowed",
     0,
     {"a colon is not allowed here",
      "indent the keys of a mapping alike, add the colon to the line above, or quote a string that contains \": \"",
      false}},
    {"",
     "block sequence entries are not allowed",
     0,
     {"a list entry is not allowed here", "start the list on a line of its own, below its key", false}},
    {"",
     "mapping keys are not allowed",
     0,
     {"a key is not allowed here", "start the mapping on a line of its own", false}},
    {"block mapping",
     "did not find expected key",
     0,
     {"this line does not continue the mapping that it is in",
      "indent all keys of a mapping alike; close quotes and brackets above", false}},
    {"block collection",
     "expected '-' indicator",
     0,
     {"this line does not continue the list that it is in",
      "begin every entry with a dash, all indented alike", false}},
    {"flow sequence",
     "expected ',' or ']'",
     0,
     {"a comma or the closing ] is missing in this list", "write [a, b, c]", true}},
    {"flow mapping",
     "expected ',' or '}'",
     0,
     {"a comma or the closing } is missing in this mapping",
      "write {key: value, other: value}, with a space after each colon", true}},
    {"",
     "did not find expected node content",
     0,
     {"a value is missing here", "is there a comma or bracket too many?", false}},
    {"",
     "did not find expected <document start>",
     0,
     {"this is outside the mapping of the experiment",
      "indent it like the other keys; a file holds one experiment", false}},
    {"block scalar",
     "",
     0,
     {"this block of text (| or >) is not written correctly",
      "end the line after | or >, and indent the lines below with spaces", false}},
    {"anchor",
     "",
     0,
     {"anchors are not supported",
      "quote a string that begins with &; to use a value twice, refer to it by ${section.name}", false}},
    {"alias",
     "",
     0,
     {"a string that begins with * needs quotes",
      "write \"*...\"; to use a value twice, refer to it by ${section.name}", false}},
    {"tag", "", 0, {"a string that begins with ! needs quotes", QUOTE_IT, false}},
    {"", "undefined tag handle", 0, {"a string that begins with ! needs quotes", QUOTE_IT, false}},
    {"directive",
     "",
     0,
     {"a line that begins with % is a YAML directive: these are not supported", QUOTE_IT, false}},
    {"",
     "directive",
     0,
     {"a line that begins with % is a YAML directive: these are not supported", QUOTE_IT, false}},
    {"",
     "incompatible YAML document",
     0,
     {"the file asks for an unknown version of YAML", "remove the %YAML line", false}},
};

yaml_message yaml_message_of(const char *context, const char *problem, char at) {
    if (!context) context = "";
    if (!problem) problem = "";
    if (at == '\0' && strstr(context, "flow"))
        return (yaml_message){"a bracket [ or { is opened but never closed", "add the closing bracket",
                              strstr(context, "flow node") == NULL};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        if (strstr(context, r->context) && strstr(problem, r->problem) && (!r->at || r->at == at))
            return r->message;
    }
    return (yaml_message){"this is not correct YAML", QUOTE_IT, false};
}
