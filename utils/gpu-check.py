#!/usr/bin/env python3
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks and times compiled kernels on a machine with a GPU.

  gpu-check.py prepare FOLDER --build BUILD --golden GOLDEN [--arch sm_90a]
  gpu-check.py run FOLDER [--only NAME,..]

`prepare` compiles the programs and copies their golden files where there is a
compiler; the folder is all that the other machine needs beside Python with
torch. `run` calls every library on the device, compares with the golden values
(one line each: name, dtype, error). Exit code 1 if a result is wrong.
`compute-sanitizer python3 gpu-check.py run FOLDER` finds accesses out of range
and races. bench/cuda/run.py times kernels.
"""

import argparse
import ctypes as c
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Also with sizes that are known, and in forms that are asked for.
VARIANTS = [("selective_scan", {"dims": "N=16"}), ("lstm", {"dims": "D=40"}),
            ("lstm", {"dims": "D=40", "dtype": "bf16"}), ("para_gru", {"form": "newton"}),
            ("para_gru", {"form": "sequential"})]
TOLERANCE = {"f32": 2e-5, "bf16": 1e-2, "f16": 2e-3, "f64": 1e-10}


def prepare(options):
    os.makedirs(options.folder, exist_ok=True)
    for file in ("random/artifact.py", "numerics/safetensors.py"):
        shutil.copy(os.path.join(ROOT, "test", file), options.folder)
    shutil.copy(os.path.abspath(__file__), options.folder)
    rondoc = os.path.join(options.build, "bin", "rondoc")
    plan = []

    def compile_(program, dtype, name, extra=()):
        library = f"lib{name}.so"
        command = [rondoc, os.path.join(ROOT, "examples", program + ".rondo"),
                   "--target=cuda", "--arch=" + options.arch, "--dtype=" + dtype,
                   "-o", os.path.join(options.folder, library), *extra]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            print(" ".join(command), result.stderr, sep="\n")
            return None
        os.remove(os.path.join(options.folder, name + ".h"))
        return library

    for file in sorted(os.listdir(options.golden)):
        name = file.split(".")[0]
        shutil.copy(os.path.join(options.golden, file), options.folder)
        for dtype in ("f32", "bf16"):
            library = compile_(name, dtype, f"{name}_{dtype}")
            if library:
                plan.append([name, dtype, library, file])
    for name, extra in VARIANTS:
        dims = dict(part.split("=") for part in extra.get("dims", "").split(",") if part)
        options_ = ["--dims=" + extra["dims"]] if dims else []
        options_ += ["--form=" + extra["form"]] if "form" in extra else []
        dtype = extra.get("dtype", "f32")
        label = f"{name}_{extra.get('form', 'bound')}_{dtype}"
        library = compile_(name, dtype, label, options_)
        if library:
            plan.append([name, dtype, library, name + ".safetensors"])
    with open(os.path.join(options.folder, "plan.json"), "w") as file:
        json.dump(plan, file)
    print(f"{len(plan)} checks")
    return 0


class Call:
    """A kernel's arguments on the device."""

    def __init__(self, artifact, info, sizes, tensors, stream):
        import numpy as np
        import torch
        self.info, self.artifact, self.keep, self.outputs = info, artifact, [], {}
        names = [info.sizes[i].name.decode() for i in range(info.num_sizes)]
        values = [sizes.get(n, info.sizes[i].bound) for i, n in enumerate(names)]
        self.values = {}  # tensors by their number
        self.pointers = (c.POINTER(artifact.DLTensor) * max(1, info.num_tensors))()
        self.bytes = 0
        types = {1: torch.float16, 2: torch.bfloat16, 3: torch.float32,
                 4: torch.float64, 5: torch.int32, 6: torch.int64, 7: torch.bool}
        for i in range(info.num_tensors):
            entry = info.tensors[i]
            name = entry.name.decode()
            shape = artifact.shape_of(entry, values)
            is_input = entry.role < 2
            if is_input and entry.flags & 1 and (tensors is None or name not in tensors):
                continue
            value = entry.role == 0 and entry.rank == 0
            device = "cpu" if value else "cuda"
            if not is_input:
                if tensors is None and entry.flags & 1:
                    continue
                x = torch.full(shape, 77, dtype=types[entry.dtype], device=device)
                self.outputs[name] = x
            elif tensors is None:
                x = 0.1 * torch.randn(shape, device=device)
                if name in ("A", "g", "dt"):
                    x = -x.abs() if name != "dt" else x.abs()
                x = x.to(types[entry.dtype])
            else:
                x = torch.from_numpy(np.array(tensors[name])).to(types[entry.dtype]).to(device)
            if is_input:
                self.values[i] = x
            self.bytes += x.numel() * x.element_size()
            _, code, bits = artifact.DTYPES[entry.dtype]
            dims = (c.c_int64 * max(1, len(shape)))(*shape)
            tensor = artifact.DLTensor(x.data_ptr(), 1 if value else 2, 0, len(shape),
                                       code, bits, 1, dims, None, 0)
            self.keep.append((x, dims, tensor))
            self.pointers[i] = c.pointer(tensor)
        self.error = c.create_string_buffer(1024)
        self.context = artifact.Context(c.sizeof(artifact.Context), 1)
        self.context.error, self.context.error_size = c.addressof(self.error), 1024
        self.context.cuda_stream = stream.cuda_stream
        need = c.c_size_t()
        self.ok(info.call_workspace_size(self.pointers, info.num_tensors,
                                         c.byref(self.context), c.byref(need)))
        self.workspace = torch.empty(need.value + 64, dtype=torch.uint8, device="cuda")
        self.workspace.fill_(0xA5)
        self.need = need.value
        self.start = self.workspace.data_ptr() + (-self.workspace.data_ptr()) % 64

    def ok(self, status):
        if status:
            raise RuntimeError(f"status {status}: {self.error.value.decode()}")

    def run(self):
        self.ok(self.info.call(self.pointers, self.info.num_tensors,
                               c.c_void_p(self.start), self.need, c.byref(self.context)))

    def check(self):
        self.ok(self.info.check(c.c_void_p(self.start), c.byref(self.context)))


def sizes_of(info, tensors):
    """Sizes by the shapes of the tensors; quotients last."""
    names = [info.sizes[i].name.decode() for i in range(info.num_sizes)]
    sizes = {}
    for quotients in (False, True):
        for i in range(info.num_tensors):
            entry = info.tensors[i]
            name = entry.name.decode()
            for dim in range(entry.rank if name in tensors else 0):
                expr = entry.shape[dim]
                ops = [(expr.ops[j].op, expr.ops[j].value) for j in range(expr.num_ops)]
                if len(ops) == 1 and ops[0][0] == 1:
                    sizes[names[ops[0][1]]] = tensors[name].shape[dim]
                elif quotients and len(ops) == 3 and ops[2][0] == 5:
                    whole, part = names[ops[0][1]], names[ops[1][1]]
                    sizes.setdefault(part, sizes[whole] // tensors[name].shape[dim])
    return sizes


def measure(call, stream):
    """Microseconds of a call, by replays of a graph of several."""
    import torch
    with torch.cuda.stream(stream):
        call()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(4):
                call()
        times = []
        for _ in range(7):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record(stream)
            graph.replay()
            end.record(stream)
            end.synchronize()
            times.append(start.elapsed_time(end) * 1000 / 4)
    return sorted(times)[len(times) // 2]


def run(options):
    sys.path.insert(0, options.folder)
    import artifact
    import numpy as np
    import safetensors
    import torch
    with open(os.path.join(options.folder, "plan.json")) as file:
        plan = json.load(file)
    stream = torch.cuda.Stream()
    torch.cuda.synchronize()
    failed = 0
    print(torch.cuda.get_device_name(), flush=True)
    for name, dtype, library, file in plan:
        if options.only and name not in options.only:
            continue
        try:
            info = next(iter(artifact.open_library(
                os.path.join(options.folder, library)).values()))
            tensors = safetensors.read(os.path.join(options.folder, file))
            with torch.cuda.stream(stream):
                call = Call(artifact, info, sizes_of(info, tensors), tensors, stream)
                call.run()
                call.check()
            stream.synchronize()
            worst = 0.0
            for result, x in call.outputs.items():
                if result not in tensors:
                    continue
                found, want = x.double().cpu().numpy(), tensors[result].astype(np.float64)
                error = np.sqrt(np.mean((found - want) ** 2) / max(np.mean(want ** 2), 1e-30))
                worst = max(worst, float(error) if np.isfinite(error) else float("inf"))
            ok = worst <= TOLERANCE[dtype]
            print(f"{'ok  ' if ok else 'FAIL'} {library[3:-3]} {worst:.2e}", flush=True)
        except Exception as error:
            ok = False
            print(f"FAIL {name} {dtype} {type(error).__name__}: {error}", flush=True)
        failed += not ok
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("command", choices=["prepare", "run"])
    parser.add_argument("folder")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--golden", default=os.environ.get("RONDO_GOLDEN"))
    parser.add_argument("--arch", default="sm_90a")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    options = parser.parse_args()
    sys.exit(prepare(options) if options.command == "prepare" else run(options))


if __name__ == "__main__":
    main()
