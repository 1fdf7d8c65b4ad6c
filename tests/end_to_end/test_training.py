"""A run from its start to its pictures."""

import json
import os
import re
import struct
import subprocess
import sys

import h5py

import runs

HERE = os.path.dirname(os.path.abspath(__file__))
PNG = b"\x89PNG\r\n\x1a\n"


class Training(runs.RunTest):
    def setUp(self):
        super().setUp()
        self.done = self.runexp("small.yaml", "name=learns", "model.dropout=0", "training.max_steps=400",
                                "training.average_decay=0", "evaluation.interval=100")
        self.run_name = os.listdir(self.path("runs"))[0]

    def recorded(self, split, column="loss"):
        with h5py.File(self.path("runs", self.run_name, "metrics.h5"), "r") as file:
            return file[f"eval/{split}/{column}"][()]

    def test_everything_about_a_run(self):
        for check in (self.learns, self.can_be_read_with_h5py, self.evaluates_as_recorded, self.draws_its_plots,
                      self.generates_text, self.keeps_its_log, self.runs_again_from_its_own_config):
            with self.subTest(check.__name__):
                check()

    def learns(self):
        loss = self.recorded("val")
        # The text allows 0.15; a model that knew only how often each character comes would have 2.6.
        self.assertLess(loss[-1], 0.30)
        self.assertGreater(loss[0], loss[-1])

    def can_be_read_with_h5py(self):
        subprocess.run([sys.executable, os.path.join(HERE, "read_with_h5py.py"), self.path("runs", self.run_name)],
                       check=True, capture_output=True)

    def evaluates_as_recorded(self):
        for split, recorded in (("val", self.recorded("val").min()), ("test", self.recorded("test")[-1])):
            for threads in ("1", "2"):
                out = self.runexp("eval", self.run_name, "--split", split, "--checkpoint", "best", "--threads", threads).out
                printed = re.search(r"^loss +(\S+)", out, re.MULTILINE)[1]
                self.assertEqual(printed, f"{recorded:.6f}")

    def draws_its_plots(self):
        folder = self.path("plots", self.run_name)
        pictures = [name for name in os.listdir(folder) if name.endswith(".png")]
        scripts = [name for name in os.listdir(folder) if name.endswith(".gp")]
        self.assertEqual(len(pictures), len(scripts))
        self.assertLessEqual({"loss.gp", "perplexity.gp", "lr.gp", "grad_norm.gp", "speed.gp"}, set(scripts))
        for name in pictures:
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            self.assertEqual(content[:8], PNG, name)
            width, height = struct.unpack(">II", content[16:24])
            self.assertGreater(width * height, 200000, name)
            self.assertGreater(len(content), 2000, name)
        # A script carries its data: it draws the same picture from anywhere.
        elsewhere = self.path("elsewhere")
        os.mkdir(elsewhere)
        with open(os.path.join(folder, "loss.gp")) as file:
            self.write("elsewhere/loss.gp", file.read())
        subprocess.run(["gnuplot", "loss.gp"], cwd=elsewhere, check=True, capture_output=True)
        with open(os.path.join(elsewhere, "loss.png"), "rb") as file:
            self.assertEqual(file.read(8), PNG)

    def generates_text(self):
        words = ("sample", self.run_name, "--prompt", "the sly ", "--tokens", "60", "--seed", "7")
        text = self.runexp(*words).out
        self.assertTrue(text.startswith("the sly "))
        self.assertEqual(len(text), len("the sly ") + 60 + 1)
        self.assertEqual(text, self.runexp(*words, "--threads", "1").out)
        self.assertNotEqual(text, self.runexp(*words[:-1], "8").out)
        # Several texts, made together, are those made alone.
        several = self.runexp(*words, "--count", "5").out
        self.assertTrue(several.startswith("--- 1\n" + text + "\n--- 2\nthe sly "))
        self.assertTrue(several.startswith(self.runexp(*words, "--count", "2").out))
        self.assertEqual(len(several.split("\n--- ")), 5)
        # Far beyond the context of 32 characters the sentences are still sentences.
        long = self.runexp("sample", self.run_name, "--prompt", "the ", "--mode", "argmax", "--tokens", "200").out
        self.assertRegex(long[100:], r"\nthe \w+ \w+ sat on the \w+\.\nthe \w+ \w+ sat on the \w+\.\n")

    def keeps_its_log(self):
        with open(self.path("runs", self.run_name, "log.txt")) as file:
            log = file.read()
        for line in self.done.out.splitlines():
            if line.startswith(("step 100:", "test loss", "finished")):
                self.assertIn(line, log)
        with open(self.path("runs", self.run_name, "samples.txt")) as file:
            self.assertIn("--- step 100\nthe ", file.read())

    def runs_again_from_its_own_config(self):
        os.makedirs(self.path("again"))
        config = os.path.join("..", "runs", self.run_name, "config.yaml")
        done = subprocess.run([runs.PROGRAM, config, "--no-plots", "--quiet"], cwd=self.path("again"), capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        (name,) = os.listdir(self.path("again", "runs"))
        self.assertSameArrays(self.checkpoint(self.run_name, "last.h5"),
                              self.checkpoint(os.path.join("..", "again", "runs", name), "last.h5"), "from config.yaml")


class EveryExperiment(runs.RunTest):
    def test_a_step_of_each(self):
        """Every shipped experiment takes its first steps, on a text made here."""
        self.write("long.txt", runs.sentences(1500))
        folder = os.path.join(runs.ROOT, "experiments")
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".yaml") or name in ("datasets.yaml", "slm.yaml"):
                continue
            with self.subTest(name):
                self.runexp(os.path.join(folder, name), "dataset.source=./long.txt", "training.max_steps=2",
                            "evaluation.train_tokens=0", "evaluation.sample_tokens=5", "sampling.max_tokens=5",
                            'sampling.prompt="the "', "--no-plots", "--quiet")

    def test_schema_is_json(self):
        schema = json.loads(self.runexp("schema").out)
        self.assertEqual(schema["$schema"], "https://json-schema.org/draft/2020-12/schema")


if __name__ == "__main__":
    runs.unittest.main()
