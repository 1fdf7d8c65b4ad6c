"""What tests of whole runs share: a folder of their own, a small text and experiment, and runs read back with h5py."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import h5py
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.abspath(os.environ.get("RUNEXP", os.path.join(ROOT, "runexp")))

EXPERIMENT = """
description: a small GPT on a small text
dataset: {source: ./small.txt, block_size: 32, split: [0.8, 0.1, 0.1]}
model:
  width: 32
  depth: 2
  dropout: 0.1
  layers:
    - embedding
    - positions
    - dropout
    - repeat:
        times: ${model.depth}
        layers:
          - residual: [layernorm, {attention: {heads: 4}}]
          - residual: [layernorm, mlp]
    - layernorm
    - unembedding
optimizer: {type: adamw, lr: 3.0e-3}
schedule: {type: cosine, warmup_steps: 10, min_lr: 1.0e-4}
training: {batch_size: 8, accumulation: 2, max_steps: 120, average_decay: 0.9}
evaluation: {interval: 25, train_tokens: 512, sample_tokens: 20}
checkpoint: {interval: 20}
sampling: {prompt: "the ", max_tokens: 40}
"""


def sentences(count):
    """Sentences of about 27 characters with 6 bits of choice in each: at best 0.15 nats a character."""
    draw = random.Random(1)
    lines = (f"the {draw.choice(['red', 'blue', 'old', 'sly'])} {draw.choice(['cat', 'dog', 'fox', 'hen'])} sat on the "
             f"{draw.choice(['mat', 'log', 'hill', 'barn'])}.\n" for _ in range(count))
    return "".join(lines)


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


class RunTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="runexp-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.write("small.txt", sentences(400))
        self.write("small.yaml", EXPERIMENT)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as file:
            file.write(text)

    def start(self, *words, **how):
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "LC_ALL": "C.UTF-8"}
        environment.update(how.pop("environment", {}))
        return subprocess.Popen([PROGRAM, *words], cwd=self.folder, env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **{"stdin": subprocess.DEVNULL, "text": True, **how})

    def finish(self, process):
        out, err = process.communicate(timeout=120)
        return Done(process.returncode, out, err)

    def runexp(self, *words, code=0, **how):
        """Runs the program to its end, which must have this exit status."""
        done = self.finish(self.start(*words, **how))
        self.assertEqual(done.code, code, f"{' '.join(words)}\n{done.out}{done.err}")
        return done

    def interrupt(self, process, run, rows, number):
        """Sends a signal once the run has recorded so many rows."""
        return self.interrupt_when(lambda: self.rows(run) >= rows, process, number)

    def interrupt_when(self, ready, process, number):
        deadline = time.monotonic() + 60
        while not ready() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        self.assertIsNone(process.poll(), "the run ended before it could be interrupted")
        process.send_signal(number)
        return self.finish(process)

    def rows(self, run):
        try:
            with open(self.path("runs", run, "metrics.tsv")) as file:
                return sum(1 for line in file if line.endswith("\n")) - 1
        except FileNotFoundError:
            return 0

    # What a run recorded, and where it ended. Times are left out: they are the only thing that may differ between two
    # runs of the same experiment.

    def series(self, run):
        found = {}
        with h5py.File(self.path("runs", run, "metrics.h5"), "r") as file:
            def keep(name, item):
                if isinstance(item, h5py.Dataset) and item.ndim == 1 and not name.endswith(("seconds", "tokens_per_second")):
                    found[name] = item[()]
            file.visititems(keep)
        return found

    def samples(self, run):
        with open(self.path("runs", run, "samples.txt")) as file:
            return file.read()

    def status(self, run):
        with h5py.File(self.path("runs", run, "metrics.h5"), "r") as file:
            return file.attrs["status"]

    def checkpoint(self, run, name):
        found = {}
        with h5py.File(self.path("runs", run, name), "r") as file:
            def keep(path, item):
                if isinstance(item, h5py.Dataset) and item.ndim > 0:
                    found[path] = item[()]
            for group in ("weights", "optimizer", "average", "states"):
                if group in file:
                    file[group].visititems(lambda path, item, group=group: keep(f"{group}/{path}", item))
            for key, value in file["state"].attrs.items():
                if key != "seconds":
                    found[f"state/{key}"] = np.asarray(value)
        return found

    def assertSameArrays(self, one, other, what):
        self.assertEqual(sorted(one), sorted(other), what)
        for name in one:
            self.assertEqual(one[name].shape, other[name].shape, f"{what}: {name}")
            self.assertEqual(one[name].tobytes(), other[name].tobytes(), f"{what}: {name} differs")

    def assertSameRuns(self, one, other):
        self.assertSameArrays(self.series(one), self.series(other), f"metrics of {one} and {other}")
        for name in ("last.h5", "best.h5"):
            self.assertSameArrays(self.checkpoint(one, name), self.checkpoint(other, name), f"{name} of {one} and {other}")


KILL, TERM, INT, HUP = signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP
