#===- check.py - One kernel in all its forms -------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Compiles kernels and compares, on the same random arguments,

    the evaluator of this folder   with   the interpreter     at 1e-9
    the interpreter                with   compiled f64 code   at 1e-9
                                          compiled f32 code   at 2e-4
                                          f16 and bf16 code   plus one rounding
                                          bf16 products       at 1e-2 (RMS)
                                          other forms, in f64 at 1e-9
                                          one step at a time, in f64 at 1e-9
                                          code on a GPU, if there is one

where the error is relative to the largest value of a tensor. When one is
larger, the interpreter says whether the program is to blame: if rounding its
arguments and functions in the same precision changes the results as much, it is
ill-conditioned, and no claim is made. Integers and conditions are equal, except
where that rounding changes them, as it does comparisons of equal numbers, or
where the defect that Newton's method may leave does."""

import copy
import itertools
import os
import pickle
import random
import signal
import subprocess

import numpy as np

import artifact
import cases
import draw
import safetensors
from evaluate import Evaluator
from program import REAL, Node, binary, file_text, number

# mode: (tolerance, relative rounding of results, of arithmetic); 1 + 2^-53 is 1
# in f64, and moves nothing
MODES = {"f64": (1e-9, 0.0, 2.0 ** -52), "f32": (2e-4, 0.0, 2.0 ** -24),
         "bf16": (2e-4, 2.0 ** -8, 2.0 ** -24),
         "f16": (2e-4, 2.0 ** -11, 2.0 ** -24)}
FORMS = ("sequential", "scan", "chunked", "newton")
MODES.update({form: MODES["f64"] for form in FORMS})
# Modes that rondo-run calls, and how.
CALLED = {"step": ["--step"], "cuda-f64": ["--device=cuda"],
          "cuda-f32": ["--device=cuda"]}
MODES.update({"step": MODES["f64"], "cuda-f64": MODES["f64"],
              "cuda-f32": MODES["f32"]})
ROUNDED = ("f32", "bf16", "f16", "cuda-f32")
SMALLEST_F16 = 2.0 ** -14  # below it, the last place of f16 stays
GREATEST_F16 = 65500.0  # what is greater may have become infinite
RESULT_ROUNDING = {"bf16": 2.0 ** -8, "f16": 2.0 ** -11, "f32": 2.0 ** -24}
TINY_WORK, LARGE_WORK = 6000, 300000
# What Newton's method leaves, in units of the last place of 1.
NEWTON_DEFECT = 8.0
TIME_LIMIT = 180  # seconds, of every step; machines may be busy


class Failure(Exception):

    def __init__(self, category, detail):
        super().__init__(category + ": " + detail)
        self.category, self.detail = category, detail


def has_bf16_products():
    """Whether this processor has dot products of bf16 numbers."""
    with open("/proc/cpuinfo") as file:
        return "avx512_bf16" in file.read().split()


def execute(command):
    """(exit code, output); None: it took too long."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return None, "it takes more than %d seconds" % TIME_LIMIT
    return done.returncode, (done.stdout + done.stderr).decode(
        errors="replace")


def round_f16(x):
    return x.astype(np.float16).astype(np.float32)


ROUND = {"bf16": lambda x: artifact.from_bf16(artifact.to_bf16(x)),
         "f16": round_f16}


class Plan:
    """What is done with a kernel; a function of its seed."""

    def __init__(self, seed, bound=None, device="cpu"):
        rng = random.Random("plan %d" % seed)
        self.seed, self.bound, self.device = seed, bound or {}, device
        if device == "cuda":
            mode = rng.choice(["cuda-f64", "cuda-f32"])
            self.modes, self.round = [mode], np.float32
            self.options = {mode: ["--dtype=" + mode[5:]]}
            if rng.random() < 0.5:
                self.options[mode].append("--chunk=16")
                self.options[mode].append("--form=chunked")
            return
        self.modes = ["f64", "f32"]
        small = rng.random()
        if small < 0.2:
            self.modes.append("bf16" if small < 0.1 else "f16")
        self.round = ROUND.get(self.modes[-1], np.float32)
        self.options = {mode: ["--dtype=" + mode] for mode in self.modes}
        rng = random.Random("form %d" % seed)
        if rng.random() < 0.4:
            form = rng.choices(FORMS, [1, 2, 4, 3])[0]
            self.modes.append(form)
            self.options[form] = ["--dtype=f64", "--form=" + form]
            if form in ("chunked", "newton"):
                self.options[form].append(
                    "--chunk=%d" % rng.choice([1, 2, 3, 4, 5, 8, 16]))
        if "T" not in self.bound and \
                random.Random("step %d" % seed).random() < 0.2:
            self.modes.append("step")
            self.options["step"] = ["--dtype=f64", "--step"]

    def cases(self, kernel):
        result = []
        for title, table, most in (
                ("tiny", draw.TINY, TINY_WORK),
                ("large", draw.LARGE, LARGE_WORK)):
            rng = random.Random("%s %d" % (title, self.seed))
            sizes = draw.draw_sizes(kernel, rng, table, most, self.bound)
            numbers = np.random.default_rng(rng.getrandbits(32))
            result.append(cases.Case(title, sizes, draw.draw_inputs(
                kernel, sizes, numbers, self.round, rng.random() < 0.5)))
        if self.device == "cuda":
            return result
        if rng.random() < 0.3 and cases.can_be_packed(kernel, self.bound):
            lengths = [rng.randint(0, 9) for _ in range(rng.randint(0, 4))]
            result.append(cases.PackedCase(
                kernel, result[0].sizes, lengths + [rng.randint(1, 20)],
                numbers, self.round))
        if "T" in sizes and "T" not in self.bound and cases.continues(kernel):
            result.append(cases.SplitCase(kernel, result[1],
                                          rng.randint(0, sizes["T"])))
        return result


#===------------------------------------------------------------------------===#
# Comparison
#===------------------------------------------------------------------------===#


def compare(found, expected, tolerance, rounding, smallest=0.0,
            greatest=np.inf):
    """None, or what is wrong; `smallest` is the least normal number, and what
    is greater than `greatest` may be infinite."""
    if list(found.shape) != list(expected.shape):
        return "the shape is %s, not %s" % (found.shape, expected.shape)
    if found.size == 0:
        return None
    if expected.dtype.kind != "f" or found.dtype.kind != "f":
        wrong = found.astype(np.int64) != expected.astype(np.int64)
        error = wrong.astype(float)
    else:
        a, b = found.astype(np.float64), expected.astype(np.float64)
        same = (a == b) | (np.isnan(a) & np.isnan(b)) | (
            (np.abs(b) > greatest) & (a == np.copysign(np.inf, b)))
        finite = np.isfinite(a) & np.isfinite(b)
        a, b = np.where(finite, a, 0), np.where(finite, b, 0)
        error = np.where(same, 0, np.where(finite, np.abs(a - b), np.inf))
        scale = max(np.abs(b).max(), 0.1)
        wrong = error > tolerance * scale + \
            rounding * np.maximum(np.abs(b), smallest)
    if not wrong.any():
        return None
    at = np.unravel_index(np.argmax(np.where(wrong, error, -1)), error.shape)
    return "%s instead of %s at %s (%d of %d points are wrong)" % (
        found[at], expected[at], list(map(int, at)), wrong.sum(), wrong.size)


def differences(kernel, found, expected, tolerance, rounding):
    """{name: what is wrong}"""
    result = {}
    for name, b in expected.items():
        if name not in found:
            result[name] = "there is no such result"
            continue
        tensor = kernel.tensors.get(name)
        own = RESULT_ROUNDING.get(tensor.dtype, 0) if tensor else 0
        f16 = RESULT_ROUNDING["f16"] in (own, rounding)
        if name.endswith(".final"):
            own = -rounding  # kept in the accumulation type
        last_place = max(rounding + own, own)
        wrong = compare(found[name], b, tolerance, last_place,
                        SMALLEST_F16 if last_place else 0,
                        GREATEST_F16 if f16 else np.inf)
        if wrong:
            result[name] = wrong
    return result


def is_far(found, expected):
    """Whether the relative RMS error is above what docs/Language.md allows for
    products of bf16 numbers."""
    if found.shape != expected.shape or expected.dtype.kind != "f":
        return True
    a, b = found.astype(np.float64), expected.astype(np.float64)
    if not (np.isfinite(a) == np.isfinite(b)).all():
        return True
    error = np.where(np.isfinite(b), a - b, 0)
    size = np.where(np.isfinite(b), b, 0)
    return np.square(error).mean() > 1e-4 * np.square(size).mean()


#===------------------------------------------------------------------------===#
# The forms of a kernel
#===------------------------------------------------------------------------===#


class Checker:

    def __init__(self, build, folder, flags=()):
        """`flags`: rondoc's, for all that is compiled here."""
        self.build, self.folder = build, folder
        self.conditions = 0  # comparisons given up
        self.has_products = has_bf16_products() and not {
            "--arch=x86-64-v2", "--arch=x86-64-v3"} & set(flags)
        os.makedirs(folder, exist_ok=True)

    def tool(self, name):
        return os.path.join(self.build, "bin", name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def compile(self, name, text, mode, options):
        """The path of the library; None: not a form of this kernel."""
        source, library = self.path(name + ".rondo"), \
            self.path("%s-%s.so" % (name, mode))
        with open(source, "w") as file:
            file.write(text)
        if os.path.exists(library):
            os.remove(library)
        code, output = execute([self.tool("rondoc"), source, "-o", library,
                                "--verify-each"] + options)
        if code == 0:
            return library
        if code == 1 and "compile it with --form=" in output and \
                any(option.startswith("--form=") for option in options):
            return None
        if code == 1 and mode == "step" and "no step by step form" in output:
            return None
        lines = [line for line in output.splitlines() if "error:" in line] or \
            [line for line in output.splitlines() if "warning:" not in line] \
            or ["no message"]
        raise Failure("refused" if code == 1 else "compiler",
                      "exit code %s with %s: %s" % (code, " ".join(options),
                                                    lines[0]))

    def compile_alone(self, kernel, plan, options, libraries):
        """Adds what `libraries` lacks, but the forms that the kernel lacks."""
        for mode in plan.modes:
            if mode not in libraries:
                library = self.compile(kernel.name, file_text(kernel), mode,
                                       plan.options[mode] + options)
                if library:
                    libraries[mode] = library

    def interpret(self, kernel, inputs, name="case"):
        source = self.path(name + ".rondo")
        with open(source, "w") as file:
            file.write(file_text(kernel))
        given, out = self.path(name + ".in"), self.path(name + ".out")
        safetensors.write(given, inputs)
        if os.path.exists(out):
            os.remove(out)
        code, output = execute([
            self.tool("rondo-run"), source, "--kernel=" + kernel.name,
            "--reference", "--in", given, "--out", out])
        if code != 0:
            raise Failure("interpreter", "exit code %s: %s" % (
                code, (output.strip().splitlines() or ["no message"])[0]))
        return safetensors.read(out)

    def evaluate(self, kernel, case):
        try:
            return Evaluator(kernel, case.sizes, case.inputs).results()
        except Exception as error:
            raise Failure("evaluator", "%s: %s" % (type(error).__name__,
                                                   error))

    def expect(self, kernel, case):
        """The interpreter's results; for tiny cases it is checked too."""
        case.expected = case.interpret(
            lambda inputs: self.interpret(kernel, inputs))
        if case.title != "tiny":
            return
        meaning = self.evaluate(kernel, case)
        wrong = differences(kernel, case.expected, meaning, 1e-9, 0)
        for name, what in wrong.items():
            raise Failure("interpreter", "%s of %s is %s" % (name, case, what))

    def call_all(self, kernel, plan, drawn, libraries):
        """[(mode, case, results or a sentence)], from a process of its own,
        as compiled code may do anything."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reader)
                signal.alarm(TIME_LIMIT)
                rng = np.random.default_rng(plan.seed)
                with os.fdopen(writer, "wb") as pipe:
                    for mode, library in libraries.items():
                        for i, case in enumerate(drawn):
                            call = self.call_by_tool if mode in CALLED \
                                else self.call
                            pickle.dump((mode, i, call(
                                kernel, case, library, rng, mode)), pipe)
                            pipe.flush()
            finally:
                os._exit(0)
        os.close(writer)
        done = []
        with os.fdopen(reader, "rb") as pipe:
            while True:
                try:
                    done.append(pickle.load(pipe))
                except (EOFError, pickle.UnpicklingError):
                    break
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            mode = list(libraries)[len(done) // len(drawn)]
            raise Failure("compiled", "%s in %s code, %s" % (
                "it takes more than %d seconds" % TIME_LIMIT
                if number == signal.SIGALRM else
                signal.Signals(number).name, mode,
                drawn[len(done) % len(drawn)]))
        return done

    def call(self, kernel, case, library, rng, mode):
        try:
            info = artifact.open_library(library)[kernel.name]
            return case.call(info, rng)
        except Exception as error:
            return "%s: %s" % (type(error).__name__, error)

    def call_by_tool(self, kernel, case, library, rng, mode):
        if type(case) is not cases.Case or \
                mode == "step" and case.sizes.get("T") == 0:
            return None
        given, out = self.path("call.in"), self.path("call.out")
        safetensors.write(given, case.inputs)
        if os.path.exists(out):
            os.remove(out)
        code, output = execute(
            [self.tool("rondo-run"), library, "--kernel=" + kernel.name,
             "--in", given, "--out", out] + CALLED[mode])
        if code != 0:
            return "exit code %s: %s" % (
                code, (output.strip().splitlines() or ["no message"])[0])
        return safetensors.read(out)

    def is_ill_conditioned(self, kernel, case, names, found, mode):
        """Whether rounding the arguments and the values of equations and
        functions explains the differences."""
        _, rounding, unit = MODES[mode]
        spread = {name: 0.0 for name in names}
        changed = {name: False for name in names}
        # Each changes a comparison of equal numbers with odds of one half. The
        # states that Newton's method leaves are off by parts of 1, if small:
        # what compares them is moved as far, too.
        far = [0.0] + [NEWTON_DEFECT * unit] * (
            mode == "newton" and
            any(case.expected[name].dtype.kind != "f" for name in names))
        for attempt, defect in itertools.product(range(8), far):
            rng = np.random.default_rng(attempt)
            inputs = {
                name: x * (1 + unit * rng.choice([-1.0, 1.0], x.shape))
                if x.dtype.kind == "f" else x
                for name, x in case.inputs.items()}
            inputs = {name: np.asarray(x) for name, x in inputs.items()}
            moved = self.move(kernel, unit, defect, rng)
            case.inputs, given = inputs, case.inputs
            other = case.interpret(
                lambda inputs: self.interpret(moved, inputs, "moved"))
            case.inputs = given
            for name in names:
                a, b = other[name], case.expected[name]
                if a.dtype.kind != "f" or a.size == 0:
                    changed[name] = changed[name] | (a != b)
                    continue
                if defect:
                    continue
                with np.errstate(invalid="ignore"):
                    spread[name] = np.fmax(spread[name], np.abs(a - b))
        for name in names:
            a, b = found[name], case.expected[name]
            if a.shape != b.shape:
                return False
            if a.dtype.kind != "f":
                if not (changed[name] | (a == b)).all():
                    return False
                continue
            error = np.abs(a.astype(float) - b)
            if not (error <= 100 * np.max(spread[name]) +
                    2 * rounding * np.abs(b)).all():
                return False
        return True

    def move(self, kernel, unit, defect, rng):
        """Every real equation and function off by one rounding, equations by
        `defect` too."""
        def rounded(value):
            return binary("*", value, number(
                1 + float(unit * rng.choice([-1.0, 1.0]))))

        moved = copy.deepcopy(kernel)
        for e in moved.equations:
            for node in list(e.expr.walk()):
                node.args = [
                    rounded(arg) if isinstance(arg, Node) and
                    arg.op == "call" and arg.kind == REAL and not arg.exact
                    else arg for arg in node.args]
            if moved.tensors[e.tensor].kind == REAL:
                e.expr = rounded(e.expr)
                if defect:
                    e.expr = binary("+", e.expr, number(
                        float(defect * rng.choice([-1.0, 1.0]))))
        return moved

    def judge(self, kernel, case, mode, found):
        """Raises when compiled results differ from the interpreter's."""
        if isinstance(found, str):
            raise Failure("compiled", "%s code on %s: %s" % (mode, case,
                                                             found))
        if mode in ROUNDED and kernel.jumps:
            return  # rounding may take another branch
        tolerance, rounding, _ = MODES[mode]
        wrong = differences(kernel, found, case.expected, tolerance, rounding)
        if mode == "bf16" and self.has_products and all(
                t.dtype in ("", "bf16") for t in kernel.tensors.values()
                if t.kind == REAL and t.role in ("argument", "result")):
            wrong = {name: what for name, what in wrong.items()
                     if is_far(found[name], case.expected[name])}
        if not wrong:
            return
        if self.is_ill_conditioned(kernel, case, wrong, found, mode):
            self.conditions += 1
            return
        for name, what in wrong.items():
            raise Failure("compiled", "%s of %s in %s code is %s" % (
                name, case, mode, what))

    def check(self, kernel, plan, libraries):
        """Raises a Failure. `libraries` by mode, made with plan.bound."""
        drawn = plan.cases(kernel)
        for case in drawn:
            self.expect(kernel, case)
        for mode, i, found in self.call_all(kernel, plan, drawn, libraries):
            if found is None:  # not for this case
                continue
            self.judge(kernel, drawn[i], mode, found)

    def check_alone(self, kernel, plan, options):
        """Compiles a kernel by itself and checks it."""
        libraries = {}
        self.compile_alone(kernel, plan, options, libraries)
        self.check(kernel, plan, libraries)
