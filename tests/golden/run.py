#!/usr/bin/python3
"""Compares what the program prints with what is written down here.

usage: run.py [--refresh] [PART...]       PART: a part of the names of the cases to run

Two kinds of cases:

  sessions/NAME.txt   A command line in every line that begins with "  $ ", and under it, indented alike, what it prints:
                      standard output as it is, standard error with "! " before each line, and the exit status in brackets
                      when it is not 0. Everything else in the file is comment. A command runs in bash with `runexp` on
                      the path, in a folder of the session's own that holds what is in given/ and a link to experiments/.
                      `| steady` blots out speeds, durations, dates and sizes.
  wrong/NAME.yaml     An experiment with something wrong in it. NAME.txt is what `runexp check NAME.yaml` says. Its exit
                      status must be 2, and nothing may be on standard output. Files whose first line ends in "refused by
                      the schema" must also be refused by `runexp schema`; all others of experiments/ be accepted.

RUNEXP names another program than ./runexp. The last line is "N passed, N failed".
"""

import difflib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.path.abspath(os.environ.get("RUNEXP", os.path.join(ROOT, "runexp")))
MARK = "refused by the schema"
NUMBER = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)$|^[-+]?([0-9]+\.[0-9]*|\.[0-9]+)$")


def surroundings(folder):
    """The environment of a command: nothing of the user's reaches it."""
    return {
        "PATH": os.path.join(folder, ".bin") + ":/usr/bin:/bin",
        "HOME": folder,
        "LC_ALL": "C.UTF-8",
        "ROOT": ROOT,
    }


def run(command, folder):
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, env=surroundings(folder),
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    def readable(output):
        return output.decode("utf-8", "backslashreplace").replace(folder, "$PWD").replace(ROOT, "$ROOT")

    return readable(done.stdout), readable(done.stderr), done.returncode


STEADY = r"""#!/bin/sed -Ef
s/ +[0-9.]+ ?[KM]?( tokens\/s)/ N\1/
s/[0-9.]+ (ms|s|min|h)( [0-9.]+ (s|min))? (left|of training)/TIME \4/
s/\(.* tokens\/s\)/(N tokens\/s)/
s/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}/DATE/
s/ +[0-9]+ +[0-9.]+ (ms|s|min|h)( [0-9.]+ (s|min))?  ([a-z]+)$/  N  TIME  \4/
s/(tokens\/s) +(time)/\1  \2/
/^memory:/s/[0-9.]+ ([KMG]i)?B/SIZE/g
s/of its [0-9]+ bytes/of its N bytes/
/^runexp .* planned$/s/[0-9.]+ ([KMG]i)?B of/SIZE of/
"""


def prepare(folder):
    """A folder as sessions find it."""
    shutil.copytree(os.path.join(HERE, "given"), folder, dirs_exist_ok=True)
    os.mkdir(os.path.join(folder, ".bin"))
    with open(os.path.join(folder, ".bin", "steady"), "w") as file:
        file.write(STEADY)
        os.chmod(file.name, 0o755)
    os.symlink(PROGRAM, os.path.join(folder, ".bin", "runexp"))
    os.symlink(os.path.join(ROOT, "experiments"), os.path.join(folder, "experiments"))


def replay(path):
    """What the session's file should look like."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="runexp-golden-") as folder, open(path) as file:
        prepare(folder)
        in_output = False
        for line in file:
            if in_output and line.startswith("  ") and not line.startswith("  $ "):
                continue
            in_output = False
            lines.append(line)
            if not line.startswith("  $ "):
                continue
            in_output = True
            out, err, code = run(line[4:], folder)
            lines += ["  " + text + "\n" for text in out.splitlines()]
            lines += ["  ! " + text + "\n" for text in err.splitlines()]
            if code:
                lines.append(f"  [{code}]\n")
    return "".join(lines)


def complain(path):
    """What check says about a wrong file, and how it misbehaves."""
    out, err, code = run(f"{PROGRAM} check {os.path.basename(path)}", os.path.dirname(path))
    if out or code != 2:
        err += f"(exit status {code}, standard output {out!r}: should be 2 and empty)\n"
    return err


def schema_cases():
    """(name, text of what is wrong or "") for every experiment that the schema has something to say about."""
    import jsonschema
    import yaml

    class Loader(yaml.SafeLoader):
        """Numbers as experiments write them: PyYAML takes 1e-3 for a text, as YAML 1.1 says."""

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+0123456789."))
    schema = json.loads(run(f"{PROGRAM} schema", HERE)[0])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    shipped = sorted(glob.glob(os.path.join(ROOT, "experiments/**/*.yaml"), recursive=True))
    for path in shipped + sorted(glob.glob(os.path.join(HERE, "wrong/*.yaml"))):
        is_wrong = path.startswith(HERE)
        if os.path.basename(path) == "datasets.yaml":
            continue
        with open(path, "rb") as file:
            content = file.read()
        if is_wrong and MARK.encode() not in content.split(b"\n", 1)[0]:
            continue
        errors = list(validator.iter_errors(yaml.load(content, Loader=Loader)))
        name = "schema on " + os.path.relpath(path, ROOT)
        if is_wrong:
            yield name, "" if errors else "accepted, but should be refused\n"
        else:
            yield name, "".join(f"refused at {list(e.absolute_path)}: {e.message[:300]}\n" for e in errors)


class Totals:
    def __init__(self):
        self.passed = self.failed = 0

    def add(self, name, difference):
        if difference:
            self.failed += 1
            print(f"{name:<60} FAILED\n{difference}", end="")
        else:
            self.passed += 1


def compare(totals, name, path, got, refresh):
    expected = open(path).read() if os.path.exists(path) else ""
    if refresh and got != expected:
        with open(path, "w") as file:
            file.write(got)
        print(f"{name:<60} refreshed")
        expected = got
    difference = difflib.unified_diff(expected.splitlines(True), got.splitlines(True), "expected", "printed", n=2)
    totals.add(name, "".join(difference))


def main():
    words = [word for word in sys.argv[1:] if word != "--refresh"]
    refresh = "--refresh" in sys.argv[1:]
    totals = Totals()

    def wanted(name):
        return not words or any(word in name for word in words)

    for path in sorted(glob.glob(os.path.join(HERE, "sessions/*.txt"))):
        name = "sessions/" + os.path.basename(path)
        if wanted(name):
            compare(totals, name, path, replay(path), refresh)
    for path in sorted(glob.glob(os.path.join(HERE, "wrong/*.yaml"))):
        name = "wrong/" + os.path.basename(path)
        if wanted(name):
            compare(totals, name, path[:-5] + ".txt", complain(path), refresh)
    if wanted("schema"):
        for name, difference in schema_cases():
            totals.add(name, difference)
    print(f"{totals.passed} passed, {totals.failed} failed")
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
