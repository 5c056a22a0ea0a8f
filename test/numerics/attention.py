#===- attention.py - Attention of many spellings against the oracle --------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Programs with all pairs of scores, masks and normalisers that the seed draws,
compiled with attention by tiles and compared with the interpreter, which
evaluates the equations as they stand.

    python3 test/numerics/attention.py --build build --count 40 --seed 7

Prints a line, with the program and its inputs, for each that disagrees; exits
with 1 when there is one.
"""

import argparse
import os
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True
import safetensors

DOT = "(sum[i] q[t, i] * k[u, i])"
SCORES = {
    "plain": DOT,
    "scaled": DOT + " / sqrt(K)",
    "alibi": DOT + " / sqrt(K) - 0.1 * (t - u)",
    "forgetting": DOT + " + ct[t] - cu[u]",
    "capped": "5 * tanh(%s / 5)" % DOT,
    "table": DOT + " + bias[t - u]",
    "two": DOT + " / sqrt(K) + 0.5 * sum[i] r[t, i] * k[u, i]",
    "factors": "wt[t] * %s * cu[u]" % DOT,
    "pairs": DOT + " + x[t, u]",
}
MASKS = {
    "none": None,
    "causal": "u <= t",
    "strict": "u < t",
    "window": "u <= t and t - u < W",
    "ahead": "u - t <= W and t <= u",
    "offset": "u <= t + M - T",
    "documents": "du[u] == dt[t]",
    "packed": "du[u] == dt[t] and u <= t",
    "prefix": "u <= t or u < W",
    "strided": "u == t or (u < t and u mod 7 == 3)",
    "sparse": "x[t, u] > 0.3",
    "few": "u == W",
}
RESULTS = {
    "softmax": "o[t, j] = sum[u] (softmax[u{f}] s[t, u]) * v[u, j]",
    "lse": "o[t, j] = sum[u] (softmax[u{f}] s[t, u]) * v[u, j]\n"
           "  lse[t] = logsumexp[u{f}] s[t, u]",
    "factor": "o[t, j] = ct[t] * sum[u] (softmax[u{f}] s[t, u]) * "
              "sigmoid(x[t, u]) * v[u, j] * wu[u]",
    "sigmoid": "o[t, j] = sum[u{f}] sigmoid(s[t, u]) * v[u, j]",
    "polynomial": "o[t, j] = sum[u{f}] (1 + s[t, u] + s[t, u] ^ 2 / 2) * v[u, j]",
    "linear": "o[t, j] = sum[u{f}] s[t, u] * v[u, j]",
    "hand": "m[t] = max[u{f}] s[t, u]\n  e[t, u] = exp(s[t, u] - m[t])\n"
            "  o[t, j] = (sum[u{f}] e[t, u] * v[u, j]) / "
            "max(sum[u{f}] e[t, u], 1e-30)",
    "divided": "o[t, j] = sum[u{f}] (exp(0.1 * s[t, u]) / "
               "sum[n{g}] exp(0.1 * s[t, n])) * v[u, j]",
}
EXTREME = [0.0, 1.0, -3.0, 1e4, -1e4, 1e-3]


def write_program(path, score, mask, result):
    filtered = " | " + MASKS[mask] if MASKS[mask] else ""
    other = filtered.replace("[u]", "[n]").replace("u ", "n ")
    other = other.replace("t, u", "t, n").replace("- u", "- n")
    body = RESULTS[result].replace("{f}", filtered).replace("{g}", other)
    outputs = "o: [B, T, H, V]" + (
        ", lse: [B, T, H]" if result == "lse" else "")
    with open(path, "w") as file:
        file.write("""kernel mix(q, r: [B, T, H, K], k: [B, M, H/G, K], v: [B, M, H/G, V],
           ct, wt: [T], cu, wu: [M], bias: [N], x: [T, M], dt: i32 [B, T],
           du: i32 [B, M], W: i32) -> (%s) {
  batch B, H
  s[t, u] = %s
  %s
}
""" % (outputs, SCORES[score], body))


def draw_inputs(rng, rows, keys, dtype, may_be_wide):
    size = max(rows, keys) + 1
    B, G, H = rng.integers(1, 3), rng.integers(1, 3), 1
    H, K, V = G * H, rng.choice([1, 5, 16, 33]), rng.choice([1, 7, 32, 40])
    wide = may_be_wide and rng.random() < 0.3
    real = {
        "q": (B, rows, H, K), "r": (B, rows, H, K), "k": (B, keys, H // G, K),
        "v": (B, keys, H // G, V), "ct": (rows,), "wt": (rows,),
        "cu": (keys,), "wu": (keys,), "bias": (size,), "x": (rows, keys)}
    inputs = {}
    for name, shape in real.items():
        values = rng.standard_normal(shape)
        if wide and name == "q":
            values *= rng.choice(EXTREME, shape[:3] + (1,))
        inputs[name] = values.astype(dtype)
    documents = np.cumsum(rng.random((B, size)) < 0.05, axis=-1,
                          dtype=np.int32)
    inputs["dt"], inputs["du"] = documents[:, :rows], documents[:, :keys]
    inputs["W"] = np.array(rng.choice([0, 1, 5, 64, 70, 1000]), np.int32)
    return inputs


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, (done.stdout + done.stderr).strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    folder = os.path.join(options.build, "numerics", "attention")
    os.makedirs(folder, exist_ok=True)
    tool = os.path.join(options.build, "bin", "rondo-run")
    failed = 0
    for number in range(options.count):
        # Every kind of each comes in turn, in drawn combinations.
        score = list(SCORES)[number % len(SCORES)]
        mask = list(MASKS)[(number * 5 + number // 12) % len(MASKS)]
        result = list(RESULTS)[rng.integers(len(RESULTS))]
        rows = int(rng.choice([0, 1, 3, 63, 64, 65, 100, 130, 200]))
        keys = int(rng.choice([1, 31, 64, 65, 127, 190])) if (
            rng.random() < 0.5) else rows
        mode = str(rng.choice(["f32", "f32", "f64", "bf16"]))
        stem = os.path.join(folder, "%d" % number)
        write_program(stem + ".rondo", score, mask, result)
        inputs = draw_inputs(rng, rows, keys,
                             np.float64 if mode == "f64" else np.float32,
                             may_be_wide=result != "divided")
        if mode == "bf16":
            for name, x in inputs.items():
                if x.dtype.kind == "f":
                    bits = x.view(np.uint32) & np.uint32(0xffff0000)
                    inputs[name] = bits.view(np.float32)
        safetensors.write(stem + ".in", inputs)
        program = [tool, stem + ".rondo", "--in", stem + ".in"]
        code, output = run(program + ["--reference", "--out", stem + ".out"])
        if code == 0:
            tolerance = {"f32": 1e-5, "f64": 1e-9, "bf16": 1e-2}[mode]
            code, output = run(program + [
                "--dtype=" + mode, "--arch=native", "--check", stem + ".out",
                "--tolerance", "%g" % tolerance])
        if code:
            failed += 1
            print("FAIL %s %s %s %s, %d rows, %d keys: %s\n  %s" % (
                mode, score, mask, result, rows, keys,
                output.splitlines()[0] if output else "no message",
                " ".join(program)))
    print("attention: %d passed, %d failed (seed %d)" % (
        options.count - failed, failed, options.seed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
