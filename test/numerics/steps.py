#===- steps.py - Sequences fed one step at a time --------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Every example by its step kernel, fed token by token, against its formula: the
interpreter, and compiled code in f32. Examples that look ahead are refused, with
the reason.

    python3 test/numerics/steps.py --build build [--only NAME,..]
"""

import argparse
import os
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import formulas  # noqa: E402,F401
import safetensors  # noqa: E402
from example import EXAMPLES  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
REFUSED = {
    "bidirectional": "`b` runs backward in time",
    "fsmn": "it reads steps that are yet to come",
    "grid": "no tensor of it has a time dim",
    "mega_ema": "`g` runs backward in time",
    "plstm": "no tensor of it has a time dim",
    "prefix_attention": "runs over steps that are yet to come",
    "universal": "the result `y` has no dim over time",
}
TIMES = (1, 13)


class Suite:

    def __init__(self, build):
        self.build, self.passed, self.failed = build, 0, 0
        self.folder = os.path.join(build, "numerics", "steps")
        os.makedirs(self.folder, exist_ok=True)

    def tool(self, name, *arguments):
        done = subprocess.run(
            [os.path.join(self.build, "bin", name), *arguments],
            capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def note(self, good, what, output=""):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print("FAIL %s\n  %s" % (what, "\n  ".join(
                output.strip().splitlines()[:6])), flush=True)

    def check(self, name):
        example = EXAMPLES[name]
        program = os.path.join(ROOT, "examples", name + ".rondo")
        library = os.path.join(self.folder, name + ".so")
        choice = ["--kernel=" + example.kernel] if example.kernel else []
        code, output = self.tool("rondoc", program, "-o", library, "--step",
                                 "--arch=native", *choice)
        if name in REFUSED:
            self.note(code == 1 and REFUSED[name] in output,
                      name + ": a refusal", output)
            return
        self.note(code == 0, name + ": compile", output)
        if code:
            return
        rng = np.random.default_rng(sorted(EXAMPLES).index(name))
        for time in TIMES:
            sizes = example.draw_sizes(rng, time)
            for initial in (False, True) if example.init else (False,):
                inputs = example.draw(rng, sizes, initial=initial)
                inputs = {n: x.astype(np.float32) if x.dtype.kind == "f" else x
                          for n, x in inputs.items()}
                expected = example.expect(
                    {n: x.astype(np.float64) if x.dtype.kind == "f" else x
                     for n, x in inputs.items()}, sizes)
                self.run(name, time, program, library, choice, inputs, expected)

    def run(self, name, time, program, library, choice, inputs, expected):
        loosen = EXAMPLES[name].loosen
        given, wanted = (os.path.join(self.folder, name + end)
                         for end in (".in", ".expected"))
        safetensors.write(given, inputs)
        safetensors.write(wanted, expected)
        files = ["--in", given, "--check", wanted, "--step"]
        for what, command, tolerance in (
                ("interpreter", [program, "--reference"] + choice, 1e-9),
                ("compiled", [library, "--threads=1"], 1e-5 * loosen)):
            code, output = self.tool("rondo-run", *command, *files,
                                     "--tolerance=%g" % tolerance)
            missing = [n for n in expected
                       if n + " " not in output and not n.endswith(".final")]
            self.note(code == 0 and not missing, "%s: %s, T = %d" % (
                name, what, time), output)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--only")
    options = parser.parse_args()
    suite = Suite(options.build)
    for name in options.only.split(",") if options.only else sorted(EXAMPLES):
        suite.check(name)
    print("%d passed, %d failed" % (suite.passed, suite.failed))
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
