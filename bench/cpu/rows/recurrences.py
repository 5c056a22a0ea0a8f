#===- recurrences.py - Vector recurrences and cells ------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Recurrences with vector states, convolutions of few taps, and dense cells."""

from row import Row


def row(name, dims, work, unit, example=None, **more):
    program = "examples/%s.rondo" % (example or name.split("/")[0])
    return Row(name, program, dims, work, unit, **more)


# The weights are read once per step and the products of all gates dominate.
# ONNX Runtime has no such cells in bf16 on the CPU.
def cell(name, batch, steps, gates, dtype="f32", **more):
    heads = {"H": 1} if name == "lstm" else {}
    short = dtype == "bf16"
    work = "T*%d*%d*D*D" % (gates, 2 if short else 4)
    peers = ("torch_%s" % name, "onnx_%s" % name)
    return row("%s/b%d/%s" % (name, batch, dtype),
               {"B": batch, "T": steps, **heads, "D": 256}, "T", "step",
               example=name,
               limit="read_l2" if batch == 1 else "dot" if short else "fma",
               limit_work=work if batch == 1 else "B*T*%d*2*D*D" % gates,
               args=("--dtype=%s" % dtype,),
               peers=peers + ("torch_%s_bf16" % name,) if short else peers,
               **more)


ROWS = [
    # x, dt and y of 4 bytes; the exponentials are the work.
    row("selective_scan", {"B": 1, "T": 4096, "D": 1024, "N": 16},
        "B*T*D*N", "(t,d,n)", bar=0.18e-9,
        peers=("torch_selective_scan_loop", "jax_selective_scan_associative",
               "jax_selective_scan_loop")),
    # x and f in, y out.
    row("hgrn", {"B": 1, "T": 4096, "D": 2048}, "B*T*D*12", "byte",
        limit="triad", bar=0.85, bar_is_share=True,
        peers=("torch_hgrn_loop", "jax_hgrn_associative", "jax_hgrn_loop")),
    # r, k, v in, y out.
    row("rwkv4", {"B": 1, "T": 4096, "D": 2048}, "B*T*D*16", "byte",
        limit="triad"),
    row("ema", {"B": 1, "T": 2048, "D": 512, "N": 16}, "B*T*D*N", "(t,d,n)"),
    # Per step: two products of [N, D], two of [D, N].
    row("lru", {"B": 1, "T": 2048, "D": 256, "N": 256}, "B*T*8*D*N", "flop",
        limit="fma"),
    row("short_conv", {"B": 1, "T": 4096, "D": 2048}, "B*T*D*8", "byte",
        limit="copy"),
    # x, a, b in, o out.
    row("grid", {"B": 1, "Y": 256, "X": 256, "D": 128}, "B*Y*X*D*16", "byte",
        limit="triad"),
    cell("lstm", 1, 256, 4, bar=11e-6),
    cell("lstm", 1, 256, 4, "bf16", bar=11e-6),
    cell("lstm", 16, 64, 4, bar=45e-6),
    cell("lstm", 16, 64, 4, "bf16", bar=45e-6),
    cell("gru", 1, 256, 3),
    cell("gru", 1, 256, 3, "bf16"),
    cell("gru", 16, 64, 3),
    cell("gru", 16, 64, 3, "bf16"),
]
