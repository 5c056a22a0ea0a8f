#===- corners.py - Small programs for the corners of the language -----------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Programs that are no models, each for some feature of the language, against
loops in numpy: interpreted at 1e-6, compiled in f64, f32 and bf16, in every form
that they have.

    python3 test/numerics/corners.py --build build [--only NAME]
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import safetensors  # noqa: E402

CORNERS = []
TOLERANCES = {"f64": 1e-9, "f32": 2e-5, "bf16": 1e-2}


def registry(entries):
    def corner(text, **sizes):
        """Registers a formula; `sizes` are lists, taken together."""
        def register(formula):
            entries.append((formula.__name__, text, sizes, formula))
            return formula
        return register
    return corner


corner = registry(CORNERS)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, mask):
    e = np.where(mask, np.exp(np.where(mask, x - np.max(x, initial=0), 0)), 0)
    return e / e.sum() if e.sum() else e


@corner("""kernel k(q, k: [N, K]) -> (y: [N, N], z: [N]) {
  a[t, s] = sum[i | s <= t] q[t, i] * k[s, i]
  y[t, s] = a[t, s] + 1.0
  b[t, s] = sum[i | s < t] q[t, i] * k[s, i]
  z[t]    = sum[s] b[t, s]
}""", N=[1, 5, 16, 40], K=[3, 8, 16, 7])
def triangles_in_full(q, k):
    products = q @ k.T
    return {"y": np.tril(products) + 1.0, "z": np.tril(products, -1).sum(1)}


@corner("""kernel k(x: [T, D]) -> (m: [T], p: [T], lo: [T], n: [T]) {
  m[t] = max[d | d mod 2 == 1] x[t, d]
  p[t] = prod[d in 1..3] x[t, d]
  lo[t] = min[d | x[t, d] > 0] x[t, d]
  n[t] = sum[d | x[t, d] > 0] 1
}""", T=[0, 1, 5], D=[3, 1, 7])
def reductions(x):
    T, D = x.shape
    pick = lambda t: [v for v in x[t] if v > 0]
    at = lambda t, d: x[t, d] if d < D else 0.0
    return {"m": [max(list(x[t, 1::2]), default=-np.inf) for t in range(T)],
            "p": [at(t, 1) * at(t, 2) for t in range(T)],
            "lo": [min(pick(t), default=np.inf) for t in range(T)],
            "n": [float(len(pick(t))) for t in range(T)]}


@corner("""kernel k(n: i32 [T], b: bool [T]) -> (a: i32 [T], c: bool [T], d: i64 [T], e: i32) {
  a[t] = n[t] * 3 - div(n[t], 2) + n[t] mod 5
  c[t] = not b[t] or n[t] > 2
  d[t] = if b[t] then max(n[t], 4) else abs(n[t])
  e = sum[t | b[t]] n[t]
}""", T=[0, 1, 19])
def integers(n, b):
    n = n.astype(np.int64)
    return {"a": n * 3 - n // 2 + n % 5, "c": ~b | (n > 2),
            "d": np.where(b, np.maximum(n, 4), abs(n)), "e": n[b].sum()}


@corner("""kernel k(x, a: [T, D]) -> (y: [T, D]) {
  state h: [D]
  h[t, d] = sigmoid(a[t, d]) * h[t+1, d] + x[t, d]
  y[t, d] = h[t, d] - h[t+1, d]
}""", T=[0, 1, 17], D=[2, 1, 19])
def backwards(x, a):
    h, y = np.zeros(x.shape[1]), np.zeros_like(x)
    for t in range(len(x))[::-1]:
        new = sigmoid(a[t]) * h + x[t]
        y[t], h = new - h, new
    return {"y": y, "h.final": h}


@corner("""kernel k(x: [T]) -> (y: [T]) {
  state f: []
  f[t] = 0.5 * f[t-1] - 0.25 * f[t-3] + x[t]
  y[t] = f[t] + f[t-2]
}""", T=[0, 1, 3, 40])
def lags(x):
    f = np.zeros(len(x) + 3)
    for t in range(len(x)):
        f[t + 3] = 0.5 * f[t + 2] - 0.25 * f[t] + x[t]
    return {"y": f[3:] + f[1:-2]}


@corner("""kernel k(w: [N, D], x: [T, D]) -> (y: [T, D]) {
  state s: [D]
  s[t, d] = 0.5 * s[t-1, d] + x[t, d]
  s[-1, d] = (sum[p in 0..d+1] sum[q in p..d+1] w[q, 0]) + max[r in 0..d+1] w[0, r]
  y[t, d] = s[t, d]
}""", T=[0, 1, 4], D=[3, 1, 5], N=[3, 2, 6])
def ranges_before_the_start(w, x):
    rows = np.vstack([w, np.zeros(w.shape)])
    D = x.shape[1]
    s = np.array([sum(rows[q, 0] for p in range(d + 1)
                      for q in range(p, d + 1)) for d in range(D)])
    s = s + np.maximum.accumulate(w[0])
    y = []
    for now in x:
        s = 0.5 * s + now
        y.append(s)
    return {"y": np.reshape(y, x.shape)}


@corner("""kernel k(x: [T, D]) -> (y: [T, D]) {
  state s: [D]
  s[t, d] = 0.9 * s[t-1, d] + tanh(s[t - t mod 4 - 1, d]) * x[t, d]
  y[t, d] = s[t, d]
}""", T=[0, 1, 4, 5, 23], D=[1, 2, 3, 17, 4])
def frozen(x):
    s = np.zeros((len(x) + 1, x.shape[1]))
    for t in range(len(x)):
        s[t + 1] = 0.9 * s[t] + np.tanh(s[t - t % 4]) * x[t]
    return {"y": s[1:]}


@corner("""kernel k(a, b, x: [Y, X, D]) -> (o: [Y, X, D]) {
  state h: [D] along Y, X
  h[y, z, d] = sigmoid(a[y, z, d]) * h[y-1, z, d] + b[y, z, d] * h[y, z-1, d] / 2 + x[y, z, d] * h[y-1, z-1, d]
             + x[y, z, d]
  o[y, z, d] = h[y, z, d]
}""", Y=[0, 1, 6], X=[3, 1, 5], D=[2, 1, 3])
def plane(a, b, x):
    h = np.zeros((x.shape[0] + 1, x.shape[1] + 1, x.shape[2]))
    for y in range(x.shape[0]):
        for z in range(x.shape[1]):
            h[y + 1, z + 1] = (sigmoid(a[y, z]) * h[y, z + 1] +
                               b[y, z] * h[y + 1, z] / 2 +
                               x[y, z] * h[y, z] + x[y, z])
    return {"o": h[1:, 1:]}


@corner("""kernel k(q: [B, T, H, K], k, v: [B, T, H/G, K]) -> (o: [B, T, H, K]) {
  batch B, H
  state S: [K, K]
  S[t, i, j] = 0.9 * S[t-1, i, j] + k[t, i] * v[t, j]
  o[t, j] = sum[i] q[t, i] * S[t-1, i, j]
}""", B=[1, 2], T=[1, 35], H=[2, 6], G=[2, 3], K=[3, 5])
def grouped(q, k, v):
    B, T, H, K = q.shape
    group = H // k.shape[2]
    o, S = np.zeros_like(q), np.zeros((B, H, K, K))
    k, v = np.repeat(k, group, 2), np.repeat(v, group, 2)
    for t in range(T):
        o[:, t] = np.einsum("bhi,bhij->bhj", q[:, t], S)
        S = 0.9 * S + np.einsum("bhi,bhj->bhij", k[:, t], v[:, t])
    return {"o": o, "S.final": S}


@corner("""const C = 3
fn soft(x, y) = log(exp(x) + exp(y))
fn twice(x) = soft(x, x) + C
kernel k(x: [T], s: f32, n: i32) -> (y: [T], z: [T]) {
  let half = 1 / 2
  let w = half * C + T
  y[t] = twice(x[t]) * half + w * s
  z[t] = x[t - n] + x[t + 1]
}""", T=[1, 9])
def functions(x, s, n):
    T = len(x)
    at = lambda t: x[t] if 0 <= t < T else 0.0
    return {"y": (x + math.log(2) + 3) / 2 + (1.5 + T) * s,
            "z": [at(t - int(n)) + at(t + 1) for t in range(T)]}


@corner("""kernel k(x: [T, D], doc: i32 [T]) -> (y: [T, D]) {
  y[t, d] = sum[u | u <= t and doc[u] == doc[t] and (t - u) mod 2 == 0] exp(-(t - u) / 4) * x[u, d]
}""", T=[0, 1, 20], D=[1, 3, 5])
def documents(x, doc):
    T = len(x)
    y = np.zeros_like(x)
    for t in range(T):
        for u in range(t + 1):
            if doc[u] == doc[t] and (t - u) % 2 == 0:
                y[t] += np.exp(-(t - u) / 4) * x[u]
    return {"y": y}


@corner("""kernel k(s: [T, U], v: [U, D]) -> (y: [T, D], l: [T]) {
  y[t, d] = sum[u] (softmax[u | u < t] s[t, u]) * v[u, d]
  l[t] = logsumexp[u | u >= t] s[t, u]
}""", T=[1, 9, 70], U=[1, 5, 66], D=[1, 3, 2])
def strict(s, v):
    T, U = s.shape
    u = np.arange(U)
    return {"y": np.array([softmax(s[t], u < t) @ v for t in range(T)]),
            "l": [np.log(np.exp(s[t, t:]).sum()) if t < U else -np.inf
                  for t in range(T)]}


@corner("""kernel k(x: [T, D]) -> (i: [T], first: bool [T, D]) {
  top[t] = max[d] x[t, d]
  i[t] = min[d | x[t, d] == top[t]] d
  first[t, d] = d == i[t]
}""", T=[1, 8], D=[3, 9])
def largest(x):
    i = x.argmax(1)
    return {"i": i.astype(float), "first": np.arange(x.shape[1])[None] == i[:, None]}


@corner("""kernel k(x: [T, D], W: [D, D]) -> (h: [T, D]) {
  state W1: [D, D] = W
  loss[t] = sum[i] (sum[j] W1[t-1, i, j] * x[t, j] - x[t, i]) ^ 2 / 2
  W1[t, i, j] = W1[t-1, i, j] - 0.1 * grad(loss[t], W1[t-1, i, j])
  h[t, i] = sum[j] W1[t, i, j] * x[t, j]
}""", T=[1, 11], D=[1, 4])
def gradient(x, W):
    W, h = W.copy(), []
    for v in x:
        W = W - 0.1 * np.outer(W @ v - v, v)
        h.append(W @ v)
    return {"h": np.array(h), "W1.final": W}


@corner("""kernel k(x: [T]) -> (best: [T], total: [T], count: i32 [T]) {
  state m: [] = -inf
  state s: []
  state c: i32 []
  m[t] = max(m[t-1], x[t])
  s[t] = s[t-1] * exp(max(m[t-1], -1000) - max(m[t], -1000)) + exp(x[t] - m[t])
  c[t] = if x[t] > m[t-1] then c[t-1] + 1 else c[t-1]
  best[t] = m[t]
  total[t] = m[t] + log(s[t])
  count[t] = c[t]
}""", T=[1, 33])
def records(x):
    best = np.maximum.accumulate(x)
    before = np.concatenate([[-np.inf], best[:-1]])
    return {"best": best, "total": np.log(np.cumsum(np.exp(x))),
            "count": np.cumsum(x > before)}


@corner("""kernel k(x: [T, D], n: i32 [N], w: [D]) -> (y: [T], z: [T], e: [T, D]) {
  state s: []
  state h: [D]
  p[t, d] = s[t-1] * w[d]
  s[t] = p[t, 2] + p[t, 0 + t] + tanh(s[t-1] - 1.8) + x[t, 0]
  q[t, d] = h[t-1, d] + x[t, d]
  h[t, d] = 0.5 * tanh(q[t, d-1]) + 0.25 * h[t-1, d]
  y[t] = s[t]
  z[t] = sum[u] (softmax[u | u >= n[0]] sum[d] x[t, d] * x[u, d]) * x[u, 0]
  e[t, d] = h[t, d]
}""", T=[0, 1, 3, 21], D=[3, 1, 2, 4], N=[1, 1, 1, 1])
def slices_outside_of_their_range(x, n, w):
    T, D = x.shape
    s, h, y, z, e = 0.0, np.zeros(D), np.zeros(T), np.zeros(T), np.zeros((T, D))
    for t in range(T):
        s = (s * w[2] if D > 2 else 0) + (s * w[t] if t < D else 0) \
            + np.tanh(s - 1.8) + x[t, 0]
        q = np.append(0.0, (h + x[t])[:-1])
        h = 0.5 * np.tanh(q) + 0.25 * h
        y[t], e[t] = s, h
        z[t] = softmax(x @ x[t], np.arange(T) >= n[0]) @ x[:, 0]
    return {"y": y, "z": z, "e": e}


@corner("""kernel k(x: [T], w: [V]) -> (y: [T], z: [T]) {
  state s: []
  s[t] = (if x[t] > 0 then s[t-1] else x[t]) * s[t-1] * 0.5 + x[t]
  y[t] = max(min[m in 0..V | t == 1] (w[m] - s[t]), -9)
  z[t] = min(y[t], 9)
}""", T=[0, 1, 2, 19], V=[2, 0, 5, 3])
def filters_of_time_beside_a_state(x, w):
    s, y = 0.0, np.full_like(x, np.inf)
    for t in range(len(x)):
        s = (s if x[t] > 0 else x[t]) * s * 0.5 + x[t]
        if t == 1 and len(w):
            y[t] = max((w - s).min(), -9)
    return {"y": y, "z": np.minimum(y, 9)}


@corner("""kernel k(x: [T, 2*D]) -> (y: [T, D], z: [D]) {
  y[t, d] = x[t, 2 * d] * x[t, 2 * d + 1] - x[t, D + d]
  z[d] = sum[t in 1..T] (y[t, d] - y[t - 1, d])
}""", T=[1, 7], D=[1, 5])
def strided(x):
    D = x.shape[1] // 2
    y = x[:, 0::2] * x[:, 1::2] - x[:, D:]
    return {"y": y, "z": (y[1:] - y[:-1]).sum(0)}


@corner("""kernel half(x: [T, D]) -> (y: [T, D]) {
  state h: [D]
  h[t, d] = 0.5 * h[t-1, d] + x[t, d]
  y[t, d] = h[t, d]
}
kernel k(x: [T, D]) -> (z: [T, D]) {
  a = half(x)
  b = half(a)
  z[t, d] = a[t, d] - b[t, d] * x[T - 1 - t, d]
}""", T=[1, 18], D=[1, 3])
def composed(x):
    def half(x):
        h, y = 0, []
        for v in x:
            h = 0.5 * h + v
            y.append(h)
        return np.array(y)
    a = half(x)
    return {"z": a - half(a) * x[::-1]}


@corner("""kernel k(x: [T], g: [T]) -> (y: [T]) {
  state a, b: []
  a[t] = if t mod 3 == 0 then b[t-1] else a[t-1] + x[t]
  b[t] = 0.5 * b[t-1] + a[t] * step(g[t])
  y[t] = clamp(a[t], -2, 2) + select(b[t] > 0, b[t], sign(b[t]))
}""", T=[0, 1, 25])
def switched(x, g):
    a = b = 0.0
    y = []
    for t in range(len(x)):
        a = b if t % 3 == 0 else a + x[t]
        b = 0.5 * b + a * (g[t] >= 0)
        y.append(min(max(a, -2), 2) + (b if b > 0 else np.sign(b)))
    return {"y": y}


@corner("""kernel k(W: [O, D], b: [O], x: [T, D]) -> (y: [T, O], r: [O]) {
  y[t, o] = relu(b[o] + sum[d] W[o, d] * x[t, d])
  r[o] = sqrt(1 + sum[t, d in 0..2] (W[o, d] * x[t, d]) ^ 2)
}""", T=[1, 6], D=[2, 9], O=[3, 17])
def dense(W, b, x):
    return {"y": np.maximum(x @ W.T + b, 0),
            "r": np.sqrt(1 + ((x[:, None, :2] * W[:, :2]) ** 2).sum((0, 2)))}


@corner("""kernel k(x: [B, T, D], w: [4, D]) -> (y: [B, T, D]) {
  batch B
  y[t, d] = sum[p in 0..4 | p <= t] w[p, d] * x[t - 2 * p, d]
}""", B=[1, 2], T=[1, 12], D=[1, 7])
def dilated(x, w):
    y = np.zeros_like(x)
    for t in range(x.shape[1]):
        for p in range(4):
            if p <= t and t - 2 * p >= 0:
                y[:, t] += w[p] * x[:, t - 2 * p]
    return {"y": y}


@corner("""kernel k(x, f: [T, D]) -> (y: [T, D], z: [T]) {
  state h: [D]
  state c: []
  h[t, d] = sigmoid(f[t, d]) * h[t-1, d] + (1 - sigmoid(f[t, d])) * x[t, d] + 0.1 * c[t-1]
  c[t] = (sum[d] h[t, d]) / (1 + D)
  y[t, d] = h[t, d] * c[t]
  z[t] = c[t-1]
}""", T=[0, 1, 21], D=[3, 1, 5])
def coupled(x, f):
    h, c, y, z = np.zeros(x.shape[1]), 0.0, [], []
    for t in range(len(x)):
        s = sigmoid(f[t])
        z.append(c)
        h = s * h + (1 - s) * x[t] + 0.1 * c
        c = h.sum() / (1 + x.shape[1])
        y.append(h * c)
    return {"y": np.array(y).reshape(x.shape), "z": z, "h.final": h}


@corner("""kernel k(q, x: [T, N], w: [M]) -> (y: [T]) {
  y[t] = 1 + sum[j] (softmax[j in 0..M] (sum[n in 0..T | n <= t] x[n, 0] * q[t, 0])) * w[j]
}""", T=[3, 5], N=[2, 1], M=[0, 3])
def empty(q, x, w):
    return {"y": np.full(len(x), 1 + (w.mean() if len(w) else 0))}


@corner("""kernel k(x: [T, D]) -> (s: [D], m: [D], a: bool [D], v: []) {
  s[d] = sum[t] x[t, d]
  m[d] = max[t] abs(x[t, d])
  a[d] = any[t | t > 0] (x[t, d] > x[t - 1, d])
  v = sum[t, d] x[t, d] * x[t, d]
}""", T=[1, 14], D=[1, 6])
def columns(x):
    return {"s": x.sum(0), "m": abs(x).max(0), "v": (x * x).sum(),
            "a": (x[1:] > x[:-1]).any(0)}


@corner("""kernel k(k, v: [T, K], b: [T]) -> (o: [T, K]) {
  state S: [K, K]
  u[t, j] = sigmoid(b[t]) * (v[t, j] - sum[i] k[t, i] * S[t-1, i, j] / K)
  S[t, i, j] = S[t-1, i, j] + k[t, i] * u[t, j] / K
  o[t, j] = sum[i] k[t, i] * S[t, i, j]
}""", T=[1, 16, 37], K=[1, 4, 9])
def delta(k, v, b):
    K = k.shape[1]
    S, o = np.zeros((K, K)), []
    for t in range(len(k)):
        u = sigmoid(b[t]) * (v[t] - k[t] @ S / K)
        S = S + np.outer(k[t], u) / K
        o.append(k[t] @ S)
    return {"o": np.array(o), "S.final": S}


@corner("""kernel k(x: [T]) -> (y: [T], z: [T]) {
  state h: [] = 1
  state r: [] = -1
  h[t] = h[t-1] * 0.75 + x[t]
  r[t] = r[t+1] * 0.5 + h[t]
  y[t] = r[t]
  z[t] = log1p(x[t] ^ 2) + expm1(x[t]) + softplus(x[t]) + gelu(x[t]) + silu(x[t]) + erf(x[t]) + cos(x[t])
}""", T=[0, 1, 30])
def both_ways(x):
    h, r, hs, ys = 1.0, -1.0, [], np.zeros(len(x))
    for v in x:
        h = 0.75 * h + v
        hs.append(h)
    for t in range(len(x))[::-1]:
        r = 0.5 * r + hs[t]
        ys[t] = r
    erf = np.vectorize(math.erf, otypes=[float])
    return {"y": ys, "r.final": r,
            "z": np.log1p(x ** 2) + np.expm1(x) + np.log1p(np.exp(x)) +
            x / 2 * (1 + erf(x / np.sqrt(2))) + x * sigmoid(x) + erf(x) +
            np.cos(x)}


@corner("""kernel k(A: [T, K, K], v: [T, K]) -> (y: [T, K]) {
  state p: [K]
  p[t, i] = sum[j] A[t, i, j] * p[t-1, j] / (2 * K) + v[t, i]
  y[t, i] = p[t, i] * (if i == 0 then 2 else 1)
}""", T=[1, 15], K=[1, 6])
def matrices(A, v):
    K = v.shape[1]
    p, y = np.zeros(K), []
    for t in range(len(v)):
        p = A[t] @ p / (2 * K) + v[t]
        y.append(p * np.where(np.arange(K) == 0, 2, 1))
    return {"y": np.array(y), "p.final": p}


@corner("""kernel k(x: [T]) -> (y: [T]) {
  state s: []
  s[t] = (if t mod 5 == 0 then 0 else s[t-1]) + x[t]
  y[t] = s[t] / (t mod 5 + 1)
}""", T=[0, 4, 31])
def restarts(x):
    s, y = 0.0, []
    for t in range(len(x)):
        s = (0 if t % 5 == 0 else s) + x[t]
        y.append(s / (t % 5 + 1))
    return {"y": y}


@corner("""kernel k(x: [T], w: [D]) -> (a: [T], b: [T], c: [T], d: [T], e: [T], f: [T], g: [T]) {
  a[t] = sum[k in t - 2..t + 1] prod[l in 0..k] w[l]
  b[t] = sum[k in t - 2..t + 1] (softmax[k | k mod 3 != 1] x[k]) * x[k]
  c[t] = sum[k in 0..t * t, l in k..abs(t - 3)] x[k] * x[l + 1]
  d[t] = sum[k in max(0, t - 2)..min(T, t + 3)] x[k] * max[l in k..k + 2] x[l]
  e[t] = sum[k in 0..t * t] x[k] * (1 + sum[l in k..k * t] x[l + k])
  f[t] = sum[k in 0..t, l in 0..div(t, k + 1)] x[k] * x[l] * sum[m in l mod (k + 1)..3] w[m]
  g[t] = sum[k in (if t mod 2 == 0 then -t else t - 3)..3] x[k + t] * (sum[l in k..2] w[l] * x[t - k])
}""", T=[0, 1, 2, 3, 9], D=[2, 1, 4, 3, 5])
def ranges(x, w):
    T = len(x)
    at = lambda v, i: v[i] if 0 <= i < len(v) else 0.0
    X, W = lambda i: at(x, i), lambda i: at(w, i)
    near = lambda t: range(t - 2, t + 1)

    def b(t):
        z = sum(math.exp(X(k)) for k in near(t) if k % 3 != 1)
        return sum(math.exp(X(k)) * X(k) for k in near(t) if k % 3 != 1) / z

    def each(formula):
        return [float(formula(t)) for t in range(T)]
    return {
        "a": each(lambda t: sum(math.prod(W(l) for l in range(k))
                                for k in near(t))),
        "b": each(b),
        "c": each(lambda t: sum(X(k) * X(l + 1) for k in range(t * t)
                                for l in range(k, abs(t - 3)))),
        "d": each(lambda t: sum(X(k) * max(X(k), X(k + 1)) for k in range(
            max(0, t - 2), min(T, t + 3)))),
        "e": each(lambda t: sum(
            X(k) * (1 + sum(X(l + k) for l in range(k, k * t)))
            for k in range(t * t))),
        "f": each(lambda t: sum(
            X(k) * X(l) * sum(W(m) for m in range(l % (k + 1), 3))
            for k in range(t) for l in range(t // (k + 1)))),
        "g": each(lambda t: sum(
            X(k + t) * sum(W(l) * X(t - k) for l in range(k, 2))
            for k in range(t - 3 if t % 2 else -t, 3)))}


@corner("""kernel k(x: [T, D], A: [N, N], W: [E, N], a: [D], b, c: [N], i: [D, N]) -> (y: [T, D, E], z: [T, D]) {
  state p, q: [D, N]
  p[-1, d, n] = i[d, n]
  p[t, d, n] = p[t-1, d, n] / 3 + (sum[m] A[n, m] * q[t-1, d, m]) / N + b[n] * x[t, d]
  q[t, d, n] = tanh(a[d]) * q[t-1, d, n] - 0.3 * p[t-1, d, n] + c[n] * x[t, d] ^ 2
  y[t, d, e] = (x[t, d] * sum[n] W[e, n] * p[t-1, d, n]) + sum[n] q[t, d, n]
  z[t, d] = sum[n | n mod 2 == 0] p[t, d, n]
}""", T=[0, 1, 15, 16, 17, 37], D=[2, 1, 3, 4, 17, 5], N=[3, 4, 1, 8, 9, 16],
        E=[1, 2, 3, 2, 1, 5])
def constant_transitions(x, A, W, a, b, c, i):
    """Powers of a matrix that mixes two states, by channels."""
    (T, D), N = x.shape, len(b)
    p, q, y, z = i.copy(), np.zeros((D, N)), [], []
    for t in range(T):
        old = p
        p = p / 3 + q @ A.T / N + b * x[t, :, None]
        q = np.tanh(a)[:, None] * q - 0.3 * old + c * x[t, :, None] ** 2
        y.append(x[t, :, None] * (old @ W.T) + q.sum(-1)[:, None])
        z.append(p[:, ::2].sum(-1))
    return {"y": np.reshape(y, (T, D, len(W))), "z": np.reshape(z, (T, D))}


@corner("""kernel k(x: [T], A: [N, N], b, w: [N]) -> (y: [T, N], z: [T]) {
  state s: [N]
  s[t, n] = (sum[m] A[n, m] * s[t+1, m]) / N + b[n] * x[t]
  y[t, n] = 2 * s[t, n] + x[t]
  z[t] = sum[n] w[n] * s[t+1, n]
}""", T=[0, 1, 16, 35], N=[3, 1, 8, 5])
def constant_transition_from_the_end(x, A, b, w):
    T, N = len(x), len(b)
    s, y, z = np.zeros(N), np.zeros((T, N)), np.zeros(T)
    for t in range(T)[::-1]:
        z[t] = w @ s
        s = A @ s / N + b * x[t]
        y[t] = 2 * s + x[t]
    return {"y": y, "z": z}


def arguments(text):
    """[(name, dtype, dims)] of kernel `k`"""
    head = text.split("kernel k(")[1].split(") ->")[0]
    result, names, depth, word = [], [], 0, ""
    groups, current = [], ""
    for c in head:
        depth += (c == "[") - (c == "]")
        if c == "," and depth == 0:
            groups.append(current)
            current = ""
        else:
            current += c
    for group in groups + [current]:
        name, _, kind = group.partition(":")
        names.append(name.strip())
        if not kind:
            continue
        dtype, _, dims = kind.partition("[")
        dims = [d.strip() for d in dims.strip(" ]").split(",") if d.strip()]
        result += [(n, dtype.strip(), dims) for n in names]
        names = []
    return result


def draw(text, sizes, rng):
    tensors = {}
    for name, dtype, dims in arguments(text):
        shape = [int(eval(d.replace("/", "//"), {}, dict(sizes)))
                 for d in dims]
        if dtype in ("i32", "i64"):
            values = rng.integers(0, 4, shape).astype(
                np.int32 if dtype == "i32" else np.int64)
            tensors[name] = np.array(values)
        elif dtype == "bool":
            tensors[name] = np.array(rng.random(shape) < 0.5)
        else:  # exact in bf16
            bits = rng.standard_normal(shape).astype(np.float32)
            tensors[name] = np.array(np.round(bits * 16) / 16)
    return tensors


def error(found, expected):
    found = np.asarray(found)
    expected = np.asarray(expected)
    if found.shape != expected.shape:
        return "shape %s, not %s" % (found.shape, expected.shape)
    if expected.dtype.kind != "f":
        bad = found.astype(np.int64) != expected.astype(np.int64)
        return float(bad.any())
    found = found.astype(np.float64)
    finite = np.isfinite(expected)
    if not np.array_equal(found[~finite], expected[~finite], equal_nan=True):
        return "what is not finite differs"
    scale = max(1.0, np.abs(expected[finite]).max(initial=0))
    return np.abs(found[finite] - expected[finite]).max(initial=0) / scale


def runs_of(program, sizes):
    """[(title, tolerance, options of rondoc; None: interpreted, cases)]"""
    count = len(next(iter(sizes.values())))
    runs = [("reference", 1e-6, None, range(count))]
    for dtype, tolerance in TOLERANCES.items():
        runs.append((dtype, tolerance, ["--dtype=" + dtype], range(count)))
    for form in ("sequential", "scan", "chunked", "newton"):
        runs.append((form, 2e-5, ["--form=" + form], range(count)))
    last = dims_of(sizes, count - 1)
    runs.append(("bound", 2e-5, ["--dims=" + last, "--arch=x86-64-v3"],
                 [count - 1]))
    return runs


def dims_of(sizes, case):
    return ",".join("%s=%d" % (name, values[case])
                    for name, values in sizes.items())


def execute(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr.strip()


def check(bin_, folder, entry, failures):
    name, text, sizes, formula = entry
    program = os.path.join(folder, name + ".rondo")
    with open(program, "w") as file:
        file.write(text + "\n")
    cases, count = [], 0
    for case in range(len(next(iter(sizes.values())))):
        here = {size: values[case] for size, values in sizes.items()}
        tensors = draw(text, here, np.random.default_rng(case))
        with np.errstate(all="ignore"):
            expected = formula(**{
                k: x.astype(np.float64) if x.dtype == np.float32 else x
                for k, x in tensors.items()})
        source = os.path.join(folder, "in%d" % case)
        safetensors.write(source, tensors)
        cases.append((source, expected))
    target = os.path.join(folder, "out")
    for title, tolerance, options, which in runs_of(program, sizes):
        command = [os.path.join(bin_, "rondo-run"), program, "--kernel=k",
                   "--reference"]
        if options is not None:
            library = os.path.join(folder, "lib.so")
            code, output = execute([os.path.join(bin_, "rondoc"), program,
                                    "--kernel=k", "-o", library] + options)
            if code and "compile it with --form=seq" in output:
                continue  # not a form of this program
            if code:
                failures.append("%s, %s: %s" % (name, title, output[:300]))
                continue
            command = [os.path.join(bin_, "rondo-run"), library]
        for case in which:
            source, expected = cases[case]
            dims = dims_of(sizes, case)
            count += 1
            what = "%s, %s, %s: " % (name, title, dims)
            code, output = execute(command + ["--in", source, "--out", target]
                                   + ["--dims=" + dims] * (options is None))
            if code:
                failures.append(what + output[:300])
                continue
            found = safetensors.read(target)
            for key, value in expected.items():
                wrong = error(found[key], value)
                if isinstance(wrong, str) or wrong > tolerance:
                    failures.append(what + "%s: %s" % (key, wrong))
    return count


def main(entries, title):
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--only")
    options = parser.parse_args()
    bin_ = os.path.join(os.path.abspath(options.build), "bin")
    failures, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            if options.only in (None, entry[0]):
                count += check(bin_, folder, entry, failures)
    for failure in failures:
        print("FAIL " + failure)
    print("%s: %d runs of %d programs, %d failed" % (
        title, count, len(entries), len(failures)))
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(main(CORNERS, "corners"))
