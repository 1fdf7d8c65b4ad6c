"""A run's numbers depend on nothing but its settings, data and seed: to the last bit."""

import os
import signal

import runs


class Exactness(runs.RunTest):
    def setUp(self):
        super().setUp()
        self.train("whole", "--threads", "2")

    def train(self, name, *words, code=0):
        # Each run in a folder of its own, under the same name: the name is part of the settings.
        return self.runexp("small.yaml", "--runs", f"runs/{name}", "--no-plots", *words, code=code)

    def assertSameAsWhole(self, name):
        self.assertEqual(self.status(f"{name}/small"), "finished")
        self.assertSameRuns("whole/small", f"{name}/small")
        self.assertEqual(self.samples("whole/small"), self.samples(f"{name}/small"))

    def test_threads(self):
        for threads in ("1", "4"):
            self.train(f"threads{threads}", "--threads", threads)
            self.assertSameAsWhole(f"threads{threads}")

    def test_resume_after_kill(self):
        # Before the first checkpoint, between two, and after an evaluation.
        for rows in (7, 33, 101):
            name = f"killed{rows}"
            process = self.start("small.yaml", "--runs", f"runs/{name}", "--no-plots")
            self.interrupt(process, f"{name}/small", rows, runs.KILL)
            resumed = self.train(name, "--threads", "1")
            self.assertRegex(resumed.out, "starting over" if rows < 20 else r"resuming at step \d+")
            self.assertSameAsWhole(name)

    def test_resume_after_signals(self):
        for number in (runs.TERM, runs.INT, runs.HUP):
            name = f"signal{number}"
            # Under nohup, hangups would be ignored.
            process = self.start("small.yaml", "--runs", f"runs/{name}", "--no-plots",
                                 preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
            done = self.interrupt(process, f"{name}/small", 50, number)
            self.assertEqual(done.code, 130, done.err)
            self.assertRegex(done.err, r"interrupted at step \d+")
            self.assertEqual(self.status(f"{name}/small"), "interrupted")
            resumed = self.train(name)
            self.assertRegex(resumed.out, r"resuming at step \d+")
            self.assertSameAsWhole(name)

    def test_a_signal_in_a_sample(self):
        # Nearly all of the time after the first evaluation goes into samples.
        words = ("name=small", "evaluation.interval=1", "evaluation.sample_tokens=20000", "training.max_steps=5",
                 "--no-plots")
        self.runexp("small.yaml", "--runs", "runs/uncut", *words)
        process = self.start("small.yaml", "--runs", "runs/cut", *words)
        best = self.path("runs", "cut", "small", "best.h5")
        done = self.interrupt_when(lambda: os.path.exists(best), process, runs.TERM)
        self.assertEqual(done.code, 130, done.err)
        self.runexp("small.yaml", "--runs", "runs/cut", *words)
        self.assertSameRuns("uncut/small", "cut/small")
        self.assertEqual(self.samples("uncut/small"), self.samples("cut/small"))

    def test_a_hangup_that_is_ignored(self):
        def ignore():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        process = self.start("small.yaml", "--runs", "runs/nohup", "--no-plots", preexec_fn=ignore)
        done = self.interrupt(process, "nohup/small", 20, runs.HUP)
        self.assertEqual(done.code, 0, done.err)
        self.assertSameAsWhole("nohup")

    def test_resume_with_a_schedule_that_remembers(self):
        # No loss counts as an improvement, so that every evaluation lowers the rate.
        schedule = "schedule={type: plateau, patience: 0, factor: 0.7, threshold: 0.99}"
        self.train("plateau", schedule)
        run = os.listdir(self.path("runs/plateau"))[0]
        rates = self.series(f"plateau/{run}")["train/lr"]
        self.assertLess(rates[-1], 0.5 * rates.max())
        process = self.start("small.yaml", "--runs", "runs/stopped", "--no-plots", schedule)
        self.interrupt(process, f"stopped/{run}", 60, runs.KILL)
        self.train("stopped", schedule)
        self.assertSameRuns(f"plateau/{run}", f"stopped/{run}")

    def test_another_seed_is_another_run(self):
        self.train("other", "seed=1")
        self.assertNotEqual(self.series("whole/small")["train/loss"].tobytes(),
                            self.series("other/small,seed=1")["train/loss"].tobytes())


if __name__ == "__main__":
    runs.unittest.main()
