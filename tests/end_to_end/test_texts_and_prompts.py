"""What joins settings and text: prompts, the identity of the text, validation, unknown characters."""

import math
import os
import re

import h5py

import runs

DNA = "".join("ACGT"[i * i % 7 % 4] for i in range(6000))


class Prompts(runs.RunTest):
    WORDS = ("small.yaml", "name=dna", "training.max_steps=4", "evaluation.interval=2", "--no-plots")

    def setUp(self):
        super().setUp()
        with open(self.path("small.yaml")) as file:
            self.write("small.yaml", file.read().replace('prompt: "the ", ', ""))

    def test_a_default_prompt_that_the_text_lacks_is_replaced(self):
        self.write("small.txt", DNA)
        done = self.runexp(*self.WORDS)
        self.assertEqual(done.err.count("begin with \"A\""), 1, done.err)
        self.assertIn("--- step 2\nA", self.samples(os.listdir(self.path("runs"))[0]))
        run = os.listdir(self.path("runs"))[0]
        sampled = self.runexp("sample", run, "--tokens", "5")
        self.assertRegex(sampled.out, r"^[ACGT]{6}\n$")

    def test_texts_of_a_single_kind_of_character(self):
        for number, text in enumerate(("x" * 3000, "\t" * 3000, "a b " * 900, "é" * 3000)):
            self.write("small.txt", text)
            self.runexp(*self.WORDS, "--runs", f"runs{number}")

    def test_a_prompt_that_was_written_is_checked_first(self):
        self.write("small.txt", DNA)
        for extra in ((), ("--dry-run",)):
            done = self.runexp(*self.WORDS, "sampling.prompt=ACGU", *extra, code=2)
            self.assertIn("the prompt cannot be encoded: the character \"U\" (U+0055)", done.err)
            self.assertFalse(os.path.exists(self.path("runs")))
        self.runexp(*self.WORDS)
        done = self.runexp("sample", os.listdir(self.path("runs"))[0], "--prompt", "ACGU", code=2)
        self.assertIn("the prompt cannot be encoded", done.err)

    def test_an_overflow_that_the_model_cannot_is_found_first(self):
        done = self.runexp(*self.WORDS, "sampling.overflow=ring", "--dry-run", code=2)
        self.assertIn("ring does not work with a `positions` layer", done.err)

    def test_a_sample_that_cannot_be_written_is_a_warning(self):
        os.makedirs(self.path("runs/small/samples.txt"))
        done = self.runexp("small.yaml", "training.log_interval=2", "--no-plots")
        self.assertEqual(done.err.count("warning: no sample at step"), 1, done.err)
        self.assertEqual(self.status("small"), "finished")


class Texts(runs.RunTest):
    def stopped(self, *words):
        process = self.start("small.yaml", "training.max_steps=100000", "name=stopped", *words, "--no-plots")
        while not os.path.exists(self.path("runs")):
            self.assertIsNone(process.poll())
        self.name = None
        while not self.name:
            self.name = next(iter(os.listdir(self.path("runs"))), None)
        self.interrupt(process, self.name, 30, runs.TERM)

    def resume(self, *words, code):
        return self.runexp("small.yaml", "training.max_steps=100000", "name=stopped", *words, "--no-plots", code=code)

    def test_each_text_is_part_of_the_run(self):
        with open(self.path("small.txt")) as file:
            whole = file.read()
        self.stopped()
        changes = {"train": whole.replace("hen", "hog", 1), "val": whole[:9500] + "x" + whole[9501:],
                   "test": whole[:-20] + whole[-21] + whole[-19:]}
        for split, text in changes.items():
            self.write("small.txt", text)
            done = self.resume(code=1)
            self.assertIn(f"that of {split} has changed", done.err)
            evaluated = self.runexp("eval", self.name, "--split", split)
            self.assertIn(f"the {split} text is not the one", evaluated.err)
        # Another letter everywhere changes all of them.
        self.write("small.txt", whole.replace("h", "j"))
        self.assertIn("that of train and val and test has changed", self.resume(code=1).err)

    def test_a_text_of_its_own(self):
        self.write("val.txt", runs.sentences(40))
        own = "dataset.val_source=./val.txt"
        self.stopped(own)
        self.write("val.txt", runs.sentences(30))
        self.assertIn("that of val has changed", self.resume(own, code=1).err)

    def test_a_run_that_is_finished_or_has_no_checkpoint_has_a_text_too(self):
        words = ("small.yaml", "training.max_steps=30", "name=done", "--no-plots")
        self.runexp(*words)
        run = os.listdir(self.path("runs"))[0]
        with h5py.File(self.path("runs", run, "metrics.h5")) as metrics, h5py.File(self.path("runs", run, "last.h5")) as last:
            for split in ("train", "val", "test"):
                self.assertRegex(metrics.attrs[f"{split}_sha256"], r"^[0-9a-f]{64}$")
                self.assertEqual(metrics.attrs[f"{split}_sha256"], last.attrs[f"{split}_sha256"])
        with open(self.path("small.txt"), "a") as file:
            file.write("the end\n")
        done = self.runexp(*words, code=1)
        self.assertIn("has changed since", done.err)
        self.assertNotIn("finished", done.out)
        os.unlink(self.path("runs", run, "last.h5"))
        self.assertIn("has changed since", self.runexp(*words, code=1).err)

    def test_a_finished_run_whose_text_is_gone(self):
        words = ("small.yaml", "training.max_steps=3", "--no-plots")
        self.runexp(*words)
        os.unlink(self.path("small.txt"))
        done = self.runexp(*words)
        self.assertIn("could not be compared", done.err)
        self.assertIn("finished", done.out)

    def test_what_needs_a_validation_text_says_so(self):
        for words in (("schedule={type: plateau, patience: 0}",), ("evaluation.patience=3",)):
            for extra in ((), ("--dry-run",)):
                done = self.runexp("small.yaml", "dataset.split=[1.0]", *words, *extra, code=2)
                self.assertIn("needs a validation text", done.err)
        self.assertFalse(os.path.exists(self.path("runs")))

    def test_bits_and_loss_count_the_same_characters(self):
        whole = runs.sentences(400)
        cases = (whole[:9000] + re.sub("[aeo]", "Ω", whole[9000:]), whole[:9000] + "Ω" * 1500)
        for number, text in enumerate(cases):
            self.write("small.txt", text)
            done = self.runexp("small.yaml", "training.max_steps=20", "--runs", f"runs{number}", "--no-plots")
            self.assertNotIn("nan", done.out)
            lines = re.findall(r"(?:val|test) loss (\S+), perplexity \S+, (\S+) bits/char", done.out)
            self.assertGreaterEqual(len(lines), 2)
            for loss, bits in lines:
                self.assertAlmostEqual(float(loss) / math.log(2), float(bits), delta=2e-3)


if __name__ == "__main__":
    runs.unittest.main()
