#!/usr/bin/env python3
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs CUDA libraries without a GPU: every launch goes to an interpreter of PTX.

  run.py --build BUILD --golden DIR [--only NAME,..] [--dtype f32] [--examples]
         [--bind K=16,V=16]
  run.py --build BUILD --program FILE --sizes B=2,T=3,D=16 [--sizes ..]

Programs are compiled with --target=cuda and called through their generic entry,
with random layouts, like any library, a program of one's own with sizes that
are fixed when it is compiled, but for B and T. libcuda.so.1 is fake_cuda.c, whose
launches ptx.py executes: it also checks addresses and races. Results are
compared with the golden files, or with --examples with the formulas of
test/numerics, or those of a program with the interpreter's. Prints one line per case; exit code 1 if one fails.
"""

import argparse
import ctypes as c
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE] + [os.path.join(ROOT, "test", part)
                         for part in ("random", "numerics", "programs")]

import numpy as np  # noqa: E402

import artifact  # noqa: E402
import ptx  # noqa: E402
import safetensors  # noqa: E402

TOLERANCE = {"f32": 2e-5, "bf16": 1e-2, "f16": 2e-3, "f64": 1e-10}
LAUNCH = c.CFUNCTYPE(c.c_int, c.c_char_p, c.c_char_p, *[c.c_uint] * 7,
                     c.POINTER(c.c_void_p))


class Device:
    """The fake driver and the memory of its device."""

    text = ""  # of the library, where its code is not PTX
    most_shared = 227 * 1024  # bytes of a block: of sm_90

    def __init__(self, build, races=True):
        # Loaded before any kernel, which then gets it by its name.
        self.driver = c.CDLL(os.path.join(build, "test", "gpu", "libcuda.so.1"),
                             mode=c.RTLD_GLOBAL)
        self.callback = LAUNCH(self.launch)
        self.driver.fake_set_launch(self.callback)
        self.memory, self.modules, self.problem = ptx.Memory(), {}, None
        self.races, self.launches, self.executed = races, [], 0

    def launch(self, code, name, gx, gy, gz, bx, by, bz, shared, params):
        try:
            if code.startswith(b"\x7fELF"):
                code = self.text.encode()
            if code not in self.modules:
                self.modules[code] = ptx.Module(code.decode())
            kernel = self.modules[code].kernels[name.decode()]
            block = bytearray(kernel.param_bytes)
            for i, (_, offset, size) in enumerate(kernel.params):
                block[offset:offset + size] = c.string_at(params[i], size)
            self.launches.append((name.decode(), (gx, gy, gz), (bx, by, bz)))
            if shared > self.most_shared:
                raise ptx.Fault(f"{shared} bytes of shared memory are asked for, "
                                f"blocks have {self.most_shared}")
            self.executed += ptx.run(kernel, bytes(block), (gx, gy, gz),
                                     (bx, by, bz), shared, self.memory, self.races)
            return 0
        except Exception as problem:  # must not leave through C
            self.problem = problem
            return 700

    def fresh(self):
        self.memory, self.problem = ptx.Memory(), None
        self.launches, self.executed = [], 0


def error_of(found, expected):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return float("inf")
    if not found.size:
        return 0.0
    if (np.isfinite(found) != np.isfinite(expected)).any():
        return float("inf")
    good = np.isfinite(expected)
    scale = np.sqrt(np.mean(expected[good] ** 2)) if good.any() else 0.0
    error = np.sqrt(np.mean((found - expected)[good] ** 2)) if good.any() else 0.0
    return float(error / scale) if scale > 1e-30 else float(error)


def compile_program(options, folder, path, dtype, extra=()):
    library = os.path.join(folder, f"lib{os.path.basename(path).split('.')[0]}_{dtype}.so")
    command = [os.path.join(options.build, "bin", "rondoc"), path, "--target=cuda",
               "--arch=" + options.arch, "--dtype=" + dtype, "-o", library, *extra,
               *options.compile]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(" ".join(command) + "\n" + result.stderr)
    if options.arch.endswith("a"):  # a cubin may be taken, which is not PTX
        command[command.index(library)] = library + ".ptx"
        subprocess.run([*command, "--emit=ptx"], check=True, capture_output=True)
        with open(library + ".ptx") as file:
            Device.text = file.read()
    return library


def check(device, info, sizes, inputs, expected, tolerance, seed, plain=False,
          boundaries=None):
    """(worst error, message)"""
    device.fresh()
    rng = np.random.default_rng(seed)
    try:
        results = artifact.call_kernel(info, sizes, inputs, rng, plain=plain,
                                       memory=device.memory, boundaries=boundaries)
    except artifact.CallError as error:
        return float("inf"), str(device.problem or error)
    worst, which = 0.0, ""
    for name, value in expected.items():
        if name not in results:
            continue
        error = error_of(results[name], value)
        if not error <= worst:
            worst, which = error, name
    return worst, "" if worst <= tolerance else which


def sizes_of(info, tensors):
    """Sizes by the shapes of the tensors given."""
    sizes = {}
    names = [info.sizes[i].name.decode() for i in range(info.num_sizes)]
    for i in range(info.num_tensors):
        entry = info.tensors[i]
        name = entry.name.decode()
        if name not in tensors:
            continue
        for dim in range(entry.rank):
            expr = entry.shape[dim]
            if expr.num_ops == 1 and expr.ops[0].op == 1:
                sizes[names[expr.ops[0].value]] = tensors[name].shape[dim]
    for i in range(info.num_tensors):  # H/G
        entry = info.tensors[i]
        name = entry.name.decode()
        for dim in range(entry.rank):
            expr = entry.shape[dim]
            ops = [(expr.ops[j].op, expr.ops[j].value) for j in range(expr.num_ops)]
            if len(ops) == 3 and ops[2][0] == 5 and name in tensors and \
                    ops[0][0] == ops[1][0] == 1:
                whole, part = names[ops[0][1]], names[ops[1][1]]
                if part not in sizes and whole in sizes and tensors[name].shape[dim]:
                    sizes[part] = sizes[whole] // tensors[name].shape[dim]
    return sizes


def run_golden(options, device, folder):
    failed = 0
    for file in sorted(os.listdir(options.golden)):
        stem, ending = os.path.splitext(file)
        if ending != ".safetensors" or (options.only and stem not in options.only):
            continue
        program = os.path.join(ROOT, "examples", stem + ".rondo")
        for dtype in options.dtype:
            start = time.time()
            try:
                library = compile_program(options, folder, program, dtype)
                info = next(iter(artifact.open_library(library).values()))
                tensors = safetensors.read(os.path.join(options.golden, file))
                sizes = sizes_of(info, tensors)
                expected = {info.tensors[i].name.decode() for i in range(info.num_tensors)
                            if info.tensors[i].role >= 2}
                inputs = {k: v for k, v in tensors.items() if k not in expected}
                worst, problem = check(
                    device, info, sizes, inputs,
                    {k: v for k, v in tensors.items() if k in expected},
                    TOLERANCE[dtype], 1)
            except Exception as error:
                worst, problem = float("inf"), f"{type(error).__name__}: {error}"
            ok = worst <= TOLERANCE[dtype] and not problem
            failed += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {stem} {dtype} {worst:.2e} "
                  f"{device.executed} instructions {time.time() - start:.1f} s {problem}",
                  flush=True)
    return failed


def run_examples(options, device, folder):
    from example import EXAMPLES
    import formulas  # noqa: F401 (fills EXAMPLES)
    failed = 0
    for name, example in sorted(EXAMPLES.items()):
        if options.only and name not in options.only:
            continue
        for dtype in options.dtype:
            if dtype not in example.modes:
                continue
            program = os.path.join(ROOT, "examples", name + ".rondo")
            start, worst, problem = time.time(), 0.0, ""
            try:
                extra = ["--kernel=" + example.kernel] if example.kernel else []
                if options.bind:
                    extra.append("--dims=" + options.bind)
                library = compile_program(options, folder, program, dtype, extra)
                info = next(iter(artifact.open_library(library).values()))
                for seed, length in enumerate(options.times):
                    rng = np.random.default_rng(seed)
                    sizes = example.draw_sizes(rng, length)
                    for text in filter(None, options.bind.split(",")):
                        size, _, number = text.partition("=")
                        sizes[size] = int(number)
                    tensors = example.draw(rng, sizes, initial=seed % 2 == 1)
                    if dtype in ("bf16", "f16"):
                        tensors = {
                            k: round_to(v, dtype) if v.dtype.kind == "f" and
                            k not in example.fixed else v for k, v in tensors.items()}
                    elif dtype == "f32":
                        tensors = {k: v.astype(np.float32).astype(np.float64)
                                   if v.dtype.kind == "f" else v
                                   for k, v in tensors.items()}
                    boundaries = None
                    if options.packed:
                        sizes, tensors, expected, boundaries = pack(
                            info, example, rng, sizes, length)
                    else:
                        expected = example.expect(tensors, sizes)
                    error, message = check(device, info, sizes, tensors, expected,
                                           TOLERANCE[dtype] * example.loosen, seed,
                                           boundaries=boundaries)
                    if message or error > worst:
                        worst, problem = error, problem or message and \
                            f"T = {length}, sizes {sizes}: {message}"
            except Exception as error:
                worst, problem = float("inf"), f"{type(error).__name__}: {error}"
            ok = not problem
            failed += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {name} {dtype} {worst:.2e} "
                  f"{time.time() - start:.1f} s {problem}", flush=True)
    return failed


def run_program(options, device, folder):
    import compare
    failed = 0
    for dtype in options.dtype:
        for text in options.sizes:
            sizes = {k: int(v) for k, v in (part.split("=") for part in text.split(","))}
            dims = ",".join(f"{k}={v}" for k, v in sizes.items() if k not in "BT")
            extra = ["--dims=" + dims] if dims and not options.unbound else []
            own = os.path.join(folder, text)  # a library of its own
            os.makedirs(own, exist_ok=True)
            library = compile_program(options, own, options.program, dtype, extra)
            info = next(iter(artifact.open_library(library).values()))
            rng = np.random.default_rng(len(text))
            inputs = {k: round_to(v, dtype) if dtype != "f32" and v.dtype.kind == "f" else v
                      for k, v in compare.make_inputs(library, sizes, rng).items()}
            given, out = (os.path.join(folder, name) for name in ("in", "out"))
            safetensors.write(given, inputs)
            subprocess.run([os.path.join(options.build, "bin", "rondo-run"), options.program,
                            *extra, "--reference", "--in", given, "--out", out],
                           check=True, capture_output=True)
            expected = safetensors.read(out)
            worst, problem = check(device, info, sizes, inputs, expected,
                                   TOLERANCE[dtype], 1)
            ok = worst <= TOLERANCE[dtype] and not problem
            failed += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {text} {dtype} {worst:.2e} {problem}", flush=True)
    return failed


def pack(info, example, rng, sizes, length):
    """Sequences of `length`, 0, 1 and 5 steps in one, and what each gives."""
    names = [info.sizes[i].name.decode() for i in range(info.num_sizes)]
    time, batch = names[info.time_size], names[info.sequence_size]
    entries = {info.tensors[i].name.decode(): info.tensors[i]
               for i in range(info.num_tensors)}
    lengths, parts = [length, 0, 1, 5], []
    for each in lengths:
        own = {**sizes, batch: 1, time: each}
        tensors = example.draw(rng, own, initial=False)
        if parts:  # what all sequences share
            tensors.update({k: v for k, v in parts[0][0].items() if k in entries and
                            not artifact.has_dim(entries[k], info.time_size)})
        tensors = {k: v.astype(np.float32).astype(np.float64) if v.dtype.kind == "f"
                   else v for k, v in tensors.items()}
        parts.append((tensors, example.expect(tensors, own)))
    joined = [
        {k: np.concatenate([part[which][k] for part in parts],
                           1 if artifact.has_dim(entries[k], info.time_size) else 0)
         if artifact.has_dim(entries[k], info.sequence_size) else parts[0][which][k]
         for k in parts[0][which] if k in entries} for which in (0, 1)]
    return {**sizes, batch: 1, time: sum(lengths)}, *joined, \
        np.cumsum([0, *lengths])


def round_to(x, dtype):
    if dtype == "f16":
        return x.astype(np.float16).astype(np.float64)
    return artifact.from_bf16(artifact.to_bf16(x)).astype(np.float64)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--golden", default=os.environ.get("RONDO_GOLDEN"))
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--dtype", type=lambda text: text.split(","), default=["f32"])
    parser.add_argument("--arch", default="sm_80")
    parser.add_argument("--times", type=lambda text: [int(x) for x in text.split(",")],
                        default=[5, 1, 0, 9])
    parser.add_argument("--examples", action="store_true")
    parser.add_argument("--bind", default="", help="sizes fixed when compiled: K=16,V=8")
    parser.add_argument("--packed", action="store_true",
                        help="several sequences in one (f32)")
    parser.add_argument("--program", help="a program of one's own")
    parser.add_argument("--sizes", action="append", default=[])
    parser.add_argument("--unbound", action="store_true",
                        help="fix no sizes when compiling a program")
    parser.add_argument("--no-races", action="store_true")
    parser.add_argument("compile", nargs="*", help="options of rondoc, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        device = Device(options.build, races=not options.no_races)
        if options.arch == "sm_80":
            device.most_shared = 163 * 1024
        if options.arch.endswith("a"):  # runs on that capability alone
            device.driver.fake_set_devices(1, int(options.arch[3:-1]) // 10)
        run = run_program if options.program else \
            run_examples if options.examples else run_golden
        sys.exit(1 if run(options, device, folder) else 0)


if __name__ == "__main__":
    main()
