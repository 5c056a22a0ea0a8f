#===- broken.py - Programs with a mistake -----------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Makes mistakes in the examples, always the same ones: a token is left out,
written twice, exchanged or replaced, or the text ends early. The compiler must
refuse each with file, line and column and exit code 1, or find that it is a
program still, within a second.

    python3 test/frontend/broken.py --build build [--each 4] [--first 0]
                                    [--only NAME] [--emit plan] [--keep FOLDER]
"""

import argparse
import glob
import os
import random
import re
import resource
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TOKEN = re.compile(r"//[^\n]*|\s+|[A-Za-z_]\w*|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|"
                   r"->|==|!=|<=|>=|\.\.|.", re.DOTALL)
OTHERS = ["t", "u", "i", "T", "B", "x", "S", "h", "0", "1", "-1", "2", "0.5", "[",
          "]", "(", ")", ",", "=", "==", "+", "-", "*", "/", "^", "<", "mod", "sum",
          "max", "softmax", "if", "then", "else", "and", "state", "batch", "let",
          "kernel", "fn", "in", "..", "|", ":", "exp", "grad", "unknown", "i32",
          "#", "\"", "\\", "\u00e9", "1e400", "99999999999999999999"]


def mutate(text, rng):
    """The text with a mistake, and what it is."""
    tokens = TOKEN.findall(text)
    places = [i for i, token in enumerate(tokens)
              if not token.isspace() and not token.startswith("//")]
    at, other = rng.choice(places), rng.choice(places)
    way = rng.choice(["drop", "double", "exchange", "replace", "replace",
                      "insert", "copy", "end", "line"])
    if way == "drop":
        tokens[at] = ""
    elif way == "double":
        tokens[at] += " " + tokens[at]
    elif way == "exchange":
        tokens[at], tokens[other] = tokens[other], tokens[at]
    elif way == "replace":
        tokens[at] = rng.choice(OTHERS)
    elif way == "insert":
        tokens[at] += " " + rng.choice(OTHERS)
    elif way == "copy":
        tokens[at] = tokens[other]
    elif way == "end":
        del tokens[at:]
    else:
        lines = text.split("\n")
        number = rng.randrange(len(lines))
        if rng.random() < 0.5:
            del lines[number]
        else:
            lines.insert(rng.randrange(len(lines)), lines[number])
        return "\n".join(lines), way
    return "".join(tokens), way


def used():
    """Processor time of the programs that ran: others don't count."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def check(rondoc, path, emit, limit):
    """What is wrong with how the compiler takes a program, or "", and the time."""
    target = path + ".out"
    before = used()
    try:
        done = subprocess.run([rondoc, path, "--emit=" + emit, "-o", target],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", timeout=120)
    except subprocess.TimeoutExpired:
        return "takes more than two minutes", 120
    elapsed = used() - before
    if elapsed > limit:
        return "takes %.2f s" % elapsed, elapsed
    if done.returncode not in (0, 1):
        return "exit code %d: %s" % (done.returncode, done.stderr[:300]), elapsed
    place = r"^%s:\d+:\d+: error: \S" % re.escape(path)
    if done.returncode == 1 and not re.search(place, done.stderr, re.MULTILINE):
        return "refused without a place: " + done.stderr[:300], elapsed
    return "" if done.returncode == 0 else None, elapsed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--emit", default="plan")
    parser.add_argument("--limit", type=float, default=1.0)
    parser.add_argument("--keep")
    options = parser.parse_args()
    rondoc = os.path.join(os.path.abspath(options.build), "bin", "rondoc")
    failed, refused, accepted, slowest = 0, 0, 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(glob.glob(os.path.join(ROOT, "examples", "*.rondo"))):
            name = os.path.basename(source)[:-len(".rondo")]
            if options.only not in ("", name):
                continue
            with open(source) as file:
                text = file.read()
            for number in range(options.first, options.first + options.each):
                broken, way = mutate(text, random.Random("%s %d" % (name, number)))
                path = os.path.join(options.keep or folder,
                                    "%s-%d.rondo" % (name, number))
                with open(path, "w") as file:
                    file.write(broken)
                wrong, elapsed = check(rondoc, path, options.emit, options.limit)
                slowest = max(slowest, elapsed)
                refused += wrong is None
                accepted += wrong == ""
                if wrong:
                    failed += 1
                    print("FAIL %s %d (%s): %s" % (name, number, way, wrong))
    print("broken: %d refused, %d accepted, %d failed; the slowest took %.2f s" % (
        refused, accepted, failed, slowest))
    return 1 if failed or not refused else 0


if __name__ == "__main__":
    sys.exit(main())
