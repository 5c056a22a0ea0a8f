#===- page.py - The ten kernels of the language page -----------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Formulas of the kernels of the language page; golden files hold independent
values of them for one size each."""

import numpy as np

from example import *


@example("q k: B T H K; v: B T H V; g: B T H K decay", init="S: B H K V",
         split=1, override={"g": "extreme"}, long=True)
def gla(a):
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        S = np.exp(a.g[:, t])[..., None] * S + outer(a.k[:, t], a.v[:, t])
        o.append(read(a.q[:, t], S) / np.sqrt(a.size["K"]))
    return {"o": stack(o, a.v), "S.final": S}


@example("x: B T D; dt: B T D step; A: D N negative; b c: B T N; skip: D",
         init="h: B D N", split=1, override={"A": "extreme"}, long=True)
def selective_scan(a):
    h, y = a.initial("h", "B", "D", "N"), []
    for t in range(a.size["T"]):
        dt, x = a.dt[:, t, :, None], a.x[:, t, :, None]
        h = np.exp(dt * a.A) * h + dt * a.b[:, t, None, :] * x
        y.append((h * a.c[:, t, None, :]).sum(-1) + a.skip * a.x[:, t])
    return {"y": stack(y, a.x), "h.final": h}


@example("q: B T H K; k: B T H K keys; v: B T H V; g: B T H decay;"
         "beta: B T H unit", init="S: B H K V", split=1,
         override={"g": "extreme"}, long=True, chunks={
             "few keys": {"k": "few keys", "beta": "ones", "g": "no decay"}})
def gated_delta(a):
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        S = np.exp(a.g[:, t])[..., None, None] * S
        error = a.v[:, t] - read(a.k[:, t], S)
        S = S + a.beta[:, t, :, None, None] * outer(a.k[:, t], error)
        o.append(read(a.q[:, t], S) / np.sqrt(a.size["K"]))
    return {"o": stack(o, a.v), "S.final": S}


@example("xi xf xz xo: B T H D; Ri Rf Rz Ro: H D D weights",
         init="h: B H D; c: B H D", split=1, override={"xf": "wild"})
def lstm(a):
    h, c = a.initial("h", "B", "H", "D"), a.initial("c", "B", "H", "D")
    y = []
    for t in range(a.size["T"]):
        i, f, z, o = (x[:, t] + apply_heads(R, h) for x, R in
                      ((a.xi, a.Ri), (a.xf, a.Rf), (a.xz, a.Rz), (a.xo, a.Ro)))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
        h = sigmoid(o) * np.tanh(c)
        y.append(h)
    return {"y": stack(y, a.xi), "h.final": h, "c.final": c}


@example("xz xr xc: B T D; az ar ac: D", init="h: B D", split=1,
         override={"xz": "wild"}, long=True)
def para_gru(a):
    h, y = a.initial("h", "B", "D"), []
    for t in range(a.size["T"]):
        z = sigmoid(a.xz[:, t] + a.az * h)
        r = sigmoid(a.xr[:, t] + a.ar * h)
        h = (1 - z) * h + z * np.tanh(a.xc[:, t] + a.ac * r * h)
        y.append(h)
    return {"y": stack(y, a.xz), "h.final": h}


@example("q: B T H K; k: B T H/G K; v: B T H/G V; slope: H unit; W: window",
         override={"slope": "extreme"})
def attention(a):
    k, v = share(a.k, a), share(a.v, a)
    t, u = times(a.size["T"])
    s = np.einsum("bthi,buhi->bhtu", a.q, k) / np.sqrt(a.size["K"])
    s = s - a.slope[:, None, None] * (t - u)
    p = softmax(s, (u <= t) & (t - u < a.W))
    return {"o": np.einsum("bhtu,buhj->bthj", p, v)}


@example("q k: B T H K; v: B T H V; ig fg: B T H", split=1,
         override={"fg": "wild"}, long=True)
def mlstm(a):
    """Each output as a weighted sum over its whole past: the log of the weight
    of token u at time t is the log forget gates after u plus the input gate."""
    scale = 1 / np.sqrt(a.size["K"])
    log_f = np.moveaxis(logsigmoid(a.fg), 1, -1)
    ig = np.moveaxis(a.ig, 1, -1)
    y = []
    for t in range(a.size["T"]):
        after = np.cumsum(log_f[..., t:0:-1], -1)[..., ::-1]
        w = ig[..., :t + 1].copy()
        w[..., :t] += after
        m = w.max(-1)
        score = np.einsum("bhi,buhi->bhu", a.q[:, t], a.k[:, :t + 1]) * scale
        p = np.exp(w - m[..., None]) * score
        bound = np.maximum(np.abs(p.sum(-1)), np.exp(-m))
        y.append(np.einsum("bhu,buhj->bhj", p, a.v[:, :t + 1])
                 / bound[..., None])
    return {"y": stack(y, a.v)}


@example("x: B T D; w: 4 D")
def short_conv(a):
    return {"y": silu(sum(a.w[p] * past(a.x, 3 - p) for p in range(4)))}


@example("x: B Y X D; a b: B Y X D half")
def grid(a):
    h = np.zeros(a.x.shape)
    for y in range(a.size["Y"]):
        for x in range(a.size["X"]):
            h[:, y, x] = a.x[:, y, x]
            if y:
                h[:, y, x] += a.a[:, y, x] * h[:, y - 1, x]
            if x:
                h[:, y, x] += a.b[:, y, x] * h[:, y, x - 1]
    return {"o": h}


@example("q: B T H K; k: B T H K keys; v: B T H V; eta: B T H half",
         init="W: B H K V", split=16, long=True)
def ttt_linear(a):
    W, o = a.initial("W", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        if t % 16 == 0:
            block = W
        error = read(a.k[:, t], block) - a.v[:, t]
        W = W - a.eta[:, t, :, None, None] * outer(a.k[:, t], error)
        o.append(read(a.q[:, t], W))
    return {"o": stack(o, a.v), "W.final": W}
