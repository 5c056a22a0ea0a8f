#===- linear.py - Recurrences that are linear in their state ---------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Linear recurrences: constant, scalar, diagonal and dense transitions, delta
rules, test-time gradients, two dims, and softmaxes kept as states."""

import numpy as np

from example import *


def phi(x):
    """elu(x) + 1"""
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


@example("q k: B T H K; v: B T H V; gamma: H unit", init="S: B H K V", split=1,
         long=True)
def retention(a):
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        S = a.gamma[:, None, None] * S + outer(a.k[:, t], a.v[:, t])
        o.append(read(a.q[:, t], S) / np.sqrt(a.size["K"]))
    return {"o": stack(o, a.v), "S.final": S}


@example("q k: B T H K; v: B T H V", split=1, long=True)
def linear_attention(a):
    S, z, o = 0, 0, []
    for t in range(a.size["T"]):
        S = S + outer(phi(a.k[:, t]), a.v[:, t])
        z = z + phi(a.k[:, t])
        q = phi(a.q[:, t])
        o.append(read(q, S) / ((q * z).sum(-1) + 1e-6)[..., None])
    return {"o": stack(o, a.v)}


@example("q k: B T H K; v: B T H V; ke: B M H K; ve: B M H V", split=1)
def jrt(a):
    """Scores of a token with the whole prompt and with its past."""
    q, k, ke = phi(a.q), phi(a.k), phi(a.ke)
    t, u = times(a.size["T"])
    near = np.einsum("bthi,buhi->bhtu", q, k) * (u <= t)
    far = np.einsum("bthi,buhi->bhtu", q, ke)
    o = (np.einsum("bhtu,buhj->bthj", near, a.v)
         + np.einsum("bhtu,buhj->bthj", far, a.ve))
    return {"o": o / np.moveaxis(near.sum(-1) + far.sum(-1), 1, 2)[..., None]}


@example("x: B T H P; dt: B T H step; A: H negative; b c: B T H/G N; skip: H",
         init="S: B H N P", split=1, override={"A": "extreme"}, long=True)
def ssd(a):
    b, c = share(a.b, a), share(a.c, a)
    S, y = a.initial("S", "B", "H", "N", "P"), []
    for t in range(a.size["T"]):
        dt = a.dt[:, t, :, None, None]
        S = np.exp(dt * a.A[:, None, None]) * S + dt * outer(b[:, t], a.x[:, t])
        y.append(read(c[:, t], S) + a.skip[:, None] * a.x[:, t])
    return {"y": stack(y, a.x), "S.final": S}


@example("r k w: B T H K; v: B T H V; u: H K", init="S: B H K V", split=1,
         override={"w": "wild"}, long=True)
def rwkv6(a):
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        kv = outer(a.k[:, t], a.v[:, t])
        o.append(read(a.r[:, t], S + a.u[..., None] * kv))
        S = np.exp(-np.exp(a.w[:, t]))[..., None] * S + kv
    return {"o": stack(o, a.v), "S.final": S}


@example("r w k kk: B T H K; eta: B T H K unit; v: B T H V", init="S: B H K V",
         split=1)
def rwkv7(a):
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        kk = a.kk[:, t]
        kappa = kk / np.sqrt((kk ** 2).sum(-1, keepdims=True) + 1e-12)
        removed = outer(kappa * a.eta[:, t], read(kappa, S))
        w = np.exp(-0.6065 * sigmoid(a.w[:, t]))
        S = w[..., None] * S - removed + outer(a.k[:, t], a.v[:, t])
        o.append(read(a.r[:, t], S))
    return {"o": stack(o, a.v), "S.final": S}


@example("q k: B T H K; v: B T H V; beta: B T H unit", init="S: B H K V",
         split=1, chunks={"few keys": {"k": "few", "beta": "ones"}})
def delta_net(a):
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        q, k = (x[:, t] / np.sqrt((x[:, t] ** 2).sum(-1, keepdims=True) + 1e-6)
                for x in (a.q, a.k))
        error = a.v[:, t] - read(k, S)
        S = S + a.beta[:, t, :, None, None] * outer(k, error)
        o.append(read(q, S) / np.sqrt(a.size["K"]))
    return {"o": stack(o, a.v), "S.final": S}


@example("q: B T H K; k: B T H K keys; g: B T H K decay; v: B T H V;"
         "beta: B T H unit", init="S: B H K V", split=1,
         override={"g": "extreme"}, long=True, chunks={
             "few keys": {"k": "few keys", "beta": "ones", "g": "no decay"}})
def kda(a):
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        S = np.exp(a.g[:, t])[..., None] * S
        error = a.v[:, t] - read(a.k[:, t], S)
        S = S + a.beta[:, t, :, None, None] * outer(a.k[:, t], error)
        o.append(read(a.q[:, t], S) / np.sqrt(a.size["K"]))
    return {"o": stack(o, a.v), "S.final": S}


@example("q: B T H K; k: B T H 2 K keys; v: B T H 2 V; beta: B T H 2 unit;"
         "g: B T H decay", init="S: B H K V", split=1,
         override={"g": "extreme"})
def delta_product(a):
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        S = np.exp(a.g[:, t])[..., None, None] * S
        for n in range(2):
            k = a.k[:, t, :, n]
            error = a.v[:, t, :, n] - read(k, S)
            S = S + a.beta[:, t, :, n, None, None] * outer(k, error)
        o.append(read(a.q[:, t], S))
    return {"o": stack(o, a.q[..., :1] * a.v[..., 0, :]), "S.final": S}


@example("x f: B T D; low: D unit", init="h: B D", split=1,
         override={"f": "wild"}, long=True)
def hgrn(a):
    h, y = a.initial("h", "B", "D"), []
    for t in range(a.size["T"]):
        f = a.low + (1 - a.low) * sigmoid(a.f[:, t])
        h = f * h + (1 - f) * silu(a.x[:, t])
        y.append(h)
    return {"y": stack(y, a.x), "h.final": h}


@example("x: B T D; nu theta: N; Br Bi: N D weights; Cr Ci: D N; skip: D",
         split=1, long=True)
def lru(a):
    """With complex numbers."""
    eigenvalue = np.exp(-np.exp(a.nu) + 1j * a.theta)
    gain = np.sqrt(1 - np.abs(eigenvalue) ** 2)
    h, y = np.zeros((a.size["B"], a.size["N"]), complex), []
    for t in range(a.size["T"]):
        h = eigenvalue * h + gain * apply(a.Br + 1j * a.Bi, a.x[:, t])
        y.append(apply(a.Cr + 1j * a.Ci, h).real + a.skip * a.x[:, t])
    return {"y": stack(y, a.x), "re.final": h.real, "im.final": h.imag}


@example("x: B T D; alpha delta beta gamma: D N; omega: D", init="h: B D N",
         split=1, long=True)
def ema(a):
    p = sigmoid(a.delta)
    q = 1 - p * sigmoid(a.alpha)
    h, y = a.initial("h", "B", "D", "N"), []
    for t in range(a.size["T"]):
        h = q * h + p * a.beta * a.x[:, t, :, None]
        y.append((a.gamma * h).sum(-1) / np.sqrt(a.size["N"])
                 + a.omega * a.x[:, t])
    return {"y": stack(y, a.x), "h.final": h}


@example("x: B T D; wu: D; Wm: E N weights; Wx: E D weights", init="m: B N",
         split=1, sizes={"N": lambda rng: int(rng.choice([1, 2, 5, 7]))})
def lmu(a):
    N = a.size["N"]
    A, b = np.zeros((N, N)), np.zeros(N)
    for i in range(N):
        b[i] = (2 * i + 1) / 128 * (-1) ** i
        for j in range(N):
            A[i, j] = (2 * i + 1) / 128 * (
                -1 if i < j else float(-1) ** (i - j + 1))
    m, y = a.initial("m", "B", "N"), []
    for t in range(a.size["T"]):
        u = np.maximum(a.x[:, t] @ a.wu, 0)
        m = m + apply(A, m) + b * u[:, None]
        y.append(np.maximum(apply(a.Wm, m) + apply(a.Wx, a.x[:, t]), 0))
    empty = np.zeros((a.size["B"], 0, a.size["E"]))
    return {"y": stack(y, empty), "m.final": m}


@example("r k v: B T D; w u: D", split=1, override={"w": "wild", "k": "wild"},
         long=True)
def rwkv4(a):
    """Each output as a softmax over its past, for each channel."""
    decay, y = np.exp(a.w), []
    for t in range(a.size["T"]):
        distance = np.arange(t - 1, -1, -1)[:, None]
        with np.errstate(all="ignore"):
            faded = np.where(distance > 0, distance * decay, 0.0)
        s = np.concatenate([a.k[:, :t] - faded, (a.u + a.k[:, t])[:, None]], 1)
        p = softmax(s, axis=1)
        y.append(sigmoid(a.r[:, t]) * (p * a.v[:, :t + 1]).sum(1))
    return {"y": stack(y, a.v)}


@example("q: H K; k: B T H K; v: B T H V", split=1, long=True)
def aaren(a):
    """A softmax over each prefix."""
    s = np.einsum("hi,buhi->buh", a.q, a.k) / np.sqrt(a.size["K"])
    o = []
    for t in range(a.size["T"]):
        p = softmax(s[:, :t + 1], axis=1)
        o.append(np.einsum("buh,buhj->bhj", p, a.v[:, :t + 1]))
    return {"o": stack(o, a.v)}


@example("q k: B T H K; v: B T H V", split=1, override={"k": "wild"})
def light_net(a):
    """Row i of the state as a softmax over time of channel i of k."""
    o = []
    for t in range(a.size["T"]):
        p = softmax(a.k[:, :t + 1], axis=1)
        S = np.einsum("buhi,buhj->bhij", p, a.v[:, :t + 1])
        o.append(read(silu(a.q[:, t]), S))
    return {"o": stack(o, a.v)}


@example("q k: B T H K; v: B T H V; s: B T H M unit; g: B T H M decay", split=1,
         override={"g": "extreme"}, long=True)
def gated_slot(a):
    Ks = np.zeros([a.size[d] for d in "BHMK"])
    Vs = np.zeros([a.size[d] for d in "BHMV"])
    o = []
    for t in range(a.size["T"]):
        decay = np.exp(a.g[:, t])[..., None]
        Ks = decay * Ks + outer(a.s[:, t], a.k[:, t])
        Vs = decay * Vs + outer(a.s[:, t], a.v[:, t])
        score = np.einsum("bhmi,bhi->bhm", Ks, a.q[:, t])
        o.append(read(softmax(score / np.sqrt(a.size["K"])), Vs))
    return {"o": stack(o, a.v), "Ks.final": Ks, "Vs.final": Vs}


@example("q: B T H K; k: B T H K keys; v: B T H V; eta: B T H unit;"
         "theta: B T H rate; alpha: B T H rate",
         init="M: B H K V; S: B H K V", split=16, long=True)
def titans(a):
    M = a.initial("M", "B", "H", "K", "V")
    S, o = a.initial("S", "B", "H", "K", "V"), []
    for t in range(a.size["T"]):
        if t % 16 == 0:
            block = M
        eta, theta, alpha = (x[:, t, :, None, None]
                             for x in (a.eta, a.theta, a.alpha))
        gradient = 2 * outer(a.k[:, t], read(a.k[:, t], block) - a.v[:, t])
        S = eta * S - theta * gradient
        M = (1 - alpha) * M + S
        o.append(read(a.q[:, t], M))
    return {"o": stack(o, a.v), "M.final": M, "S.final": S}


@example("q: B T H K; k v: B T H K keys; eta: B T H rate; W0: H K K weights;"
         "gain: H K around1; bias: H K small", init="W: B H K K", split=16,
         sizes={"K": lambda rng: int(rng.choice([4, 5, 8, 16]))})
def ttt_norm(a):
    """The gradient of the layer norm in its usual closed form."""
    K = a.size["K"]
    W = a.initial("W", "B", "H", "K", "K")
    if not hasattr(a, "W_initial"):
        W = W + a.W0

    def normalise(z):
        centred = z - z.mean(-1, keepdims=True)
        std = np.sqrt((centred ** 2).mean(-1, keepdims=True) + 1e-6)
        return centred / std, std

    o = []
    for t in range(a.size["T"]):
        if t % 16 == 0:
            block = W
        q, k, v = a.q[:, t], a.k[:, t], a.v[:, t]
        unit, std = normalise(read(k, block))
        g = a.gain * (a.gain * unit + a.bias - (v - k))
        error = (g - g.mean(-1, keepdims=True)
                 - unit * (g * unit).mean(-1, keepdims=True)) / std
        W = W - a.eta[:, t, :, None, None] * outer(k, error)
        o.append(q + a.gain * normalise(read(q, W))[0] + a.bias)
    return {"o": stack(o, a.v), "W.final": W}


@example("q k: B Y X H K; v: B Y X H V; sr sd: B Y X H;"
         "trl tru tdl tdu: B Y X H half; ml mu skip: B Y X H")
def plstm(a):
    """States on edges: right[y][x] leaves node (y, x) to the right."""
    none = np.zeros([a.size[d] for d in "BHKV"])
    right, down = {}, {}
    o = np.zeros([a.size[d] for d in "BYXHV"])

    def at(gate):
        return gate[:, y, x, :, None, None]

    for y in range(a.size["Y"]):
        for x in range(a.size["X"]):
            left = right.get((y, x - 1), none)
            above = down.get((y - 1, x), none)
            kv = outer(a.k[:, y, x], a.v[:, y, x])
            right[y, x] = at(a.trl) * left + at(a.tru) * above + at(a.sr) * kv
            down[y, x] = at(a.tdl) * left + at(a.tdu) * above + at(a.sd) * kv
            seen = at(a.ml) * left + at(a.mu) * above + at(a.skip) * kv
            o[:, y, x] = read(a.q[:, y, x], seen)
    return {"o": o}


@example("x zf zb: B T D; Wf Wb: E D weights", override={"zf": "wild"})
def bidirectional(a):
    f, b = np.zeros(a.x.shape), np.zeros(a.x.shape)
    h = np.zeros((a.size["B"], a.size["D"]))
    for t in range(a.size["T"]):
        z = sigmoid(a.zf[:, t])
        h = f[:, t] = (1 - z) * h + z * a.x[:, t]
    first = h
    h = np.zeros((a.size["B"], a.size["D"]))
    for t in reversed(range(a.size["T"])):
        z = sigmoid(a.zb[:, t])
        h = b[:, t] = (1 - z) * h + z * a.x[:, t]
    return {"y": f @ a.Wf.T + b @ a.Wb.T, "f.final": first, "b.final": h}


@example("x: B T D; gain: 2 D around1; Wq Wk Wg: H K D weights;"
         "Wv: H V D weights; Wo: D H V weights; Wa Wb: F D weights;"
         "Wc: D F weights", split=1, kernel="gla_block")
def gla_block(a):
    def normalise(x, gain):
        return gain * x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-5)

    S = np.zeros([a.size[d] for d in "BHKV"])
    y = []
    for t in range(a.size["T"]):
        x = a.x[:, t]
        n = normalise(x, a.gain[0])
        q, k, v, g = (np.einsum("hid,bd->bhi", W, n)
                      for W in (a.Wq, a.Wk, a.Wv, a.Wg))
        S = np.exp(logsigmoid(g) / 16)[..., None] * S + outer(k, v)
        o = read(q, S) / np.sqrt(a.size["K"])
        x = x + np.einsum("dhj,bhj->bd", a.Wo, o)
        n = normalise(x, a.gain[1])
        y.append(x + (silu(n @ a.Wa.T) * (n @ a.Wb.T)) @ a.Wc.T)
    return {"y": stack(y, a.x)}
