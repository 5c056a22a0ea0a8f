#!/usr/bin/env python3
#===- run.py - The fuzzers, for a while ------------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Builds the libFuzzer targets of the parser and of Sema, and runs them side by
side:

    run.py --build build --seconds 120

They start from test/fuzz/corpus and the programs of the examples and tests. An
input at which one crashes, hangs or breaks a promise of the frontend is printed
and kept in build/fuzz. The last line is `fuzz: N passed, N failed`."""

import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
FUZZERS = ("rondo-parser-fuzzer", "rondo-sema-fuzzer")
HANGS = 20  # seconds for one input
LONGEST = 8192  # bytes
SHOWN = 2000  # bytes of an input


def start(options, name):
    folder = os.path.join(options.build, "fuzz", name)
    shutil.rmtree(folder, ignore_errors=True)
    found, seeds = os.path.join(folder, "found"), os.path.join(folder, "seeds")
    os.makedirs(found)
    os.makedirs(seeds)
    patterns = ("test/fuzz/corpus/*", "examples/*.rondo",
                "test/frontend/*/*.rondo", "test/programs/*.rondo")
    for pattern in patterns:
        for path in glob.glob(os.path.join(ROOT, pattern)):
            shutil.copy(path, os.path.join(seeds, "-".join(
                path.split(os.sep)[-2:])))
    command = [os.path.join(options.build, "bin", name),
               "-max_total_time=%d" % options.seconds, "-timeout=%d" % HANGS,
               "-rss_limit_mb=3000", "-max_len=%d" % LONGEST,
               "-print_final_stats=1",
               "-dict=" + os.path.join(ROOT, "frontend", "Fuzz", "rondo.dict"),
               "-artifact_prefix=" + found + os.sep,
               os.path.join(folder, "work"), seeds]
    os.makedirs(os.path.join(folder, "work"))
    log = open(os.path.join(folder, "log"), "wb")
    return folder, subprocess.Popen(command, stdout=log, stderr=log)


def finish(name, folder, process, limit):
    """Whether it found nothing."""
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        process.kill()
        code = "none: it did not end"
    with open(os.path.join(folder, "log"), errors="replace") as file:
        log = file.read()
    runs = re.search(r"number_of_executed_units: *(\d+)", log)
    inputs = sorted(glob.glob(os.path.join(folder, "found", "*")))
    if code == 0 and not inputs and runs:
        print("%s: %s inputs, none crashed or hung" % (name, runs.group(1)))
        return True
    print("%s: exit code %s\n%s" % (name, code, "\n".join(
        log.splitlines()[-25:])))
    for path in inputs:
        with open(path, "rb") as file:
            data = file.read()
        print("%s, %d bytes: %r%s" % (path, len(data), data[:SHOWN], " .."
                                      if len(data) > SHOWN else ""))
    return False


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"),
                        help="build folder (default: build)")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--output", help="write the outcome here, as JSON")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    built = subprocess.run(["ninja", "-C", options.build, *FUZZERS],
                           capture_output=True, text=True)
    if built.returncode:
        sys.exit(built.stdout[-3000:] + "run.py: the fuzzers can't be built")
    running = [(name, *start(options, name)) for name in FUZZERS]
    good = [name for name, folder, process in running
            if finish(name, folder, process, 2 * options.seconds + 60)]
    bad = [name for name in FUZZERS if name not in good]
    if options.output:
        with open(options.output, "w") as file:
            json.dump({"passed": good, "failed": bad}, file)
    print("fuzz: %d passed, %d failed" % (len(good), len(bad)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
