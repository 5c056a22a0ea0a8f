#===- attention.py - Attention ---------------------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Causal attention: the two products of queries, keys and values in the tiles of
64 rows and 64 keys that the mask does not exclude whole."""

from row import Row

TILES = "B*H*(T//64)*(T//64+1)//2"


def causal(width, **more):
    return Row("causal_attention/d%d" % width,
               "bench/cpu/programs/causal_attention.rondo",
               {"B": 1, "T": 2048, "H": 4, "D": width},
               TILES + "*64*64*4*D", "flop", limit="fma",
               args=("--bind=D",),
               peers=("torch_causal_attention",), **more)


ROWS = [causal(64, bar=0.8, bar_is_share=True),
        causal(128, bar=0.8, bar_is_share=True)]
