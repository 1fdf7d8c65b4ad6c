#!/usr/bin/python3
"""The rules of the house that a compiler does not know (CONTRIBUTING.md says why they are there).

Prints every line that breaks one, then "N passed, N failed", a rule each.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Data flows down this list: a folder may include those before it, and itself.
ORDER = ["base", "config", "data", "kernels", "graph", "models", "store", "train", "report", "timing", "cli"]
# Folders that may use less than that.
ONLY = {"kernels": ["base"], "graph": ["base", "kernels"], "models": ["base", "config", "graph"]}
LONGEST_FILE = 600
MARGIN = 108
WORD_NEVER_WRITTEN = re.compile(r"\b(TODO|FIXME|XXX)\b")


def files(*suffixes):
    if os.path.exists(os.path.join(ROOT, ".git")):
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    else:
        names = [os.path.relpath(os.path.join(folder, name), ROOT)
                 for folder, folders, found in os.walk(ROOT) if not folder.startswith(os.path.join(ROOT, "build"))
                 for name in found]
    return sorted(name for name in names if name.endswith(suffixes) and os.path.exists(os.path.join(ROOT, name)))


def lines(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as file:
        return list(enumerate(file.read().splitlines(), 1))


SOURCES = {name: lines(name) for name in files(".c", ".h")}
COMMENT_OR_TEXT = re.compile(r'//.*|/\*.*?\*/|"(\\.|[^"\\])*"')


def code(name):
    """Lines without comments and texts."""
    return [(number, COMMENT_OR_TEXT.sub('""', line)) for number, line in SOURCES[name]]


def folder(name):
    parts = name.split("/")
    return parts[1] if parts[0] == "framework" and len(parts) > 2 else parts[0]


def matches(pattern, names, read=code):
    expression = re.compile(pattern)
    return [f"{name}:{number}: {line.strip()}" for name in names for number, line in read(name) if expression.search(line)]


def no_fast_math():
    """-ffast-math and its parts take the checks for NaN away and make results depend on the compiler."""
    names = [name for name in files("Makefile", ".mk", ".c", ".h")]
    pattern = r"^[^#/]*(-ffast-math|-Ofast|-funsafe-math|-fassociative-math|-ffinite-math)|pragma.*fast-math"
    return matches(pattern, names, read=lines)


def one_pool_of_threads():
    """Loops are shared out by base/pool.h alone: a second set of threads gets in its way, and OpenMP's sums depend on who ends first."""
    names = [name for name in SOURCES if name.startswith(("framework/", "models/")) and name != "framework/base/pool.c"]
    return matches(r"#\s*pragma\s+omp\b|\bomp_\w+\s*\(|\b(pthread|thrd)_create\b", names)


def only_the_command_line_speaks():
    """Below cli/ nothing ends the program, prints, or reads the environment; the log is the one that may print."""
    names = [name for name in SOURCES if name.startswith(("framework/", "models/")) and folder(name) != "cli"]
    pattern = r"\b(exit|_exit|getenv|secure_getenv|setenv|printf|vprintf|puts|putchar|perror|chdir)\s*\("
    to_terminal = r"\bf(printf|puts|write|putc)\s*\([^;]*\b(stdout|stderr)\b"
    speakers = [name for name in names if name != "framework/base/log.c"]
    return matches(pattern, speakers) + matches(to_terminal, speakers)


def folders_in_order():
    """Each folder uses those before it: base, config, data, kernels, graph, models, store, train, report, timing, cli."""
    wrong = []
    for name, text in SOURCES.items():
        if not name.startswith(("framework/", "models/")):
            continue
        here = folder(name)
        for number, line in text:
            found = re.match(r'\s*#\s*include\s+"([^"/]+)/', line)
            if not found:
                continue
            there = found[1]
            allowed = there in ORDER and ORDER.index(there) <= ORDER.index(here)
            if here in ONLY:
                allowed = there == here or there in ONLY[here]
            if not allowed:
                wrong.append(f"{name}:{number}: {here} may not use {there}: {line.strip()}")
    return wrong


def files_of_one_purpose():
    """A file past 600 lines has probably two reasons to exist."""
    return [f"{name}: {len(text)} lines" for name, text in SOURCES.items() if len(text) > LONGEST_FILE]


def nothing_left_to_do():
    """What is not finished is not checked in."""
    names = files(".c", ".h", ".py", ".yaml", ".md", "Makefile", "run_programs", "run_suites", "packages")
    return [f"{name}:{number}: {line.strip()}" for name in names if name != "tests/lint/house_rules.py"
            for number, line in lines(name) if WORD_NEVER_WRITTEN.search(line)]


def headers_guarded():
    """Every header can be included twice, but a list, whose rows mean something else each time."""
    return [name for name, text in SOURCES.items()
            if name.endswith(".h") and not name.endswith("list.h")
            and not any(re.match(r"#ifndef RUNEXP_\w+_H$", line) for _, line in text)]


def no_addresses_of_one_machine():
    """Nothing in the tree knows where it was written."""
    names = files(".c", ".h", ".py", ".yaml", ".md", "Makefile", ".clang-format", ".clang-tidy")
    return [f"{name}:{number}: {line.strip()}" for name in names if name != "tests/lint/house_rules.py"
            for number, line in lines(name) if re.search(r"/work/|/home/\w|\.\./shared", line)]


def comments_within_the_margin():
    """clang-format leaves comments as they are."""
    return [f"{name}:{number}: {len(line)} columns" for name, text in SOURCES.items() for number, line in text
            if len(line) > MARGIN and re.match(r"\s*//", line)]


def tests_named_alike():
    """What cmocka runs is called test_..., so that helpers beside it are told apart."""
    return matches(r"cmocka_unit_test\w*\((?!test_|name\b)\w", [name for name in SOURCES if name.startswith("tests/")])


RULES = [no_fast_math, one_pool_of_threads, only_the_command_line_speaks, folders_in_order, files_of_one_purpose,
         nothing_left_to_do, headers_guarded, no_addresses_of_one_machine, comments_within_the_margin,
         tests_named_alike]


def main():
    failed = 0
    for rule in RULES:
        wrong = rule()
        print(f"{rule.__name__.replace('_', ' '):<40} {'FAILED' if wrong else 'ok'}")
        if wrong:
            failed += 1
            print(f"  {rule.__doc__}")
            print("".join(f"  {line}\n" for line in wrong), end="")
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
