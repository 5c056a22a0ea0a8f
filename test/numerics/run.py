#===- run.py - The examples against independent formulas -------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Runs every example program in the reference interpreter and compiled, for
several dtypes and many sizes, and compares with the formulas of this folder and
with the golden files.

    python3 test/numerics/run.py --build build
    python3 test/numerics/run.py --build build --only gla,lstm --modes f32
    python3 test/numerics/run.py --build build --long 65536

Prints a line, with the command that repeats it, for each case that fails, and a
summary; exits with 1 when a case failed. Inputs and expected values of failed
cases stay in <build>/numerics.
"""

import argparse
import multiprocessing
import os
import shlex
import shutil
import subprocess
import sys
import time
import zlib

import numpy as np

sys.dont_write_bytecode = True
import formulas  # registers the examples
import safetensors
from example import ALL_MODES, EXAMPLES

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))

# Relative RMS errors. Interpreter and f64: only rounding in another order.
# f32: the project's promise. f16 and bf16: above all the rounding of the
# results, 2^-11 and 2^-8 at most.
TOLERANCE = {"reference": 1e-9, "f64": 1e-9, "f32": 1e-5, "bf16": 1e-2,
             "f16": 2e-3, "chunked": 2e-5, "newton": 1e-5, "scan": 1e-5}
GOLDEN_TOLERANCE = {"reference": 1e-6, "f32": 1e-5, "bf16": 1e-2,
                    "chunked": 1e-5, "newton": 1e-5, "scan": 1e-5}

LENGTHS = [0, 1, 2, 15, 16, 17, 31, 37]
# Around the blocks of attention.
BLOCKS = [63, 64, 65, 130]
LONG = 4096
SMALL = {"B": 1, "G": 1, "H": 1, "K": 5, "V": 3, "D": 9, "N": 4, "P": 5, "M": 3}
CHUNKS = {"B": 1, "G": 1, "H": 1, "K": 64, "V": 16, "T": 256}
# Around the blocks of rows that share matrices.
BATCHES = [4, 5, 7, 8, 9, 16, 17, 35]
SPLITS = [(0, 9), (1, 16), (16, 17), (32, 5)]
# Not for --long: formulas whose time or memory grows with the square of the
# length, or that take one length only; a system with random weights that grows
# without end (lssl); one in which rounding grows tenfold every thirty steps
# (moneta); sines of angles of 65536, which f32 holds to 4e-3 (embedding); weights
# to which as many gradients are added, each rounded to f32: 1.5e-5 in a loop of
# numpy (ttt_mlp).
SHORT = {
    "attention", "combiner", "embedding", "forgetting_attention", "gau",
    "hedgehog", "jrt", "light_net", "log_linear", "lolcats", "lssl", "moneta",
    "ngram_head", "prefix_attention", "rope_attention", "rwkv4",
    "sigmoid_attention", "ttt_mlp", "universal", "vq_memory"}
# Of the modes, those that take the same inputs.
SAME_INPUTS = ("f32", "chunked", "newton", "scan")
# Every case runs in these; the other modes share their code, and take every
# third length and one split unless --full asks for more.
MAIN_MODES = ("reference", "f32", "chunked", "newton")


def find_archs():
    """{mode: the --arch to compile for}. f32 has what a user gets; f16 takes the
    code for AVX2, which a processor with AVX-512 would not pick by itself."""
    try:
        with open("/proc/cpuinfo") as file:
            old = "avx2" not in file.read()
    except OSError:
        old = True
    return {"f64": "native", "bf16": "native",
            "f16": "native" if old else "x86-64-v3"}


ARCHS = find_archs()
# Other forms in f32, the options that ask for one, and what the compiler says to
# programs that do not have it.
FORMS = {"chunked": (["--form=chunked", "--chunk=16"], "has no chunkwise form"),
         "newton": (["--form=newton", "--chunk=13"], "has no Newton form"),
         "scan": (["--form=scan"], "has no scan form")}


def round_to(x, mode):
    """To the io dtype of the mode, as float64."""
    if x.dtype.kind != "f":
        return x
    if mode == "f32" or mode in FORMS:
        return x.astype(np.float32).astype(np.float64)
    if mode == "f16":
        return x.astype(np.float16).astype(np.float64)
    if mode == "bf16":
        bits = np.asarray(x, np.float32).reshape(-1).view(np.uint32)
        bits = (bits + 0x7fff + ((bits >> 16) & 1)) & np.uint32(0xffff0000)
        return np.asarray(bits, np.uint32).view(np.float32).astype(np.float64).reshape(np.shape(x))
    return x


class Suite:
    """The cases of one example in one mode."""

    def __init__(self, options, name, mode):
        self.options, self.mode = options, mode
        self.example = EXAMPLES[name]
        self.program = os.path.join(ROOT, "examples", name + ".rondo")
        self.folder = os.path.join(options.build, "numerics", name, mode)
        self.passed, self.reports, self.count = 0, [], 0
        self.expected = {}  # by title, where modes share it
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def tool(self, name):
        return os.path.join(self.options.build, "bin", name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def execute(self, command):
        """(exit code, output); a crash has a negative code."""
        try:
            done = subprocess.run(command, capture_output=True, timeout=120)
        except subprocess.TimeoutExpired:
            return None, "it takes more than 2 minutes"
        return done.returncode, (done.stdout + done.stderr).decode(
            errors="replace")

    def fail(self, title, reason, command):
        self.reports.append("FAIL %s (%s) %s: %s\n  %s" % (
            self.example.name, self.mode, title, reason, shlex.join(command)))

    def compile(self):
        """The command that runs the example, up to its inputs; None: broken."""
        kernel = self.example.kernel
        choice = ["--kernel=" + kernel] if kernel else []
        if self.mode == "reference":
            return [self.tool("rondo-run"), self.program,
                    "--reference"] + choice
        library = self.path("lib.so")
        dtype = ["--dtype=" + self.mode]
        if self.mode in FORMS:
            dtype = FORMS[self.mode][0] + ["--arch=native"]
        elif self.mode == "f64":
            # The others take the form that the compiler chooses.
            dtype.append("--form=sequential")
        command = [self.tool("rondoc"), self.program, "-o", library]
        command += dtype + choice
        if self.mode in ARCHS:
            command.append("--arch=" + ARCHS[self.mode])
        code, output = self.execute(command)
        if self.mode in FORMS and code == 1 and FORMS[self.mode][1] in output:
            return None
        if code != 0:
            lines = output.strip().splitlines() or ["no message"]
            self.fail("compile", "exit code %s: %s" % (code, lines[0]), command)
            return None
        return [self.tool("rondo-run"), library]

    def run(self, title, inputs, expected, tolerance, out=None):
        """Runs on inputs (arrays, or a path) and compares."""
        self.count += 1
        stem = self.path(str(self.count))
        files = []
        if not isinstance(inputs, str):
            safetensors.write(stem + ".in", inputs)
            inputs = stem + ".in"
            files.append(inputs)
        if not isinstance(expected, str):
            safetensors.write(stem + ".expected", expected)
            files.append(stem + ".expected")
        check = expected if isinstance(expected, str) else stem + ".expected"
        names = [] if isinstance(expected, str) else list(expected)
        command = self.command + ["--in", inputs, "--check", check,
                                  "--tolerance", "%g" % tolerance]
        if self.mode != "reference":
            command.append("--threads=%d" % (1 + self.count % 2))
        if out:
            command += ["--out", out]
        code, output = self.execute(command)
        lines = output.strip().splitlines()
        compared = {line.split()[0] for line in lines if line.strip()}
        missing = [name for name in names if name not in compared]
        if code == 0 and not missing:
            self.passed += 1
            for file in files:
                os.remove(file)
            return True
        bad = [" ".join(line.split()) for line in lines if "FAIL" in line]
        reason = "; ".join(bad) or (
            "does not have the results " + ", ".join(missing) if code == 0 else
            "exit code %s: %s" % (code, lines[0] if lines else "no message"))
        self.fail(title, reason, command)
        return False

    def draw(self, title, time, seed, kinds=None, initial=False, sizes=None):
        """A case with inputs that depend on its title only."""
        example = self.example
        key = "%s %s %d" % (example.name, title, seed)
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        values = example.draw_sizes(rng, time)
        values.update({name: size for name, size in (sizes or {}).items()
                       if name in values and name not in example.sizes})
        tensors = example.draw(rng, values, kinds, initial)
        return values, {
            name: round_to(x, "f32" if name in example.fixed else self.mode)
            for name, x in tensors.items()}

    def case(self, title, time, tolerance, **how):
        sizes, inputs = self.draw(title, time, self.options.seed, **how)
        described = " ".join("%s=%d" % entry for entry in sizes.items())
        expected = self.expected.get(title)
        if expected is None:
            expected = self.example.expect(inputs, sizes)
        if self.options.long:
            self.expected[title] = expected
        self.run("%s [%s]" % (title, described), inputs, expected, tolerance)

    def split(self, first, second, tolerance):
        """Two halves, the states of the first handed to the second."""
        example, title = self.example, "split %d+%d" % (first, second)
        sizes, inputs = self.draw(title, first + second, self.options.seed)
        expected = example.expect(inputs, sizes)

        def part(tensors, begin, end, axis_of):
            result = {}
            for name, x in tensors.items():
                axis = axis_of(name)
                index = [slice(None)] * x.ndim
                if axis is not None:
                    index[axis] = slice(begin, end)
                result[name] = x[tuple(index)]
            return result

        def result_axis(name):
            return None if name.endswith(".final") else 1

        results = {name: x for name, x in expected.items()
                   if not name.endswith(".final")}
        states = self.path("states")
        if not self.run(title + ", first part",
                        part(inputs, 0, first, example.time_axis),
                        part(results, 0, first, result_axis), tolerance,
                        states):
            return
        handed = {name[:-len("final")] + "initial": x
                  for name, x in safetensors.read(states).items()
                  if name.endswith(".final")}
        rest = part(inputs, first, first + second, example.time_axis)
        rest.update(handed)
        self.run(title + ", second part", rest,
                 part(expected, first, None, result_axis), tolerance)

    def golden(self):
        name = self.example.name
        file = os.path.join(self.options.golden, name + ".safetensors")
        if os.path.exists(file) and self.mode in GOLDEN_TOLERANCE:
            self.run("golden file", file, file, GOLDEN_TOLERANCE[self.mode])

    def long(self):
        """A very long sequence, also with decays from none to complete."""
        self.command = self.compile()
        if self.command is None:
            return
        tolerance = TOLERANCE[self.mode] * self.example.loosen
        kinds = [("long", {})]
        if self.example.override:
            kinds.append(("long and extreme", {"kinds": self.example.override}))
        for title, how in kinds:
            self.case(title, self.options.long, tolerance, sizes=SMALL, **how)

    def all(self):
        example = self.example
        self.command = self.compile()
        if self.command is None:
            if not self.reports:
                shutil.rmtree(self.folder, ignore_errors=True)
            return
        tolerance = TOLERANCE[self.mode] * example.loosen
        lengths = LENGTHS if example.has("T") else range(6)
        if example.formula.__module__ == "formulas.attention":
            lengths = LENGTHS + BLOCKS
        whole = self.mode in MAIN_MODES or self.options.full
        for length in lengths if whole else lengths[::3]:
            self.case("T = %d" % length, length, tolerance)
        self.case("no batch", 5, tolerance, sizes={"B": 0})
        if "B" not in example.sizes:
            for batch in BATCHES if whole else BATCHES[::3]:
                self.case("B = %d" % batch, 8 + batch % 3, tolerance,
                          sizes={"B": batch})
        self.case("wide", 19, tolerance, sizes={
            "B": 2, "K": 33, "V": 40, "D": 67, "N": 32, "P": 64, "E": 48})
        if example.override:
            self.case("extreme", 33, tolerance, kinds=example.override)
        for title, kinds in example.chunks.items():
            self.case(title, CHUNKS["T"], tolerance, sizes=CHUNKS, kinds=kinds)
        if example.init:
            self.case("initial states", 18, tolerance, initial=True)
        if example.long and self.mode in ("f32", "bf16", "chunked",
                                             "newton", "scan"):
            self.case("long", LONG, tolerance, sizes=SMALL)
        if example.split:
            splits = [cut for cut in SPLITS if cut[0] % example.split == 0]
            for first, second in splits if whole else splits[-1:]:
                self.split(first, second, tolerance)
        self.golden()
        if not self.reports:
            shutil.rmtree(self.folder, ignore_errors=True)


def check_formula(options, name):
    """A formula against the golden file."""
    file = os.path.join(options.golden, name + ".safetensors")
    if not os.path.exists(file):
        return 0, []
    example, tensors = EXAMPLES[name], safetensors.read(file)
    sizes = {"T": 0, "G": 1, "H": 1}
    for argument, (dims, _) in example.args.items():
        for dim, extent in zip(dims, tensors[argument].shape):
            if dim.isidentifier():
                sizes[dim] = extent
    for argument, (dims, _) in example.args.items():
        if "H/G" in dims:
            shared = tensors[argument].shape[dims.index("H/G")]
            sizes["G"] = sizes["H"] // shared
    inputs = {key: np.asarray(x, np.float64 if x.dtype.kind == "f" else x.dtype)
              for key, x in tensors.items()}
    reports, passed = [], 0
    for key, x in example.expect(inputs, sizes).items():
        if key not in tensors:
            continue
        error = np.sqrt(((x - inputs[key]) ** 2).mean()
                        / (inputs[key] ** 2).mean())
        if error <= 1e-6:
            passed += 1
        else:
            reports.append("FAIL %s: the formula of %s is %.1e off its golden "
                           "file" % (name, key, error))
    return passed, reports


def work(task):
    options, name, mode = task
    if mode == "formula":
        passed, reports = check_formula(options, name)
        return name, mode, passed, reports
    suite = Suite(options, name, mode)
    try:
        suite.all()
    except Exception as error:
        suite.reports.append("FAIL %s (%s): %s: %s" % (
            name, mode, type(error).__name__, error))
    return name, mode, suite.passed, suite.reports


def work_long(task):
    """All modes that take the same inputs, one after the other."""
    options, name, modes = task
    passed, reports, expected = 0, [], {}
    for mode in modes:
        suite = Suite(options, name, mode)
        suite.expected = expected
        try:
            suite.long()
        except Exception as error:
            suite.reports.append("FAIL %s (%s): %s: %s" % (
                name, mode, type(error).__name__, error))
        passed += suite.passed
        reports += suite.reports
        if not suite.reports:
            shutil.rmtree(suite.folder, ignore_errors=True)
    return name, "long", passed, reports


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"),
                        help="build folder (default: build)")
    parser.add_argument("--golden", default=os.environ.get("RONDO_GOLDEN"),
                        help="folder of the golden files (default: "
                        "$RONDO_GOLDEN, else ../shared/golden)")
    parser.add_argument("--only", default="",
                        help="examples to run, separated by commas")
    parser.add_argument("--modes", default=",".join(ALL_MODES))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--long", type=int, default=0,
                        help="only sequences of this length, of the examples "
                        "with formulas that take time in proportion")
    parser.add_argument("--full", action="store_true",
                        help="every case in every mode")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.golden = os.path.normpath(os.path.join(
        ROOT, options.golden or os.path.join("..", "shared", "golden")))
    return options


def check_complete():
    """Every example has a formula, and every formula an example."""
    files = {file[:-len(".rondo")]
             for file in os.listdir(os.path.join(ROOT, "examples"))
             if file.endswith(".rondo")}
    return ["FAIL %s: %s" % (name, "there is no formula for this example"
                             if name in files else
                             "there is no example for this formula")
            for name in sorted(files ^ set(EXAMPLES))]


def main():
    options = parse_options()
    for tool in ("rondoc", "rondo-run"):
        if not os.path.exists(os.path.join(options.build, "bin", tool)):
            sys.exit("run.py: there is no bin/%s in %s" % (tool, options.build))
    begin, failures = time.time(), check_complete()
    only = [name for name in options.only.split(",") if name]
    unknown = [name for name in only if name not in EXAMPLES]
    if unknown:
        sys.exit("run.py: no example is named " + ", ".join(unknown))
    modes = options.modes.split(",")
    tasks = [(options, name, mode) for name in sorted(only or EXAMPLES)
             for mode in modes if mode in EXAMPLES[name].modes]
    tasks += [(options, name, "formula") for name in sorted(only or EXAMPLES)]
    function = work
    if options.long:
        function = work_long
        tasks = [(options, name, [mode for mode in SAME_INPUTS if mode in modes
                                  and mode in EXAMPLES[name].modes])
                 for name in sorted(only or EXAMPLES)
                 if EXAMPLES[name].has("T") and name not in SHORT]
    passed, clean = 0, 0
    for failure in failures:
        print(failure)
    with multiprocessing.Pool(options.jobs) as pool:
        for _, _, good, reports in pool.imap_unordered(
                function, tasks):
            passed += good
            clean += not reports
            for report in reports:
                print(report, flush=True)
            failures += reports
    golden = "" if os.path.isdir(options.golden) else "; no golden files"
    print("numerics: %d passed, %d failed (%d examples, %.0f s%s)" % (
        passed, len(failures), len(only or EXAMPLES), time.time() - begin,
        golden))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
