#===- tiers.py - Several levels, clocks, memories, summaries ---------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Systems that keep what they know in several places."""

import numpy as np

from example import apply, example, outer, read, sigmoid, softmax, stack, times


# Without a bound on A, values may grow beyond the greatest number of f16.
@example("u: B T D; A: D N N weights; Bm C: D N; skip: D", init="x: B D N",
         split=1, sizes={"N": 5},
         modes=("reference", "f32", "chunked", "scan", "f64", "bf16"))
def lssl(a):
    x, y = a.initial("x", "B", "D", "N"), []
    for t in range(a.size["T"]):
        u = a.u[:, t, :, None]
        x = np.einsum("dnm,bdm->bdn", a.A, x) + a.Bm * u
        y.append((a.C * x).sum(-1) + a.skip * a.u[:, t])
    return {"y": stack(y, a.u), "x.final": x}


@example("u: B T D; lre: N negative; lim: N; logstep: N decay; "
         "Br Bi: N D weights; Cr Ci: D N weights; skip: D", init="re im: B N", split=1, long=True)
def s5(a):
    pole, step = a.lre + 1j * a.lim, np.exp(a.logstep)
    decay = np.exp(step * pole)
    gain = (decay - 1) / pole
    x = a.initial("re", "B", "N") + 1j * a.initial("im", "B", "N")
    y = []
    for t in range(a.size["T"]):
        x = decay * x + gain * apply(a.Br + 1j * a.Bi, a.u[:, t])
        y.append(2 * apply(a.Cr + 1j * a.Ci, x).real + a.skip * a.u[:, t])
    return {"y": stack(y, a.u), "re.final": x.real, "im.final": x.imag}


@example("u: B T D; logre lim cre cim: D N; logstep: D decay; skip: D",
         init="re im: B D N", split=1, long=True)
def s4d(a):
    pole, step = -np.exp(a.logre) + 1j * a.lim, np.exp(a.logstep)[:, None]
    decay = np.exp(step * pole)
    x = a.initial("re", "B", "D", "N") + 1j * a.initial("im", "B", "D", "N")
    y = []
    for t in range(a.size["T"]):
        x = decay * x + (decay - 1) / pole * a.u[:, t, :, None]
        y.append(2 * ((a.cre + 1j * a.cim) * x).sum(-1).real
                 + a.skip * a.u[:, t])
    return {"y": stack(y, a.u), "re.final": x.real, "im.final": x.imag}


@example("u: B T D; lre: D N negative; lim pre pim bre bim cre cim: D N; "
         "logstep: D decay; skip: D", init="re im: B D N", split=1, long=True)
def s4(a):
    """With both of each conjugate pair, and a matrix inverse."""
    def pairs(re, im):
        x = re + 1j * im
        return np.concatenate([x, x.conj()], -1)
    pole, P, B, C = (pairs(*each) for each in (
        (a.lre, a.lim), (a.pre, a.pim), (a.bre, a.bim), (a.cre, a.cim)))
    unit = np.eye(2 * a.size["N"])
    A = pole[:, :, None] * unit - P[:, :, None] * P[:, None, :].conj()
    w = (2 / np.exp(a.logstep))[:, None, None]
    inverse = np.linalg.inv(w * unit - A)
    step, B = inverse @ (w * unit + A), 2 * np.einsum("dmn,dn->dm", inverse, B)
    x = pairs(a.initial("re", "B", "D", "N"), a.initial("im", "B", "D", "N"))
    y = []
    for t in range(a.size["T"]):
        x = np.einsum("dmn,bdn->bdm", step, x) + B * a.u[:, t, :, None]
        y.append((C * x).sum(-1).real + a.skip * a.u[:, t])
    x = x[:, :, :a.size["N"]]
    return {"y": stack(y, a.u), "re.final": x.real, "im.final": x.imag}


@example("x: B T D; delta alpha beta gamma: 2 D N; omega: D", long=True,
         init="h g: B D N", override={"delta": "wild"})
def mega_ema(a):
    p = sigmoid(a.delta)
    q = 1 - p * sigmoid(a.alpha)
    states = [a.initial(name, "B", "D", "N") for name in "hg"]
    y = a.omega * a.x
    for way in range(2):
        for t in range(a.size["T"])[::1 - 2 * way]:
            states[way] = q[way] * states[way] + \
                p[way] * a.beta[way] * a.x[:, t, :, None]
            y[:, t] += (a.gamma[way] * states[way]).sum(-1) / \
                np.sqrt(a.size["N"])
    return {"y": y, "h.final": states[0], "g.final": states[1]}


@example("q k: B T H K; v: B T H V; Wq Wk: H K K weights", split=1)
def hedgehog(a):
    def features(W, x):
        z = np.einsum("hci,bthi->bthc", W, x)
        both = np.concatenate([softmax(z), softmax(-z)], axis=-1)
        return np.maximum(both, 1e-12)

    q, k = features(a.Wq, a.q), features(a.Wk, a.k)
    t, u = times(a.size["T"])
    w = np.einsum("bthf,buhf->bhtu", q, k) * (u <= t)
    o = np.einsum("bhtu,buhj->bthj", w, a.v)
    return {"o": o / np.moveaxis(w.sum(-1), 1, 2)[..., None]}


@example("q k: B T H K; v: B T H V; fq fk: B T H F unit; mix: H; W: window")
def lolcats(a):
    t, u = times(a.size["T"])
    near = (u <= t) & (t - u < int(a.W))
    s = np.einsum("bthi,buhi->bhtu", a.q, a.k) / np.sqrt(a.size["K"])
    top = np.where(near, s, -np.inf).max(-1, keepdims=True) if s.size else 0.0
    e = sigmoid(a.mix)[:, None, None] * np.exp(np.minimum(s - top, 0.0))
    far = np.einsum("bthf,buhf->bhtu", a.fq, a.fk)
    w = np.where(near, e, np.where(u <= t, far, 0.0))
    o = np.einsum("bhtu,buhj->bthj", w, a.v)
    return {"o": o / np.moveaxis(w.sum(-1), 1, 2)[..., None]}


@example("q k: B T H 2 K; v: B T H V; dt: B T H step; a: B T H negative; "
         "trap angle: B T H; skip: H")
def mamba3(a):
    """In complex numbers; the angles turn keys and queries alike."""
    theta = np.cumsum(a.dt * np.pi * np.tanh(a.angle), axis=1)[..., None]
    q, k = (np.exp(1j * theta) * (x[..., 0, :] + 1j * x[..., 1, :])
            for x in (a.q, a.k))
    decay, late = np.exp(a.dt * a.a), sigmoid(a.trap)
    S = np.zeros([a.size[d] for d in "BHKV"], complex)
    y, write = [], np.zeros_like(S)
    for t in range(a.size["T"]):
        before, write = write, outer(k[:, t], a.v[:, t])
        S = (decay[:, t, :, None, None] * S +
             ((1 - late) * a.dt * decay)[:, t, :, None, None] * before +
             (late * a.dt)[:, t, :, None, None] * write)
        y.append(read(q[:, t].conj(), S).real +
                 a.skip[:, None] * a.v[:, t])
    return {"y": stack(y, a.v)}


def zeros_at_end(t):
    count = 0
    while t and t % 2 == 0:
        t, count = t // 2, count + 1
    return count if t else -1


def level_of(t, u):
    """In which state of token t token u is."""
    if t == u:
        return 0
    for bit in range(t.bit_length()):
        start = t - t % 2 ** bit
        if t >> bit & 1 and start - 2 ** bit <= u < start:
            return bit + 1
    return None


@example("q k: B T H K; v: B T H V; g: B T H decay; level: B T H L unit; "
         "zeros: T trailing", sizes={"L": 8}, override={"g": "extreme"})
def log_linear(a):
    o = np.zeros([a.size[d] for d in "BTHV"])
    for t in range(a.size["T"]):
        for u in range(t + 1):
            decay = np.exp(a.g[:, u + 1:t + 1].sum(1))
            w = a.level[:, t, :, level_of(t, u)] * decay * \
                (a.q[:, t] * a.k[:, u]).sum(-1)
            o[:, t] += w[..., None] * a.v[:, u]
    return {"o": o}


@example("q: B T H K keys; k: B T H M K keys; v: B T H M V; "
         "beta: B T H M unit; route: B T M", init="S: B H M K V", split=1,
         sizes={"M": 4})
def mom(a):
    S, o = a.initial("S", "B", "H", "M", "K", "V"), []
    p = softmax(a.route)
    for t in range(a.size["T"]):
        chosen = np.argsort(-p[:, t], axis=-1, kind="stable")[:, :2]
        y = np.zeros([a.size[d] for d in "BHV"])
        for b in range(a.size["B"]):
            total = p[b, t, chosen[b]].sum()
            for m in chosen[b]:
                k = a.k[b, t, :, m]
                u = a.beta[b, t, :, m, None] * (a.v[b, t, :, m] -
                                                read(k, S[b, :, m]))
                S[b, :, m] += outer(k, u)
                y[b] += p[b, t, m] / total * read(a.q[b, t], S[b, :, m])
        o.append(y)
    return {"o": stack(o, np.zeros([a.size[d] for d in "BTHV"])), "S.final": S}


@example("q: B T H K; z: B T H token; code: H S K; v: B T H V", split=1,
         sizes={"S": 3})
def vq_memory(a):
    t, u = times(a.size["T"])
    scores = np.einsum("bthi,hsi->bhts", a.q, a.code) / np.sqrt(a.size["K"])
    index = np.broadcast_to(np.moveaxis(a.z, 1, 2)[:, :, None], [
        a.size[d] for d in "BHTT"])
    w = softmax(np.take_along_axis(scores, index, -1), u <= t)
    return {"o": np.einsum("bhtu,buhj->bthj", w, a.v)}


@example("q k: B T K; v: B T V; score: B T 2; W: window")
def seqboat(a):
    y = np.zeros_like(a.v)
    on = a.score[..., 1] > a.score[..., 0]
    for b in range(a.size["B"]):
        active = np.flatnonzero(on[b])
        for i, t in enumerate(active):
            window = active[max(0, i - int(a.W) + 1):i + 1]
            w = softmax(a.k[b, window] @ a.q[b, t] / np.sqrt(a.size["K"]))
            y[b, t] = sigmoid(a.score[b, t, 1] - a.score[b, t, 0]) * \
                (w @ a.v[b, window])
    return {"y": y, "active": on}


@example("q k: B T H K; v: B T H V")
def combiner(a):
    o = np.zeros_like(a.v)
    scale = 1 / np.sqrt(a.size["K"])
    for t in range(a.size["T"]):
        start = t - t % 8
        keys, values = [a.k[:, start:t + 1]], [a.v[:, start:t + 1]]
        for s in range(0, start, 8):
            k, v = a.k[:, s:s + 8], a.v[:, s:s + 8]
            w = softmax(np.einsum("bhi,buhi->buh", a.q[:, s:s + 8].mean(1),
                                  k) * scale, axis=1)
            keys.append(k.mean(1, keepdims=True))
            values.append((w[..., None] * v).sum(1, keepdims=True))
        k, v = np.concatenate(keys, 1), np.concatenate(values, 1)
        w = softmax(np.einsum("bhi,buhi->buh", a.q[:, t], k) * scale, axis=1)
        o[:, t] = (w[..., None] * v).sum(1)
    return {"o": o}


@example("x: B T D; U: E E weights; Wf: E 4 D small; P: 4 D E weights; "
         "R W: D D weights")
def hierarchical_rnn(a):
    c = np.zeros([a.size["B"], a.size["E"]])
    h = np.zeros([a.size["B"], a.size["D"]])
    y = []
    for t in range(a.size["T"]):
        if t % 4 == 0:
            frame = a.x[:, t - 4:t] if t else np.zeros_like(h)[:, None].repeat(
                4, axis=1)
            c = np.tanh(apply(a.U, c) + np.einsum("epd,bpd->be", a.Wf, frame))
        h = np.tanh(apply(a.R, h) + apply(a.W, a.x[:, t]) +
                    apply(a.P[t % 4], c))
        y.append(h)
    return {"y": stack(y, a.x)}


@example("x: B T D; step: L D small; Wq Wk Wv Wf: D D weights; halt: D; "
         "eps: rate", sizes={"L": 4})
def universal(a):
    t, u = times(a.size["T"])
    X, Y = a.x, np.zeros_like(a.x)
    hp, n = np.zeros(X.shape[:2]), np.zeros(X.shape[:2])
    for l in range(a.size["L"]):
        running = hp < 1
        p = sigmoid(X @ a.halt)
        z = X + a.step[l]
        q, k, v = (z @ W.T for W in (a.Wq, a.Wk, a.Wv))
        s = np.einsum("btd,bud->btu", q, k) / np.sqrt(a.size["D"])
        z = z + softmax(s, u <= t) @ v
        X = z + np.tanh(z @ a.Wf.T)
        last = running & (hp + p > 1 - a.eps)
        w = np.where(running, np.where(last, 1 - hp, p), 0.0)
        hp = np.where(last, 1.0, np.where(running, hp + p, hp))
        n = n + running
        Y = Y * (1 - w[..., None]) + w[..., None] * X
    return {"y": Y, "ponder": n}


@example("m: B T D; W: 4 D 2 D small; bias: N 4 D", sizes={"N": 5})
def read_process_write(a):
    h, c, r = (np.zeros([a.size["B"], a.size["D"]]) for _ in range(3))
    qs, rs = [], []
    for p in range(5):
        f, i, z, o = (apply(a.W[g, :, 0], h) + apply(a.W[g, :, 1], r) +
                      a.bias[p, g] for g in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
        h = sigmoid(o) * np.tanh(c)
        w = softmax(np.einsum("btd,bd->bt", a.m, h))
        r = np.einsum("bt,btd->bd", w, a.m)
        qs.append(h)
        rs.append(r)
    return {"q": np.stack(qs, 1), "r": np.stack(rs, 1)}
