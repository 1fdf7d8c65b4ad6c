"""Runs that are killed at any moment, and disks that are full."""

import os
import random
import resource
import shutil
import subprocess
import time

import h5py

import runs


def smaller_files(limit):
    def set_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return set_limit


class Kills(runs.RunTest):
    def test_twenty_kills_at_random(self):
        """Whatever is there after a kill can be read, and the run that goes on to its end is the run that was never killed."""
        words = ("small.yaml", "training.max_steps=600", "evaluation.interval=20", "checkpoint.interval=10")
        name = "small,evaluation.interval=20,training.max_steps=600"
        started = time.monotonic()
        self.runexp(*words, "--runs", "runs/whole", "--no-plots")
        whole = time.monotonic() - started
        draw = random.Random(20)
        kills = 0
        while kills < 20:
            # Some while starting up, most while training.
            process = self.start(*words, "--runs", "runs/killed", "--no-plots")
            time.sleep(draw.uniform(0, whole / 8))
            process.kill()
            if self.finish(process).code == 0:
                # Finished before its twenty kills: once more from the beginning.
                self.runexp(*words, "--runs", "runs/killed", "--no-plots")
                self.assertSameRuns(f"whole/{name}", f"killed/{name}")
                shutil.rmtree(self.path("runs/killed", name))
                continue
            kills += 1
            self.check_readable(self.path("runs/killed", name))
        self.runexp(*words, "--runs", "runs/killed", "--no-plots")
        self.assertSameRuns(f"whole/{name}", f"killed/{name}")
        self.assertEqual(self.samples(f"whole/{name}"), self.samples(f"killed/{name}"))

    def check_readable(self, folder):
        for name in ("metrics.h5", "last.h5", "best.h5"):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                with h5py.File(path, "r") as file:
                    file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)


class Disks(runs.RunTest):
    def test_a_file_that_may_not_grow(self):
        """A disk that refuses the next checkpoint leaves the last one; with room again the run goes on to the same end."""
        self.runexp("small.yaml", "--runs", "runs/whole", "--no-plots")
        process = self.start("small.yaml", "--no-plots")
        self.interrupt(process, "small", 45, runs.KILL)
        before = self.checkpoint("small", "last.h5")
        size = os.path.getsize(self.path("runs/small/last.h5"))
        done = self.finish(self.start("small.yaml", "--no-plots", preexec_fn=smaller_files(size // 2)))
        self.assertEqual(done.code, 1, done.err)
        self.assertRegex(done.err, r"error: .*runs/small/.*: File too large")
        self.assertSameArrays(before, self.checkpoint("small", "last.h5"), "last.h5 after the failed write")
        self.runexp("small.yaml", "--no-plots")
        self.assertSameRuns("whole/small", "small")

    def test_a_full_disk(self):
        os.mkdir(self.path("disk"))
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", self.path("disk")], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("may not mount a small disk here")
        self.addCleanup(subprocess.run, ["umount", self.path("disk")])
        done = self.runexp("small.yaml", "--no-plots", "--runs", "disk", code=1)
        self.assertIn("No space left on device", done.err)
        leftovers = [name for name in os.listdir(self.path("disk/small")) if "tmp" in name or "new" in name]
        self.assertEqual(leftovers, [])


if __name__ == "__main__":
    runs.unittest.main()
