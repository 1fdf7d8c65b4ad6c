"""What a second start does, and how runs end that do not end well."""

import os
import shutil
import subprocess

import h5py
import numpy as np

import runs


class RunFolders(runs.RunTest):
    SHORT = ("small.yaml", "--no-plots")

    def setUp(self):
        super().setUp()
        with open(self.path("small.yaml")) as file:
            self.write("small.yaml", file.read().replace("max_steps: 120", "max_steps: 30"))

    def change(self, old, new):
        with open(self.path("small.yaml")) as file:
            text = file.read()
        self.assertIn(old, text)
        self.write("small.yaml", text.replace(old, new))

    def test_finished_run_is_left_alone(self):
        self.runexp(*self.SHORT)
        before = {name: os.stat(self.path("runs/small", name)).st_mtime_ns for name in os.listdir(self.path("runs/small"))}
        done = self.runexp(*self.SHORT)
        self.assertIn(" is finished: results in", done.out)
        after = {name: os.stat(self.path("runs/small", name)).st_mtime_ns for name in os.listdir(self.path("runs/small"))}
        self.assertEqual(before, after)

    def test_other_settings_are_refused_with_the_difference(self):
        self.runexp(*self.SHORT)
        before = self.series("small")
        self.change("lr: 3.0e-3", "lr: 1.0e-3")
        done = self.runexp(*self.SHORT, code=2)
        self.assertIn("optimizer.lr: 3.0e-3 -> 1.0e-3", done.err)
        self.assertIn("--fresh", done.err)
        self.assertSameArrays(before, self.series("small"), "the refused run")

    def test_fresh_starts_anew(self):
        self.runexp(*self.SHORT)
        self.change("lr: 3.0e-3", "lr: 1.0e-3")
        self.runexp(*self.SHORT, "--fresh")
        series = self.series("small")
        self.assertEqual(list(series["train/step"]), list(range(1, 31)))
        self.assertAlmostEqual(series["train/lr"].max(), 1.0e-3)
        with open(self.path("runs/small/log.txt")) as file:
            self.assertEqual(file.read().count("finished:"), 1)

    def test_an_empty_name_is_refused(self):
        with open(self.path("small.yaml")) as file:
            text = file.read()
        self.write(".yaml", text)
        self.write("empty.yaml", text + 'name: ""\n')
        for words in ([".yaml"], ["empty.yaml"], ["small.yaml", "name="], ["small.yaml", "name=null"], ["small.yaml", "name=~"]):
            for more in ([], ["seed=3"]):
                self.assertIn("the run has no name", self.runexp(*words, *more, code=2).err)
        self.assertFalse(os.path.exists(self.path("runs")))

    def test_runs_in_another_folder_are_found_by_name(self):
        self.runexp(*self.SHORT, "--runs", "elsewhere")
        for words in (["list"], ["compare", "--no-plots"], ["show"], ["eval"], ["sample", "--tokens", "5"], ["plot"]):
            with self.subTest(words[0]):
                self.runexp(words[0], "small", *words[1:], "--runs", "elsewhere")
        done = self.runexp("eval", "smal", "--runs", "elsewhere", code=2)
        self.assertIn("did you mean 'small'?", done.err)
        self.assertFalse(os.path.exists(self.path("runs")))

    def test_changed_text_is_not_resumed(self):
        process = self.start(*self.SHORT, "training.max_steps=100000")
        self.interrupt(process, "small,training.max_steps=100000", 5, runs.TERM)
        self.write("small.txt", runs.sentences(400).replace("hen", "hog"))
        for more in ([], ["--dry-run"]):
            done = self.runexp(*self.SHORT, "training.max_steps=100000", *more, code=1)
            self.assertIn("that of train and val and test has changed since", done.err)

    def test_divergence_names_step_and_tensor(self):
        done = self.runexp(*self.SHORT, "name=steep", "optimizer={type: sgd, lr: 1.0e30}", code=3)
        self.assertRegex(done.err, r"diverged at step \d+: the (loss|gradient) is not finite; the first bad value is in "
                                   r"(the (output|gradient)|weight) .*element \d+")
        self.assertEqual(self.status("steep"), "diverged")
        self.assertNotIn("checkpoint has been kept", done.err)  # there was none yet

    def test_a_solver_that_takes_too_many_steps(self):
        layers = "model.layers=[embedding, {ltc: {solver: dopri5, rtol: 1e-12, atol: 1e-12, step_size: 30.0}}, unembedding]"
        done = self.runexp(*self.SHORT, "name=stiff", layers, code=3)
        self.assertIn("dopri5 took 64 steps without reaching the end of a token: make rtol and atol larger", done.err)

    def test_a_last_update_that_diverges(self):
        """The last update makes the weights infinite, or so large that nothing can be computed with them."""
        self.change("checkpoint: {interval: 20}", "checkpoint: {interval: 1}")
        self.change("evaluation: {interval: 25, train_tokens: 512, sample_tokens: 20}", "evaluation: {interval: 1}")
        for name, rate, words in (("infinite", "1.0e40", ("evaluation.train_tokens=0", "dataset.split=[1.0]")),
                                  ("averaged", "1.0e40", ("training.average_decay=0.9",)),
                                  ("evaluated", "1.0e36", ()),
                                  ("finite", "1.0e30", ("evaluation.train_tokens=0", "dataset.split=[1.0]"))):
            with self.subTest(name):
                done = self.runexp("small.yaml", "--no-plots", "--runs", f"runs/{name}", "training.max_steps=2",
                                   "training.grad_clip=0", "training.average_decay=0" if not words else "seed=2",
                                   "optimizer={type: sgd, lr: 1.0e-3}", f"schedule={{type: linear, min_lr: {rate}, warmup_steps: 0}}",
                                   *words, code=3)
                self.assertRegex(done.err, r"diverged at step 2: .* is not finite")
                self.assertIn("the last good checkpoint has been kept", done.err)
                run = f"{name}/" + os.listdir(self.path("runs", name))[0]
                self.assertEqual(self.status(run), "diverged")
                kept = self.checkpoint(run, "last.h5")
                self.assertEqual(kept["state/step"], 1)
                for array, values in kept.items():
                    if not array.startswith("state/"):
                        self.assertTrue(np.all(np.isfinite(values)), array)

    def test_a_checkpoint_is_kept_from_weights_that_give_no_loss(self):
        """Long before the end an update makes the weights finite and far too large."""
        done = self.runexp(*self.SHORT, "name=huge", "optimizer={type: sgd, lr: 1.0e-3}", "training.grad_clip=0",
                           "training.average_decay=0", "schedule={type: linear, min_lr: 1.0e26, warmup_steps: 0}",
                           "checkpoint.interval=1", "evaluation.interval=0", code=3)
        self.assertRegex(done.err, r"diverged at step 2: the loss with its weights is not finite; the first bad value is in")
        self.assertEqual(self.checkpoint("huge", "last.h5")["state/step"], 1)

    def test_a_checkpoint_that_is_not_finite_is_not_resumed(self):
        process = self.start(*self.SHORT, "training.max_steps=100000")
        self.interrupt(process, "small,training.max_steps=100000", 5, runs.TERM)
        with h5py.File(self.path("runs/small,training.max_steps=100000/last.h5"), "r+") as file:
            file["weights/embedding/weight"][0, 3] = np.nan
        done = self.runexp(*self.SHORT, "training.max_steps=100000", code=1)
        self.assertRegex(done.err, r"cannot resume .*last.h5: weights/embedding/weight, element 3, is not finite")

    def test_weights_that_are_not_finite_are_not_used(self):
        self.runexp(*self.SHORT)
        for group in ("weights", "average"):
            for name in ("last.h5", "best.h5"):
                with h5py.File(self.path("runs/small", name), "r+") as file:
                    file[f"{group}/embedding/weight"][...] = np.nan
        for words in (["eval"], ["sample", "--tokens", "5"], ["eval", "--checkpoint", "last"]):
            done = self.runexp(words[0], "small", *words[1:], code=1)
            self.assertIn("are not finite", done.err)
            self.assertEqual(done.out, "")

    def test_a_copied_folder_is_refused_with_the_reason(self):
        self.runexp(*self.SHORT)
        shutil.copytree(self.path("runs/small"), self.path("runs/copy"))
        with open(self.path("runs/copy/config.yaml")) as file:
            text = file.read()
        for change in (text.replace("name: small", "name: copy"),
                       text.replace("name: small", "name: copy").replace("max_steps: 30", "max_steps: 50")):
            self.write("runs/copy/config.yaml", change)
            done = self.runexp("runs/copy/config.yaml", "--no-plots", code=2)
            self.assertIn("name: small -> copy", done.err)
            self.assertNotIn("finished", done.out)
        self.runexp("runs/copy/config.yaml", "--no-plots", "--fresh")
        self.assertEqual(self.status("copy"), "finished")

    def test_a_copied_folder_is_not_taken_for_the_original(self):
        self.runexp(*self.SHORT)
        shutil.copytree(self.path("runs/small"), self.path("runs/copy"))
        before = self.checkpoint("small", "last.h5")
        for more in ([], ["--dry-run"], ["--fresh"], ["seed=3"]):
            done = self.runexp("runs/copy/config.yaml", "--no-plots", *more, code=2)
            self.assertIn('the run "small" is here in a folder of another name, copy', done.err)
        self.assertSameArrays(before, self.checkpoint("small", "last.h5"), "the original")
        for words in (["list"], ["compare", "small", "copy", "--no-plots"]):
            rows = [line.split()[0] for line in self.runexp(*words).out.splitlines()]
            self.assertEqual(sorted(rows), ["copy", "run", "small"])
        self.runexp("runs/copy/config.yaml", "--no-plots", "name=third")
        self.runexp("runs/third/config.yaml", "--no-plots", "seed=3")
        self.assertEqual(sorted(os.listdir(self.path("runs"))), ["copy", "small", "third", "third,seed=3"])

    def test_a_run_without_its_settings_is_not_replaced(self):
        self.runexp(*self.SHORT)
        config = self.path("runs/small/config.yaml")
        os.unlink(config)
        before = self.checkpoint("small", "last.h5")
        done = self.runexp(*self.SHORT, code=2)
        self.assertIn("runs/small holds a run without its settings", done.err)
        self.assertSameArrays(before, self.checkpoint("small", "last.h5"), "last.h5 after the refusal")
        # The cure in the message is one.
        subprocess.run(["bash", "-c", done.err.split("`")[1]], cwd=self.folder, check=True)
        self.assertIn("small is finished", self.runexp(*self.SHORT).out)
        os.unlink(config)
        for name in ("last.h5", "best.h5"):
            os.unlink(self.path("runs/small", name))
        self.assertNotIn("checkpoint", self.runexp(*self.SHORT, code=2).err)
        self.runexp(*self.SHORT, "--fresh")

    def test_settings_that_cannot_change_training_are_free(self):
        self.runexp(*self.SHORT)
        done = self.runexp(*self.SHORT, "sampling.k=3", "checkpoint.interval=7", "checkpoint.minutes=1",
                           "training.log_interval=2", "evaluation.sample_tokens=3")
        self.assertIn("small is finished", done.out)
        done = self.runexp(*self.SHORT, "training={log_interval: 3}", "sampling={k: 3}", "evaluation={sample_tokens: 3}")
        self.assertIn("small is finished", done.out)
        self.assertEqual(os.listdir(self.path("runs")), ["small"])
        self.runexp(*self.SHORT, "training={log_interval: 3, max_steps: 4}")
        self.assertEqual(sorted(os.listdir(self.path("runs"))), ["small", "small,training={log_interval:_3,_max_steps:_4}"])

    def test_checkpoints_by_time(self):
        words = ("small.yaml", "--no-plots", "name=timed", "training.max_steps=100000", "checkpoint.interval=0",
                 "checkpoint.minutes=0.001", "evaluation.interval=0")
        process = self.start(*words)
        self.addCleanup(process.kill)
        found = []
        while not found:
            self.assertIsNone(process.poll())
            found = [run for run in (os.listdir(self.path("runs")) if os.path.exists(self.path("runs")) else [])
                     if os.path.exists(self.path("runs", run, "last.h5"))]
        process.kill()
        self.finish(process)
        resumed = self.interrupt(self.start(*words), found[0], self.rows(found[0]) + 5, runs.TERM)
        self.assertRegex(resumed.out, r"resuming at step [1-9]\d*")

    def test_two_starts_at_once(self):
        self.runexp("small.yaml", "--runs", "runs/alone", "--no-plots", "training.max_steps=60")
        words = ("small.yaml", "--no-plots", "training.max_steps=60")
        first, second = self.start(*words), self.start(*words)
        results = [self.finish(first), self.finish(second)]
        codes = sorted(result.code for result in results)
        said = "".join(result.out + result.err for result in results)
        # One trains; the other finds it at work and says so, or finds it finished.
        self.assertEqual(codes[0], 0, said)
        self.assertIn(codes[1], (0, 1), said)
        if codes[1] == 1:
            self.assertRegex(said, r"error: .*(another|other) (process|program)")
        name = "small,training.max_steps=60"
        self.assertEqual(self.status(name), "finished")
        self.assertSameRuns(f"alone/{name}", name)

    def test_fresh_beside_a_running_process(self):
        words = (*self.SHORT, "training.max_steps=100000")
        name = "small,training.max_steps=100000"
        process = self.start(*words)
        self.addCleanup(process.kill)
        while self.rows(name) < 5:
            self.assertIsNone(process.poll())
        done = self.runexp(*words, "--fresh", code=1)
        self.assertIn("another process is training", done.err)
        interrupted = self.interrupt(process, name, 10, runs.TERM)
        self.assertEqual(interrupted.code, 130)
        self.assertGreater(len(self.series(name)["train/step"]), 9)

    def test_runs_folder_that_cannot_be(self):
        self.write("file", "not a folder\n")
        for place in ("file", "file/below", "/proc/runexp"):
            done = self.runexp(*self.SHORT, "--runs", place, code=1)
            self.assertRegex(done.err, r"error: cannot create .*" + place.split("/")[-1])
        with open(self.path("file")) as file:
            self.assertEqual(file.read(), "not a folder\n")

    def test_without_gnuplot(self):
        done = self.runexp("small.yaml", environment={"PATH": "/nonexistent"})
        self.assertRegex(done.out + done.err, "gnuplot")
        written = os.listdir(self.path("plots/small"))
        self.assertIn("loss.gp", written)
        self.assertFalse([name for name in written if name.endswith(".png")])

    def test_filters_are_drawn(self):
        self.write("filters.yaml", "extends: small.yaml\nname: filters\ntraining: {max_steps: 20}\n"
                   "model: {layers: [embedding, {residual: [layernorm, {hyena: {filter_width: 8}}]}, unembedding]}\n")
        self.runexp("filters.yaml")
        with open(self.path("plots/filters/filters.gp")) as file:
            drawn = file.read()
        self.assertTrue(os.path.exists(self.path("plots/filters/filters.png")))
        self.assertIn('"residual/hyena"', drawn)
        # A lag, and magnitudes in order.
        block = drawn.split("$filter0 << EOD\n")[1].split("EOD")[0]
        rows = [[float(word) for word in line.split()] for line in block.splitlines()]
        self.assertGreater(len(rows), 5)
        for row in rows:
            self.assertEqual(row[1:], sorted(row[1:]))
        self.assertGreater(rows[0][3], 0)


if __name__ == "__main__":
    runs.unittest.main()
