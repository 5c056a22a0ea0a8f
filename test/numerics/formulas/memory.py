#===- memory.py - Memories that learn while they read ----------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Test-time training and its relatives, with the gradients written out."""

import math

import numpy as np

from example import example, outer, read, softmax, stack

erf = np.vectorize(math.erf, otypes=[np.float64])


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def gelu_slope(x):
    return 0.5 * (1 + erf(x / np.sqrt(2))) + \
        x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def weight(x):
    """A factor of a matrix: [B, H] -> [B, H, 1, 1]"""
    return x[..., None, None]


def broadcast(x, a):
    """Learned initial values, the same for all of a batch."""
    return np.repeat(x[None], a.size["B"], axis=0)


@example("q k: B T H K keys; v: B T H K; eta: B T H rate; W10: H K F weights; "
         "W20: H F K weights; b10: H F small; b20: H K small", split=16)
def ttt_mlp(a):
    W1, W2, b1, b2 = (broadcast(x, a) for x in (a.W10, a.W20, a.b10, a.b20))
    o = []
    for t in range(a.size["T"]):
        if t % 16 == 0:
            frozen = W1, W2, b1, b2
        V1, V2, c1, c2 = frozen
        k, rate = a.k[:, t], a.eta[:, t]
        z = read(k, V1) + c1
        e2 = read(gelu(z), V2) + c2 - a.v[:, t]
        e1 = np.einsum("...fj,...j->...f", V2, e2) * gelu_slope(z)
        W1 = W1 - weight(rate) * outer(k, e1)
        W2 = W2 - weight(rate) * outer(gelu(z), e2)
        b1 = b1 - rate[..., None] * e1
        b2 = b2 - rate[..., None] * e2
        o.append(read(gelu(read(a.q[:, t], W1) + b1), W2) + b2)
    return {"o": stack(o, a.v), "W1.final": W1, "W2.final": W2, "b1.final": b1,
            "b2.final": b2}


@example("q k: B T H K keys; v: B T H V; eta: B T H rate; alpha: B T H unit",
         init="A: B H K V", split=1)
def moneta(a):
    A, o = a.initial("A", "B", "H", "K", "V"), []

    def normalised(A):
        return A / weight(np.sqrt(((A * A + 1e-6) ** 2).sum((-2, -1))))

    for t in range(a.size["T"]):
        r = read(a.k[:, t], normalised(A)) - a.v[:, t]
        slope = 3 * np.tanh(10 * r) * (r * r + 1e-6)
        A = weight(a.alpha[:, t]) * A - weight(a.eta[:, t]) * outer(
            a.k[:, t], slope)
        o.append(read(a.q[:, t], normalised(A)))
    return {"o": stack(o, a.v), "A.final": A}


@example("q k: B T H K keys; v: B T H V; eta alpha: B T H unit; "
         "delta: B T H above1", init="W: B H K V", split=1)
def yaad(a):
    W, o = a.initial("W", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        r = read(a.k[:, t], W) - a.v[:, t]
        e = np.sqrt((r * r).sum(-1) + 1e-6)
        slope = np.minimum(1.0, a.delta[:, t] / e)[..., None] * r
        W = weight(a.alpha[:, t]) * W - weight(a.eta[:, t]) * outer(
            a.k[:, t], slope)
        o.append(read(a.q[:, t], W))
    return {"o": stack(o, a.v), "W.final": W}


@example("q k: B T H K keys; v: B T H V; eta alpha: B T H unit",
         init="L: B H K V", split=1)
def memora(a):
    L, o = a.initial("L", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        W = softmax(L, axis=-2)
        r = read(a.k[:, t], W) - a.v[:, t]
        L = weight(a.alpha[:, t]) * np.log(W) - weight(
            2 * a.eta[:, t]) * outer(a.k[:, t], r)
        o.append(read(a.q[:, t], softmax(L, axis=-2)))
    return {"o": stack(o, a.v), "L.final": L}


@example("q k: B T H K keys; v: B T H V; eta: B T H rate; "
         "alpha gamma: B T H unit; W: window")
def omega_net(a):
    M = np.zeros([a.size[d] for d in "BHKV"])
    o = []
    for t in range(a.size["T"]):
        slope = np.zeros_like(M)
        for u in range(max(0, t - int(a.W) + 1), t + 1):
            r = read(a.k[:, u], M) - a.v[:, u]
            slope += weight(2 * a.gamma[:, u]) * outer(a.k[:, u], r)
        M = weight(a.alpha[:, t]) * M - weight(a.eta[:, t]) * slope
        o.append(read(a.q[:, t], M))
    return {"o": stack(o, a.v), "M.final": M}


@example("q k: B T H K keys; v: B T H V; eta: B T H rate; "
         "alpha theta: B T H unit", init="M S: B H K V", split=8, loosen=3)
def atlas(a):
    M, S = (a.initial(name, "B", "H", "K", "V") for name in "MS")
    o = []
    for t in range(a.size["T"]):
        if t % 8 == 0:
            frozen = M
        r = read(a.k[:, t], frozen) - a.v[:, t]
        S = weight(a.theta[:, t]) * S + 2 * outer(a.k[:, t], r)
        X = S / (1e-6 + weight(np.sqrt((S * S).sum((-2, -1)))))
        for _ in range(2):
            A = X @ np.swapaxes(X, -1, -2)
            X = 3.4445 * X - 4.775 * A @ X + 2.0315 * A @ (A @ X)
        M = weight(a.alpha[:, t]) * M - weight(a.eta[:, t]) * X
        o.append(read(a.q[:, t], M))
    return {"o": stack(o, a.v), "M.final": M, "S.final": S}
