#!/usr/bin/python3
"""Measures runexp against PyTorch on the same models and writes BENCHMARKS.md.

usage: bench.py PYTHON [PART...]

PYTHON is an interpreter that has torch. A part is a workload of the table TRAINING below, `decoding`, `lengths` (what a token costs in
contexts of growing length, of ours alone), or a C program of this folder; without any, all of them are measured. The two sides take
turns, a short piece of steady work each, ROUNDS times (an environment variable, 5 by default); what counts is the median. Results are
kept in results.json, each with its machine and its date, so that parts can be measured one by one; BENCHMARKS.md shows the latest of
each, README.md the training table in short.

A round during which other processes had the processor is worth nothing and is taken again.
"""

import datetime
import glob
import json
import os
import pty
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time

import yaml

import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RUNEXP = os.path.join(ROOT, "runexp")
PROGRAMS = os.path.join(ROOT, "build", "release", "bench")
FOLDER = os.path.join(ROOT, "build", "bench")
RESULTS = os.path.join(HERE, "results.json")

# workload: its experiment, of those shipped or of this folder
TRAINING = {"gpt_nano": "gpt_nano", "smallm": "smallm_no_decay", "gpt_baby": "gpt_baby", "slm": "slm", "gpt_long": "gpt_long",
            "hyena": "hyena", "lstm_attn": "lstm_attn", "gru": "gru"}
DECODING = ["gpt_nano", "gpt_baby", "hyena_4096", "lstm_attn", "gru"]
LENGTHS = [64 << i for i in range(10)]
LENGTHS_TOKENS = 8192  # of a step of training, and of texts decoded in turn
# The two mixers of tokens that `lengths` compares, in a model of one block of width 256.
MIXERS = {"hyena": {"hyena": {}}, "attention": {"attention": {"heads": 4, "rope": True}}}
ROUNDS = int(os.environ.get("ROUNDS", "5"))
PIECE_SECONDS = 4.0  # of steady work, at least, and never fewer than two steps
WARM_UP_SECONDS = 0.5
MOST_FOR_OTHERS = 0.02  # of the CPU time of a round
LOSSES_AGREE = 0.05  # the first losses of the two sides may differ by so much of themselves: their weights are drawn apart


class Failed(Exception):
    pass


def run(*words, **how):
    done = subprocess.run(words, capture_output=True, text=True, **how)
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def text_file():
    """Where runexp found the text of Tiny Shakespeare."""
    found = re.search(r"^\s+tinyshakespeare\.txt .* (/\S.*)$", run(RUNEXP, "data"), re.MULTILINE)
    if not found:
        raise Failed("the text of the workloads is missing: ./runexp data get tinyshakespeare")
    return found[1]


# --- our side


class Ours:
    """An experiment as this benchmark runs it: all of the text to train on, and nothing in between the steps."""

    def __init__(self, name):
        folders = [os.path.join(ROOT, "experiments"), HERE, FOLDER]
        self.original = next(path for path in (os.path.join(folder, f"{name}.yaml") for folder in folders) if os.path.exists(path))
        self.name = name
        self.runs = os.path.join(FOLDER, "runs")
        self.experiment = yaml.safe_load(run(RUNEXP, "show", self.original, "--plain"))
        plan = run(RUNEXP, self.original, "--dry-run")
        about = re.search(r"(\d+) threads?, (\w+) kernels", plan)
        self.threads, self.kernels = int(about[1]), about[2]
        self.vocabulary = int(re.search(r"vocabulary of (\d+)", plan)[1])
        self.batch = f"{self.experiment['training']['batch_size']} x {self.experiment['dataset']['block_size']}"

    def train(self, steps):
        """The rows of metrics.tsv, (step, tokens, seconds, loss), and the peak memory of a run of so many steps."""
        file = os.path.join(FOLDER, f"run_{self.name}.yaml")
        with open(file, "w") as out:
            json.dump({  # which is YAML as well
                "extends": self.original,
                "name": self.name,
                "dataset": {"split": [1.0]},
                "training": {"max_steps": steps},
                "evaluation": {"interval": 0, "train_tokens": 1, "sample_tokens": 0},
                "checkpoint": {"interval": 0},
                "sampling": {"max_tokens": 1},
            }, out)
        words = [RUNEXP, file, "--fresh", "--quiet", "--no-plots", "--runs", self.runs]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        complaints = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise Failed(f"{' '.join(words)} failed:\n{complaints}")
        with open(os.path.join(self.runs, self.name, "metrics.tsv")) as metrics:
            rows = [line.split("\t") for line in metrics if not line.startswith("step")]
        return [(int(r[0]), int(r[1]), float(r[2]), float(r[3])) for r in rows if r[3] != "nan"], used.ru_maxrss * 1024

    def parameters(self):
        """Of the run that train left."""
        head, row = run(RUNEXP, "compare", os.path.join(self.runs, self.name), "--csv", "--plots", FOLDER).splitlines()[:2]
        return int(row.split(",")[head.split(",").index("parameters")])

    def generate(self, tokens):
        """Tokens a second, as `sample` tells on a terminal."""
        terminal, end = pty.openpty()
        words = [RUNEXP, "sample", os.path.join(self.runs, self.name), "--tokens", str(tokens)]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.PIPE, text=True)
        os.close(end)
        try:
            while os.read(terminal, 65536):
                time.sleep(0.01)  # not woken up by every token, which would disturb what is measured
        except OSError:  # how a terminal tells that nobody writes to it any more
            pass
        os.close(terminal)
        told = process.stderr.read()
        found = re.search(r"(\d+) tokens/s", told)
        if process.wait() != 0 or not found:
            raise Failed(f"{' '.join(words)} failed:\n{told}")
        return float(found[1])

    def remove(self):
        shutil.rmtree(os.path.join(self.runs, self.name), ignore_errors=True)


# --- their side


class Theirs:
    """A PyTorch process, which sleeps between requests."""

    def __init__(self, python, ours, text, mode, train=True):
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": os.path.join(FOLDER, "inductor")}
        self.log = open(os.path.join(FOLDER, f"torch_{mode}.log"), "w+")
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "torch_side.py")], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.about = self.ask({"experiment": ours.experiment, "threads": ours.threads, "text": text,
                               "compiled": mode == "compiled", "train": train})
        if self.about["vocabulary"] != ours.vocabulary:
            raise Failed(f"{ours.name}: PyTorch has a vocabulary of {self.about['vocabulary']}, runexp of {ours.vocabulary}")

    def ask(self, request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.log.seek(0)
            raise Failed(f"the PyTorch side ended:\n{self.log.read()}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


# --- workloads


def ceiling(ours, weight_bytes):
    """FLOP/s of multiply-adds, and bytes/s of reading so much memory."""
    out = run(os.path.join(PROGRAMS, "ceiling"), ours.kernels, str(ours.threads), str(weight_bytes)).split()
    return 1e9 * float(out[0]), 1e9 * float(out[1])


class Watch:
    """How much of the machine's time other processes take."""

    def __init__(self, sides):
        self.processes = [side.process.pid for side in sides]
        self.begin = self.now()

    def now(self):
        """(Seconds that the processors were busy, seconds of these that were ours.)"""
        with open("/proc/stat") as file:
            user, nice, system, _idle, _wait, irq, soft, steal = [int(word) for word in file.readline().split()[1:9]]
        ticks = 0
        for process in self.processes:
            with open(f"/proc/{process}/stat") as file:
                ticks += sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:13])
        own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        second = os.sysconf("SC_CLK_TCK")
        return (user + nice + system + irq + soft + steal) / second, ticks / second + own

    def others(self):
        """Their share of the time that the processors were busy since the last call."""
        busy, own = (now - then for now, then in zip(self.now(), self.begin))
        self.begin = self.now()
        return 1 - own / busy


def rounds_of(name, sides, take):
    """ROUNDS undisturbed rounds, or, after twice as many, the least disturbed. take() measures a round; returns its figures."""
    watch, taken = Watch(sides), []
    for turn in range(2 * ROUNDS):
        figures = take()
        others = watch.others()
        taken.append((others, turn, figures))
        told = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        print(f"  {name} round {turn + 1}: {told}; others took {100 * max(others, 0):.1f}%", flush=True)
        if sum(share <= MOST_FOR_OTHERS for share, _, _ in taken) == ROUNDS:
            break
    best = sorted(taken, key=lambda entry: (max(entry[0], MOST_FOR_OTHERS), entry[1]))[:ROUNDS]
    return [figures for _, _, figures in best], max(share for share, _, _ in best)


def steps_for(seconds, of_a_step, least):
    return max(least, int(seconds / of_a_step + 0.5))


def middle(values):
    return statistics.median(values)


def measure_training(python, name, text):
    ours = Ours(TRAINING[name])
    theirs = {mode: Theirs(python, ours, text, mode) for mode in ("eager", "compiled")}
    eager = theirs["eager"].about
    rows, _ = ours.train(4)
    parameters = ours.parameters()
    if parameters != eager["parameters"]:
        raise Failed(f"{name}: runexp has {parameters} parameters, PyTorch {eager['parameters']}")
    if abs(rows[0][3] - eager["first_loss"]) > LOSSES_AGREE * rows[0][3]:
        raise Failed(f"{name}: the first loss of runexp is {rows[0][3]:.3f}, of PyTorch {eager['first_loss']:.3f}")

    own_step = (rows[3][2] - rows[1][2]) / 2
    warm_up, steps = steps_for(WARM_UP_SECONDS, own_step, 1), steps_for(PIECE_SECONDS, own_step, 2)
    their_steps = {}
    for mode, side in theirs.items():
        side.ask({"train": 2})
        probe = side.ask({"train": 2})
        their_steps[mode] = steps_for(PIECE_SECONDS, probe["seconds"] / 2, 2)

    peaks = {}

    def take():
        found = {"ceiling": ceiling(ours, 4096)[0]}
        rows, peaks["runexp"] = ours.train(warm_up + steps)
        first = rows[warm_up - 1]
        found["runexp"] = (rows[-1][1] - first[1]) / (rows[-1][2] - first[2])
        for mode, side in theirs.items():
            done = side.ask({"train": their_steps[mode]})
            found[mode] = done["tokens"] / done["seconds"]
            peaks[mode] = done["peak"]
        return found

    rounds, others = rounds_of(name, theirs.values(), take)
    for side in theirs.values():
        side.close()
    ours.remove()
    flops = eager["training_flops"]
    return {
        "threads": ours.threads, "kernels": ours.kernels, "batch": ours.batch, "parameters": parameters, "flops_per_token": flops,
        "tokens_per_second": {who: middle(r[who] for r in rounds) for who in ("runexp", *theirs)},
        "ratio": {mode: middle(r["runexp"] / r[mode] for r in rounds) for mode in theirs},
        "share": middle(flops * r["runexp"] / r["ceiling"] for r in rounds),
        "ceiling": middle(r["ceiling"] for r in rounds),
        "peak": peaks, "imported": eager["imported"], "others": others,
        "versions": versions_of(eager),
    }


def measure_decoding(python, name, text):
    ours = Ours(name)
    side = Theirs(python, ours, text, "eager", train=False)
    ours.train(1)
    weight_bytes = 4 * (ours.parameters() - side.about["looked_up"])
    block = int(ours.experiment["dataset"]["block_size"])
    if block > 1000:  # one text, as long as the context; theirs is the mean over the middles of eight parts of it
        tokens = {"runexp": block, "eager": 8}
        requests = {"eager": {"after": [(2 * part + 1) * block // 16 for part in range(8)]}}
        side.ask({"after": [block // 2] * 2})
    else:
        tokens = {"runexp": steps_for(PIECE_SECONDS, 1 / ours.generate(4 * block), 4 * block)}
        requests = {}
        for mode, word in {"eager": "generate", **({"carrying": "carry"} if side.about["can_carry"] else {})}.items():
            side.ask({word: block})
            probe = side.ask({word: 2 * block})
            tokens[mode] = steps_for(PIECE_SECONDS, probe["seconds"] / probe["tokens"], 2 * block)
            requests[mode] = {word: tokens[mode]}

    def take():
        found = {"reading": ceiling(ours, weight_bytes)[1], "runexp": ours.generate(tokens["runexp"])}
        for mode, request in requests.items():
            done = side.ask(request)
            found[mode] = done["tokens"] / done["seconds"]
        return found

    rounds, others = rounds_of(name, [side], take)
    about = side.about
    side.close()
    ours.remove()
    return {
        "threads": ours.threads, "kernels": ours.kernels, "weight_bytes": weight_bytes, "tokens": tokens,
        "tokens_per_second": {who: middle(r[who] for r in rounds) for who in tokens},
        "ratio": {mode: middle(r["runexp"] / r[mode] for r in rounds) for mode in requests},
        "bandwidth": middle(r["reading"] for r in rounds),
        "share": middle(weight_bytes * r["runexp"] / r["reading"] for r in rounds),
        "others": others,
        "versions": versions_of(about),
    }


def measure_lengths():
    """Seconds for a token, in training and in decoding a text of that length from its beginning, by mixer and length."""
    seconds = {mixer: {"training": [], "decoding": []} for mixer in MIXERS}
    watch = Watch([])
    for length in LENGTHS:
        for mixer, layer in MIXERS.items():
            name = f"lengths_{mixer}_{length}"
            with open(os.path.join(FOLDER, f"{name}.yaml"), "w") as out:
                json.dump({
                    "extends": os.path.join(ROOT, "experiments", "base", "char_lm.yaml"),
                    "name": name,
                    "dataset": {"block_size": length},
                    "model": {"width": 256, "layers": ["embedding", {"residual": ["layernorm", layer]},
                                                       {"residual": ["layernorm", "mlp"]}, "layernorm", "unembedding"]},
                    "optimizer": {"type": "adamw"},
                    "training": {"batch_size": max(1, LENGTHS_TOKENS // length), "max_steps": 2},
                }, out)
            ours = Ours(name)
            rows, _ = ours.train(2)
            steps = steps_for(1, rows[1][2] - rows[0][2], 1)
            rows, _ = ours.train(1 + steps)
            training = (rows[-1][2] - rows[0][2]) / (rows[-1][1] - rows[0][1])
            decoding = 1 / middle(ours.generate(length) for _ in range(max(1, LENGTHS_TOKENS // length)))
            ours.remove()
            seconds[mixer]["training"].append(training)
            seconds[mixer]["decoding"].append(decoding)
            print(f"  {mixer} {length}: {1e6 * training:.1f} us a token in training, {1e6 * decoding:.1f} us in decoding", flush=True)
    return {"threads": ours.threads, "kernels": ours.kernels, "lengths": LENGTHS, "tokens": LENGTHS_TOKENS, "seconds": seconds,
            "others": watch.others()}


# --- where and what


def versions_of(about):
    found = {"PyTorch": about["version"]}
    for name, pattern in (("oneDNN", r"MKL-DNN v(\S+)"), ("MKL", r"Math Kernel Library Version (\S+)")):
        match = re.search(pattern, about["libraries"])
        if match:
            found[f"{name} in PyTorch"] = match[1]
    return found


def machine():
    told = dict(re.findall(r"^([^:\n]+):\s*(.*)$", run("lscpu", env={**os.environ, "LC_ALL": "C"}), re.MULTILINE))
    caches = ", ".join(f"{name} {told[f'{name} cache']}" for name in ("L1d", "L2", "L3") if f"{name} cache" in told)
    return f"{told['Model name']}, {told['CPU(s)']} CPUs; caches: {caches}"


def present():
    """What an entry of the results says about where it comes from."""
    commit = run("git", "-C", ROOT, "rev-parse", "--short=9", "HEAD").strip()
    written_here = (":!bench/results.json", ":!bench/BENCHMARKS*")
    if run("git", "-C", ROOT, "status", "--porcelain", "--", "Makefile", "experiments", "framework", "models", "bench", *written_here):
        commit += " with changes"
    return {"commit": commit, "date": datetime.date.today().isoformat(), "machine": machine(),
            "compiler": run("cc", "--version").splitlines()[0]}


def load_results():
    try:
        with open(RESULTS) as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def save_results(results):
    with open(RESULTS + ".new", "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    os.replace(RESULTS + ".new", RESULTS)


def quote_in_readme(table):
    path = os.path.join(ROOT, "README.md")
    with open(path) as file:
        readme = file.read()
    begin, end = "<!-- written by make bench -->\n", "<!-- end -->\n"
    before, found, rest = readme.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise Failed(f"README.md has no place for the table, between {begin.strip()} and {end.strip()}")
    with open(path, "w") as file:
        file.write(before + begin + table + end + after)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    python, parts = sys.argv[1], sys.argv[2:]
    programs = {os.path.basename(path)[:-2]: os.path.join(PROGRAMS, os.path.basename(path)[:-2])
                for path in sorted(glob.glob(os.path.join(HERE, "*.c"))) if not path.endswith("/ceiling.c")}
    known = [*TRAINING, "decoding", "lengths", *programs]
    for part in parts:
        if part not in known:
            sys.exit(f"there is no part {part}; there are {', '.join(known)}")
    os.makedirs(FOLDER, exist_ok=True)
    results = load_results()
    for part in parts or known:
        print(f"--- {part}", flush=True)
        if part in TRAINING:
            measured = {part: measure_training(python, part, text_file())}
        elif part == "decoding":
            measured = {f"decoding {name}": measure_decoding(python, name, text_file()) for name in DECODING}
        elif part == "lengths":
            measured = {part: measure_lengths()}
        else:
            measured = {part: {"output": run(programs[part])}}
        for name, entry in measured.items():
            results[name] = {**present(), **entry}
        save_results(results)
    text = report.write(results, [*TRAINING], [f"decoding {name}" for name in DECODING], [*programs])
    with open(os.path.join(HERE, "BENCHMARKS.md"), "w") as file:
        file.write(text)
    if "lengths" in (parts or known):
        script = os.path.join(FOLDER, "lengths.gp")
        with open(script, "w") as file:
            file.write(report.lengths_plot(results["lengths"], os.path.join(HERE, report.LENGTHS_PICTURE)))
        run("gnuplot", script)
    if trained := [name for name in TRAINING if name in results]:
        quote_in_readme(report.quote(results, trained))
    print(f"\n{text}\nThis is in bench/BENCHMARKS.md.")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(str(failure))
