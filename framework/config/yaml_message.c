#include "config/yaml_message.h"

#include <stddef.h>
#include <string.h>

#define QUOTE_IT "put the text in quotes when it is meant literally"

// The first row whose two texts occur in libyaml's context and problem says what to tell. at: the character
// at the place of the problem, 0 for any.
static const struct row {
    const char *context, *problem;
    char at;
    yaml_message message;
} rows[] = {
    {"", "cannot start any token", '\t', {"a tab is used for indentation", "indent with spaces", false}},
    {"",
     "cannot start any token",
     '@',
     {"a text cannot begin with @ unless it is quoted", QUOTE_IT, false}},
    {"",
     "cannot start any token",
     '`',
     {"a text cannot begin with ` unless it is quoted", QUOTE_IT, false}},
    {"",
     "cannot start any token",
     '%',
     {"a text cannot begin with % unless it is quoted", QUOTE_IT, false}},
    {"", "cannot start any token", 0, {"this character cannot stand here", QUOTE_IT, false}},
    {"", "found a tab character", 0, {"a tab is used for indentation", "indent with spaces", false}},
    {"quoted scalar",
     "unexpected end of stream",
     0,
     {"this text is opened by a quote that is never closed", "add the closing quote", true}},
    {"quoted scalar",
     "unexpected document indicator",
     0,
     {"this text is opened by a quote that is not closed before the document ends", "add the closing quote",
      true}},
    {"quoted scalar",
     "unknown escape character",
     0,
     {"there is no such escape sequence",
      "write \\\\ for a backslash, or use single quotes, in which nothing is escaped", false}},
    {"quoted scalar",
     "",
     0,
     {"this escape sequence is incomplete or names no character", "write \\xNN, \\uNNNN or \\UNNNNNNNN",
      false}},
    {"simple key",
     "could not find expected ':'",
     0,
     {"a line that should be `key: value` has no colon after its key", "write `key: value`", true}},
    {"",
     "mapping values are not allowed",
     0,
     {"a colon cannot stand here",
      "indent the keys of one mapping alike, give the line above its colon, quote a text that contains \": \"",
      false}},
    {"",
     "block sequence entries are not allowed",
     0,
     {"a list entry cannot stand here", "start the list on a line of its own, below its key", false}},
    {"",
     "mapping keys are not allowed",
     0,
     {"a key cannot stand here", "start the mapping on a line of its own", false}},
    {"block mapping",
     "did not find expected key",
     0,
     {"this does not fit in the mapping around it",
      "give all keys of one mapping the same indentation, and close quotes and brackets before it", false}},
    {"block collection",
     "expected '-' indicator",
     0,
     {"this does not fit in the list around it",
      "begin every entry of one list with a dash at the same indentation", false}},
    {"flow sequence",
     "expected ',' or ']'",
     0,
     {"a comma or the closing ] is missing in this list", "write [a, b, c]", true}},
    {"flow mapping",
     "expected ',' or '}'",
     0,
     {"a comma or the closing } is missing in this mapping",
      "write {key: value, other: value}, with a blank after each colon", true}},
    {"",
     "did not find expected node content",
     0,
     {"a value is missing here", "a comma or bracket may be too many", false}},
    {"",
     "did not find expected <document start>",
     0,
     {"this stands outside of the experiment's mapping",
      "indent it like the keys around it; one file holds one experiment", false}},
    {"block scalar",
     "",
     0,
     {"this block of text (| or >) is not written correctly",
      "put nothing after | or > on its line, and indent the text below with spaces", false}},
    {"anchor",
     "",
     0,
     {"this begins an anchor, which experiment files do not use",
      "quote a text that begins with &; to use a value twice write ${its.name}", false}},
    {"alias",
     "",
     0,
     {"this begins an alias, which experiment files do not use",
      "quote a text that begins with *; to use a value twice write ${its.name}", false}},
    {"tag", "", 0, {"a text cannot begin with ! unless it is quoted", QUOTE_IT, false}},
    {"", "undefined tag handle", 0, {"a text cannot begin with ! unless it is quoted", QUOTE_IT, false}},
    {"directive",
     "",
     0,
     {"a line that begins with % is a YAML directive, which experiment files do not use", QUOTE_IT, false}},
    {"",
     "directive",
     0,
     {"a line that begins with % is a YAML directive, which experiment files do not use", QUOTE_IT, false}},
    {"",
     "incompatible YAML document",
     0,
     {"the file asks for a version of YAML that is not known", "remove the %YAML line", false}},
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
