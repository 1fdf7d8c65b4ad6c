#!/usr/bin/python3
"""A row of an option table whose member has another C type does not compile (framework/config/settings.h).

usage: setting_types.py COMPILER...     prints "N passed, N failed", a row each
"""

import subprocess
import sys

ROWS = {
    "BOOL(member, OPTIONAL, NULL)": "bool",
    "INT(member, OPTIONAL, 0, 1, NULL)": "int64_t",
    "REAL(member, OPTIONAL, 0, 1, NULL)": "double",
    "DURATION(member, OPTIONAL, 0, NULL)": "duration",
    "DURATIONS(member, OPTIONAL, 0, NULL)": "duration_list",
    "STRING(member, OPTIONAL, NULL)": "const char *",
    "CHOICE(member, OPTIONAL, NULL, NULL)": "int",
    "REALS(member, OPTIONAL, 0, 1, NULL)": "real_list",
    "STRINGS(member, OPTIONAL, NULL)": "string_list",
    "SECTION(member, NULL)": "member_settings",
    "COMPONENT(member, OPTIONAL, NULL, NULL)": "component_choice",
    "COMPONENTS(member, OPTIONAL, NULL, NULL)": "component_list",
    "BRANCHES(member, OPTIONAL, NULL, NULL)": "component_branches",
}
OTHERS = ["float", "unsigned", "char *"]
SOURCE = """
#include "config/settings.h"
typedef struct member_settings {{ char any; }} member_settings;
extern const component member_section;
typedef struct settings {{ {c_type} member; }} settings;
#define SETTINGS settings
extern const option rows[];
const option rows[] = {{ {row}, {{0}} }};
"""


def compiles(compiler, row, c_type):
    command = compiler + ["-std=c11", "-Iframework", "-fsyntax-only", "-x", "c", "-"]
    source = SOURCE.format(row=row, c_type=c_type)
    return subprocess.run(command, input=source, text=True, capture_output=True, check=False).returncode == 0


def main():
    failed = 0
    for row, right in ROWS.items():
        taken = [c_type for c_type in [*ROWS.values(), *OTHERS] if compiles(sys.argv[1:], row, c_type)]
        if taken != [right]:
            failed += 1
            print(f"{row} FAILED: takes a member of type {', '.join(taken) or 'none at all'}, must take {right} alone")
    print(f"{len(ROWS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
