#===- compile.py - How long compiling takes ---------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Times `rondoc` from text to linked library, and weighs the libraries.

    python3 bench/compile.py                        # every example
    python3 bench/compile.py --only 'gla|attention' --repeat 5
    python3 bench/compile.py --forms                # also each --form=X
    python3 bench/compile.py examples/gla.rondo -- --arch=native

Sizes are unbound and all variants are compiled, unless options after `--` say
otherwise. A row has the least elapsed time of the runs, the least processor
time (all threads), and the size of the library. Exits with 1 if a row is over
--limit seconds (--form-limit for a form asked for) or --kilobytes.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), ".."))
FORMS = ("sequential", "scan", "chunked", "newton")


def used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(rondoc, path, options, repeat, output):
    """(elapsed, processor time, bytes), or what the compiler said."""
    best = None
    for _ in range(repeat):
        before, start = used(), time.monotonic()
        done = subprocess.run([rondoc, path, "-o", output] + options,
                              capture_output=True, text=True)
        elapsed, busy = time.monotonic() - start, used() - before
        if done.returncode:
            return done.stderr.strip().splitlines()[:1] or ["failed"]
        if best is None:
            best = (elapsed, busy)
        best = (min(best[0], elapsed), min(best[1], busy))
    return best + (os.path.getsize(output),)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--only", default="")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--forms", action="store_true")
    parser.add_argument("--limit", type=float, default=0.5)
    parser.add_argument("--form-limit", type=float, default=1.0)
    parser.add_argument("--kilobytes", type=float, default=100)
    arguments, options = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1:]
    args = parser.parse_args(arguments)
    rondoc = os.path.join(args.build, "bin", "rondoc")
    folder = os.path.join(ROOT, "examples")
    programs = args.programs or sorted(
        os.path.join(folder, name) for name in os.listdir(folder)
        if name.endswith(".rondo"))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        output = os.path.join(scratch, "lib.so")
        for path in programs:
            name = os.path.splitext(os.path.basename(path))[0]
            if not re.search(args.only, name):
                continue
            for form in ("",) + (FORMS if args.forms else ()):
                asked = options + (["--form=" + form] if form else [])
                row = measure(rondoc, path, asked, args.repeat, output)
                if len(row) == 1:  # a form that the program doesn't have
                    if not form:
                        sys.exit(f"{name}: {row[0]}")
                    continue
                limit = args.form_limit if form else args.limit
                over = row[0] > limit or row[2] > args.kilobytes * 1000
                rows.append((name, form or "auto", over) + row)
                print(f"{name:22} {form or 'auto':10} {row[0]:6.3f} s "
                      f"{row[1]:6.3f} s {row[2] / 1000:6.1f} KB"
                      f"{'  over' if over else ''}", flush=True)
    if not rows:
        sys.exit("no program")
    slowest = max(rows, key=lambda row: row[3])
    largest = max(rows, key=lambda row: row[5])
    print(f"slowest: {slowest[0]} ({slowest[1]}), {slowest[3]:.3f} s; "
          f"largest: {largest[0]} ({largest[1]}), {largest[5] / 1000:.1f} KB; "
          f"{sum(row[2] for row in rows)} of {len(rows)} over")
    return 1 if any(row[2] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
