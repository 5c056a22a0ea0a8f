#!/usr/bin/env python3
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times kernels on a GPU beside the floor of each, and checks them first.

  run.py prepare FOLDER --build BUILD [--only NAME,..] [-- OPTION..]
  run.py run FOLDER [--only NAME,..] [--no-times] [--peers]

`prepare` compiles the rows' programs where there is a compiler; FOLDER is all
that the machine with the GPU needs, beside Python with torch. `run` compares
every row at a small size with the same program compiled one step after the
other in f32, then times the sizes of ROWS by replays of a CUDA graph. The floor
is the time in which the bytes of inputs and outputs, each once, are copied at
the rate measured in the same run, or if that is longer, in which the products of
attention are done at the rate PEAK. `--peers` also times others on the same
inputs, as their users call them (PyTorch; fla where it is installed). Exit code
1 if a result is wrong.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOLERANCE = 1e-2  # bf16
HEADS = ["B=4,T=2048,H=16,K=128,V=128", "B=2,T=16384,H=16,K=128,V=128"]
SMALL = "B=1,T=333,H=2,K=128,V=128"
CHANNELS = ["B=4,T=2048,D=2048", "B=2,T=16384,D=2048"]
FEW = "B=2,T=333,D=72"
PARA = ["B=8,T=4096,D=256"]
CELL, FEW_CELLS = ["B=16,T=1024,H=12,D=64"], "B=11,T=77,H=2,D=64"
DENSE, FEW_DENSE = ["B=16,T=1024,H=1,D=768"], "B=19,T=21,H=1,D=768"
# name, program, sizes bound, small sizes, sizes, milliseconds asked for (0: none),
# and options that are not the usual ones
ROWS = [
    ("simple decay", "retention", "K=128,V=128", SMALL, HEADS, [0.050, 0.19]),
    ("gla", "gla", "K=128,V=128", SMALL, HEADS, [0.085, 0.32]),
    ("normaliser", "linear_attention", "K=128,V=128", SMALL, HEADS, [0, 0]),
    ("delta", "delta_net", "K=128,V=128", SMALL, HEADS, [0.090, 0.33]),
    ("gated delta", "gated_delta", "K=128,V=128", SMALL, HEADS, [0.090, 0.33]),
    ("kda", "kda", "K=128,V=128", SMALL, HEADS, [0.12, 0.45]),
    # In stages.
    ("mlstm", "mlstm", "K=128,V=128", SMALL, HEADS, [0, 0]),
    ("mlstm by steps", "mlstm", "K=128,V=128", SMALL, HEADS[:1], [0], "--dtype=bf16",
     "--form=sequential"),
    ("light_net", "light_net", "K=128,V=128", SMALL, HEADS, [0, 0]),
    ("gated slot", "gated_slot", "K=128,V=128,M=64", SMALL + ",M=64",
     [text + ",M=64" for text in HEADS], [0, 0]),
    ("forgetting", "forgetting_attention", "K=128,V=128", SMALL, HEADS, [0, 0]),
    ("causal", "causal_attention", "K=128,V=128", SMALL, HEADS, [0.20, 4.5]),
    ("window", "window_attention", "K=128,V=128", "B=1,T=1333,H=2,K=128,V=128", HEADS, [0, 0]),
    ("full", "full_attention", "K=128,V=128", SMALL, HEADS, [0, 0]),
    ("mamba", "selective_scan", "N=16", FEW + ",N=16",
     [text + ",N=16" for text in CHANNELS], [0.15, 0.85]),
    ("ema", "ema", "N=16", FEW + ",N=16", [text + ",N=16" for text in CHANNELS], [0, 0]),
    ("hgrn", "hgrn", "", FEW, CHANNELS, [0, 0]),
    ("rwkv4", "rwkv4", "", FEW, CHANNELS, [0, 0]),
    ("lif", "lif", "", FEW, CHANNELS, [0, 0]),
    ("para_gru", "para_gru", "", FEW, CHANNELS, [0, 0]),
    ("para_gru f32", "para_gru", "", FEW, PARA, [0], "--dtype=f32", "--form=sequential"),
    ("lstm", "lstm", "D=64", FEW_CELLS, CELL, [1.0]),
    ("slstm", "slstm", "D=64", FEW_CELLS, CELL, [1.2]),
    ("gru reset after", "gru_reset_after", "D=64", FEW_CELLS, CELL, [1.2]),
    ("lstm f32", "lstm", "D=64", FEW_CELLS, CELL, [0], "--dtype=f32"),
    ("lstm dense", "lstm", "D=768", FEW_DENSE, DENSE, [5.0]),
    ("gru dense", "gru_reset_after", "D=768", FEW_DENSE, DENSE, [5.0]),
    ("gru before", "gru", "D=768", "B=19,T=21,D=768", ["B=16,T=1024,D=768"], [0]),
    ("lstm f32 dense", "lstm", "D=768", FEW_DENSE, DENSE, [0], "--dtype=f32"),
    ("para_gru auto", "para_gru", "", FEW, PARA, [0], "--dtype=f32"),
    ("para_gru newton", "para_gru", "", FEW, PARA, [0], "--dtype=f32", "--form=newton"),
]


# Pairs of a row and a key, for each head.
PAIRS = {"causal_attention": lambda t: t * (t + 1) / 2, "full_attention": lambda t: t * t,
         "window_attention": lambda t: t * (t + 1) / 2 - max(0, t - 1024) * (t - 1023) / 2}
PEAK = 800e12  # multiplications and additions of bf16 a second that an H100 sustains


def flops_of(program, sizes):
    if program not in PAIRS:
        return 0
    return (2 * sizes["B"] * sizes["H"] * (sizes["K"] + sizes["V"]) *
            PAIRS[program](sizes["T"]))


def source_of(program):
    own = os.path.join(HERE, "programs", program + ".rondo")
    return own if os.path.exists(own) else os.path.join(ROOT, "examples", program + ".rondo")


def stem_of(name):
    return name.replace(" ", "_")


def load_checker(folder):
    spec = importlib.util.spec_from_file_location("gpu_check", os.path.join(folder, "gpu-check.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepare(options):
    os.makedirs(options.folder, exist_ok=True)
    for file in ("test/random/artifact.py", "test/numerics/safetensors.py",
                 "utils/gpu-check.py", "bench/cuda/run.py"):
        shutil.copy(os.path.join(ROOT, file), options.folder)
    rondoc = os.path.join(options.build, "bin", "rondoc")
    for name, program, bound, _, _, _, *usual in ROWS:
        if options.only and name not in options.only:
            continue
        # With sizes that are not known, cells are compiled in the general form.
        for stem, extra in ((stem_of(name), ["--dims=" + bound, *(usual or ["--dtype=bf16"]),
                                             *options.compile]),
                            (program + "_steps", ["--dtype=f32", "--form=sequential"])):
            library = os.path.join(options.folder, f"lib{stem}.so")
            subprocess.run([rondoc, source_of(program),
                            "--target=cuda", "--arch=sm_90a", "-o", library, *extra],
                           check=True)
            os.remove(os.path.join(options.folder, stem + ".h"))
    return 0


def parse(text):
    return {k: int(v) for k, v in (part.split("=") for part in text.split(","))}


def draw(torch, artifact, program, info, sizes):
    """Inputs on the device: decays below 1, keys of length 1."""
    names = [info.sizes[i].name.decode() for i in range(info.num_sizes)]
    values = [sizes.get(n, info.sizes[i].bound) for i, n in enumerate(names)]
    tensors = {}
    for i in range(info.num_tensors):
        entry = info.tensors[i]
        name = entry.name.decode()
        if entry.role != 0:
            continue
        shape = artifact.shape_of(entry, values)
        x = torch.randn(shape, device="cuda")
        if name in ("g", "A"):
            x = -0.1 * x.abs()
        elif name in ("beta", "dt", "low", "tau"):
            x = torch.sigmoid(x) + (name == "tau")
        elif name == "gamma":
            x = 1 - 2.0 ** (-5 - torch.arange(x.numel(), device="cuda") % 4).reshape(shape)
        elif name[0] == "R" and len(shape) >= 2:
            x = x / shape[-1] ** 0.5
        elif program == "para_gru":
            x = 0.1 * x  # Newton's method settles
        elif name == "k" and len(shape) == 4:
            x = torch.nn.functional.normalize(x, dim=-1)
        tensors[name] = x.to(torch.bfloat16 if entry.dtype == 2 else torch.float32)
    torch.cuda.synchronize()  # calls are on a stream of their own
    return tensors


class Inputs(dict):
    """What gpu-check's Call copies tensors from."""

    def __getitem__(self, name):
        return super().__getitem__(name).float().cpu().numpy()


def run(options):
    sys.path.insert(0, options.folder)
    import artifact
    import torch
    checker = load_checker(options.folder)
    stream = torch.cuda.Stream()
    print(torch.cuda.get_device_name(), flush=True)
    failed = 0

    def open_(stem):
        path = os.path.join(options.folder, f"lib{stem}.so")
        return next(iter(artifact.open_library(path).values()))

    def call(info, sizes, tensors):
        with torch.cuda.stream(stream):
            result = checker.Call(artifact, info, sizes, tensors, stream)
            result.run()
        stream.synchronize()
        return result

    rows = [row for row in ROWS if not options.only or row[0] in options.only]
    for name, program, _, small, _, _, *usual in rows:
        info, sizes = open_(stem_of(name)), parse(small)
        tensors = Inputs(draw(torch, artifact, program, info, sizes))
        found = call(info, sizes, tensors).outputs
        want = call(open_(program + "_steps"), sizes, tensors).outputs
        worst = 0.0
        for key, x in want.items():
            y = found[key].double()
            error = ((y - x.double()).pow(2).mean() / x.double().pow(2).mean()).sqrt().item()
            worst = max(worst, error if error == error else float("inf"))
        ok = worst <= TOLERANCE
        failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {name}: {worst:.1e}", flush=True)
    if options.no_times:
        return 1 if failed else 0
    # By a kernel: the copy engine is slower.
    x = torch.empty(1 << 29, dtype=torch.float32, device="cuda")
    y = torch.empty_like(x)
    copy = 8 * x.numel() / checker.measure(lambda: torch.neg(x, out=y), stream) * 1e6
    del x, y
    print(f"copy {copy / 1e9:.0f} GB/s", flush=True)
    print(f"{'kernel':15} {'sizes':34} {'ms':>8} {'asked':>8} {'floor':>8} {'ratio':>6}"
          f"{'  peer' if options.peers else ''}")
    for name, program, _, _, sizes, asked, *_ in rows:
        info = open_(stem_of(name))
        for text, bar in zip(sizes, asked):
            tensors = draw(torch, artifact, program, info, parse(text))
            once = call(info, parse(text), Inputs(tensors))
            time = checker.measure(once.run, stream) / 1e3
            moved = sum(t.numel() * t.element_size() for t in tensors.values())
            moved += sum(t.numel() * t.element_size() for n, t in once.outputs.items()
                         if n in ("o", "y"))
            floor = max(moved / copy, flops_of(program, parse(text)) / PEAK) * 1e3
            peer = time_peer(torch, checker, program, tensors, stream) if options.peers else ""
            print(f"{name:15} {text:34} {time:8.4f} {bar or '-':>8} {floor:8.4f} "
                  f"{time / floor:6.2f}  {peer}", flush=True)
            del once, tensors
            torch.cuda.empty_cache()
    return 1 if failed else 0


# ---------------------------------------------------------------------------
# Peers: a call on the same inputs, and what it is
# ---------------------------------------------------------------------------

def attention(torch, x, is_causal):
    """By cuDNN and by FlashAttention."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    q, k, v = (x[name].transpose(1, 2) for name in "qkv")

    def by(backend):
        def call():
            with sdpa_kernel([backend]):
                return torch.nn.functional.scaled_dot_product_attention(
                    q, k, v, is_causal=is_causal)
        return call
    return [(by(SDPBackend.CUDNN_ATTENTION), "cuDNN"),
            (by(SDPBackend.FLASH_ATTENTION), "FlashAttention 2")]


def peer_causal_attention(torch, x):
    return attention(torch, x, True)


def peer_full_attention(torch, x):
    return attention(torch, x, False)


def peer_hgrn(torch, x):
    from fla.ops.hgrn import chunk_hgrn
    low, f, v = (x[name].float() for name in ("low", "f", "x"))
    a = low + (1 - low) * torch.sigmoid(f)
    g, v = torch.log(a).bfloat16(), ((1 - a) * torch.nn.functional.silu(v)).bfloat16()
    return lambda: chunk_hgrn(v, g), "fla chunk_hgrn, gates given"


def peer_rwkv4(torch, x):
    from fla.ops.rwkv4 import fused_recurrent_rwkv4
    state = torch.zeros(x["k"].shape[0], 3, 1, x["k"].shape[2], device="cuda")
    state[:, 2] = -1e38
    w, u = x["w"].float(), x["u"].float()
    return lambda: fused_recurrent_rwkv4(w, u, x["k"], x["v"], state), \
        "fla fused_recurrent_rwkv4"


def peer_para_gru(torch, x):
    def loop():
        h, outputs = torch.zeros_like(x["xz"][:, 0]), []
        for t in range(x["xz"].shape[1]):
            z = torch.sigmoid(x["xz"][:, t] + x["az"] * h)
            r = torch.sigmoid(x["xr"][:, t] + x["ar"] * h)
            h = (1 - z) * h + z * torch.tanh(x["xc"][:, t] + x["ac"] * r * h)
            outputs.append(h)
        return torch.stack(outputs, 1)
    loop.is_long = True  # too many launches for a graph
    return loop, "PyTorch, a loop over steps"


def peer_of_cudnn(torch, module, gates):
    """A layer of as many units as all heads have together: a dense matrix."""
    batch, steps, heads, width = gates.shape
    layer = module(width, heads * width, batch_first=True).to("cuda", torch.bfloat16)
    layer.flatten_parameters()
    x = torch.randn(batch, steps, width, device="cuda", dtype=torch.bfloat16)
    return lambda: layer(x), f"cuDNN, {heads * width} units, dense"


def peer_lstm(torch, x):
    return peer_of_cudnn(torch, torch.nn.LSTM, x["xi"])


def peer_gru_reset_after(torch, x):
    return peer_of_cudnn(torch, torch.nn.GRU, x["xz"])


def time_peer(torch, checker, program, tensors, stream):
    make = globals().get("peer_" + program)
    if not make:
        return ""
    try:
        made = make(torch, tensors)
        return ", ".join(time_call(torch, checker, call, what, stream)
                         for call, what in (made if isinstance(made, list) else [made]))
    except Exception as error:  # not installed
        return f"- {type(error).__name__}: {error}"[:70]


def time_call(torch, checker, call, what, stream):
    try:
        with torch.no_grad():
            if not getattr(call, "is_long", False):
                return f"{checker.measure(call, stream) / 1e3:.3f} {what}"
            call()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            return f"{start.elapsed_time(end):.1f} {what}"
    except Exception as error:  # it refuses
        return f"- {type(error).__name__}: {error}"[:70]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("command", choices=["prepare", "run"])
    parser.add_argument("folder")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--no-times", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("compile", nargs="*", help="options of rondoc, after --")
    options = parser.parse_args()
    sys.exit(prepare(options) if options.command == "prepare" else run(options))


if __name__ == "__main__":
    main()
