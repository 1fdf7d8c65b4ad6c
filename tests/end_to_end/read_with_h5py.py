#!/usr/bin/env python3
"""Opens a run's folder with h5py and checks that its files have the layout that the program promises.

usage: read_with_h5py.py RUN...

Prints one line for each thing that is wrong, then a summary; exit status 1 when something was.
"""

import os
import sys

import h5py
import numpy as np

TRAIN = {"step": "i8", "tokens": "i8", "seconds": "f8", "loss": "f8", "lr": "f8", "grad_norm": "f8",
         "tokens_per_second": "f8"}
EVAL = {"step": "i8", "tokens": "i8", "seconds": "f8", "loss": "f8", "perplexity": "f8",
        "bits_per_char": "f8", "bits_per_byte": "f8"}
TEXT_FACTS = ("name", "version", "started")
NUMBER_FACTS = ("seed", "parameters", "threads")
STATE = ("step", "tokens", "seconds", "best_loss", "best_step", "evaluations_without_improvement",
         "batch_digest", "sample_bytes")
STATUSES = ("running", "finished", "interrupted", "diverged", "failed")


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def that(self, condition, what):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            print("WRONG:", what)
        return condition


def check_facts(checks, path, f):
    for name in TEXT_FACTS:
        checks.that(isinstance(f.attrs.get(name), str), f"{path}: attribute {name} is a str")
    for name in NUMBER_FACTS:
        value = f.attrs.get(name)
        checks.that(isinstance(value, np.integer), f"{path}: attribute {name} is an integer")


def check_text(checks, path, f, name):
    if checks.that(name in f and f[name].shape == (), f"{path}: {name} is a scalar dataset"):
        value = f[name].asstr()[()]
        checks.that(isinstance(value, str) and len(value) > 0, f"{path}: {name} holds a text")


def check_series(checks, path, group, columns):
    if not checks.that(isinstance(group, h5py.Group), f"{path}: group is there"):
        return
    checks.that(set(group) == set(columns), f"{path}: datasets are {sorted(columns)}, got {sorted(group)}")
    lengths = set()
    for name, kind in columns.items():
        data = group[name]
        checks.that(data.ndim == 1 and data.dtype == np.dtype(kind), f"{path}/{name}: 1-d, {kind}")
        checks.that(data.maxshape == (None,), f"{path}/{name}: can grow")
        lengths.add(len(data))
    checks.that(len(lengths) == 1, f"{path}: columns are equally long, got {lengths}")
    for name in ("step", "tokens", "seconds"):
        values = group[name][()]
        checks.that(np.all(values >= 0) and np.all(np.diff(values) >= 0), f"{path}/{name}: never falls")
    if "perplexity" in columns and len(group["loss"]):
        loss, perplexity = group["loss"][()], group["perplexity"][()]
        finite = np.isfinite(loss) & np.isfinite(perplexity)
        checks.that(np.allclose(np.exp(loss[finite]), perplexity[finite], rtol=1e-6),
                    f"{path}: perplexity is exp(loss)")


def check_metrics(checks, path, f):
    check_facts(checks, path, f)
    checks.that(f.attrs.get("status") in STATUSES, f"{path}: status is one of {STATUSES}")
    if f.attrs.get("status") != "running":
        checks.that(isinstance(f.attrs.get("finished"), str), f"{path}: attribute finished is a str")
    check_text(checks, path, f, "config")
    check_series(checks, f"{path}:/train", f.get("train"), TRAIN)
    for split in ("train", "val", "test"):
        check_series(checks, f"{path}:/eval/{split}", f.get(f"eval/{split}"), EVAL)


def arrays_below(group):
    found = {}
    group.visititems(lambda name, item: found.update({name: item})
                     if isinstance(item, h5py.Dataset) else None)
    return found


def check_checkpoint(checks, path, f):
    check_facts(checks, path, f)
    check_text(checks, path, f, "config")
    check_text(checks, path, f, "tokenizer")
    if checks.that("state" in f, f"{path}: group /state"):
        for name in STATE:
            checks.that(name in f["state"].attrs, f"{path}: /state has attribute {name}")
    if not checks.that("weights" in f, f"{path}: group /weights"):
        return
    weights = arrays_below(f["weights"])
    checks.that(len(weights) > 0, f"{path}: there are weights")
    for name, data in weights.items():
        checks.that(data.dtype == np.dtype("<f4"), f"{path}: /weights/{name} is float32")
        checks.that(bool(np.all(np.isfinite(data[()]))), f"{path}: /weights/{name} is finite")
    checks.that(sum(data.size for data in weights.values()) == f.attrs["parameters"],
                f"{path}: the weights are as many as the attribute parameters says")
    blocks = [f"optimizer/{name}" for name in f.get("optimizer", ())]
    if "average" in f:
        blocks.append("average")
    for block in blocks:
        shapes = {name: data.shape for name, data in arrays_below(f[block]).items()}
        checks.that(shapes == {name: data.shape for name, data in weights.items()},
                    f"{path}: /{block} has the names and shapes of /weights")


def check_file(checks, path, check):
    try:
        with h5py.File(path, "r") as f:
            check(checks, path, f)
    except OSError as reason:
        checks.that(False, f"{path}: {reason}")


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return 2
    checks = Checks()
    for run in sys.argv[1:]:
        check_file(checks, os.path.join(run, "metrics.h5"), check_metrics)
        found = [name for name in ("last.h5", "best.h5") if os.path.exists(os.path.join(run, name))]
        checks.that(found, f"{run}: has a checkpoint")
        for name in found:
            check_file(checks, os.path.join(run, name), check_checkpoint)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
