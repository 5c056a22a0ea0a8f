#===- systems.py - Systems that are no examples ----------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Models of many kinds as a user would write them, against loops in numpy, as
corners.py does it.

    python3 test/numerics/systems.py --build build [--only NAME]
"""

import math
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from corners import main, registry, sigmoid, softmax  # noqa: E402

SYSTEMS = []
system = registry(SYSTEMS)
TIMES4 = [0, 1, 7, 37]
TIMES5 = [0, 1, 7, 64, 37]
erf = np.vectorize(math.erf, otypes=[float])


def softplus(x):
    return np.logaddexp(0, x)


def silu(x):
    return x * sigmoid(x)


def gelu(x):
    return x / 2 * (1 + erf(x / np.sqrt(2)))


@system("""kernel k(q, k: [B, T, H, K], v: [B, T, H/G, V], g: [B, T, H, K],
         beta: [B, T, H]) -> (o: [B, T, H, V]) {
  batch B, H
  state S: [K, V]
  d[t, i] = exp(-softplus(g[t, i]))
  u[t, j] = sigmoid(beta[t]) * (v[t, j] - sum[i] k[t, i] * d[t, i] * S[t+1, i, j] / K)
  S[t, i, j] = d[t, i] * S[t+1, i, j]
             + k[t, i] * u[t, j] / K
  o[t, j] = sum[i] q[t, i] * S[t, i, j]
}""", B=[1,2,1,1,2], T=TIMES5, H=[2,4,2,2,6], G=[2,2,1,2,3], K=[3,1,8,5,16], V=[2,3,4,5,7])
def kda_back(q, k, v, g, beta):
    B, T, H, K = q.shape; V = v.shape[-1]; G = H // v.shape[2]
    o = np.zeros((B, T, H, V)); F = np.zeros((B, H, K, V))
    for b in range(B):
        for h in range(H):
            S = np.zeros((K, V))
            for t in range(T)[::-1]:
                d = np.exp(-softplus(g[b, t, h]))
                u = sigmoid(beta[b, t, h]) * (v[b, t, h // G] - (k[b, t, h] * d) @ S / K)
                S = d[:, None] * S + np.outer(k[b, t, h], u) / K
                o[b, t, h] = q[b, t, h] @ S
            F[b, h] = S
    return {"o": o, "S.final": F}


@system("""kernel k(x: [Y, X, D], W, U, R: [D, D]) -> (o: [Y, X, D]) {
  state h, c: [D] along Y, X
  i[y, z, d] = sigmoid(x[y, z, d] + sum[e] W[d, e] * h[y-1, z, e] / D)
  f[y, z, d] = sigmoid(1 + sum[e] U[d, e] * h[y, z-1, e] / D)
  c[y, z, d] = f[y, z, d] * (c[y-1, z, d] + c[y, z-1, d]) / 2 + i[y, z, d] * tanh(x[y, z, d] + sum[e] R[d, e] * h[y-1, z-1, e] / D)
  h[y, z, d] = tanh(c[y, z, d])
  o[y, z, d] = h[y, z, d] - h[y, z+1, d]
}""", Y=[0, 1, 3, 6], X=[2, 5, 4, 7], D=[2, 1, 5, 8])
def grid_lstm(x, W, U, R):
    Y, X, D = x.shape
    h = np.zeros((Y + 1, X + 2, D)); c = np.zeros((Y + 1, X + 2, D)); o = np.zeros_like(x)
    for y in range(1, Y + 1):
        for z in range(1, X + 1):
            i = sigmoid(x[y-1, z-1] + W @ h[y-1, z] / D)
            f = sigmoid(1 + U @ h[y, z-1] / D)
            c[y, z] = f * (c[y-1, z] + c[y, z-1]) / 2 + i * np.tanh(x[y-1, z-1] + R @ h[y-1, z-1] / D)
            h[y, z] = np.tanh(c[y, z])
    for y in range(Y):
        for z in range(X):
            o[y, z] = h[y+1, z+1] - h[y+1, z+2]
    return {"o": o}


@system("""kernel k(q: [B, T, H, K], k, v: [B, T, K], sink, slope: [H], doc: i32 [B, T], W: i32) -> (o: [B, T, H, K]) {
  batch B, H
  let cap = 5
  s[t, u] = cap * tanh((sum[i] q[t, i] * k[u, i]) / (cap * sqrt(K))) - abs(slope) * (t - u)
  l[t] = logsumexp[u | u <= t and (t - u <= W or u < 2) and doc[u] == doc[t]] s[t, u]
  m[t] = max(l[t], sink)
  z[t] = exp(l[t] - m[t]) + exp(sink - m[t])
  o[t, j] = sum[u | u <= t and (t - u <= W or u < 2) and doc[u] == doc[t]] exp(s[t, u] - m[t]) / z[t] * v[u, j]
}""", B=[1,2,1,1,1], T=TIMES5, H=[1,2,3,1,2], K=[2,1,4,8,16])
def sink_attention(q, k, v, sink, slope, doc, W):
    B, T, H, K = q.shape; o = np.zeros_like(q)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                us = [u for u in range(t+1) if (t-u <= W or u < 2) and doc[b,u] == doc[b,t]]
                s = np.array([5*np.tanh(q[b,t,h] @ k[b,u] / (5*np.sqrt(K))) - abs(slope[h])*(t-u) for u in us])
                e = np.exp(s); z = e.sum() + np.exp(sink[h])
                o[b,t,h] = sum(w / z * v[b,u] for w, u in zip(e, us))
    return {"o": o}


@system("""kernel k(x: [B, T, D], mem: [B, M, D], len: i32 [B], W, U: [D, D], h0: [B, D]) -> (y: [B, T, D], a: [B, T, M]) {
  batch B
  state h: [D] = h0
  a[t, m] = softmax[m | m < len + 1] (sum[d] h[t-1, d] * mem[m, d]) / sqrt(D)
  c[t, d] = sum[m] a[t, m] * mem[m, d]
  h[t, d] = tanh(x[t, d] + sum[e] (W[d, e] * c[t, e] + U[d, e] * h[t-1, e]) / D)
  y[t, d] = h[t, d] + c[t, d]
}""", B=[1,2,3,1], T=[0,1,9,30], M=[3,1,5,7], D=[2,1,4,8])
def cross_decoder(x, mem, len, W, U, h0):
    B, T, D = x.shape; M = mem.shape[1]; y = np.zeros_like(x); A = np.zeros((B, T, M)); F = []
    for b in range(B):
        h = h0[b]
        for t in range(T):
            a = softmax(mem[b] @ h / np.sqrt(D), np.arange(M) < len[b] + 1)
            c = a @ mem[b]
            h = np.tanh(x[b, t] + (W @ c + U @ h) / D)
            y[b, t] = h + c; A[b, t] = a
        F.append(h)
    return {"y": y, "a": A, "h.final": np.array(F)}


@system("""fn act(x) = gelu(x)
kernel k(q, k, v: [T, D], eta: [T], W0: [D, E], V0: [E, D]) -> (o: [T, D]) {
  state W: [D, E] = W0
  state V: [E, D] = V0
  hid[t, e] = act(sum[d] k[t, d] * W[t-1, d, e] / D)
  loss[t] = 0.5 * sum[d] ((sum[e] hid[t, e] * V[t-1, e, d]) / E - v[t, d]) ^ 2
  W[t, d, e] = 0.99 * W[t-1, d, e] - sigmoid(eta[t]) * grad(loss[t], W[t-1, d, e])
  V[t, e, d] = 0.99 * V[t-1, e, d] - sigmoid(eta[t]) * grad(loss[t], V[t-1, e, d])
  o[t, d] = sum[e] act(sum[c] q[t, c] * W[t, c, e] / D) * V[t, e, d]
}""", T=[0, 1, 6, 21], D=[2, 1, 4, 5], E=[3, 1, 5, 8])
def ttt_two(q, k, v, eta, W0, V0):
    T, D = q.shape; E = W0.shape[1]; W, V, o = W0.copy(), V0.copy(), np.zeros_like(q)
    for t in range(T):
        p = k[t] @ W / D; h = gelu(p)
        r = h @ V / E - v[t]
        gV = np.outer(h, r) / E
        dh = V @ r / E
        dg = 0.5 * (1 + erf(p / np.sqrt(2))) + p * np.exp(-p * p / 2) / np.sqrt(2 * np.pi)
        gW = np.outer(k[t], dh * dg) / D
        W = 0.99 * W - sigmoid(eta[t]) * gW; V = 0.99 * V - sigmoid(eta[t]) * gV
        o[t] = gelu(q[t] @ W / D) @ V
    return {"o": o, "W.final": W, "V.final": V}


@system("""kernel k(A: [N, N], e: [B, T, N], pi_: [N]) -> (best: [B, T, N], ll: [B, T]) {
  batch B
  state v: [N]
  state a: [N]
  v[0, j] = pi_[j] + e[0, j]
  v[t, j] = max[i] (v[t-1, i] + A[i, j]) + e[t, j]
  a[0, j] = pi_[j] + e[0, j]
  a[t, j] = (logsumexp[i] (a[t-1, i] + A[i, j])) + e[t, j]
  best[t, j] = v[t, j]
  ll[t] = logsumexp[j] a[t, j]
}""", B=[2,1,2,1], T=[1,2,9,40], N=[3,1,5,8])
def viterbi(A, e, pi_):
    B, T, N = e.shape; best = np.zeros_like(e); ll = np.zeros((B, T))
    lse = lambda x, ax: np.log(np.exp(x - x.max(ax, keepdims=True)).sum(ax)) + x.max(ax)
    for b in range(B):
        v = a = pi_ + e[b, 0]
        best[b, 0] = v; ll[b, 0] = lse(a, 0)
        for t in range(1, T):
            v = (v[:, None] + A).max(0) + e[b, t]
            a = lse(a[:, None] + A, 0) + e[b, t]
            best[b, t] = v; ll[b, t] = lse(a, 0)
    return {"best": best, "ll": ll}


@system("""kernel k(x: [B, T, D], nu, theta: [D, N], Br, Bi, Cr, Ci: [D, N]) -> (y: [B, T, D]) {
  batch B
  state hr, hi: [D, N]
  rho[d, n] = exp(-exp(nu[d, n]))
  hr[t, d, n] = rho[d, n] * (cos(theta[d, n]) * hr[t-1, d, n] - sin(theta[d, n]) * hi[t-1, d, n]) + Br[d, n] * x[t, d]
  hi[t, d, n] = rho[d, n] * (sin(theta[d, n]) * hr[t-1, d, n] + cos(theta[d, n]) * hi[t-1, d, n]) + Bi[d, n] * x[t, d]
  y[t, d] = sum[n] (Cr[d, n] * hr[t, d, n] - Ci[d, n] * hi[t, d, n])
}""", B=[1,2,1,1,2], T=TIMES5, D=[2,1,4,9,16], N=[3,1,4,2,5])
def lru_pairs(x, nu, theta, Br, Bi, Cr, Ci):
    lam = np.exp(-np.exp(nu) + 1j * theta); y = np.zeros_like(x)
    for b in range(len(x)):
        h = np.zeros(nu.shape, complex)
        for t in range(x.shape[1]):
            h = lam * h + (Br + 1j * Bi) * x[b, t][:, None]
            y[b, t] = ((Cr + 1j * Ci) * h).real.sum(1)
    return {"y": y}


@system("""kernel k(q: [B, T, K], v: [B, T, V], n: i32 [B, T], key: [N, K]) -> (o: [B, T, V]) {
  batch B
  s[t, u] = (sum[i] q[t, i] * key[n[u], i]) / sqrt(K)
  o[t, j] = sum[u] (softmax[u | u <= t] s[t, u]) * v[u, j]
}""", B=[1, 2, 1], T=[1, 17, 70], K=[3, 5, 8], V=[2, 4, 17], N=[4, 9, 5])
def looked_up_keys(q, v, n, key):
    s = np.einsum("btk,buk->btu", q, key[n]) / np.sqrt(q.shape[-1])
    mask = np.tril(np.ones(s.shape[1:], bool))
    e = np.where(mask, np.exp(s - np.where(mask, s, -np.inf).max(-1)[..., None]), 0)
    return {"o": e / e.sum(-1)[..., None] @ v}


@system("""kernel k(q, k1, k2: [B, T, K], v1, v2: [B, T, V], b1, b2, g: [B, T]) -> (o: [B, T, V]) {
  batch B
  state S: [K, V]
  let n = 1 / K
  R[t, i, j] = exp(-softplus(g[t])) * S[t-1, i, j]
  P[t, i, j] = R[t, i, j] - sigmoid(b1[t]) * n * k1[t, i] * ((sum[m] k1[t, m] * R[t, m, j]) - v1[t, j])
  S[t, i, j] = P[t, i, j] - sigmoid(b2[t]) * n * k2[t, i] * ((sum[m] k2[t, m] * P[t, m, j]) - v2[t, j])
  o[t, j] = sum[i] q[t, i] * S[t, i, j]
}""", B=[1,2,1,1,2], T=TIMES5, K=[2,1,4,8,16], V=[3,1,4,6,5])
def delta_twice(q, k1, k2, v1, v2, b1, b2, g):
    B, T, K = q.shape; V = v1.shape[-1]; o = np.zeros((B, T, V)); F = []
    for b in range(B):
        S = np.zeros((K, V))
        for t in range(T):
            S = np.exp(-softplus(g[b, t])) * S
            for k, v, be in ((k1, v1, b1), (k2, v2, b2)):
                S = S - sigmoid(be[b, t]) / K * np.outer(k[b, t], k[b, t] @ S - v[b, t])
            o[b, t] = q[b, t] @ S
        F.append(S)
    return {"o": o, "S.final": np.array(F)}


@system("""kernel k(r, w, k, v, a, b: [B, T, H, N]) -> (y: [B, T, H, N]) {
  batch B, H
  state S: [N, N]
  sa[t, i] = sum[m] S[t-1, i, m] * a[t, m] / N
  S[t, i, j] = exp(-0.6 * sigmoid(w[t, j])) * S[t-1, i, j] + sa[t, i] * b[t, j] / N + v[t, i] * k[t, j]
  y[t, i] = sum[j] S[t, i, j] * r[t, j]
}""", B=[1,2,1,1,1], T=TIMES5, H=[1,2,1,1,2], N=[2,1,4,8,16])
def rwkv7_like(r, w, k, v, a, b):
    B, T, H, N = r.shape; y = np.zeros_like(r); F = np.zeros((B, H, N, N))
    for i in range(B):
        for h in range(H):
            S = np.zeros((N, N))
            for t in range(T):
                at = lambda x: x[i, t, h]
                S = np.exp(-0.6*sigmoid(at(w)))[None] * S + np.outer(S @ at(a) / N, at(b)) / N + np.outer(at(v), at(k))
                y[i, t, h] = S @ at(r)
            F[i, h] = S
    return {"y": y, "S.final": F}


@system("""kernel k(x, z: [B, T, D], reset: bool [B, T]) -> (y: [B, T, D], n: i32 [B, T]) {
  batch B
  state h: [D]
  state c: i64 []
  c[t] = if reset[t] then 0 else c[t-1] + 1
  h[t, d] = (if reset[t] or c[t-1] > 5 then 0 else if t mod 3 == 1 then h[t-1, d] else tanh(h[t-1, d] + z[t, d])) + x[t, d] / (1 + c[t])
  y[t, d] = if t < 2 then x[t, d] else h[t, d] * cos(0.1 * c[t])
  n[t] = c[t]
}""", B=[1,2,1,1,2], T=TIMES5, D=[2,1,4,9,16])
def switches(x, z, reset):
    B, T, D = x.shape; y = np.zeros_like(x); n = np.zeros((B, T), int)
    for b in range(B):
        h, c = np.zeros(D), 0
        for t in range(T):
            old, c = c, 0 if reset[b, t] else c + 1
            base = 0 if reset[b, t] or old > 5 else h if t % 3 == 1 else np.tanh(h + z[b, t])
            h = base + x[b, t] / (1 + c)
            y[b, t] = x[b, t] if t < 2 else h * np.cos(0.1 * c)
            n[b, t] = c
    return {"y": y, "n": n}


@system("""const prime = 31
kernel k(tokens: i32 [B, T], emb: [N, D], w: [3, D], decay: [D]) -> (y: [B, T, D]) {
  batch B
  local h: i64 [T]
  state m: [D]
  h[t] = (if t > 0 then tokens[t - 1] * prime + tokens[t] else tokens[t]) mod N
  e[t, d] = emb[h[t], d]
  c[t, d] = silu(sum[p in 0..3] w[p, d] * e[t - p, d])
  m[t, d] = sigmoid(decay[d]) * m[t-1, d] + (1 - sigmoid(decay[d])) * c[t, d]
  y[t, d] = m[t, d] + emb[tokens[t], d]
}""", B=[1,2,1,1,2], T=TIMES5, N=[5, 4, 7, 11, 16], D=[2,1,4,9,16])
def ngram(tokens, emb, w, decay):
    B, T = tokens.shape; D = emb.shape[1]; N = len(emb); y = np.zeros((B, T, D))
    for b in range(B):
        tk = tokens[b].astype(int)
        e = np.array([emb[((tk[t-1]*31 if t else 0) + tk[t]) % N] for t in range(T)]).reshape(T, D)
        m = np.zeros(D); g = sigmoid(decay)
        for t in range(T):
            s = sum(w[p] * e[t-p] for p in range(3) if t >= p)
            m = g * m + (1 - g) * s * sigmoid(s)
            y[b, t] = m + emb[tk[t]]
    return {"y": y}


@system("""kernel k(x: [B, T, D], A1, A3: [D, D], b: [D]) -> (y: [B, T, D]) {
  batch B
  state h: [D] = 0.5
  h[t, d] = tanh(x[t, d] + (sum[e] (A1[d, e] * h[t-1, e] + A3[d, e] * h[t-3, e])) / D + b[d] * h[t-2, d])
  y[t, d] = h[t, d] + h[t-2, d]
}""", B=[1,2,1,1,2], T=TIMES5, D=[2,1,4,9,16])
def lag_cell(x, A1, A3, b):
    B, T, D = x.shape; y = np.zeros_like(x)
    for i in range(B):
        h = np.full((T + 3, D), 0.5)
        for t in range(T):
            h[t+3] = np.tanh(x[i, t] + (A1 @ h[t+2] + A3 @ h[t]) / D + b * h[t+1])
            y[i, t] = h[t+3] + h[t+1]
    return {"y": y}


@system("""// GDN block
kernel k(q, k, v: [B, T, H, K], w: [4, H, K], g, beta: [B, T, H], norm: [K]) -> (o: [B, T, H, K]) {
  batch B, H
  state S: [K, K]
  kc[t, i] = silu(sum[p in 0..4] w[p, i] * k[t - 3 + p, i])
  kn[t, i] = kc[t, i] * rsqrt((sum[m] kc[t, m]^2) + 1e-6)
  qn[t, i] = q[t, i] / sqrt((sum[m] q[t, m]^2) + 1e-6)
  a[t]     = exp(-exp(g[t]))
  S[t, i, j] = a[t] * (S[t-1, i, j] - sigmoid(beta[t]) * kn[t, i] * sum[m] kn[t, m] * S[t-1, m, j])
             + sigmoid(beta[t]) * kn[t, i] * v[t, j]
  r[t, j] = sum[i] qn[t, i] * S[t, i, j]
  o[t, j] = norm[j] * r[t, j] * rsqrt((sum[m] r[t, m] ^ 2) / K + 1e-5)
}""", B=[1,2,1,1], T=TIMES4, H=[1,2,1,2], K=[2,1,4,8])
def gdn_block(q, k, v, w, g, beta, norm):
    B, T, H, K = q.shape; o = np.zeros_like(q)
    for b in range(B):
        for h in range(H):
            S = np.zeros((K, K))
            for t in range(T):
                c = silu(sum(w[p, h] * k[b, t-3+p, h] for p in range(4) if t - 3 + p >= 0))
                kn = c / np.sqrt((c*c).sum() + 1e-6); qq = q[b, t, h]; qn = qq / np.sqrt((qq*qq).sum() + 1e-6)
                be = sigmoid(beta[b, t, h])
                S = np.exp(-np.exp(g[b, t, h])) * (S - be * np.outer(kn, kn @ S)) + be * np.outer(kn, v[b, t, h])
                r = qn @ S
                o[b, t, h] = norm * r / np.sqrt((r*r).mean() + 1e-5)
    return {"o": o}


@system("""kernel k(k, x: [B, T, K], y: [B, T], lam: f32) -> (w: [B, T, K]) {
  batch B
  state P: [K, K]
  state th: [K]
  P[-1, i, j] = if i == j then 1 else 0
  Pk[t, i] = sum[j] P[t-1, i, j] * k[t, j]
  den[t] = 1 + lam^2 + (sum[i] k[t, i] * Pk[t, i])
  P[t, i, j] = P[t-1, i, j] - Pk[t, i] * Pk[t, j] / den[t]
  e[t] = y[t] - sum[i] k[t, i] * th[t-1, i]
  th[t, i] = th[t-1, i] + Pk[t, i] / den[t] * e[t]
  w[t, i] = th[t, i] + 0 * x[t, i]
}""", B=[1,2,1,1], T=TIMES4, K=[2,1,4,8])
def rls(k, x, y, lam):
    B, T, K = k.shape; w = np.zeros_like(k)
    for b in range(B):
        P, th = np.eye(K), np.zeros(K)
        for t in range(T):
            pk = P @ k[b, t]; den = 1 + lam**2 + k[b, t] @ pk
            P = P - np.outer(pk, pk) / den
            th = th + pk / den * (y[b, t] - k[b, t] @ th)
            w[b, t] = th
    return {"w": w}


@system("""kernel k(x: [B, T, D], Wf, Ws, Wu: [D, D]) -> (y: [B, T, D]) {
  batch B
  state fast, slow: [D]
  fast[t, d] = tanh(x[t, d] + (sum[e] Wf[d, e] * fast[t-1, e]) / D + slow[t-1, d])
  slow[t, d] = if t mod 4 == 3 then tanh((sum[e] (Ws[d, e] * slow[t-1, e] + Wu[d, e] * fast[t, e])) / D) else slow[t-1, d]
  y[t, d] = fast[t, d] + slow[t - t mod 4 - 1, d]
}""", B=[1,2,1,1], T=TIMES4, D=[2,1,4,9])
def hierarchy(x, Wf, Ws, Wu):
    B, T, D = x.shape; y = np.zeros_like(x)
    for b in range(B):
        f, hist = np.zeros(D), [np.zeros(D)]
        for t in range(T):
            s = hist[-1]
            f = np.tanh(x[b, t] + Wf @ f / D + s)
            if t % 4 == 3: s = np.tanh((Ws @ s + Wu @ f) / D)
            hist.append(s)
            y[b, t] = f + hist[t - t % 4]
    return {"y": y}


@system("""kernel k(q, k, v: [T, D], al, th: [T]) -> (o: [T, D]) {
  state M: [D, D]
  state G: [D, D]
  err[t, j] = (sum[i] M[t-1, i, j] * k[t, i]) / D - v[t, j]
  loss[t]   = sum[j] err[t, j]^2
  G[t, i, j] = 0.9 * sigmoid(al[t]) * G[t-1, i, j] - 0.1 * sigmoid(th[t]) * grad(loss[t], M[t-1, i, j])
  M[t, i, j] = (1 - 0.1 * sigmoid(al[t])) * M[t-1, i, j] + G[t, i, j]
  o[t, j] = sum[i] q[t, i] * M[t, i, j]
}""", T=TIMES4, D=[2,1,4,9])
def momentum(q, k, v, al, th):
    T, D = q.shape; M = np.zeros((D, D)); G = M.copy(); o = np.zeros_like(q)
    for t in range(T):
        e = k[t] @ M / D - v[t]
        G = 0.9 * sigmoid(al[t]) * G - 0.1 * sigmoid(th[t]) * 2 * np.outer(k[t], e) / D
        M = (1 - 0.1 * sigmoid(al[t])) * M + G
        o[t] = q[t] @ M
    return {"o": o, "M.final": M, "G.final": G}


@system("""kernel k(x: [B, T, D], W, Q, K_: [D, D]) -> (h: [B, T, D]) {
  batch B
  state s: [D]
  qq[t, d] = sum[e] Q[d, e] * x[t, e] / D
  kk[t, d] = sum[e] K_[d, e] * x[t, e] / D
  c[t, d] = sum[u | u < t] (softmax[u | u < t] (sum[e] qq[t, e] * kk[u, e])) * s[u, d]
  s[t, d] = tanh(x[t, d] + sum[e] W[d, e] * c[t, e] / D)
  h[t, d] = s[t, d]
}""", B=[1,2,1,1], T=[0,1,6,17], D=[2,1,4,9])
def feedback(x, W, Q, K_):
    B, T, D = x.shape; y = np.zeros_like(x)
    for b in range(B):
        q, k = x[b] @ Q.T / D, x[b] @ K_.T / D
        for t in range(T):
            c = softmax(k[:t] @ q[t], np.ones(t, bool)) @ y[b, :t] if t else np.zeros(D)
            y[b, t] = np.tanh(x[b, t] + W @ c / D)
    return {"h": y}


@system("""kernel k(open: bool [B, T], close: bool [B, T], x: [B, T, D]) -> (depth: i32 [B, T], y: [B, T, D], ok: bool [B, T]) {
  batch B
  state n: i64 []
  state good: bool [] = true
  n[t] = max(n[t-1] + select(open[t], 1, 0) - select(close[t], 1, 0), 0)
  good[t] = good[t-1] and not (close[t] and n[t-1] == 0)
  depth[t] = n[t]
  y[t, d] = x[t, d] * cos(n[t] * 0.5 ^ d) + (if good[t] then 1 else -1)
  ok[t] = good[t] or n[t] > 2
}""", B=[1,2,1,1], T=TIMES4, D=[2,1,4,9])
def brackets(open, close, x):
    B, T, D = x.shape; n = np.zeros((B, T), int); y = np.zeros_like(x); ok = np.zeros((B, T), bool)
    for b in range(B):
        c, g = 0, True
        for t in range(T):
            g = g and not (close[b, t] and c == 0)
            c = max(c + int(open[b, t]) - int(close[b, t]), 0)
            n[b, t] = c; ok[b, t] = g or c > 2
            y[b, t] = x[b, t] * np.cos(c * 0.5 ** np.arange(D)) + (1 if g else -1)
    return {"depth": n, "y": y, "ok": ok}


@system("""kernel k(x: [T, D], g: [T]) -> (a: [T, D], b: [T, D], c: [T], d: [T, D]) {
  a[t, i] = sum[u in 0..t+1] x[u, i]
  b[t, i] = a[t, i] / (t + 1)
  c[t] = logsumexp[u | u <= t] g[u]
  d[t, i] = sum[u | u <= t] exp(g[u] - c[t]) * x[u, i]
}""", T=TIMES4, D=[2,1,4,9])
def prefixes(x, g):
    T, D = x.shape; a = np.cumsum(x, 0); c = np.log(np.cumsum(np.exp(g)))
    return {"a": a, "b": a / (np.arange(T)[:, None] + 1), "c": c,
            "d": np.array([np.exp(g[:t+1] - c[t]) @ x[:t+1] for t in range(T)]).reshape(T, D)}


@system("""kernel k(x: [B, Y, X, C], w: [3, 3, C, E], bias: [E]) -> (o: [B, Y, X, E], p: [B, E]) {
  batch B
  o[y, z, e] = relu(bias[e] + sum[p in 0..3, q in 0..3, c] w[p, q, c, e] * x[y + p - 1, z + q - 1, c])
  p[e] = (sum[y, z] o[y, z, e]) / max(Y * X, 1)
}""", B=[1,2,1], Y=[1,3,6], X=[2,5,4], C=[1,2,3], E=[2,4,9])
def conv2(x, w, bias):
    B, Y, X, C = x.shape; E = w.shape[-1]; xp = np.pad(x, ((0,0),(1,1),(1,1),(0,0))); o = np.zeros((B, Y, X, E))
    for p in range(3):
        for q in range(3):
            o += np.einsum("byxc,ce->byxe", xp[:, p:p+Y, q:q+X], w[p, q])
    o = np.maximum(o + bias, 0)
    return {"o": o, "p": o.mean((1, 2))}


@system("""kernel k(q, k, v: [B, T, H, K], f: [B, T, H]) -> (o: [B, T, H, K]) {
  batch B, H
  state L: []
  L[t] = L[t-1] + logsigmoid(f[t])
  s[t, u] = (sum[i] q[t, i] * k[u, i]) / K * exp(L[t] - L[u])
  o[t, j] = sum[u | u <= t] s[t, u] * v[u, j] / (1 + t)
}""", B=[1,2,1,1], T=TIMES4, H=[1,2,1,2], K=[2,1,4,8])
def quadratic(q, k, v, f):
    B, T, H, K = q.shape; o = np.zeros_like(q)
    for b in range(B):
        for h in range(H):
            L = np.cumsum(-softplus(-f[b, :, h]))
            for t in range(T):
                for u in range(t + 1):
                    o[b, t, h] += q[b, t, h] @ k[b, u, h] / K * np.exp(L[t] - L[u]) * v[b, u, h] / (1 + t)
    return {"o": o}


@system("""fn gate(x) = 0.5 + 0.5 * tanh(x / 2)
const C = 4
kernel ema(u: [B, T, D], a: f32) -> (m: [B, T, D]) {
  batch B
  state z: [D]
  z[0, d] = u[0, d]
  z[t, d] = a * z[t-1, d] + (1 - a) * u[t, d]
  m[t, d] = z[t, d]
}
kernel norm(u: [B, T, D]) -> (v: [B, T, D]) {
  batch B
  mu[t] = (sum[d] u[t, d]) / D
  va[t] = (sum[d] (u[t, d] - mu[t]) ^ 2) / D
  v[t, d] = (u[t, d] - mu[t]) * rsqrt(va[t] + 1e-3)
}
kernel k(x: [B, T, D], W: [4 * D, D], V: [D, 4 * D]) -> (y: [B, T, D]) {
  batch B
  local n, s: [T, D]
  s = ema(x, 0.75)
  n = norm(s)
  hid[t, e] = gate(sum[d] W[e, d] * n[t, d] / D)
  y[t, d] = x[t, d] + sum[e] V[d, e] * hid[t, e] / (C * D)
}""", B=[1,2,1,1], T=[1,2,7,37], D=[2,1,4,9])
def composed(x, W, V):
    B, T, D = x.shape; y = np.zeros_like(x)
    for b in range(B):
        z = x[b, 0] if T else 0
        for t in range(T):
            z = x[b, t] if t == 0 else 0.75 * z + 0.25 * x[b, t]
            n = (z - z.mean()) / np.sqrt(z.var() + 1e-3)
            y[b, t] = x[b, t] + V @ sigmoid(W @ n / D) / (4 * D)
    return {"y": y}


@system("""kernel k(x: [T, D], a: [T]) -> (y: [T, D]) {
  state f, b: [D]
  state m: [D]
  f[t, d] = sigmoid(a[t]) * f[t-1, d] + x[t, d]
  b[t, d] = sigmoid(a[t]) * b[t+1, d] + x[t, d]
  m[t, d] = tanh(m[t-1, d] + f[t, d] * b[t+1, d])
  y[t, d] = m[t, d] + b[t - 1, d]
}""", T=TIMES4, D=[2,1,4,9])
def both(x, a):
    T, D = x.shape; g = sigmoid(a); f = np.zeros((T, D)); b = np.zeros((T + 1, D)); s = np.zeros(D)
    for t in range(T): s = g[t] * s + x[t]; f[t] = s
    for t in range(T)[::-1]: b[t] = g[t] * b[t+1] + x[t]
    y, m = np.zeros((T, D)), np.zeros(D)
    for t in range(T):
        m = np.tanh(m + f[t] * b[t+1]); y[t] = m + (b[t-1] if t else 0)
    return {"y": y}


@system("""kernel k(q, k, v: [B, T, D], doc: i32 [B, T]) -> (o: [B, T, D], p: [B, T, D]) {
  batch B
  o[t, j] = sum[u | (t - u) mod 2 == 0 and u <= t and div(t, 8) - div(u, 8) <= 1] sigmoid(sum[i] q[t, i] * k[u, i]) * v[u, j]
  p[t, j] = (sum[u | abs(t - u) < 3 and doc[u] <= doc[t]] relu(sum[i] q[t, i] * k[u, i])^2 * v[u, j]) / (1 + sum[u | abs(t - u) < 3 and doc[u] <= doc[t]] relu(sum[i] q[t, i] * k[u, i])^2)
}""", B=[1,2,1,1], T=TIMES4, D=[2,1,4,9])
def odd_masks(q, k, v, doc):
    B, T, D = q.shape; o, p = np.zeros_like(q), np.zeros_like(q)
    for b in range(B):
        for t in range(T):
            z = 1.0
            for u in range(T):
                s = q[b, t] @ k[b, u]
                if (t - u) % 2 == 0 and u <= t and t // 8 - u // 8 <= 1: o[b, t] += sigmoid(s) * v[b, u]
                if abs(t - u) < 3 and doc[b, u] <= doc[b, t]:
                    p[b, t] += max(s, 0) ** 2 * v[b, u]; z += max(s, 0) ** 2
            p[b, t] /= z
    return {"o": o, "p": p}


@system("""kernel k(z, r, x: [B, T, D], Wz, Wr, Wh: [D, D]) -> (y: [B, T, D], last: [B, D]) {
  batch B
  state h: [D]
  u[t, d] = sigmoid(z[t, d] + sum[e] Wz[d, e] * h[t+1, e])
  v[t, d] = sigmoid(r[t, d] + sum[e] Wr[d, e] * h[t+1, e])
  h[t, d] = (1 - u[t, d]) * h[t+1, d] + u[t, d] * tanh(x[t, d] + sum[e] Wh[d, e] * (v[t, e] * h[t+1, e]))
  y[t, d] = h[t, d]
  last[d] = h[0, d]
}""", B=[1,2,5,1], T=[1,2,7,37], D=[2,1,4,9])
def gru_back(z, r, x, Wz, Wr, Wh):
    B, T, D = x.shape; y = np.zeros_like(x)
    for b in range(B):
        h = np.zeros(D)
        for t in range(T)[::-1]:
            u, v = sigmoid(z[b, t] + Wz @ h), sigmoid(r[b, t] + Wr @ h)
            h = (1 - u) * h + u * np.tanh(x[b, t] + Wh @ (v * h))
            y[b, t] = h
    return {"y": y, "last": y[:, 0]}


@system("""kernel k(x, d: [B, T, D], c: [B, T, D]) -> (y: [B, T, D], z: [B, T, D]) {
  batch B
  state m: [D] = -inf
  state n, s: [D]
  m[t, i] = max(m[t-1, i] - softplus(d[t, i]), c[t, i])
  n[t, i] = exp(m[t-1, i] - softplus(d[t, i]) - m[t, i]) * n[t-1, i] + exp(c[t, i] - m[t, i])
  s[t, i] = exp(m[t-1, i] - softplus(d[t, i]) - m[t, i]) * s[t-1, i] + exp(c[t, i] - m[t, i]) * x[t, i]
  y[t, i] = s[t, i] / n[t, i]
  z[t, i] = m[t, i] + log(n[t, i])
}""", B=[1,2,1,1], T=TIMES4, D=[2,1,4,9])
def stable(x, d, c):
    B, T, D = x.shape; y, z = np.zeros_like(x), np.zeros_like(x)
    for b in range(B):
        N, S = np.zeros(D), np.zeros(D)
        for t in range(T):
            e = np.exp(-softplus(d[b, t])); N = e * N + np.exp(c[b, t]); S = e * S + np.exp(c[b, t]) * x[b, t]
            y[b, t], z[b, t] = S / N, np.log(N)
    return {"y": y, "z": z}


if __name__ == "__main__":
    sys.exit(main(SYSTEMS, "systems"))
