"""`make install` and `make uninstall`, and the program where it was installed: from any folder, and moved."""

import glob
import os
import subprocess

from runs import ROOT, RunTest


class Installation(RunTest):
    def setUp(self):
        super().setUp()
        self.make("install")
        self.program = self.path("stage", "opt", "program", "bin", "runexp")

    def make(self, target, prefix="/opt/program"):
        subprocess.run([os.environ.get("MAKE", "make"), "-s", "-C", ROOT, target, f"DESTDIR={self.path('stage')}",
                        f"PREFIX={prefix}"], check=True, capture_output=True, text=True)

    def installed(self):
        """Paths of the files under the stage, and of the folders that are ours alone."""
        stage = self.path("stage")
        for folder, _, names in os.walk(stage):
            if "runexp" in os.path.relpath(folder, stage).split("/"):
                yield os.path.relpath(folder, stage)
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), stage)

    def call(self, *words, code=0, program=None):
        done = self.finish(subprocess.Popen(
            [program or self.program, *words], cwd=self.path("elsewhere"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, text=True, env={"PATH": "/usr/bin:/bin", "HOME": self.folder, "LC_ALL": "C.UTF-8"}))
        self.assertEqual(done.code, code, f"{' '.join(words)}\n{done.out}{done.err}")
        return done

    def test_what_is_installed_and_removed(self):
        found = set(self.installed())
        shipped = {os.path.relpath(path, ROOT)
                   for path in glob.glob(os.path.join(ROOT, "experiments", "**", "*.yaml"), recursive=True)}
        for path in shipped:
            self.assertIn(os.path.join("opt/program/share/runexp", path), found)
        for path in ("bin/runexp", "share/doc/runexp/LICENSE", "share/doc/runexp/README.md"):
            self.assertIn(os.path.join("opt/program", path), found)
        self.make("install")  # again, over the first
        self.assertEqual(set(self.installed()), found)
        self.make("uninstall")
        self.assertEqual(list(self.installed()), [])
        self.assertEqual(os.listdir(self.path("stage", "opt")), [])

    def test_a_prefix_with_a_blank_and_other_files(self):
        os.mkdir(self.path("elsewhere"))
        self.make("install", "/my home")
        self.assertIn("name: gpt_nano", self.call("show", "gpt_nano.yaml", program=self.path("stage/my home/bin/runexp")).out)
        self.write("stage/my home/share/other.txt", "")
        self.make("uninstall", "/my home")
        self.assertEqual(os.listdir(self.path("stage/my home")), ["share"])
        self.assertEqual(os.listdir(self.path("stage/my home/share")), ["other.txt"])

    def test_running_it_elsewhere(self):
        os.mkdir(self.path("elsewhere"))
        short = ("dataset.source=../small.txt", "dataset.block_size=16", "model.width=16", "model.depth=1",
                 "training.max_steps=2", "sampling.prompt=the ", "--quiet", "--no-plots")
        with self.subTest("a shipped experiment"):
            self.call("quickstart.yaml", "name=first", *short)
            self.assertTrue(os.path.exists(self.path("elsewhere", "runs", "first", "last.h5")))
            self.call("experiments/quickstart.yaml", "name=second", *short)
            shown = self.call("show", "gpt_nano.yaml").out
            self.assertIn("runexp/experiments/gpt_nano.yaml:3", shown)
        with self.subTest("a file of one's own that extends a shipped one"):
            self.write("elsewhere/mine.yaml", "extends: [base/char_lm.yaml, base/gpt.yaml]\n")
            self.call("mine.yaml", *short)
        with self.subTest("what is in the folder comes first"):
            self.write("elsewhere/quickstart.yaml", "description: mine\nextends: mine.yaml\n")
            self.assertIn("description: mine", self.call("show", "quickstart.yaml").out)
        with self.subTest("a file that extends the shipped one of its own name"):
            self.write("elsewhere/gpt_nano.yaml", "description: mine\nextends: gpt_nano.yaml\n")
            shown = self.call("show", "gpt_nano.yaml").out
            self.assertIn("description: mine", shown)
            self.assertIn("runexp/experiments/gpt_nano.yaml:", shown)
            os.remove(self.path("elsewhere", "gpt_nano.yaml"))
        with self.subTest("a path that says where the file is"):
            done = self.call("./gpt_nano.yaml", code=2)
            self.assertIn("there is no experiment file ./gpt_nano.yaml", done.err)
        with self.subTest("moved"):
            os.rename(self.path("stage", "opt", "program"), self.path("moved"))
            shown = self.call("show", "gpt_nano.yaml", program=self.path("moved", "bin", "runexp")).out
            self.assertIn("runexp/experiments/gpt_nano.yaml:3", shown)
            self.call("data", program=self.path("moved", "bin", "runexp"))

    def test_the_name_that_it_was_called_by(self):
        os.mkdir(self.path("elsewhere"))
        os.symlink(self.program, self.path("elsewhere", "runexp"))
        done = self.call("sample", "quickstart.yaml", code=2, program="./runexp")
        self.assertEqual(done.err, "error: quickstart.yaml is an experiment file, not a run\n"
                                   "  train it first: ./runexp quickstart.yaml\n")
        self.assertIn("`./runexp quickstart.yaml`", self.call("list", program="./runexp").out)
        self.assertIn("  ./runexp sample quickstart --prompt", self.call("sample", "--help", program="./runexp").out)
        done = self.call("eval", "nothing", code=2)
        self.assertIn(f"  {self.program} list shows the runs", done.err)
