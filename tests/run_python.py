#!/usr/bin/python3
"""Runs the unittest files test_*.py of a folder; the last line is "N passed, N failed".

usage: run_python.py FOLDER [NAME...]     NAME: a file without .py; without any, all of them
"""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))


class Result(unittest.TestResult):
    """One line a test and subtest, and the reason under each that fails."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def line(self, test, outcome):
        name = test.id().split(".", 1)[-1]
        print(f"{name:<70} {outcome} ({time.monotonic() - self.started:.1f} s)", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.line(test, "ok")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line(test, f"skipped: {reason}")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.line(test, "FAILED")
        print(self.failures[-1][1], flush=True)

    def addError(self, test, error):
        super().addError(test, error)
        self.started = getattr(self, "started", time.monotonic())
        self.line(test, "FAILED")
        print(self.errors[-1][1], flush=True)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.line(subtest, "FAILED")
            print((self.failures if issubclass(error[0], test.failureException) else self.errors)[-1][1], flush=True)
        else:
            self.passed += 1
            self.line(subtest, "ok")


def main():
    folder, names = sys.argv[1], sys.argv[2:]
    sys.path.insert(0, folder)
    loader = unittest.TestLoader()
    if names:
        suite = loader.loadTestsFromNames(names)
    else:
        suite = loader.discover(folder, pattern="test_*.py")
    result = Result()
    suite.run(result)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
