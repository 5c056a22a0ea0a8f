#===- nonlinear.py - Recurrences that are not linear in their state --------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Nonlinear recurrences: diagonal, blocks, dense, with a threshold, with
several clocks, with a convolution and with attention inside the step."""

import numpy as np

from example import *


@example("xz xr xc: B T D; Rz Rr Rc: D D weights", init="h: B D", split=1,
         override={"xz": "wild"})
def gru(a):
    h, y = a.initial("h", "B", "D"), []
    for t in range(a.size["T"]):
        z = sigmoid(a.xz[:, t] + apply(a.Rz, h))
        r = sigmoid(a.xr[:, t] + apply(a.Rr, h))
        c = np.tanh(a.xc[:, t] + apply(a.Rc, r * h))
        h = z * h + (1 - z) * c
        y.append(h)
    return {"y": stack(y, a.xz), "h.final": h}


@example("xz xr xc: B T H D; Rz Rr Rc: H D D weights; b: H D", init="h: B H D",
         split=1)
def gru_reset_after(a):
    h, y = a.initial("h", "B", "H", "D"), []
    for t in range(a.size["T"]):
        z = sigmoid(a.xz[:, t] + apply_heads(a.Rz, h))
        r = sigmoid(a.xr[:, t] + apply_heads(a.Rr, h))
        c = np.tanh(a.xc[:, t] + r * (apply_heads(a.Rc, h) + a.b))
        h = z * h + (1 - z) * c
        y.append(h)
    return {"y": stack(y, a.xz), "h.final": h}


@example("xf xz xo: B T D; af az ao pf po: D", init="h: B D; c: B D", split=1,
         override={"xf": "wild"}, long=True)
def para_lstm(a):
    h, c, y = a.initial("h", "B", "D"), a.initial("c", "B", "D"), []
    for t in range(a.size["T"]):
        f = sigmoid(a.xf[:, t] + a.af * h + a.pf * c)
        c = f * c + (1 - f) * np.tanh(a.xz[:, t] + a.az * h)
        o = sigmoid(a.xo[:, t] + a.ao * h + a.po * c)
        h = o * np.tanh(c)
        y.append(h)
    return {"y": stack(y, a.xz), "h.final": h, "c.final": c}


@example("xi xf xz xo: B T H D; Ri Rf Rz Ro: H D D weights", split=1,
         override={"xf": "wild"})
def slstm(a):
    """Without a stabiliser, but with the gates' logarithms: the cell and the
    normaliser are kept with a common factor exp(scale)."""
    h, c, n = (np.zeros([a.size[d] for d in "BHD"]) for _ in range(3))
    scale, y = np.full(h.shape, -np.inf), []
    for t in range(a.size["T"]):
        i, f, z, o = (x[:, t] + apply_heads(R, h) for x, R in
                      ((a.xi, a.Ri), (a.xf, a.Rf), (a.xz, a.Rz), (a.xo, a.Ro)))
        keep, new = logsigmoid(f) + scale, i
        total = np.logaddexp(keep, new)
        c = np.exp(keep - total) * c + np.exp(new - total) * np.tanh(z)
        n = np.exp(keep - total) * n + np.exp(new - total)
        scale, h = total, sigmoid(o) * c / n
        y.append(h)
    return {"y": stack(y, a.xi), "h.final": h}


@example("x: B T E; W: D E weights; R: D D weights; b: D", init="h: B D",
         split=1)
def rnn_tanh(a):
    h, y = a.initial("h", "B", "D"), []
    for t in range(a.size["T"]):
        h = np.tanh(apply(a.W, a.x[:, t]) + apply(a.R, h) + a.b)
        y.append(h)
    return {"y": stack(y, np.zeros((a.size["B"], 0, a.size["D"]))),
            "h.final": h}


@example("x: B T D; R: D D weights; b: D; tau: D above1", init="h: B D",
         split=1)
def leaky_rnn(a):
    h, y = a.initial("h", "B", "D"), []
    for t in range(a.size["T"]):
        drive = np.maximum(a.x[:, t] + apply(a.R, h) + a.b, 0)
        h = (1 - 1 / a.tau) * h + drive / a.tau
        y.append(h)
    return {"y": stack(y, a.x), "h.final": h}


@example("x: B T D; R: D D weights; period: D period", init="h: B D", split=8)
def clockwork(a):
    D = a.size["D"]
    R = a.R.copy()
    for d in range(D):
        for e in range(D):
            if a.period[e] < a.period[d]:
                R[d, e] = 0
    h, y = a.initial("h", "B", "D"), []
    for t in range(a.size["T"]):
        new = np.tanh(a.x[:, t] + apply(R, h))
        h = np.where(t % a.period == 0, new, h)
        y.append(h)
    return {"y": stack(y, a.x), "h.final": h}


# In half precision a potential may lie exactly on the threshold.
@example("x: B T D; tau: D above1", init="V: B D", split=1,
         modes=("reference", "f32", "f64"), long=True)
def lif(a):
    V, spikes = a.initial("V", "B", "D"), []
    for t in range(a.size["T"]):
        V = V + (a.x[:, t] - V) / a.tau
        fires = V >= 1
        spikes.append(fires.astype(float))
        V = np.where(fires, 0, V)
    return {"spike": stack(spikes, a.x), "V.final": V}


@example("xi xf xz xo: B T Y X D; Ri Rf Rz Ro: 3 3 D D small",
         init="h: B Y X D; c: B Y X D", split=1,
         sizes={"Y": lambda rng: int(rng.choice([1, 2, 5])),
                "X": lambda rng: int(rng.choice([1, 3, 4])),
                "D": lambda rng: int(rng.choice([1, 3, 5]))})
def conv_lstm(a):
    h = a.initial("h", "B", "Y", "X", "D")
    c = a.initial("c", "B", "Y", "X", "D")
    Y, X, y = a.size["Y"], a.size["X"], []

    def convolve(R):
        framed = np.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return sum(framed[:, p:p + Y, r:r + X] @ R[p, r].T
                   for p in range(3) for r in range(3))

    for t in range(a.size["T"]):
        i, f, z, g = (x[:, t] + convolve(R) for x, R in
                      ((a.xi, a.Ri), (a.xf, a.Rf), (a.xz, a.Rz), (a.xo, a.Ro)))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
        h = sigmoid(g) * np.tanh(c)
        y.append(h)
    return {"o": stack(y, a.xi), "h.final": h, "c.final": c}


@example("x: B T 4 D; enc: B N D; count: B count; R C: 4 D D weights;"
         "W1 W2: D D weights; w: D", init="h: B D; c: B D; r: B D", split=1)
def pointer_step(a):
    h, c, r = (a.initial(s, "B", "D") for s in "hcr")
    valid = np.arange(a.size["N"]) < a.count[:, None]
    y, ps = [], []
    for t in range(a.size["T"]):
        i, f, z, o = (a.x[:, t, m] + apply(a.R[m], h) + apply(a.C[m], r)
                      for m in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
        h = sigmoid(o) * np.tanh(c)
        hidden = np.tanh(a.enc @ a.W1.T + apply(a.W2, h)[:, None])
        p = softmax(hidden @ a.w, valid)
        r = np.einsum("bn,bnd->bd", p, a.enc)
        y.append(h)
        ps.append(p)
    empty = np.zeros((a.size["B"], 0, a.size["N"]))
    return {"y": stack(y, a.x[:, :, 0]), "p": stack(ps, empty), "h.final": h,
            "c.final": c, "r.final": r}


@example("xf xz xo: B T H D; Rf Rz Ro: H D D weights; pf po: H D",
         init="h: B H D; c: B H D", split=1, override={"xf": "wild"})
def lstm_peephole(a):
    h, c = a.initial("h", "B", "H", "D"), a.initial("c", "B", "H", "D")
    y = []
    for t in range(a.size["T"]):
        f = sigmoid(a.xf[:, t] + apply_heads(a.Rf, h) + a.pf * c)
        c = f * c + (1 - f) * np.tanh(a.xz[:, t] + apply_heads(a.Rz, h))
        h = sigmoid(a.xo[:, t] + apply_heads(a.Ro, h) + a.po * c) * np.tanh(c)
        y.append(h)
    return {"y": stack(y, a.xz), "h.final": h, "c.final": c}


@example("x: B T D; R: D D weights; keep: D D token; b: D", init="h: B D",
         split=1)
def rnn_relu(a):
    R = np.where(a.keep != 0, a.R, 0)
    h, y = a.initial("h", "B", "D"), []
    for t in range(a.size["T"]):
        h = np.maximum(a.x[:, t] + apply(R, h) + a.b, 0)
        y.append(h)
    return {"y": stack(y, a.x), "h.final": h}


# In half precision a potential may lie exactly on the threshold.
@example("x: B T D; R: D D weights; alpha rho beta: D unit",
         init="V: B D; A: B D; s: B D", split=1,
         modes=("reference", "f32", "newton", "f64"))
def alif(a):
    V, A, s = (a.initial(name, "B", "D") for name in "VAs")
    spikes = []
    for t in range(a.size["T"]):
        A = a.rho * A + (1 - a.rho) * s
        V = a.alpha * V + a.x[:, t] + apply(a.R, s)
        threshold = 1 + a.beta * A
        s = (V >= threshold).astype(float)
        V = V - s * threshold
        spikes.append(s)
    return {"spike": stack(spikes, a.x), "V.final": V, "A.final": A,
            "s.final": s}


@example("am al eps: B T Z; Wm Wl: Z D weights; Wz: D Z weights;"
         "Rf: D D weights; Rs: N N weights; up: D N weights;"
         "down: N D weights; tau: D above1; slow: N above1; Wo: P D weights",
         init="u: B D; s: B N", split=1)
def pv_rnn(a):
    u, s = a.initial("u", "B", "D"), a.initial("s", "B", "N")
    outputs, divergences = [], []
    for t in range(a.size["T"]):
        fast = np.tanh(u)
        prior = np.tanh(apply(a.Wm, fast)), np.exp(np.tanh(apply(a.Wl, fast)))
        mean, deviation = np.tanh(a.am[:, t]), np.exp(np.tanh(a.al[:, t]))
        z = mean + deviation * a.eps[:, t]
        s = s + (apply(a.Rs, np.tanh(s)) + apply(a.down, fast) - s) / a.slow
        u = u + (apply(a.Rf, fast) + apply(a.Wz, z) + apply(a.up, np.tanh(s))
                 - u) / a.tau
        outputs.append(apply(a.Wo, np.tanh(u)))
        ratio = deviation / prior[1]
        divergences.append((ratio ** 2 / 2 - np.log(ratio) - 0.5 + (
            (mean - prior[0]) / prior[1]) ** 2 / 2).sum(-1))
    empty = np.zeros((a.size["B"], 0, a.size["P"]))
    return {"o": stack(outputs, empty), "kl": stack(divergences, empty[..., 0]),
            "u.final": u, "s.final": s}


@example("x: B T E; W2: 4 E D small; R2: D D weights; U2: 2 D D weights;"
         "W1: 2 E D small; R1: D D weights; U1: 2 P D weights; W0: 2 E P",
         init="big: B D; frame: B D")
def cm_hrnn(a):
    B, T = a.size["B"], a.size["T"]
    x = np.concatenate([np.zeros((B, 4, a.size["E"])), a.x], axis=1)
    big, frame = a.initial("big", "B", "D"), a.initial("frame", "B", "D")
    y = []
    for t in range(T):
        if t % 4 == 0:
            events = np.einsum("bpe,ped->bd", x[:, t:t + 4], a.W2)
            big = np.tanh(events + apply(a.R2, big))
        if t % 2 == 0:
            events = np.einsum("bpe,ped->bd", x[:, t + 2:t + 4], a.W1)
            frame = np.tanh(events + apply(a.R1, frame)
                            + apply(a.U2[t % 4 // 2], big))
        events = np.einsum("bpe,peq->bq", x[:, t + 2:t + 4], a.W0)
        y.append(np.maximum(events + apply(a.U1[t % 2], frame), 0))
    return {"y": stack(y, np.zeros((B, 0, a.size["P"]))), "big.final": big,
            "frame.final": frame}
