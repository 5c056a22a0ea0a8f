#===- chunkwise.py - Matrix states, chunk by chunk -------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Recurrences with matrix states in their chunkwise form, against the rate of
multiply-adds.

The work is what the matrix products of the form need, per step of a chunk of C:
    scores of queries and writes, t >= s   (C + 1) K
    scores times values                    (C + 1) V
    query times state, write to state      4 K V
and where values depend on what is read back
    scores of read-backs and writes, t > s (C - 1) K
    the triangular system                  (C - 1) V
    read-back times state                  2 K V
Decays, masks, copies and exponentials count for nothing.
"""

from row import Row

PLAIN = "((C+1)*(K+V) + 4*K*V)"
DELTA = "(2*C*(K+V) + 6*K*V)"


def rows(name, work, bar, chunk):
    for size in (64, 128):
        yield Row("%s/%d" % (name, size), "examples/%s.rondo" % name,
                  {"B": 1, "H": 4, "T": 2048, "K": size, "V": size},
                  "B*H*T*" + work.replace("C", str(chunk[size])), "flop", limit="fma", bar=bar,
                  bar_is_share=True,
                  args=("--form=chunked", "--chunk=%d" % chunk[size],
                        "--bind=K,V"))


ROWS = [
    *rows("retention", PLAIN, 0.85, {64: 64, 128: 64}),
    *rows("gla", PLAIN, 0.70, {64: 64, 128: 64}),
    *rows("delta_net", DELTA, 0.60, {64: 32, 128: 32}),
    *rows("gated_delta", DELTA, 0.60, {64: 32, 128: 32}),
    *rows("kda", DELTA, 0.60, {64: 32, 128: 32}),
]
