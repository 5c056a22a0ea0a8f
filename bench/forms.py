#===- forms.py - The sequential form against the chunkwise one -------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Times both forms of some examples in one run and prints a table.

    python3 bench/forms.py [--build build]

One thread, f32, B=1, H=4, T=2048. Arithmetic is that of the equations as they
are written (the sequential form's), so that the columns compare.
"""

import argparse
import json
import os
import subprocess

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), ".."))


def measure(build, example, size, form):
    command = [os.path.join(build, "bin", "rondo-bench"),
               os.path.join(ROOT, "examples", example + ".rondo"), "--json",
               "--threads=1", "--dims=B=1,H=4,T=2048,K=%d,V=%d" % (size, size)]
    command += form
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    build = parser.parse_args().build
    print("| kernel | K = V | sequential ms | GFLOP/s | chunked ms | ratio |")
    print("|---|---|---|---|---|---|")
    for example in ("retention", "gla", "delta_net", "gated_delta", "kda"):
        for size in (64, 128):
            a = measure(build, example, size, ["--form=sequential"])
            b = measure(build, example, size, ["--form=chunked"])
            ms = [1e3 * x["seconds_median"] for x in (a, b)]
            print("| %s | %d | %.2f | %.0f | %.2f | %.2f |" % (
                example, size, ms[0], a["flop"] / ms[0] / 1e6, ms[1],
                ms[0] / ms[1]), flush=True)


if __name__ == "__main__":
    main()
