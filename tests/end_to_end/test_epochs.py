"""Lengths in epochs: the same runs as in steps, whatever the order of the batches."""

import math

import h5py

import runs

# Tokens of an update: batch_size x accumulation sequences of block_size.
ROWS, BLOCK = 16, 32
IN_EPOCHS = ("training.max_steps=2 epochs", "evaluation.interval=0.5 epochs", "checkpoint.interval=0.3 epochs",
             "schedule.warmup_steps=0.25 epochs", "name=small")


def rounded(steps):
    return max(1, math.floor(steps + 0.5))


class Epochs(runs.RunTest):
    def setUp(self):
        super().setUp()
        with open(self.path("small.txt")) as file:
            self.targets = math.floor(len(file.read()) * 0.8) - 1

    def train(self, name, *words, code=0):
        return self.runexp("small.yaml", "--runs", f"runs/{name}", "--no-plots", *words, code=code)

    def test_the_same_as_in_steps(self):
        chunks, lane = math.ceil(self.targets / BLOCK), self.targets // ROWS
        epochs = {"windows": math.ceil(self.targets / (ROWS * BLOCK)), "chunks": math.ceil(chunks / ROWS),
                  "{type: chunks, drop_last: true}": chunks // ROWS, "stream": math.ceil(lane / BLOCK)}
        for number, (order, epoch) in enumerate(epochs.items()):
            batches = f"dataset.batches={order}"
            done = self.train(f"epochs{number}", *IN_EPOCHS, batches)
            self.train(f"steps{number}", f"training.max_steps={2 * epoch}", f"evaluation.interval={rounded(epoch / 2)}",
                       f"checkpoint.interval={rounded(0.3 * epoch)}", f"schedule.warmup_steps={rounded(epoch / 4)}",
                       "name=small", batches)
            self.assertIn(f"epoch: {epoch} steps; schedule.warmup_steps = {rounded(epoch / 4)}, training.max_steps = {2 * epoch}, "
                          f"evaluation.interval = {rounded(epoch / 2)}, checkpoint.interval = {rounded(0.3 * epoch)}\n", done.out)
            self.assertIn(f"step {epoch}/{2 * epoch}  epoch 1.00/2  loss ", done.out)
            self.assertIn(f"step {2 * epoch} (epoch 2.00): train loss ", done.out)
            self.assertSameRuns(f"epochs{number}/small", f"steps{number}/small")
            with h5py.File(self.path(f"runs/epochs{number}/small/metrics.h5")) as file:
                self.assertEqual(file.attrs["steps_per_epoch"], epoch)

    def test_resume_after_kill(self):
        self.train("whole", *IN_EPOCHS)
        for rows in (8, 21, 30):
            process = self.start("small.yaml", "--runs", f"runs/cut{rows}", "--no-plots", *IN_EPOCHS)
            self.interrupt(process, f"cut{rows}/small", rows, runs.KILL)
            resumed = self.train(f"cut{rows}", *IN_EPOCHS, "--threads", "1")
            self.assertRegex(resumed.out, r"resuming at step \d+")
            self.assertSameRuns("whole/small", f"cut{rows}/small")
            self.assertEqual(self.samples("whole/small"), self.samples(f"cut{rows}/small"))

    def test_settings_are_kept_as_written(self):
        self.train("first", *IN_EPOCHS)
        with open(self.path("runs/first/small/config.yaml")) as file:
            self.assertIn("  max_steps: 2 epochs\n", file.read())
        self.runexp("runs/first/small/config.yaml", "--runs", "runs/again", "--no-plots")
        self.assertSameRuns("first/small", "again/small")
        self.assertIn("is finished", self.train("first", *IN_EPOCHS).out)
        longer = self.train("first", "training.max_steps=3 epochs", *IN_EPOCHS[1:], code=2)
        self.assertIn("training.max_steps: 2 epochs -> 3 epochs\n", longer.err)

    def test_reports(self):
        for epochs in ("1 epoch", "1.5 epochs", "2 epochs"):
            self.runexp("small.yaml", f"training.max_steps={epochs}")
        names = [f"small,training.max_steps={epochs}" for epochs in ("1_epoch", "1.5_epochs", "2_epochs")]
        with open(self.path("plots", names[1], "loss.gp")) as file:
            self.assertIn("set x2range [0:1.5", file.read())
        compared = self.runexp("compare", *names).out
        self.assertRegex(compared, r"1\.5 epochs +[0-9.]+ K")
        # A run of an earlier version says nothing of epochs.
        with h5py.File(self.path("runs", names[1], "metrics.h5"), "r+") as file:
            del file.attrs["steps_per_epoch"]
        self.runexp("plot", names[1])
        with open(self.path("plots", names[1], "loss.gp")) as file:
            self.assertNotIn("x2range", file.read())
        self.assertEqual(self.runexp("compare", *names).out.splitlines()[:4], compared.splitlines()[:4])


if __name__ == "__main__":
    runs.unittest.main()
