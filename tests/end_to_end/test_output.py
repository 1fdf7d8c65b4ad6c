"""Standard output: full, closed, or a terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time

import runs


class Output(runs.RunTest):
    SHORT = ("small.yaml", "--no-plots", "training.max_steps=4", "evaluation.interval=2", "name=small")

    def test_output_that_cannot_be_written_is_an_error(self):
        self.runexp(*self.SHORT)
        for words in (["sample", "small"], ["show", "small.yaml"], ["schema"], ["--help"], ["--version"], ["list"],
                      ["describe"], ["describe", "all"], ["eval", "small"], ["check", "small.yaml"], ["data"],
                      ["sample", "--help"], ["compare", "small", "--no-plots"], [*self.SHORT, "--dry-run"]):
            with self.subTest(words=words), open("/dev/full", "w") as full:
                done = subprocess.run([runs.PROGRAM, *words], cwd=self.folder, stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=60)
                self.assertEqual(done.returncode, 1)
                self.assertIn("cannot write standard output: No space left on device", done.stderr)

    def test_closed_output_never_reaches_a_file(self):
        done = subprocess.run(["bash", "-c", '"$0" small.yaml --no-plots training.max_steps=4 name=closed >&-', runs.PROGRAM],
                              cwd=self.folder, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write standard output", done.stderr)
        self.assertEqual(self.status("closed"), "finished")
        self.runexp("eval", "closed")

    def test_closed_pipe_ends_sample_quietly(self):
        self.runexp(*self.SHORT)
        for count in ("1", "3"):
            process = self.start("sample", "small", "--tokens", "100000000", "--count", count)
            self.assertTrue(process.stdout.read(5))
            process.stdout.close()
            self.assertEqual(process.wait(timeout=20), -13)
            self.assertEqual(process.stderr.read(), "")
            process.stderr.close()

    def test_interrupted_sample(self):
        self.runexp(*self.SHORT)
        process = self.start("sample", "small", "--tokens", "100000000")
        process.stdout.read(5)
        process.send_signal(runs.INT)
        self.assertEqual(self.finish(process).code, 130)

    # --- terminals

    def in_terminal(self, *words, columns=80, term="xterm", resize=None):
        """What the program writes to a terminal, which may change its width on the way."""
        main, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "LC_ALL": "C.UTF-8", "TERM": term}
        process = subprocess.Popen([runs.PROGRAM, *words], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=other, stderr=subprocess.DEVNULL)
        os.close(other)
        got, started = b"", time.monotonic()
        try:
            while part := os.read(main, 65536):
                got += part
                if resize and time.monotonic() - started > 0.7:
                    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, resize, 0, 0))
                    got, resize = b"", None
        except OSError:
            pass
        os.close(main)
        self.assertEqual(process.wait(timeout=60), 0)
        return got.decode().replace("\r\n", "\n")

    @staticmethod
    def widths(output):
        return [len(part) for line in output.split("\n") for part in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).split("\r")]

    LONG = ("small.yaml", "--no-plots", "training.max_steps=300", "evaluation.interval=0")

    def test_the_live_line_fits(self):
        for columns in (30, 40, 80, 150):
            output = self.in_terminal(*self.LONG, f"name=w{columns}", columns=columns)
            self.assertIn("\x1b[K", output)
            self.assertLessEqual(max(self.widths(output)), columns)
            if columns == 150:
                self.assertIn("=>", output)

    def test_the_live_line_follows_the_width(self):
        output = self.in_terminal("small.yaml", "--no-plots", "training.max_steps=1500", "evaluation.interval=0", columns=150, resize=40)
        live = output.split("\r")[3:]
        self.assertTrue(live)
        self.assertLessEqual(max(self.widths("\r".join(live))), 40)

    def test_a_dumb_terminal_is_a_pipe(self):
        for term in ("dumb", ""):
            output = self.in_terminal(*self.LONG, f"name=dumb{term}", term=term)
            self.assertNotIn("\x1b", output)
            self.assertNotIn("\r", output)
            self.assertIn("step 15/300  loss", output)

    def test_tables_and_manuals_fit(self):
        name = "имя-which-is-much-longer-than-any-terminal-of-the-test-is-wide-и-в-конце-é-日本"
        ran = [f"{name}{seed}" for seed in "12"]
        for seed in "12":
            self.runexp(*self.SHORT[:-1], f"seed={seed}", f"optimizer.lr=0.00{seed}", f"name={name}{seed}")
        self.assertIn(ran[0], self.runexp("list").out)
        self.assertIn(ran[0], self.runexp("compare", *ran, "--no-plots").out)
        self.assertIn(f"runs/{ran[0]}/best.h5 (step", self.runexp("eval", ran[0]).out)
        time = ("time", "small.yaml", "--seconds", "0")
        for columns in (40, 60, 80):
            for words in (["list"], ["compare", *ran, "--no-plots"], ["eval", ran[0]], [*time, f"name={name}"],
                          [*time, "--by", "layer"], [*time, "--by", "operator"], ["small.yaml", "--dry-run"], ["--help"],
                          *([command, "--help"] for command in ("train", "sample", "eval", "time", "schema")), ["data"],
                          ["describe"], ["describe", "attention"], ["describe", "all"], ["show", "small.yaml"]):
                with self.subTest(words=words, columns=columns):
                    output = self.in_terminal(*words, columns=columns)
                    # What YAML says is to be copied: never broken.
                    if columns < 80:
                        output = re.sub(r"(?m)^Example\n(.+\n)+", "", output)
                    texts = [line for line in output.split("\n")
                             if not line.startswith(("description: ", "name: ", "  source: ", "  # yaml-"))]
                    self.assertLessEqual(max(self.widths("\n".join(texts))), columns)
                    if words[0] in ("list", "compare"):
                        self.assertEqual(output.count("…"), 2)
                        self.assertEqual(len(re.findall(r"  4(/4)?  ", output)), 2)
                    if words == ["eval", ran[0]]:
                        self.assertRegex(output, r"checkpoint      runs/.*….*best\.h5 \(step \d\)")
        self.assertIn("1 more column in a wider terminal", self.in_terminal("list", columns=40))

    def test_tables_fit_a_very_narrow_terminal(self):
        self.runexp(*self.SHORT)
        process = self.start("small.yaml", "--no-plots", "training.max_steps=10000000", "evaluation.interval=100", "name=killed")
        self.interrupt(process, "killed", 1000, runs.KILL)
        for columns in (20, 22, 25, 30, 36, 40):
            for words in (["list"], ["compare", "small", "killed", "--no-plots"]):
                with self.subTest(words=words, columns=columns):
                    output = self.in_terminal(*words, columns=columns)
                    self.assertLessEqual(max(self.widths(output)), columns)
                    self.assertEqual(len(re.findall("(?m)^(small|killed) ", output)), 2)

    def test_examples_in_a_narrow_terminal_can_be_pasted(self):
        wide, narrow = (self.in_terminal("sample", "--help", columns=columns).split("Examples:\n")[1] for columns in (200, 50))
        self.assertIn(" \\\n      ", narrow)
        self.assertIn('"A man"', narrow)
        self.assertEqual(*(text.replace(" \\\n      ", " ") for text in (narrow, wide)))

    def test_a_run_named_twice_is_shown_once(self):
        self.runexp(*self.SHORT)
        for words in (["list"], ["compare", "--no-plots"]):
            out = self.runexp(*words, "small", "runs/small/", self.path("runs/small")).out
            self.assertEqual(len(re.findall("(?m)^small ", out)), 1)

    def test_control_characters_reach_no_terminal(self):
        escape = "\x1b[31m"
        self.write("coloured.yaml", 'extends: small.yaml\ndescription: "a \\e[31m red \\x9b1m run"\n')
        ran = self.runexp("coloured.yaml", "--no-plots", "training.max_steps=2", "name=coloured")
        self.assertNotIn("\x1b", ran.out + ran.err)
        self.assertIn("a ^[[31m red ^[[1m run", ran.out)
        for name in (f"e{escape}x", "a\nb"):
            done = self.runexp("small.yaml", f"name={name}", "--dry-run", code=2)
            self.assertIn("command line: error: name must not contain control characters", done.err)
            self.assertNotIn("\x1b", done.err)
        os.rename(self.path("runs/coloured"), self.path("runs", f"co\nl{escape}"))
        self.assertIn("co l^[[31m  ", self.runexp("list").out)

    def test_a_dumb_terminal_shortens_nothing(self):
        name = 60 * "long"
        self.runexp(*self.SHORT[:-1], f"name={name[:200]}")
        self.assertIn(name[:200], self.in_terminal("list", columns=40, term="dumb"))

    def test_the_plan_is_printed_also_when_quiet(self):
        quiet, loud = (self.runexp("small.yaml", "--dry-run", *words) for words in (["--quiet"], []))
        self.assertIn("FLOP/token", quiet.out)
        self.assertEqual(quiet.out, loud.out)

    # --- drawing that takes too long

    def hanging_gnuplot(self):
        self.write("bin/gnuplot", "#!/bin/sh\ntouch drawing\nexec sleep 100\n")
        os.chmod(self.path("bin/gnuplot"), 0o755)
        return {"PATH": self.path("bin") + ":/usr/bin:/bin"}

    def interrupt_drawing(self, *words):
        process = self.start(*words, environment=self.hanging_gnuplot())
        started = time.monotonic()
        done = self.interrupt_when(lambda: os.path.exists(self.path("drawing")), process, runs.INT)
        os.remove(self.path("drawing"))
        self.assertLess(time.monotonic() - started, 15)
        self.assertEqual(done.code, 130)
        return done

    def test_a_signal_ends_drawing(self):
        self.runexp(*self.SHORT)
        self.assertIn("plots: 0 of ", self.interrupt_drawing("plot", "small").out)
        self.interrupt_drawing("compare", "small")

    def test_a_signal_ends_drawing_after_training(self):
        done = self.interrupt_drawing(*(word for word in self.SHORT if word != "--no-plots"))
        self.assertIn("pictures are missing", done.err)
        self.assertIn("plot runs/small` draws them", done.err)
        self.assertEqual(self.status("small"), "finished")

    # --- threads

    def test_threads_of_the_environment(self):
        first = lambda words, value: self.runexp("small.yaml", "--dry-run", *words, environment={"OMP_NUM_THREADS": value})
        self.assertIn(" 1 thread,", first([], "1").out)
        self.assertIn(" 3 threads,", first([], "3,2").out)
        self.assertIn(" 2 threads,", first(["--threads", "2"], "1").out)
        for value in ("many", "0", "-1", "2x", "5000"):
            done = first([], value)
            self.assertIn(f"warning: OMP_NUM_THREADS={value} is not a number of threads: ignored", done.err)
            self.assertEqual(done.out, first([], "").out)

    def test_more_threads_than_processors_are_noted(self):
        many = ("small.yaml", "--dry-run", "--threads", "900")
        done = self.runexp(*many)
        self.assertRegex(done.err, r"note: 900 threads share \d+ processors?: fewer are faster")
        self.assertNotIn("fewer", done.out)
        self.assertEqual(self.runexp(*many, "--quiet").err, "")
        self.assertEqual(self.runexp("small.yaml", "--dry-run").err, "")
