"""README.md and CONTRIBUTING.md as tests read them: indented blocks, and the commands in them with what they print."""

import re

# What depends on the machine, and what stands in its place.
SPEEDS = ((r"^.*, \w+ kernels, \d+ threads?$", "CPU"),
          (r"[\d.]+( [KM])? tokens/s", "RATE"),
          (r"\d+ min \d+ s\b|[\d.]+ (ms|s|min|h)\b", "TIME"),
          (r"\d+ +TIME(?= +finished$)", "RATE TIME"),  # the columns of a comparison
          (r"  +", " "))
# What depends on the number of threads.
SIZES = ((r"\d+ threads?", "THREADS"),
         (r"[\d.]+ [KMG]i?B(?= of memory planned)", "SIZE"),
         (r"(?<=^memory: )(.*)$", lambda found: re.sub(r"[\d.]+ [KMG]?i?B", "SIZE", found[0])))
NUMBER = ((r"\d+(\.\d+)?(e[-+]?\d+)?( [KMG]\b)?", "N"),)


def masked(text, *kinds):
    for pattern, shape in sum(kinds, ()):
        text = re.sub(pattern, shape, text, flags=re.M)
    return text


def blocks(text):
    """The indented blocks: for each, its lines without the indentation."""
    found, block = [], []
    for line in text.splitlines() + ["end"]:
        if line.startswith("    "):
            block.append(line[4:])
        elif line or not block:
            if block:
                found.append("\n".join(block).rstrip("\n").split("\n"))
            block = []
        else:
            block.append("")
    return found


def code(text):
    """What is written as code, in blocks and between backquotes, a line each or several."""
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    return "\n".join(re.findall(r"`([^`]+)`", prose) + ["\n".join(block) for block in blocks(text)])


def commands(text):
    """(command, lines printed) of every line that begins with "$ " in a block."""
    found = []
    for block in blocks(text):
        if not block[0].startswith("$ "):
            continue
        for line in block:
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def shows(printed, shown):
    """Whether the lines shown are those printed, where a line "..." stands for any number of them."""
    pattern = "".join("(.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in shown)
    return re.fullmatch(pattern, printed.rstrip("\n") + "\n") is not None
