#!/usr/bin/env python3
#===- run.py - Random programs: evaluated, interpreted and compiled --------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Checks random programs (see generate.py and check.py).

    run.py                        500 programs that are always the same
    run.py --fresh 100            100 more that are never the same
    run.py --only 1234            one program, by its seed
    run.py --device=cuda          code for CUDA, on a machine with a GPU

Programs that fail are made smaller and written to build/random-failures. The
last line is `random: N passed, N failed (..)`.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import random
import shutil
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "numerics"))

from check import Checker, Failure, Plan  # noqa: E402
from generate import FEATURES, generate  # noqa: E402
from program import file_text  # noqa: E402
from shrink import shrink  # noqa: E402

BATCH = 10  # programs compiled at once
SHRINK_SECONDS = 25  # for each of the first failures
SHRUNK = 4


class Work:
    """A batch of programs."""

    def __init__(self, options, seeds, number):
        self.options, self.seeds, self.number = options, seeds, number


def batch_options(seed):
    """(options of rondoc, sizes bound by them), the same for all programs of a
    batch"""
    rng = random.Random("options %d" % (seed // BATCH))
    options = rng.choices(
        [["--arch=native"], ["--arch=x86-64-v2"], ["--arch=x86-64-v3"], []],
        [6, 2, 2, 1])[0]
    bound = {}
    if rng.random() < 0.25:
        bound = {rng.choice(FEATURES[:3]): rng.choice([1, 3, 4, 8])}
        if rng.random() < 0.3:
            bound["T"] = rng.choice([1, 4, 9])
    return options, bound


def dims_option(kernel, bound):
    used = {word for t in kernel.tensors.values() for d in t.dims + t.along
            for word in d.replace("*", "/").split("/")}
    mine = ["%s=%d" % entry for entry in bound.items() if entry[0] in used]
    return ["--dims=" + ",".join(mine)] if mine else []


def save(options, seed, kernel, plan, command, failure, small):
    folder = os.path.join(options.build, "random-failures")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "%d.rondo" % seed)
    with open(path, "w") as file:
        file.write("// Seed %d: %s\n// rondoc %s, modes %s\n" % (
            seed, " ".join(str(failure).split("\n")), " ".join(command),
            " ".join(plan.modes)))
        if small is not None:
            file.write("// As small as it was made: %s\n%s\n"
                       "// The whole program:\n" % (
                           " ".join(str(small[1]).split("\n")),
                           file_text(small[0])))
            file.write("".join("// %s\n" % line
                               for line in file_text(kernel).splitlines()))
        else:
            file.write(file_text(kernel))
    return path


def bound_for(kernel, bound):
    """A boundary equation must have its point."""
    points = any(e.point is not None for e in kernel.equations)
    return {k: v for k, v in bound.items() if k != "T" or not points}


def run_batch(work):
    """(what passed, reports of what failed, comparisons given up)"""
    options = work.options
    folder = os.path.join(options.build, "random", str(work.number))
    shutil.rmtree(folder, ignore_errors=True)
    flags, bound = batch_options(work.seeds[0])
    checker = Checker(options.build, folder, flags)
    kernels = []
    for seed in work.seeds:
        kernel = generate(seed)
        kernels.append((seed, kernel, Plan(
            seed, bound_for(kernel, bound), options.device)))
    libraries = {}
    if options.device == "cuda":
        flags = ["--target=cuda", "--arch=" + options.arch]
    elif not bound:
        text = "".join(file_text(kernel) for _, kernel, _ in kernels)
        try:
            for mode in sorted({m for _, _, p in kernels for m in p.modes}):
                if mode in ("f64", "f32"):
                    libraries[mode] = checker.compile(
                        "batch", text, mode, ["--dtype=" + mode] + flags)
        except Failure:
            libraries = {}  # which one is it?
    passed, reports = [], []
    for seed, kernel, plan in kernels:
        command = flags + dims_option(kernel, plan.bound)
        try:
            own = dict(libraries)
            checker.compile_alone(kernel, plan, command, own)
            checker.check(kernel, plan, own)
            passed.append("seed %d" % seed)
        except Exception as error:
            failure = error if isinstance(error, Failure) else Failure(
                "test itself", "%s: %s" % (type(error).__name__, error))
            small = None
            if work.number >= 0 and not options.no_shrink:
                small = shrink(kernel, failure, lambda k: checker.check_alone(
                    k, plan, flags + dims_option(k, plan.bound)), SHRINK_SECONDS)
            path = save(options, seed, kernel, plan, command, failure, small)
            text = file_text(small[0] if small else kernel)
            reports.append("seed %d: %s\n%s  (%s; repeat with "
                           "test/random/run.py --only %d)" % (
                               seed, small[1] if small else failure, text,
                               path, seed))
    if not reports:
        shutil.rmtree(folder, ignore_errors=True)
    return passed, reports, checker.conditions


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"),
                        help="build folder (default: build)")
    parser.add_argument("--count", type=int, default=500,
                        help="programs with fixed seeds (default: 500)")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--fresh", type=int, default=0,
                        help="programs with seeds from the clock")
    parser.add_argument("--only", help="these seeds, separated by commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--output", help="write the outcome here, as JSON")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu",
                        help="cuda: on this machine's GPU, instead")
    parser.add_argument("--arch", default="sm_90a", help="that GPU's chip")
    parser.add_argument("--no-shrink", action="store_true",
                        help="leave failing programs as they are")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    return options


def choose_seeds(options):
    if options.only:
        return [int(word) for word in options.only.split(",")]
    seeds = list(range(options.first, options.first + options.count))
    if options.fresh:
        start = int(time.time()) % 10 ** 8 * 1000 + 10 ** 6
        print("random: fresh seeds %d to %d" % (
            start, start + options.fresh - 1))
        seeds += range(start, start + options.fresh)
    return seeds


def main():
    options = parse_options()
    for tool in ("rondoc", "rondo-run"):
        if not os.path.exists(os.path.join(options.build, "bin", tool)):
            sys.exit("run.py: there is no bin/%s in %s" % (tool,
                                                           options.build))
    begin, seeds = time.time(), choose_seeds(options)
    batches = [Work(options, list(group), number) for number, (_, group) in
               enumerate(itertools.groupby(seeds, lambda s: s // BATCH))]
    passed, failed, conditions = [], [], 0
    with multiprocessing.Pool(options.jobs) as pool:
        for good, reports, given_up in pool.imap_unordered(run_batch, batches):
            passed += good
            failed += [report.split(": ")[0] for report in reports]
            conditions += given_up
            for report in reports:
                print("FAIL " + report, flush=True)
    if options.output:
        with open(options.output, "w") as file:
            json.dump({"passed": passed, "failed": failed}, file)
    print("random: %d passed, %d failed (%d comparisons ill-conditioned, "
          "%.0f s)" % (len(passed), len(failed), conditions,
                       time.time() - begin))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
