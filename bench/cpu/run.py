#===- run.py - Kernels on the CPU against limits and peers -----------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Times kernels on the CPU against the limits of this processor and against
what else computes the same, all in one run.

    python3 bench/cpu/run.py                       # all rows
    python3 bench/cpu/run.py --rows 'lstm|hgrn' --no-peers
    python3 bench/cpu/run.py --json > results.json

Rows stand in bench/cpu/rows/*.py, each file with a list ROWS of Row objects
(row.py). A row's program is timed by rondo-bench: the median of at least 10
runs after two, with the bounds of the middle 80 %. Its limit (limits.py) is
measured right before, as memory and clock are shared with others; the row is
the round of --rounds with the median share. Peers (peers.py) run in the
interpreter that --python names, when the packages that they need are installed
there; else their columns are empty.

The table's columns:
  time      the median; "spread" is the width of the middle 80 % over it
  figure    work over time, in the row's unit
  of limit  figure over the limit that the row names
  bar       what is asked, and whether it is met
  peer      the fastest peer and how many times as long it takes
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import limits as limits_module  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))


def load_rows(pattern):
    rows = []
    folder = os.path.join(HERE, "rows")
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".py"):
            continue
        spec = importlib.util.spec_from_file_location(
            "rows_" + name[:-3], os.path.join(folder, name))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        rows += module.ROWS
    return [row for row in rows if re.search(pattern, row.name)]


def run_json(command, timeout):
    """The JSON object that a command prints, or its complaint."""
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"error": "no result within %d s" % timeout}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else "exit %d" % done.returncode}
    return json.loads(done.stdout.strip().splitlines()[-1])


def time_ours(row, options):
    program = os.path.join(ROOT, row.program)
    dims = ",".join("%s=%d" % dim for dim in row.dims.items())
    command = [os.path.join(options.build, "bin", "rondo-bench"), program,
               "--json", "--dims=" + dims, "--threads=%d" % row.threads,
               "--seconds=%g" % options.seconds, *row.args]
    return run_json(command, 120)


def time_peers(row, options):
    results = {}
    for peer in row.peers if options.peers else ():
        command = [options.python, os.path.join(HERE, "peers.py"), peer,
                   "--dims=" + json.dumps(row.dims),
                   "--threads=%d" % row.threads,
                   "--seconds=%g" % options.seconds]
        results[peer] = run_json(command, options.patience)
    return results


def judge(row, ours, limits):
    """Adds the figure, its share of the limit and whether the bar is met."""
    work = row.evaluate(row.work)
    seconds = ours["seconds_median"]
    if row.unit == "flop":
        figure, shown = work / seconds, "%.1f GFLOP/s" % (work / seconds / 1e9)
    elif row.unit == "byte":
        figure, shown = work / seconds, "%.1f GB/s" % (work / seconds / 1e9)
    else:
        figure = seconds / work
        shown = ("%.3f ns per %s" % (1e9 * figure, row.unit) if figure < 1e-6
                 else "%.2f us per %s" % (1e6 * figure, row.unit))
    share = None
    if row.limit in limits:
        # Work over a rate is the least time; the limit's work may differ from
        # the figure's.
        least = row.evaluate(row.limit_work or row.work) / limits[row.limit]
        share = least / seconds
    met = None
    if row.bar is not None:
        met = share >= row.bar if row.bar_is_share else figure <= row.bar
    return {"figure": figure, "shown": shown, "share": share, "met": met}


def time_rounds(row, options, limits):
    """What rondo-bench says and how that is judged, of the median round."""
    rounds = []
    for _ in range(options.rounds):
        rates = limits.measure(row.limit) if row.limit else {}
        ours = time_ours(row, options)
        if "error" in ours:
            return ours, {}
        rounds.append((ours, judge(row, ours, rates)))
    rounds.sort(key=lambda each: each[1]["share"] or each[1]["figure"])
    return rounds[len(rounds) // 2]


def describe_bar(row):
    if row.bar is None:
        return "-"
    if row.bar_is_share:
        return ">= %.0f %%" % (100 * row.bar)
    return ("<= %.3g ns" % (1e9 * row.bar) if row.bar < 1e-6
            else "<= %.3g us" % (1e6 * row.bar))


def format_row(row, ours, judged, peers):
    if "error" in ours:
        return "| %s | %s |" % (row.name, ours["error"])
    median = ours["seconds_median"]
    spread = (ours["seconds_p90"] - ours["seconds_p10"]) / median
    share = ("%.0f %% of %s" % (100 * judged["share"], row.limit)
             if judged["share"] is not None else "-")
    bar = describe_bar(row)
    if judged["met"] is not None:
        bar += ", met" if judged["met"] else ", not met"
    known = {name: peer["seconds_median"] for name, peer in peers.items()
             if "seconds_median" in peer}
    best = min(known, key=known.get) if known else None
    peer = "%s: %.1fx" % (best, known[best] / median) if best else "-"
    return "| %s | %d | %.3f ms | %.0f %% | %s | %s | %s | %s |" % (
        row.name, row.threads, 1e3 * median, 100 * spread, judged["shown"],
        share, bar, peer)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--cc", default=os.environ.get("CC", "clang-22"))
    parser.add_argument("--rows", default="", help="a pattern of row names")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=sys.executable,
                        help="the interpreter that runs peers")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--patience", type=int, default=120,
                        help="seconds to wait for a peer")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    rows = load_rows(options.rows)
    if not rows:
        raise SystemExit("no row matches `%s`" % options.rows)
    program = limits_module.Limits(options.cc)
    limits = program.measure()
    if not options.json:
        print(", ".join("%s %.1f G/s" % (name, value / 1e9)
                        for name, value in limits.items()))
        print("\n| row | threads | time | spread | figure | of limit | bar "
              "| fastest peer |\n|---|---|---|---|---|---|---|---|", flush=True)
    report = {"limits": limits, "rows": []}
    failed = False
    for row in rows:
        ours, judged = time_rounds(row, options, program)
        failed |= "error" in ours
        peers = time_peers(row, options)
        report["rows"].append({"name": row.name, "program": row.program,
                               "dims": row.dims, "args": list(row.args),
                               "threads": row.threads, "ours": ours,
                               "work": row.work, "unit": row.unit,
                               "limit": row.limit, "bar": row.bar,
                               **judged, "peers": peers})
        if not options.json:
            print(format_row(row, ours, judged, peers), flush=True)
            for name, peer in peers.items():
                print("    %s: %s" % (name, peer["error"]
                                      if "error" in peer else "%.3f ms" %
                                      (1e3 * peer["seconds_median"])),
                      file=sys.stderr)
    if options.json:
        print(json.dumps(report, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
