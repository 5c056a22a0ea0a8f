#===- models.py - Random models with matrix states --------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Models of the class that goes by chunks, put together at random: features of
keys, a decay, what is written, how it is read, what follows. They run on random
arguments, interpreted and compiled in f32 and bf16.

    models.py --build build                  60 models that are always the same
    models.py --build build --fresh 20       20 more that are never the same
    models.py --build build --first 7 --count 1 --print
    models.py --build build --ptx sm_90a     code for CUDA, by the interpreter
                                             of PTX (test/gpu/)
    models.py --build build --prepare FOLDER code for CUDA, inputs and results, for
                                             `utils/gpu-check.py run FOLDER`

The last line is `models: N passed, N failed`; exit code 1 if one failed."""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "test", part)
                for part in ("gpu", "numerics", "programs")]

import numpy as np  # noqa: E402

import run as ptx_run  # noqa: E402  (before others change the path)
import artifact  # noqa: E402
import compare  # noqa: E402
import safetensors  # noqa: E402

TOLERANCE = {"f32": 2e-5, "bf16": 1e-2}
FORMS = [["--form=auto"], ["--form=chunked"],
         ["--form=chunked", "--chunk=64"], ["--form=sequential"]]

NORM = "sqrt((sum[m] %s[t, m] ^ 2) + 1e-6)"
KEYS = [  # of k, and the arguments that they need
    ("kk[t, i] = k[t, i] / sqrt(K)", ""),
    ("kk[t, i] = k[t, i] * r" + NORM % "k", ""),
    ("kk[t, i] = k[t, i] / " + NORM % "k", ""),
    ("ks[t, i] = silu(k[t, i])\n  kk[t, i] = ks[t, i] / " + NORM % "ks", ""),
    ("kk[t, i] = softmax[i] k[t, i]", ""),
    ("kk[t, i] = 0.8 / sqrt(K) * (if k[t, i] > 0 then k[t, i] + 1 else exp(k[t, i]))", ""),
    ("kk[t, i] = k[t, i] / sqrt(K) * tanh(s[t])", "s: [B, T, H]"),
]
DECAYS = [  # the factor of the state, what it is, the arguments
    ("", "", ""),
    ("0.95 * ", "", ""),
    ("a * ", "a = sigmoid(g + 3)", "g: [H]"),
    ("a[t] * ", "a[t] = exp(-softplus(g[t]))", "g: [B, T, H]"),
    ("a[t] * ", "a[t] = sigmoid(g[t] + 2)", "g: [B, T, H]"),
    ("a[t, i] * ", "a[t, i] = exp(-softplus(g[t, i]))", "g: [B, T, H, K]"),
    ("a[t, i] * ", "a[t, i] = sigmoid(g[t, i] + 3)", "g: [B, T, H, K]"),
    ("a[t, i] * ", "a[t, i] = 0.1 + 0.9 * sigmoid(g[t, i])", "g: [B, T, H, K]"),
]
WRITES = ["plain", "plain", "strength", "gate", "forget", "two", "delta",
          "delta", "delta, undecayed"]
AFTER = ["", "", "skip", "gate", "rms", "normaliser"]


class Model:
    """A program and a line that tells of it."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.arguments = ["q, k: [B, T, H, K]", "v: [B, T, H, V]"]
        self.states, self.equations = ["state S: [K, V]"], []
        self.turned = rng.random() < 0.25
        if self.turned:
            self.states = ["state S: [V, K]"]
        if rng.random() < 0.2:
            self.states[0] += " = 0.1"
        keys, extra = rng.choice(KEYS)
        self.add(keys, extra)
        self.decay, text, extra = rng.choice(DECAYS)
        self.add(text, extra)
        write, after = rng.choice(WRITES), rng.choice(AFTER)
        self.add("%s = %s%s + %s" % (self.state("t", "i"), self.decay,
                                     self.state("t-1", "i"),
                                     self.written(write)))
        query = "q[t, i]"
        if rng.random() < 0.35:
            self.add("qq[t, i] = q[t, i] * r" + NORM % "q")
            query = "qq[t, i]"
        how = rng.choice(["after", "after", "after", "before", "bonus", "both"])
        read = self.read(how, query) + rng.choice(["", " / sqrt(K)", " * 0.25"])
        self.follow(after, read, query, write)
        self.title = "%s; %s; %s; %s, %s" % (keys.split("=")[-1].strip(),
                                             text or "no decay", write, how,
                                             after or "nothing")

    def add(self, equation, argument=""):
        if equation:
            self.equations.append(equation)
        if argument:
            self.arguments.append(argument)

    def state(self, t, i):
        return "S[%s, j, %s]" % (t, i) if self.turned else \
            "S[%s, %s, j]" % (t, i)

    def written(self, write):
        if write in ("strength", "two", "delta", "delta, undecayed"):
            self.add("b[t] = sigmoid(beta[t])", "beta: [B, T, H]")
        past = self.state("t-1", "m")
        if write == "gate":
            self.add("z[t, j] = sigmoid(zv[t, j])", "zv: [B, T, H, V]")
            return "kk[t, i] * z[t, j] * v[t, j]"
        if write == "forget":
            left = "(1 - a[t, i]) * " if "i]" in self.decay else ""
            return left + "kk[t, i] * v[t, j]"
        if write == "two":
            return "b[t] * kk[t, i] * v[t, j] + " \
                "(1 - b[t]) * kk[t, i] * tanh(v[t, j])"
        if write == "delta":
            return "b[t] * kk[t, i] * (v[t, j] - sum[m] kk[t, m] * %s%s)" % (
                self.decay.replace("i]", "m]"), past)
        if write == "delta, undecayed":
            return "b[t] * kk[t, i] * v[t, j] - " \
                "kk[t, i] * b[t] * sum[m] kk[t, m] * " + past
        return ("b[t] * " if write == "strength" else "") + "kk[t, i] * v[t, j]"

    def read(self, how, query):
        now, before = self.state("t", "i"), self.state("t-1", "i")
        if how == "bonus":
            self.add("", "u: [H, K]")
            return "(sum[i] %s * (%s + u[i] * kk[t, i] * v[t, j]))" % (query,
                                                                    before)
        if how == "both":
            return "0.5 * (sum[i] kk[t, i] * %s) + (sum[i] %s * %s)" % (
                before, query, now)
        return "(sum[i] %s * %s)" % (query, before if how == "before" else now)

    def follow(self, after, read, query, write):
        if after == "rms":
            self.add("y[t, j] = " + read)
            read = "y[t, j] * rsqrt((sum[n] y[t, n] ^ 2) / V + 1e-2)"
        if after == "skip":
            self.add("", "D: [H]")
            read += " + D * v[t, j]"
        if after == "gate":
            self.add("", "zo: [B, T, H, V]")
            read = "(%s) * silu(zo[t, j])" % read
        if after == "normaliser" and write in ("plain", "strength"):
            self.states.append("state n: [K]")
            strength = "b[t] * " if write == "strength" else ""
            self.add("n[t, i] = %sn[t-1, i] + %skk[t, i]" % (self.decay, strength))
            read = "(%s) / max(abs(sum[i] %s * n[t, i]), 1)" % (read, query)
        self.add("o[t, j] = " + read)

    def text(self):
        return "kernel m(%s) -> (o: [B, T, H, V]) {\n  %s\n}\n" % (
            ", ".join(self.arguments),
            "\n  ".join(["batch B, H", *self.states, *self.equations]))


class Runner:

    def __init__(self, options):
        self.options = options
        self.dims = "--dims=K=%d,V=%d" % (options.keys, options.values)
        self.device, self.plan = None, []
        if options.ptx:
            self.device = ptx_run.Device(options.build)
            if options.ptx.endswith("a"):  # runs on that capability alone
                self.device.driver.fake_set_devices(
                    1, int(options.ptx[3:-1]) // 10)

    def tool(self, name, *arguments):
        """None, or what went wrong."""
        command = [os.path.join(self.options.build, "bin", name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode and (done.stdout + done.stderr).strip()

    def check(self, seed, folder):
        """Problems of one model."""
        program = os.path.join(folder, "m.rondo")
        with open(program, "w") as file:
            file.write(Model(seed).text())
        problems = []
        for dtype in self.options.dtypes:
            for time_ in self.options.times:
                for form, error in self.errors(seed, folder, program, dtype,
                                               time_):
                    if not isinstance(error, float) or \
                            not error <= TOLERANCE[dtype]:
                        problems.append("%s %s T=%d: %s" % (dtype, form, time_,
                                                            error))
        return problems

    def errors(self, seed, folder, program, dtype, length):
        few = 1 if self.device else 2
        sizes = {"B": few, "T": length, "H": few, "K": self.options.keys,
                 "V": self.options.values}
        first = os.path.join(folder, "first.so")
        problem = self.tool("rondoc", program, "--form=sequential", self.dims,
                            "--dtype=" + dtype, "-o", first)
        if problem:
            yield "compile", problem
            return
        rng = np.random.default_rng(seed)
        inputs = {name: ptx_run.round_to(x, dtype) if dtype == "bf16" else x
                  for name, x in compare.make_inputs(first, sizes, rng).items()}
        given, out = (os.path.join(folder, name) for name in ("in", "out"))
        safetensors.write(given, inputs)
        problem = self.tool("rondo-run", program, self.dims, "--reference",
                            "--in", given, "--out", out)
        if problem:
            yield "interpreter", problem
            return
        expected = safetensors.read(out)
        if self.options.prepare:
            yield "prepare", self.save(program, dtype, {**inputs, **expected},
                                       "m%d_%s_%d" % (seed, dtype, length))
            return
        if self.device:
            yield "on tiles", self.on_device(folder, program, dtype, sizes,
                                             inputs, expected, seed)
            return
        for form in FORMS:
            library = os.path.join(folder, dtype + "".join(form) + ".so")
            problem = self.tool("rondoc", program, self.dims, *form,
                                "--dtype=" + dtype, "-o", library)
            if problem:
                if "--chunk=64" not in form:
                    yield " ".join(form), problem
                continue
            info = next(iter(artifact.open_library(library).values()))
            results = artifact.call_kernel(info, sizes, inputs, rng)
            yield " ".join(form), max(
                ptx_run.error_of(results[name], expected[name])
                for name in expected)

    def save(self, program, dtype, tensors, name):
        folder = self.options.prepare
        problem = self.tool("rondoc", program, self.dims, "--target=cuda",
                            "--arch=" + self.options.chip, "--dtype=" + dtype,
                            "-o", os.path.join(folder, "lib%s.so" % name))
        if problem:
            return problem
        safetensors.write(os.path.join(folder, name + ".safetensors"), tensors)
        self.plan.append([name, dtype, "lib%s.so" % name, name + ".safetensors"])
        return 0.0

    def on_device(self, folder, program, dtype, sizes, inputs, expected, seed):
        own = os.path.join(folder, "%s%d" % (dtype, sizes["T"]))
        os.makedirs(own)
        options = types.SimpleNamespace(build=self.options.build, compile=[],
                                        arch=self.options.ptx)
        library = ptx_run.compile_program(options, own, program, dtype,
                                          [self.dims])
        info = next(iter(artifact.open_library(library).values()))
        error, problem = ptx_run.check(self.device, info, sizes, inputs,
                                       expected, TOLERANCE[dtype], seed)
        explained = subprocess.run(
            [os.path.join(self.options.build, "bin", "rondoc"), program,
             self.dims, "--target=cuda", "--arch=" + self.options.ptx,
             "--dtype=" + dtype, "--explain", "--emit=forms", "-o", own + "/forms"],
            capture_output=True, text=True)
        if "a program on tiles" not in explained.stdout + explained.stderr:
            return "it does not run on tiles"
        return error if error <= TOLERANCE[dtype] else "%s: %g" % (problem, error)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--fresh", type=int, default=0,
                        help="models with seeds from the clock")
    parser.add_argument("--ptx", help="a chip, for code for CUDA")
    parser.add_argument("--prepare", help="a folder to write")
    parser.add_argument("--chip", default="sm_90a", help="for --prepare")
    parser.add_argument("--dtypes", type=lambda text: text.split(","),
                        default=["f32", "bf16"])
    parser.add_argument("--times", type=lambda text: [
        int(x) for x in text.split(",")], default=[70])
    parser.add_argument("--keys", type=int, default=24)
    parser.add_argument("--values", type=int, default=17)
    parser.add_argument("--print", action="store_true",
                        help="write the models, too")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    seeds = list(range(options.first, options.first + options.count))
    start = int(time.time()) % 10 ** 8 * 1000
    seeds += range(start, start + options.fresh)
    if options.prepare:
        os.makedirs(options.prepare, exist_ok=True)
        for file in ("random/artifact.py", "numerics/safetensors.py"):
            shutil.copy(os.path.join(ROOT, "test", file), options.prepare)
    runner, failed = Runner(options), 0
    for seed in seeds:
        model = Model(seed)
        if options.print:
            print(model.text())
        with tempfile.TemporaryDirectory() as folder:
            try:
                problems = runner.check(seed, folder)
            except Exception as error:
                problems = ["%s: %s" % (type(error).__name__, error)]
        failed += bool(problems)
        for problem in problems:
            print("FAIL seed %d (%s) %s" % (seed, model.title, problem),
                  flush=True)
    if options.prepare:
        with open(os.path.join(options.prepare, "plan.json"), "w") as file:
            json.dump(runner.plan, file)
    print("models: %d passed, %d failed" % (len(seeds) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
