#===- attention.py - Attention and its variants ----------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Attention: masks, scores, normalisers, and mixtures with recurrences."""

import numpy as np

from example import *


def scores(q, k, a):
    """[B, H, T, T]"""
    return np.einsum("bthi,buhi->bhtu", q, k) / np.sqrt(a.size["K"])


def mix(p, v):
    return np.einsum("bhtu,buhj->bthj", p, v)


@example("q k v g: B T H D", split=None, override={"g": "wild"})
def rat(a):
    T, D = a.size["T"], a.size["D"]
    k, v = np.zeros(a.k.shape), np.zeros(a.v.shape)
    for t in range(T):
        g = sigmoid(a.g[:, t])
        k[:, t], v[:, t] = (1 - g) * a.k[:, t], (1 - g) * a.v[:, t]
        if t % 16:
            k[:, t] += g * k[:, t - 1]
            v[:, t] += g * v[:, t - 1]
    o = np.zeros(a.v.shape)
    for t in range(T):
        seen = list(range(15, t, 16)) + [t]
        s = np.einsum("bhd,buhd->bhu", a.q[:, t], k[:, seen]) / np.sqrt(D)
        o[:, t] = np.einsum("bhu,buhd->bhd", softmax(s), v[:, seen])
    return {"o": o}


# No extreme gates: the sums of many of them are rounded to f32 before their
# difference, by the program itself.
@example("q k: B T H K; v: B T H V; f: B T H")
def forgetting_attention(a):
    """The bias is summed anew for each pair of tokens."""
    T, log_f = a.size["T"], logsigmoid(np.moveaxis(a.f, 1, -1))
    bias = np.zeros(log_f.shape[:2] + (T, T))
    for t in range(T):
        for u in range(t - 1, -1, -1):
            bias[..., t, u] = bias[..., t, u + 1] + log_f[..., u + 1]
    t, u = times(T)
    return {"o": mix(softmax(scores(a.q, a.k, a) + bias, u <= t), a.v)}


@example("q: B T H K; k: B T H/G K; v: B T H/G V; cap: f32 above1; W: window",
         sizes={"K": lambda rng: 2 * int(rng.choice([1, 2, 3, 8]))})
def rope_attention(a):
    """Pairs as complex numbers that are turned."""
    T, half = a.size["T"], a.size["K"] // 2
    angle = np.arange(T)[:, None] * 10000.0 ** (-np.arange(half) / half)

    def turn(x):
        z = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)[:, None]
        return np.concatenate([z.real, z.imag], -1)

    s = scores(turn(a.q), turn(share(a.k, a)), a)
    t, u = times(T)
    p = softmax(a.cap * np.tanh(s / a.cap), (u <= t) & (t - u < a.W))
    return {"o": mix(p, share(a.v, a))}


@example("q k: B T H K; v: B T H V; b: f32 negative", override={"b": "low"})
def sigmoid_attention(a):
    t, u = times(a.size["T"])
    return {"o": mix(sigmoid(scores(a.q, a.k, a) + a.b) * (u <= t), a.v)}


@example("q k: B T H K; v: B T H V; doc: B T documents; pos: B T documents;"
         "prefix: B count")
def prefix_attention(a):
    t, u = times(a.size["T"])
    same = a.doc[:, :, None] == a.doc[:, None, :]
    first = (a.pos < a.prefix[:, None])[:, None, :]
    mask = (same & ((u <= t) | first))[:, None]
    s = scores(a.q, a.k, a)
    lse = np.log(np.where(mask, np.exp(s), 0).sum(-1))
    return {"o": mix(softmax(s, mask), a.v), "lse": np.moveaxis(lse, 1, 2)}


@example("q k: B T H K; v: B T H V")
def based(a):
    """As linear attention on [1, x, x (x) x / sqrt 2] of scaled x."""
    def features(x):
        x = x / a.size["K"] ** 0.25
        square = outer(x, x).reshape(x.shape[:-1] + (a.size["K"] ** 2,))
        return np.concatenate([np.ones(x.shape[:-1] + (1,)), x,
                               square / np.sqrt(2)], -1)

    q, k = features(a.q), features(a.k)
    S, z, o = 0, 0, []
    for t in range(a.size["T"]):
        S, z = S + outer(k[:, t], a.v[:, t]), z + k[:, t]
        o.append(read(q[:, t], S) / (q[:, t] * z).sum(-1)[..., None])
    return {"o": stack(o, a.v)}


@example("u v: B T E; z: B T K; gq bq gk bk: K; bias: T")
def gau(a):
    q, k = a.gq * a.z + a.bq, a.gk * a.z + a.bk
    y = np.zeros(a.u.shape)
    for t in range(a.size["T"]):
        for s in range(t + 1):
            score = (q[:, t] * k[:, s]).sum(-1) / (t + 1) + a.bias[t - s]
            y[:, t] += np.maximum(score, 0)[:, None] ** 2 * a.v[:, s]
        y[:, t] *= a.u[:, t]
    return {"y": y}


@example("tokens: B T token; v: B T V")
def ngram_head(a):
    o = np.zeros(a.v.shape)
    for b in range(a.size["B"]):
        text = a.tokens[b].tolist()
        for t in range(1, a.size["T"]):
            found = [u for u in range(2, t + 1)
                     if text[u - 2:u] == text[t - 1:t + 1]]
            if found:
                o[b, t] = a.v[b, found].mean(0)
    return {"o": o}
