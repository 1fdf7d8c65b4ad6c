"""BENCHMARKS.md out of the results of bench.py."""

import math

SIDES = ("runexp", "eager", "compiled")
LOOPS = ("eager", "carrying")  # of PyTorch, that decode

HEAD = """\
# Benchmarks

Written by `make bench` (CONTRIBUTING.md, "Measuring"); not to be edited by hand.

The two programs take turns on the same machine, a few seconds of steady work each, with the same number of threads: same model (the
number of parameters is checked, and the first loss), same text, same batch, same optimizer, same clipping. Figures are medians over
the rounds, ratios and shares too: each is taken within a round.

"""

TRAINING_NOTES = """
- tokens/s: of whole steps, from the batch to the updated weights, without evaluation and checkpoints. *vs*: how many times as
  fast runexp is.
- PyTorch: `F.scaled_dot_product_attention`, fused Adam(W), `clip_grad_norm_`, default settings; *eager* and compiled by `torch.compile`.
- of the ceiling: the model's FLOPs x tokens/s, as a share of fp32 multiply-adds on registers by all threads (the figure behind it),
  measured in the same rounds. A token costs three times its forward pass: two FLOPs for each weight of a matrix (the unembedding
  included, looking up embeddings not), four for each pair of elements that attention multiplies, of which only the visible half
  counts. What is computed again in the backward pass does not count; nor does the product of a recurrent layer with the embedding
  before it, which runexp makes once a step for each different token and looks up, while PyTorch makes it for every token. A long
  convolution of n tokens costs 25 log2 2n + 20 in each channel, forward and backward: five real transforms of 2n (in PyTorch those
  of `torch.fft`).
- peak memory: the largest resident size of the process (ru_maxrss), program and libraries included. {imported} of PyTorch's is what
  `import torch` takes.
"""

DECODING_NOTES = """
- One stream, from a newline on. PyTorch, all again: nanoGPT's loop, the last block_size tokens through the whole model for every
  token; state carried: the last token alone, with what the layers keep of those before (h and c; the last block_size outputs, for
  attention over them), in eager mode. runexp keeps keys and values, or that state; with learned positions it reads the last half of
  a full block again and goes on.
- hyena_4096: one text of 4096 tokens. PyTorch's speed is that of the whole text, from the mean over eight lengths, evenly spread.
- weights: those that every token reads, of which the product that recurrent layers look up spares some. Of reading: their bytes x
  tokens/s, as a share of the speed at which all threads read that many bytes over and over.
"""


def table(head, rows):
    """A Markdown table, its columns aligned; the first is text, the others are numbers."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines = [head, rule, *rows]
    return "".join("| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                     for i, (cell, width) in enumerate(zip(line, widths))) + " |\n" for line in lines)


def rate(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def size(value):
    return f"{value / 2**20:.0f} MiB" if value < 2**30 else f"{value / 2**30:.2f} GiB"


def machines(results):
    """A letter for each, when there are several."""
    different = list(dict.fromkeys(entry["machine"] for entry in results.values()))
    return {machine: chr(ord("A") + i) for i, machine in enumerate(different)} if len(different) > 1 else {}


def with_machines(head, rows, results, names):
    """A table of the results of these names, one row each, and which machine each row is from when they differ."""
    letters = machines(results)
    if letters:
        head, rows = [*head, "machine"], [[*row, letters[results[name]["machine"]]] for name, row in zip(names, rows)]
    return table(head, rows)


def training_row(name, e):
    rates, ratios, peak = e["tokens_per_second"], e["ratio"], e["peak"]
    return [name, e["batch"], f"{e['parameters'] / 1e6:.2f} M", *(rate(rates[who]) for who in SIDES),
            *(f"{ratios[mode]:.2f}" for mode in SIDES[1:]), f"{100 * e['share']:.0f}% of {e['ceiling'] * 1e-9:.0f} GFLOP/s",
            *(size(peak[who]) for who in SIDES), f"1/{min(peak[mode] for mode in SIDES[1:]) / peak['runexp']:.1f}"]


def training(results, names):
    head = ["", "batch", "parameters", "runexp, tokens/s", "PyTorch eager", "compiled", "vs eager", "vs compiled", "of the ceiling",
            "runexp, peak memory", "PyTorch eager", "compiled", "of theirs"]
    imported = size(min(results[name]["imported"] for name in names))
    return "## Training\n\n" + with_machines(head, [training_row(name, results[name]) for name in names], results, names) + \
        TRAINING_NOTES.format(imported=imported) + "\n"


def quote(results, names):
    """The training table in short."""
    rows = []
    for name in names:
        e = results[name]
        peak = e["peak"]
        rows.append([name, *(rate(e["tokens_per_second"][who]) for who in SIDES), f"{min(e['ratio'].values()):.2f}",
                     f"{100 * e['share']:.0f}%", size(peak["runexp"]), size(min(peak[mode] for mode in SIDES[1:]))])
    head = ["", "tokens/s", "PyTorch eager", "compiled", "vs the better", "of the ceiling", "peak memory", "PyTorch's"]
    legend = "; ".join(f"{letter}: {machine.split(';')[0]}" for machine, letter in machines(results).items())
    return with_machines(head, rows, results, names) + (f"\nMachine {legend}.\n" if legend else "")


def decoding(results, names):
    head = ["", "runexp, tokens/s", "PyTorch, all again", "state carried", "vs all again", "vs state carried", "weights", "of reading"]
    rows = []
    for name in names:
        e = results[name]
        rates, ratios = e["tokens_per_second"], e["ratio"]
        rows.append([name.split()[1], rate(rates["runexp"]), *(rate(rates[mode]) if mode in rates else "" for mode in LOOPS),
                     *(rate(ratios[mode]) if mode in ratios else "" for mode in LOOPS), size(e["weight_bytes"]),
                     f"{100 * e['share']:.0f}% of {e['bandwidth'] * 1e-9:.0f} GB/s"])
    return "## Decoding\n\n" + with_machines(head, rows, results, names) + DECODING_NOTES + "\n"


LENGTHS_PICTURE = "BENCHMARKS-lengths.svg"
LENGTHS_NOTES = """
- Microseconds for a token in a model of one block (hyena, or attention with four heads and rotary positions; then an mlp) of width 256;
  runexp alone. Training: whole steps of {tokens} tokens, of one sequence when that is longer. Decoding: a text from its first token to
  its last.
"""


def crossing(lengths, a, b):
    """Where b first becomes larger than a, on straight lines between the points in logarithms; None when it does not."""
    ratios = [math.log(y / x) for x, y in zip(a, b)]
    for i in range(1, len(ratios)):
        if ratios[i - 1] <= 0 < ratios[i]:
            part = ratios[i - 1] / (ratios[i - 1] - ratios[i])
            return lengths[i - 1] * (lengths[i] / lengths[i - 1]) ** part
    return None


def crossing_told(e, kind):
    found = crossing(e["lengths"], e["seconds"]["hyena"][kind], e["seconds"]["attention"][kind])
    cheaper = [h < a for h, a in zip(e["seconds"]["hyena"][kind], e["seconds"]["attention"][kind])]
    if found:
        return f"{kind}: attention costs more from about {found:.0f} tokens on"
    return f"{kind}: {'hyena' if all(cheaper) else 'attention'} costs less at every length"


def lengths(e, on):
    columns = [(kind, mixer) for kind in ("training", "decoding") for mixer in ("hyena", "attention")]
    head = ["context", *(f"{kind}, {mixer}" for kind, mixer in columns)]
    rows = [[str(length), *(f"{1e6 * e['seconds'][mixer][kind][i]:.1f}" for kind, mixer in columns)]
            for i, length in enumerate(e["lengths"])]
    told = "".join(f"- {crossing_told(e, kind)}.\n" for kind in ("training", "decoding")).replace("- t", "- T").replace("- d", "- D")
    return f"## Length of the context\n\n![microseconds for a token by length]({LENGTHS_PICTURE})\n\n" + on + table(head, rows) + \
        LENGTHS_NOTES.format(tokens=e["tokens"]) + told + "\n"


def lengths_plot(e, picture):
    """A gnuplot script that draws the table."""
    text = f"set terminal svg size 900,420 font 'sans,13' background '#FFFFFF'\nset output '{picture}'\n"
    text += "".join(f"${mixer} << EOD\n" + "".join(
        f"{length} {1e6 * training:.6g} {1e6 * decoding:.6g}\n" for length, training, decoding in
        zip(e["lengths"], of["training"], of["decoding"])) + "EOD\n" for mixer, of in e["seconds"].items())
    ticks = ", ".join(f"'{length if length < 1024 else f'{length // 1024}K'}' {length}" for length in e["lengths"])
    text += f"set logscale xy\nset xtics ({ticks})\nset xrange [{e['lengths'][0] * 0.85}:{e['lengths'][-1] * 1.18}]\n"
    text += "set xlabel 'tokens of context'\nset border 3\nset tics out nomirror\nset grid linecolor rgb '#E3E3E3'\nset key left top\n"
    text += "set format y '%g'\nset multiplot layout 1,2\n"
    for column, (kind, label) in enumerate((("training", "set ylabel 'microseconds a token'"), ("decoding", "unset ylabel")), 2):
        text += f"set title '{kind}'\n{label}\nplot " + ", ".join(
            f"${mixer} using 1:{column} with linespoints pointtype 7 pointsize 0.6 linewidth 2.5 linecolor rgb '{colour}' title '{mixer}'"
            for mixer, colour in (("hyena", "#0072B2"), ("attention", "#D55E00"))) + "\n"
    return text + "unset multiplot\n"


def conditions(results):
    """Machine and versions; several when parts were measured at different times."""
    told, when, letters = {}, {}, machines(results)
    for name, entry in results.items():
        when.setdefault(f"{entry['date']}, commit {entry['commit']}", []).append(name)
        machine = entry["machine"]
        facts = {f"machine {letters[machine]}" if letters else "machine": machine, "compiler": entry["compiler"], **entry.get("versions", {})}
        if "threads" in entry:
            facts["both sides"] = f"{entry['threads']} thread{'s' * (entry['threads'] != 1)}; {entry['kernels']} kernels in runexp"
        for key, value in facts.items():
            told.setdefault(key, [])
            if value not in told[key]:
                told[key].append(value)
    lines = [f"{key}: {' / '.join(values)}" for key, values in told.items()]
    lines += [f"measured {day}" + (f": {', '.join(names)}" if len(when) > 1 else "") for day, names in when.items()]
    if taken := [name for name, entry in results.items() if entry.get("from_table")]:
        lines.append(f"taken from the rounded tables of their day, whose raw figures were not kept: {', '.join(taken)}; what follows "
                     "from such figures (where lengths cross) is as rough as they are")
    disturbed = [name for name, entry in results.items() if entry.get("others", 0) > 0.05]
    if disturbed:
        lines.append(f"other processes took more than 5% of the time in {', '.join(disturbed)}: measure again")
    return "".join(f"- {line}\n" for line in lines) + "\n"


def write(results, trainings, decodings, programs):
    """results: entries of bench.py by name; the others say which names there can be, in order."""
    letters = machines(results)
    on = {name: f"Machine {letters[entry['machine']]}.\n\n" if letters else "" for name, entry in results.items()}
    text = HEAD + conditions(results)
    present = [name for name in trainings if name in results]
    if present:
        text += training(results, present)
    present = [name for name in decodings if name in results]
    if present:
        text += decoding(results, present)
    if "lengths" in results:
        text += lengths(results["lengths"], on["lengths"])
    for name in programs:
        if name in results:
            text += f"## bench/{name}.c\n\n{on[name]}```\n{results[name]['output'].rstrip()}\n```\n\n"
    return text.rstrip() + "\n"
