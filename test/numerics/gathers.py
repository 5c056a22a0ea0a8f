#===- gathers.py - Small programs that read where data says ----------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Programs with gathers, against loops in numpy, as corners.py does it.

    python3 test/numerics/gathers.py --build build [--only NAME]
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from corners import main, registry, sigmoid  # noqa: E402

GATHERS = []
corner = registry(GATHERS)


@corner("""kernel k(emb: [N, D], n: i32 [T], w: [D]) -> (y: [T]) {
  y[t] = sum[d] emb[n[t], d] * w[d] + emb[n[T - 1 - t], 0]
}""", T=[1, 6], N=[9, 9], D=[1, 5])
def gathers(emb, n, w):
    return {"y": emb[n] @ w + emb[n[::-1], 0]}


@corner("""kernel k(x: [T, D], n: i32 [T], emb: [N, D]) -> (y: [T, D], z: [T]) {
  state S: [D]
  state m: []
  S[t, d] = 0.7 * S[t-1, d] - 0.1 * grad(sum[i] S[t-1, i] * (emb[n[t], i] * x[t, i] + S[t-1, i]), S[t-1, d])
  y[t, d] = S[t, d]
  m[t] = max[j in 0..2 | j + 1 < j] sum[p | p < t] m[p]
  z[t] = max(m[t], -1)
}""", T=[0, 1, 19], D=[2, 1, 5], N=[4, 5, 9])
def gradient_beside_a_gather(x, n, emb):
    """And a filter that never holds."""
    S, y = np.zeros(x.shape[1]), np.zeros_like(x)
    for t in range(len(x)):
        S = 0.7 * S - 0.1 * (emb[n[t]] * x[t] + 2 * S)
        y[t] = S
    return {"y": y, "z": -np.ones(len(x))}


@corner("""kernel k(q, k: [T, K], n: i32 [T], emb: [N, V], key: [N, K], g: [T]) -> (o, p: [T, V], c: [T, V]) {
  state S, R: [K, V]
  state h: [V]
  S[t, i, j] = sigmoid(g[t]) * S[t-1, i, j] + k[t, i] * emb[n[t], j]
  R[t, i, j] = sigmoid(g[t]) * R[t-1, i, j] + k[t, i] * emb[t mod 4, j]
  o[t, j] = sum[i] q[t, i] * S[t, i, j]
  p[t, j] = sum[i] key[n[t], i] * R[t, i, j]
  h[t, j] = tanh(0.7 * h[t-1, j] - emb[n[t], j])
  c[t, j] = h[t, j]
}""", T=[0, 1, 15, 16, 17, 37], K=[2, 1, 5, 8, 4, 17], V=[3, 1, 4, 9, 16, 5], N=[4, 5, 9, 4, 7, 6])
def gathers_in_recurrences(q, k, n, emb, key, g):
    (T, K), V = q.shape, emb.shape[1]
    S, R, h, f = np.zeros((K, V)), np.zeros((K, V)), np.zeros(V), sigmoid(g)
    o, p, c = (np.zeros((T, V)) for _ in range(3))
    for t in range(T):
        S = f[t] * S + np.outer(k[t], emb[n[t]])
        R = f[t] * R + np.outer(k[t], emb[t % 4])
        h = np.tanh(0.7 * h - emb[n[t]])
        o[t], p[t], c[t] = q[t] @ S, key[n[t]] @ R, h
    return {"o": o, "p": p, "c": c}


@corner("""kernel k(x: [B, T, D], n: i32 [B, T], m: i32 [T, D], S0: [D]) -> (y, z: [B, T, D], c, w, p: [B, T]) {
  batch B
  state S, R: [D] = S0
  S[t, d] = 0.4 * S[t-1, d] + 0.3 * S[t-1, n[t]] - 0.2 * S[t-2, m[t, d]] + x[t, d]
  R[t, d] = 0.5 * R[t+1, d] + (if n[t] > 1 then R[t+1, n[t] - 1] else 0) / 3 + x[t, d]
  y[t, d] = S[t, d] - R[t, d]
  z[t, d] = S[t-1, m[t, d]] + R[t, m[t, d]]
  c[t] = S[t, n[t]]
  w[t] = S[t-2, n[t]] * R[t+1, n[t]]
  p[t] = x[t-1, n[t]] - x[n[t] mod (t + 1), 0]
}""", B=[1, 2, 1, 3], T=[0, 1, 17, 37], D=[4, 5, 9, 33])
def gathers_from_the_past(x, n, m, S0):
    """Before the start it is the initial value at that place."""
    B, T, D = x.shape
    y, z = np.zeros_like(x), np.zeros_like(x)
    c, w, p = np.zeros((B, T)), np.zeros((B, T)), np.zeros((B, T))
    for b in range(B):
        S, R = [S0, S0], [None] * T + [S0]
        for t in range(T):
            S.append(0.4 * S[-1] + 0.3 * S[-1][n[b, t]] - 0.2 * S[-2][m[t]] + x[b, t])
        for t in range(T)[::-1]:
            R[t] = 0.5 * R[t + 1] + x[b, t] + (
                R[t + 1][n[b, t] - 1] / 3 if n[b, t] > 1 else 0)
        for t in range(T):
            now, before, older = S[t + 2], S[t + 1], S[t]
            y[b, t] = now - R[t]
            z[b, t] = before[m[t]] + R[t][m[t]]
            c[b, t] = now[n[b, t]]
            w[b, t] = older[n[b, t]] * R[t + 1][n[b, t]]
            p[b, t] = (x[b, t - 1, n[b, t]] if t else 0) - x[b, n[b, t] % (t + 1), 0]
    return {"y": y, "z": z, "c": c, "w": w, "p": p}


@corner("""kernel k(x, g: [T, D], a, b: i32 [T]) -> (o: [T, D], top: [T, D], depth: i32 [T]) {
  state M, K: [4, D]
  state p: i32 []
  r[t, d] = M[t-1, a[t], d]
  M[t, s, d] = if s == b[t] then tanh(x[t, d] + r[t, d]) else M[t-1, s, d]
  o[t, d] = r[t, d]
  p[t] = if g[t, 0] > 0 then min(p[t-1] + 1, 3) else max(p[t-1] - 1, 0)
  K[t, s, d] = if g[t, 0] > 0 and s == p[t] then x[t, d] + 0.5 * K[t-1, p[t-1], d] else K[t-1, s, d]
  top[t, d] = K[t, p[t], d]
  depth[t] = p[t]
}""", T=[0, 1, 19, 33], D=[1, 3, 8, 17])
def memory_by_address(x, g, a, b):
    """Slots, and a stack."""
    M, K, p = np.zeros((4, x.shape[1])), np.zeros((4, x.shape[1])), 0
    o, top, depth = np.zeros_like(x), np.zeros_like(x), []
    for t in range(len(x)):
        r = M[a[t]].copy()
        M[b[t]] = np.tanh(x[t] + r)
        o[t] = r
        if g[t, 0] > 0:
            K[min(p + 1, 3)] = x[t] + 0.5 * K[p]
        p = min(p + 1, 3) if g[t, 0] > 0 else max(p - 1, 0)
        top[t] = K[p]
        depth.append(p)
    return {"o": o, "top": top, "depth": depth}


@corner("""kernel k(x: [T, D], n: i32 [T]) -> (y: [T, D], z: [T, D]) {
  state W, V: [D]
  loss[t] = 0.5 * (W[t-1, n[t]] - x[t, n[t]]) ^ 2 + 0.1 * sum[i] W[t-1, i] ^ 2
  W[t, d] = W[t-1, d] + x[t, d] - 0.3 * grad(loss[t], W[t-1, d])
  y[t, d] = W[t, d]
  V[t, d] = 0.9 * V[t-1, d] + x[t, d] - 0.1 * grad(sum[i] x[t, i] * sin(V[t-1, i]), V[t-1, n[t]])
  z[t, d] = V[t, d]
}""", T=[0, 1, 21], D=[4, 7, 18])
def gradient_of_a_gather(x, n):
    W = V = np.zeros(x.shape[1])
    y, z = np.zeros_like(x), np.zeros_like(x)
    for t in range(len(x)):
        g = 0.2 * W
        g[n[t]] += W[n[t]] - x[t, n[t]]
        W = W + x[t] - 0.3 * g
        V = 0.9 * V + x[t] - 0.1 * x[t, n[t]] * np.cos(V[n[t]])
        y[t], z[t] = W, V
    return {"y": y, "z": z}


@corner("""kernel k(x: [T, D], n: i32 [T], w: [D]) -> (y: [T]) {
  state s, r, l: []
  state S: [D, D]
  s[t] = 0.5 * tanh(s[t+1]) + x[t, min(n[t], t)] * w[n[t]]
  r[t] = sigmoid(r[t-1] + w[0]) * x[t, min(n[t], t)]
  l[t] = 0.9 * l[t+1] + x[t, min(n[t], t)]
  S[t, d, e] = 0.9 * S[t+1, d, e] + x[t, d] * x[t, min(n[t], t)] * w[e]
  y[t] = s[t] + r[t] + l[t] + sum[d, e] w[d] * S[t, d, e]
}""", T=[0, 1, 9, 70], D=[4, 4, 5, 6])
def gathers_at_every_step_only(x, n, w):
    m, s, r, l, S = min, 0.0, 0.0, 0.0, 0.0
    y = np.zeros(len(n))
    for t in reversed(range(len(n))):
        s = 0.5 * np.tanh(s) + x[t, m(n[t], t)] * w[n[t]]
        l = 0.9 * l + x[t, m(n[t], t)]
        S = 0.9 * S + x[t, m(n[t], t)] * np.outer(x[t], w)
        y[t] = s + l + w @ S.sum(1)
    for t in range(len(n)):
        r = sigmoid(r + w[0]) * x[t, m(n[t], t)]
        y[t] += r
    return {"y": y}


@corner("""kernel k(x: [T, D], a: [D], n: i32 [T], emb: [N, D]) -> (y: [T, D], z: [T]) {
  state m: [D]
  m[t, d] = sigmoid(a[d]) * m[t-1, d] + (1 - sigmoid(a[d])) * x[t, d]
  y[t, d] = m[t, d] + emb[n[t], d]
  z[t] = sum[d] emb[n[t], d] * m[t, d]
}""", T=[0, 1, 19], D=[2, 1, 5], N=[4, 5, 9])
def gathering_readers(x, a, n, emb):
    m, g, y, z = np.zeros(len(a)), sigmoid(a), np.zeros_like(x), []
    for t in range(len(x)):
        m = g * m + (1 - g) * x[t]
        y[t] = m + emb[n[t]]
        z.append(emb[n[t]] @ m)
    return {"y": y, "z": z}


if __name__ == "__main__":
    sys.exit(main(GATHERS, "gathers"))
