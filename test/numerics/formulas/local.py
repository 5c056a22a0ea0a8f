#===- local.py - Convolutions, norms and embeddings ------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Programs without a recurrence, or with a plain sum over the past."""

import numpy as np

from example import *


@example("x: B T D; past: L D; next: R D")
def fsmn(a):
    y = a.x.copy()
    for p in range(a.size["L"]):
        y += a.past[p] * past(a.x, p)
    for p in range(a.size["R"]):
        y += a.next[p] * past(a.x, -1 - p)
    return {"y": y}


@example("x: B T D; F G: 3 2 D D weights")
def dilated_conv(a):
    x = a.x
    for layer in range(3):
        f, g = (W[layer, 0] @ x[..., None]
                + W[layer, 1] @ past(x, 2 ** layer)[..., None]
                for W in (a.F, a.G))
        x = x + (np.tanh(f) * sigmoid(g))[..., 0]
    return {"y": x}


# A small variance magnifies rounding: at least three channels.
@example("x: B T D; gain bias: D", split=1,
         sizes={"D": lambda rng: int(rng.choice([3, 5, 16]))})
def causal_norm(a):
    y = np.zeros(a.x.shape)
    for t in range(a.size["T"]):
        seen = a.x[:, :t + 1].reshape(a.size["B"], (t + 1) * a.size["D"])
        mean, var = seen.mean(-1)[:, None], seen.var(-1)[:, None]
        y[:, t] = a.gain * (a.x[:, t] - mean) / np.sqrt(var + 1e-5) + a.bias
    return {"y": y}


@example("tokens: B T token; table: N D",
         sizes={"N": lambda rng: int(rng.choice([3, 8, 17]))})
def embedding(a):
    T, D = a.size["T"], a.size["D"]
    position = np.zeros((T, D))
    for t in range(T):
        for d in range(D):
            angle = t / 10000 ** ((d - d % 2) / D)
            position[t, d] = np.cos(angle) if d % 2 else np.sin(angle)
    return {"y": np.sqrt(D) * a.table[a.tokens] + position}
