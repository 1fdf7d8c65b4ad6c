"""What joins settings and text: prompts, the identity of the text, validation, unknown characters."""

import math
import os
import re
import subprocess
import time

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


class PromptFiles(runs.RunTest):
    def setUp(self):
        super().setUp()
        self.runexp("small.yaml", "name=small", "training.max_steps=4", "evaluation.interval=2", "--no-plots")

    def sample(self, *words, **how):
        return self.runexp("sample", "small", "--tokens", "20", *words, **how)

    def test_a_file_is_the_prompt_but_for_its_last_newline(self):
        text = "the old hen\nsat"
        for written, meant in ((text, text), (text + "\n", text), (text + "\n\n", text + "\n")):
            self.write("prompt.txt", written)
            given = self.sample("--prompt", meant).out
            self.assertTrue(given.startswith(meant))
            self.assertEqual(self.sample("--prompt-file", "prompt.txt").out, given)
            with open(self.path("prompt.txt")) as prompt:
                self.assertEqual(self.sample("--prompt-file", "-", stdin=prompt).out, given)
        self.write("prompt.txt", "")
        self.assertEqual(self.sample("--prompt-file", "prompt.txt").out, self.sample("--prompt", "").out)

    def test_a_newline_that_the_model_does_not_know(self):
        self.write("words.txt", 200 * "the old hen ")
        words = ("small.yaml", "name=words", "training.max_steps=2", "--no-plots", "dataset.source=./words.txt")
        refused = "command line: error: the prompt cannot be encoded: the character U+000A is not in the vocabulary"
        self.assertIn(refused, self.runexp(*words, 'sampling.prompt="\\n"', code=2).err)
        self.write("newline.yaml", 'extends: small.yaml\nsampling: {prompt: "\\n"}\n')
        self.runexp("newline.yaml", *words[1:])
        self.assertIn("note: the model knows no newline to begin with", self.runexp("sample", "words").err)
        self.assertIn(refused, self.runexp("sample", "words", "--prompt", "\n", code=2).err)

    def test_what_is_wrong_with_a_prompt_file(self):
        self.write("prompt.txt", "the old\nhen X\n")
        err = self.sample("--prompt-file", "prompt.txt", code=2).err
        self.assertIn("prompt.txt:2:5: error: the prompt cannot be encoded: the character \"X\" (U+0058)", err)
        with open(self.path("prompt.txt")) as prompt:
            self.assertIn("standard input:2:5: error: ", self.sample("--prompt-file", "-", stdin=prompt, code=2).err)
        self.assertIn("--prompt and --prompt-file", self.sample("--prompt", "a", "--prompt-file", "prompt.txt", code=2).err)
        self.assertIn("cannot read none.txt: No such", self.sample("--prompt-file", "none.txt", code=1).err)
        self.write("prompt.txt", "the\0old")
        self.assertIn("prompt.txt: error: the prompt has a NUL byte", self.sample("--prompt-file", "prompt.txt", code=1).err)

    def test_an_interrupt_while_the_prompt_is_waited_for(self):
        process = self.start("sample", "small", "--prompt-file", "-", stdin=subprocess.PIPE)
        time.sleep(0.5)
        process.send_signal(runs.INT)
        self.assertEqual(process.wait(timeout=10), 130)
        for stream in (process.stdin, process.stdout, process.stderr):
            self.assertFalse(stream is process.stderr and stream.read())
            stream.close()

    def test_options_of_eval_without_effect(self):
        self.assertIn("note: --stride 99 is above block_size: 32 is used", self.runexp("eval", "small", "--stride", "99").err)
        done = self.runexp("eval", "small", "--data", "./small.txt", "--split", "test")
        self.assertIn("note: --split test has no effect: ./small.txt is evaluated as a whole", done.err)
        self.assertEqual(self.runexp("eval", "small", "--data", "./small.txt", "--stride", "32").err, "")

    def test_an_empty_text_for_validation(self):
        self.write("empty.txt", "")
        words = ("small.yaml", "--dry-run", "dataset.split=[1.0]")
        for key in ("val_source", "test_source"):
            done = self.runexp(*words, f"dataset.{key}=./empty.txt", code=2)
            self.assertIn(f"command line: error: dataset.{key}: has no text", done.err)

    def test_the_home_folder(self):
        self.write("prompt.txt", "the old hen")  # HOME is the test's folder
        given = self.sample("--prompt", "the old hen").out
        self.assertEqual(self.sample("--prompt-file", "~/prompt.txt", "--runs=~/runs").out, given)
        self.assertEqual(self.runexp("sample", "~/runs/small", "--tokens", "20", "--prompt-file=~/prompt.txt").out, given)
        self.runexp("~/small.yaml", "name=mine", "training.max_steps=2", "--runs=~/elsewhere", "--plots=~/pictures")
        self.assertTrue(os.path.exists(self.path("elsewhere/mine/last.h5")))
        self.assertTrue(os.path.exists(self.path("pictures/mine/loss.gp")))
        self.assertFalse(os.path.exists(self.path("~")))
        done = self.runexp("list", "--runs=~/runs", environment={"HOME": ""}, code=1)
        self.assertIn("error: ~/runs is in the home folder, which is not known: HOME is not set", done.err)

    def test_raw_bytes(self):
        self.runexp("small.yaml", "name=bytes", "training.max_steps=2", "evaluation.interval=0", "--no-plots",
                    "dataset.tokenizer=byte")
        words = ("sample", "bytes", "--prompt", "день", "--tokens", "200", "--temperature", "1")
        raw = self.runexp(*words, "--raw", text=False).out
        self.assertEqual(len(raw), 8 + 200)
        self.assertTrue(raw.startswith("день".encode()))
        shown = self.runexp(*words, text=False).out.decode()
        self.assertIn("\N{REPLACEMENT CHARACTER}", shown)
        ascii_of = lambda text: [c for c in text if ord(c) < 128]
        self.assertEqual(ascii_of(shown), ascii_of(raw.decode("latin-1") + "\n"))
        both = self.runexp(*words, "--raw", "--count", "2", text=False).out
        self.assertTrue(both.startswith(b"--- 1\n" + raw + b"\n\n--- 2\n"))


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

    def test_bits_per_byte_are_those_of_utf_8(self):
        text = runs.sentences(400).translate(str.maketrans("abehopcx", "авенорсх"))
        self.write("small.txt", text)
        for tokenizer in ("char", "byte"):
            done = self.runexp("small.yaml", f"dataset.tokenizer={tokenizer}", f"name={tokenizer}", "training.max_steps=10",
                               "sampling.prompt=", "--no-plots")
            self.assertRegex(done.out, r"val loss \S+, perplexity \S+, \S+ bits/char, \S+ bits/byte")
            told = self.runexp("eval", tokenizer, "--split", "test").out
            tokens, loss, char, byte = (float(re.search(rf"{name} +(\S+)", told)[1])
                                        for name in ("tokens", "loss", "bits per char", "bits per byte"))
            targets = text[int(len(text) * 0.9):]
            targets = targets[1:] if tokenizer == "char" else targets.encode()[1:].decode("utf-8", "ignore")
            bits = tokens * loss / math.log(2)
            self.assertAlmostEqual(char, bits / len(targets), delta=2e-3)
            self.assertAlmostEqual(byte, bits / len(targets.encode()), delta=2e-2 if tokenizer == "byte" else 2e-3)
        self.write("other.txt", "the ωωω hen\n" * 20)
        told = self.runexp("eval", "byte", "--data", "other.txt").out
        self.assertNotIn("unknown", told)


class Evaluation(runs.RunTest):
    """Any text by --data."""

    def setUp(self):
        super().setUp()
        self.runexp("small.yaml", "name=small", "training.max_steps=4", "evaluation.interval=2", "--no-plots")
        self.write("other.txt", "the old hen sat on the hill.\n" * 3)

    def loss(self, *words, **how):
        return re.search(r"loss +(\S+)", self.runexp("eval", "small", *words, **how).out)[1]

    def test_files_folders_and_standard_input_are_the_same_text(self):
        expected = self.loss("--data", "other.txt")
        self.write("folder/a", "the old hen sat on the hill.\n")
        self.write("folder/b", "the old hen sat on the hill.\n" * 2)
        self.write("noextension", "the old hen sat on the hill.\n" * 3)
        for data in ("./other.txt", "~/other.txt", "./folder", "folder", "folder/*", "noextension"):
            self.assertEqual(self.loss("--data", data), expected, data)
        with open(self.path("other.txt")) as text:
            done = self.runexp("eval", "small", "--data", "-", stdin=text)
        self.assertIn(f"loss            {expected}", done.out)
        self.assertIn("text            standard input\n", done.out)

    def test_names_of_the_catalogue(self):
        self.write("experiments/datasets.yaml", "hens: {title: t, licence: l, home: h, files: "
                   "[{name: other.txt, url: 'http://localhost/x'}]}\nparts: {title: t, licence: l, home: h, files: "
                   "[{name: val.txt, url: 'http://localhost/x', part: val}, {name: test.txt, url: 'http://localhost/x', part: test}]}\n")
        self.write("val.txt", "the cat\n")
        self.write("test.txt", "the dog sat\n")
        places = {"RUNEXP_DATA": self.folder}
        self.assertEqual(self.loss("--data", "hens", environment=places), self.loss("--data", "other.txt"))
        done = self.runexp("eval", "small", "--data", "parts", "--split", "test", environment=places)
        self.assertIn("text            parts (test)\ntokens          11\n", done.out)
        self.assertIn("no corpus is called \"hen\"; did you mean \"hens\"?",
                      self.runexp("eval", "small", "--data", "hen", code=2).err)

    def test_messages_name_the_text(self):
        self.write("one.txt", "t")
        self.write("empty.txt", "")
        self.write("unknown.txt", "the old\nhen X\n")
        for data, message in (("one.txt", "one.txt has a single token: there is nothing to predict"),
                              ("empty.txt", "empty.txt has no text: there is nothing to predict"),
                              ("unknown.txt", "unknown.txt:2:5: error: the character \"X\" (U+0058)"),
                              ("none.txt", "there is no file none.txt")):
            err = self.runexp("eval", "small", "--data", data, code=1).err
            self.assertIn(message, err)
            self.assertNotIn("split", err)
            if data == "none.txt":
                continue
            with open(self.path(data)) as text:
                err = self.runexp("eval", "small", "--data", "-", stdin=text, code=1).err
            self.assertIn(message.replace(data, "standard input"), err)

    def test_an_interrupt_while_standard_input_is_waited_for(self):
        process = self.start("eval", "small", "--data", "-", stdin=subprocess.PIPE)
        time.sleep(0.5)
        process.send_signal(runs.INT)
        self.assertEqual(process.wait(timeout=10), 130)
        self.assertEqual(process.stderr.read(), "")
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()

    def test_home_in_an_experiment(self):
        words = ("small.yaml", "--dry-run", "dataset.source=~/other.txt", "dataset.block_size=8", "dataset.split=[1]")
        self.assertIn("data: other.txt: ", self.runexp(*words).out)
        self.assertIn("HOME is not set", self.runexp(*words, environment={"HOME": ""}, code=1).err)


if __name__ == "__main__":
    runs.unittest.main()
