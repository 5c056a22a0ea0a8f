#===- faults.py - Data out of range -----------------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Gathers at places that do not exist: the interpreter and compiled code refuse
them with the same numbers.

    python3 test/numerics/faults.py --build build
"""

import argparse
import os
import sys
import tempfile

import numpy as np

import corners
import safetensors

# Also before the start, where the initial value is read.
PROGRAM = """kernel k(x: [B, T, D], n: i32 [B, T]) -> (y: [B, T, D]) {
  batch B
  state S: [D]
  S[t, d] = 0.4 * S[t-1, d] + 0.3 * S[t-1, n[t]] + x[t, d]
  y[t, d] = S[t, d]
}
"""
SIZES = {"B": 2, "T": 5, "D": 7}
FAULTS = [((0, 0), 7), ((1, 3), -1), ((0, 4), 1 << 30)]
SAID = {"": "index %d is out of range for 'S' dim 2 (D), expected 0 to 6; in S",
        "--reference": "dim 2 of 'S' expects a value in [0, 7), found %d"}


def check_fault(bin_, folder, place, value, failures):
    program = os.path.join(folder, "fault.rondo")
    source = os.path.join(folder, "in")
    with open(program, "w") as file:
        file.write(PROGRAM)
    tensors = corners.draw(PROGRAM, SIZES, np.random.default_rng(0))
    tensors["n"][place] = value
    safetensors.write(source, tensors)
    for option, said in SAID.items():
        code, output = corners.execute(
            [os.path.join(bin_, "rondo-run"), program, "--in", source] +
            option.split())
        if code != 2 or said % value not in output:
            failures.append("%s = %d: %s" % (place, value, output[:300]))
    return len(SAID)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    bin_ = os.path.join(os.path.abspath(parser.parse_args().build), "bin")
    failures, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for place, value in FAULTS:
            count += check_fault(bin_, folder, place, value, failures)
    for failure in failures:
        print("FAIL " + failure)
    print("faults: %d runs, %d failed" % (count, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
