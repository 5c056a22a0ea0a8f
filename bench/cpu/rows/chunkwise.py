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
# Step after step, as the equations say: decay and write, one or two reads.
PLAIN_STEP = "5*K*V"
DELTA_STEP = "7*K*V"


def rows(name, chunked, step, bar, peer):
    for size in (64, 128):
        for form in ("sequential", 16, 64):
            isChunked = form != "sequential"
            work = chunked.replace("C", str(form)) if isChunked else step
            args = ["--bind=K,V"]
            args += (["--form=chunked", "--chunk=%d" % form] if isChunked
                     else ["--form=sequential"])
            yield Row("%s/%d/%s" % (name, size, form),
                      "examples/%s.rondo" % name,
                      {"B": 1, "H": 4, "T": 2048, "K": size, "V": size},
                      "B*H*T*" + work, "flop", limit="fma",
                      bar=bar if isChunked else None, bar_is_share=isChunked,
                      args=tuple(args),
                      peers=("torch_chunkwise_" + peer,) if isChunked else ())


ROWS = [
    *rows("retention", PLAIN, PLAIN_STEP, 0.85, "scalar"),
    *rows("gla", PLAIN, PLAIN_STEP, 0.70, "diagonal"),
    *rows("delta_net", DELTA, DELTA_STEP, 0.60, "delta"),
    *rows("gated_delta", DELTA, DELTA_STEP, 0.60, "gated_delta"),
    *rows("kda", DELTA, DELTA_STEP, 0.60, "diagonal_delta"),
]
