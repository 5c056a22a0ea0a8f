#===- peers.py - What else computes the same -------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Times one peer on random arguments of a row's sizes; prints JSON.

    python3 bench/cpu/peers.py torch_lstm --dims='{"B": 1, "T": 256, "D": 256}'

A peer is a function here: it takes the sizes and the number of threads,
prepares arguments, and returns a function without arguments to be timed. What
it imports is needed by this peer alone; without it the exit code is 1.

Cells of libraries include the product with the input, which is not part of
ours: their input has one feature, so that it costs next to nothing.
"""

import argparse
import json
import os
import sys
import time

PEERS = {}


def peer(function):
    PEERS[function.__name__] = function
    return function


def measure(call, seconds):
    """As compiler/Driver/Timing.cpp does: median and bounds of the middle."""
    call()
    call()
    times, total = [], 0.0
    while len(times) < 5 or (total < seconds and len(times) < 10000):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
        total += times[-1]
        if total > 20 and len(times) >= 3:
            break
    times.sort()
    last = len(times) - 1
    return {"seconds_median": times[last // 2], "seconds_p10": times[last // 10],
            "seconds_p90": times[last - last // 10], "runs": len(times)}


# --- PyTorch -----------------------------------------------------------------


def import_torch(threads):
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    return torch


def torch_cell(kind, dims, threads, dtype="float32"):
    torch = import_torch(threads)
    cell = getattr(torch.nn, kind)(1, dims["D"]).to(getattr(torch, dtype))
    x = torch.randn(dims["T"], dims["B"], 1).to(getattr(torch, dtype))
    return lambda: cell(x)


@peer
def torch_lstm(dims, threads):
    return torch_cell("LSTM", dims, threads)


@peer
def torch_gru(dims, threads):
    return torch_cell("GRU", dims, threads)


@peer
def torch_lstm_bf16(dims, threads):
    return torch_cell("LSTM", dims, threads, "bfloat16")


@peer
def torch_gru_bf16(dims, threads):
    return torch_cell("GRU", dims, threads, "bfloat16")


@peer
def torch_hgrn_loop(dims, threads):
    torch = import_torch(threads)
    B, T, D = dims["B"], dims["T"], dims["D"]
    x, f, low = torch.randn(B, T, D), torch.randn(B, T, D), torch.rand(D)

    def run():
        a = low + (1 - low) * torch.sigmoid(f)
        u = (1 - a) * torch.nn.functional.silu(x)
        y = torch.empty(B, T, D)
        h = torch.zeros(B, D)
        for t in range(T):
            h = torch.addcmul(u[:, t], a[:, t], h)
            y[:, t] = h
        return y
    return run


@peer
def torch_selective_scan_loop(dims, threads):
    torch = import_torch(threads)
    B, T, D, N = (dims[k] for k in "BTDN")
    x, dt = torch.randn(B, T, D), torch.rand(B, T, D)
    A = -torch.rand(D, N) - 0.1
    b, c, skip = torch.randn(B, T, N), torch.randn(B, T, N), torch.randn(D)

    def run():
        h = torch.zeros(B, D, N)
        y = torch.empty(B, T, D)
        u = dt * x
        for t in range(T):
            h = torch.exp(dt[:, t, :, None] * A) * h
            h += u[:, t, :, None] * b[:, t, None, :]
            y[:, t] = (h * c[:, t, None, :]).sum(-1)
        return y + skip * x
    return run


def torch_chunkwise(dims, threads, decay, delta, steps=64):
    """The chunkwise forms as one writes them with batched products: all chunks
    at once where nothing is carried, a loop over chunks for the state."""
    torch = import_torch(threads)
    B, T, H, K, V = (dims[name] for name in "BTHKV")
    q, k = (torch.nn.functional.normalize(torch.randn(B, T, H, K), dim=-1)
            for _ in range(2))
    v, beta = torch.randn(B, T, H, V), torch.rand(B, T, H, 1)
    g = {"none": torch.zeros(1, 1, H, 1), "scalar": -torch.rand(1, 1, H, 1) / 8,
         "diagonal": -torch.rand(B, T, H, K) / 8}[decay].expand(B, T, H, -1)
    lower = torch.ones(steps, steps).tril()
    strictly, eye = lower.tril(-1), torch.eye(steps)

    def chunks(x):
        return x.transpose(1, 2).reshape(B, H, T // steps, steps, -1)

    def run():
        qc, kc, vc, bc = chunks(q), chunks(k), chunks(v), chunks(beta)
        total = chunks(g).cumsum(3)
        end = total[:, :, :, -1:]
        qs, ks = qc * total.exp(), kc * (-total).exp()
        kend, whole = kc * (end - total).exp(), end.exp().transpose(-1, -2)
        scores = qs @ ks.transpose(-1, -2) * lower
        if delta:
            system = (kc * total.exp() * bc) @ ks.transpose(-1, -2) * strictly
            solve = torch.linalg.solve_triangular(
                eye + system, torch.cat([bc * vc, bc * kc * total.exp()], -1),
                upper=False, unitriangular=True)
            vc, w = solve.split([V, K], -1)
        state = torch.zeros(B, H, K, V)
        out = torch.empty(B, H, T // steps, steps, V)
        for c in range(T // steps):
            u = vc[:, :, c]
            if delta:
                u = u - w[:, :, c] @ state
            out[:, :, c] = scores[:, :, c] @ u + qs[:, :, c] @ state
            state = whole[:, :, c] * state + kend[:, :, c].transpose(-1, -2) @ u
        return out.reshape(B, H, T, V).transpose(1, 2)
    return run


@peer
def torch_chunkwise_scalar(dims, threads):
    return torch_chunkwise(dims, threads, "scalar", False)


@peer
def torch_chunkwise_diagonal(dims, threads):
    return torch_chunkwise(dims, threads, "diagonal", False)


@peer
def torch_chunkwise_delta(dims, threads):
    return torch_chunkwise(dims, threads, "none", True)


@peer
def torch_chunkwise_gated_delta(dims, threads):
    return torch_chunkwise(dims, threads, "scalar", True)


@peer
def torch_chunkwise_diagonal_delta(dims, threads):
    return torch_chunkwise(dims, threads, "diagonal", True)


@peer
def torch_causal_attention(dims, threads):
    torch = import_torch(threads)
    B, T, H, D = (dims[name] for name in "BTHD")
    q, k, v = (torch.randn(B, T, H, D).transpose(1, 2) for _ in range(3))
    return lambda: torch.nn.functional.scaled_dot_product_attention(
        q, k, v, is_causal=True)


# --- JAX ---------------------------------------------------------------------


def import_jax(threads):
    if threads == 1:
        os.environ["XLA_FLAGS"] = ("--xla_cpu_multi_thread_eigen=false "
                                   "intra_op_parallelism_threads=1")
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    return jax


def combine(left, right):
    """h -> a h + b after h -> left."""
    return left[0] * right[0], left[1] * right[0] + right[1]


def jax_hgrn(dims, threads, associative):
    jax = import_jax(threads)
    jnp = jax.numpy
    T, D = dims["B"] * dims["T"], dims["D"]
    keys = jax.random.split(jax.random.PRNGKey(1), 3)
    x, f = jax.random.normal(keys[0], (T, D)), jax.random.normal(keys[1], (T, D))
    low = jax.random.uniform(keys[2], (D,))

    @jax.jit
    def run(x, f):
        a = low + (1 - low) * jax.nn.sigmoid(f)
        u = (1 - a) * jax.nn.silu(x)
        if associative:
            return jax.lax.associative_scan(combine, (a, u))[1]

        def step(h, au):
            h = au[0] * h + au[1]
            return h, h
        return jax.lax.scan(step, jnp.zeros(D), (a, u))[1]
    return lambda: run(x, f).block_until_ready()


@peer
def jax_hgrn_associative(dims, threads):
    return jax_hgrn(dims, threads, True)


@peer
def jax_hgrn_loop(dims, threads):
    return jax_hgrn(dims, threads, False)


def jax_selective_scan(dims, threads, associative):
    jax = import_jax(threads)
    jnp = jax.numpy
    T, D, N = dims["B"] * dims["T"], dims["D"], dims["N"]
    keys = jax.random.split(jax.random.PRNGKey(1), 6)
    x = jax.random.normal(keys[0], (T, D))
    dt = jax.random.uniform(keys[1], (T, D))
    A = -jax.random.uniform(keys[2], (D, N)) - 0.1
    b, c = (jax.random.normal(key, (T, N)) for key in keys[3:5])
    skip = jax.random.normal(keys[5], (D,))

    @jax.jit
    def run(x, dt, b, c):
        if associative:
            a = jnp.exp(dt[:, :, None] * A)
            u = (dt * x)[:, :, None] * b[:, None, :]
            h = jax.lax.associative_scan(combine, (a, u))[1]
            return jnp.einsum("tdn,tn->td", h, c) + skip * x

        def step(h, at):
            x, dt, b, c = at
            h = jnp.exp(dt[:, None] * A) * h + (dt * x)[:, None] * b
            return h, h @ c + skip * x
        return jax.lax.scan(step, jnp.zeros((D, N)), (x, dt, b, c))[1]
    return lambda: run(x, dt, b, c).block_until_ready()


@peer
def jax_selective_scan_associative(dims, threads):
    return jax_selective_scan(dims, threads, True)


@peer
def jax_selective_scan_loop(dims, threads):
    return jax_selective_scan(dims, threads, False)


# --- ONNX Runtime ------------------------------------------------------------


def onnx_cell(kind, gates, dims, threads):
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper
    B, T, D = dims["B"], dims["T"], dims["D"]
    random = np.random.default_rng(1)

    def weights(name, *shape):
        value = random.standard_normal(shape).astype(np.float32) / D ** 0.5
        return numpy_helper.from_array(value, name)
    real = onnx.TensorProto.FLOAT
    node = helper.make_node(kind, ["x", "W", "R"], ["y"], hidden_size=D)
    graph = helper.make_graph(
        [node], "cell",
        [helper.make_tensor_value_info("x", real, [T, B, 1])],
        [helper.make_tensor_value_info("y", real, [T, 1, B, D])],
        [weights("W", 1, gates * D, 1), weights("R", 1, gates * D, D)])
    model = helper.make_model(graph,
                              opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = random.standard_normal((T, B, 1)).astype(np.float32)
    return lambda: session.run(None, {"x": x})


@peer
def onnx_lstm(dims, threads):
    return onnx_cell("LSTM", 4, dims, threads)


@peer
def onnx_gru(dims, threads):
    return onnx_cell("GRU", 3, dims, threads)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("peer", choices=sorted(PEERS))
    parser.add_argument("--dims", type=json.loads, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    try:
        call = PEERS[options.peer](options.dims, options.threads)
    except ImportError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(measure(call, options.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
