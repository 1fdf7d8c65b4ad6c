"""README.md and CONTRIBUTING.md: what they show is what the program prints, and what they name is there."""

import difflib
import glob
import json
import os
import re
import shutil
import subprocess

import h5py
import readme
import runs


def document(name):
    with open(os.path.join(runs.ROOT, name)) as file:
        return file.read()


README, CONTRIBUTING = document("README.md"), document("CONTRIBUTING.md")
BOTH = README + "\n" + CONTRIBUTING
CODE = readme.code(BOTH)
FIRST_RUN = "./runexp experiments/quickstart.yaml"


class Sessions(runs.RunTest):
    """The commands of README.md, in its order, each with what it prints."""

    def setUp(self):
        super().setUp()
        os.symlink(runs.PROGRAM, self.path("runexp"))
        os.symlink(os.path.join(runs.ROOT, "experiments"), self.path("experiments"))

    def bash(self, command):
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        return done.stdout

    def assertShown(self, printed, shown, *kinds):
        """What was printed is what is shown, when these kinds of differences are masked."""
        printed, shown = readme.masked(printed, *kinds), readme.masked("\n".join(shown), *kinds).split("\n")
        if not readme.shows(printed, shown):
            self.fail("\n" + "\n".join(difflib.unified_diff(shown, printed.split("\n"), "README.md", "printed", n=0, lineterm="")))

    def start_of_first_run(self):
        """What the first run prints until its first line about a step; the run is then interrupted."""
        process, lines = self.start("experiments/quickstart.yaml", "--threads", "2"), []
        while not lines or not lines[-1].startswith("step "):
            lines.append(process.stdout.readline())
            self.assertTrue(lines[-1], "".join(lines))
        process.send_signal(runs.INT)
        self.assertEqual(self.finish(process).code, 130)
        return "".join(lines)

    def finished_first_run(self):
        """The log of the run that `make quickstart` left, if it was made by this very program."""
        folder = os.path.join(runs.ROOT, "runs", "quickstart")
        try:
            with h5py.File(os.path.join(folder, "metrics.h5"), "r") as file:
                made_by = f"runexp {file.attrs['version']} (commit {file.attrs['git_commit']})\n"
                if file.attrs["status"] != "finished" or made_by != self.runexp("--version").out:
                    return None
        except OSError:
            return None
        shutil.rmtree(self.path("runs", "quickstart"))
        shutil.copytree(folder, self.path("runs", "quickstart"))
        with open(os.path.join(folder, "log.txt")) as file:
            return file.read()

    def test_sessions(self):
        sessions = readme.commands(README)
        first_run = dict(sessions)[FIRST_RUN]
        start = self.start_of_first_run()
        # Losses, and what is generated, depend on the instruction set and on the version of the fortunes.
        same_numbers = "avx512 kernels" in start and first_run[2] in start
        numbers = () if same_numbers else readme.NUMBER
        self.assertShown(start, first_run[:first_run.index("...")], readme.SPEEDS, numbers)
        log = self.finished_first_run()
        for command, shown in sessions:
            with self.subTest(command):
                if command == "make":
                    continue
                of_first_run = command == FIRST_RUN or command.startswith(("./runexp sample", "./runexp eval"))
                if of_first_run and not log:
                    self.skipTest("no run of `make quickstart` by this version")
                if command.startswith("./runexp sample") and not same_numbers:
                    self.skipTest("another instruction set, or other fortunes")
                if command == FIRST_RUN:
                    # A log of what went to a terminal has no lines about steps.
                    shown = [line for line in shown if not re.match(r"step \d+/", line) or "\nstep 40/" in log]
                    self.assertShown(log, shown, readme.SPEEDS, readme.SIZES, numbers)
                elif command.startswith("./runexp time"):
                    printed = self.bash(command + " dataset.source=./small.txt name=gpt_nano")
                    self.assertShown(printed, shown, readme.SPEEDS, readme.NUMBER)
                elif command.startswith(("./runexp eval", "./runexp compare")):
                    self.assertShown(self.bash(command), shown, readme.SPEEDS, numbers)
                else:
                    self.assertShown(self.bash(command), shown)


class Names(runs.RunTest):
    """Files, options, settings and targets that the text names."""

    def test_quoted_experiments(self):
        quoted = 0
        for block in readme.blocks(README):
            if block[0].startswith("# experiments/"):
                shipped = document(block[0][2:]).splitlines()
                without_notes = [re.sub(r"  # .*", "", line) for line in block[1:]]
                self.assertEqual(without_notes, [line for line in shipped if not line.startswith("#")], block[0])
                quoted += 1
            elif block[0] == "vars:":
                self.assertIn("\n".join(block) + "\n", document("experiments/base/gpt.yaml"))
                quoted += 1
        self.assertEqual(quoted, 2)

    def test_experiments_shipped(self):
        shipped = {os.path.basename(path)[:-5] for path in glob.glob(os.path.join(runs.ROOT, "experiments/*.yaml"))} - {"datasets"}
        self.assertEqual({name for name in shipped if f"`{name}`" not in README}, set())

    def test_what_a_run_leaves(self):
        self.runexp("small.yaml", "name=small", "training.max_steps=50")
        (tree,) = (block for block in readme.blocks(README) if block[0] == "runs/quickstart/")
        end = tree.index(next(line for line in tree if line.startswith("plots/")))
        files = [word for line in tree[1:end] for word in re.findall(r"\w+\.\w+", line.strip().split("   ")[0])]
        self.assertEqual(sorted(files), sorted(os.listdir(self.path("runs", "small"))))
        plots = tree[end].split(":")[0].split(maxsplit=1)[1].split(", ")
        self.assertEqual(sorted(plots), sorted(name[:-3] for name in os.listdir(self.path("plots", "small")) if name.endswith(".gp")))

    def test_weights_elsewhere(self):
        experiment = os.path.join(runs.ROOT, "experiments/quickstart.yaml")
        self.runexp(experiment, "dataset.source=./small.txt", "training.max_steps=1", "schedule.warmup_steps=0",
                    "evaluation.sample_tokens=0", 'sampling.prompt="the "', "name=one", "--no-plots")
        with h5py.File(self.path("runs", "one", "last.h5"), "r") as file:
            for path in re.findall(r'file\["(.+?)"\]', README):
                self.assertIn(path, file)
            layer = file[re.search(r'file\["(weights/.+?)"\]', README)[1]]
            self.assertEqual({name: data.shape for name, data in layer.items()},
                             {"in_proj_weight": (3 * 128, 128), "out_proj.weight": (128, 128)})

    def test_files(self):
        """Paths begin at the root, or where the sentence has just been; <name> and NAME stand for any name."""
        begin = ("", "framework", "framework/*", "framework/train/*", "models", "experiments", "tests/support", "tests/unit")
        text = re.sub(r"<\w+>|\bNAME\b", "*", re.sub(r"https?://\S+|runs/\S+|config\.yaml", "", BOTH))
        files = re.findall(r"(?:[\w.*-]+/)*[\w*-]+\.(?:c|h|py|md|yaml|svg)\b", text)
        others = re.findall(r"(?<![\w/])(?:\.ci|bench|experiments|framework|models|tests|tools)/[\w/.*-]*\b", text)
        self.assertEqual([path for path in sorted(set(files + others))
                          if not any(glob.glob(os.path.join(runs.ROOT, folder, path)) for folder in begin)], [])

    def test_links(self):
        for target in re.findall(r"\]\(([^)#]+)\)", BOTH):
            if not target.startswith("http"):
                self.assertTrue(os.path.exists(os.path.join(runs.ROOT, target)), target)

    def assertNamed(self, pattern, there):
        """What the pattern finds in the code of the text is among what is there."""
        named = set(re.findall(pattern, CODE, re.M))
        self.assertTrue(named)
        self.assertEqual(named - set(there), set())

    def test_targets(self):
        self.assertNamed(r"^make ([a-z][a-z0-9-]*)(?!\S)", re.findall(r"^([a-z][a-z0-9-]*):", document("Makefile"), re.M))

    def test_commands_and_options(self):
        commands = re.findall(r"^  (\w+)  +\w", self.runexp("--help").out, re.M)
        self.assertNamed(r"(?<!\w/)runexp ([a-z]+)(?!\S)", commands)
        helps = "".join(self.runexp(command, "--help").out for command in commands)
        self.assertNamed(r"(?<!\S)--[a-z][a-z-]+", re.findall(r"--[a-z-]+", helps) + ["--help"])

    def test_settings(self):
        section, settings = None, ["optimizer.lrr"]  # an example of an error
        for line in self.runexp("show", os.path.join(runs.ROOT, "experiments/quickstart.yaml")).out.splitlines():
            if found := re.match(r"(\w+):", line):
                section = found[1]
            elif found := re.match(r"  (\w+):", line):
                settings.append(f"{section}.{found[1]}")
        sections = "|".join({name.split(".")[0] for name in settings})
        self.assertNamed(rf"(?<![\w/.])((?:{sections})\.[a-z_]+)(?=[=}}]|$)", settings)


if __name__ == "__main__":
    runs.unittest.main()
