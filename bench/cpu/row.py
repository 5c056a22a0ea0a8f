#===- row.py - One line of the table ---------------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""What is timed, how its work is counted, and what is asked of it."""

from dataclasses import dataclass
from typing import Optional


@dataclass
class Row:
    name: str
    # A path from the root of the tree.
    program: str
    # Values of all sizes.
    dims: dict
    # Formula in the sizes: operations for the unit "flop", bytes for "byte",
    # else how many of `unit` there are ("step", "(t,d,n)"), and the figure is
    # time per one.
    work: str
    unit: str
    # A limit of limits.py, and the work that it bounds if that is another.
    limit: Optional[str] = None
    limit_work: Optional[str] = None
    # The least share of the limit, or the most seconds per unit.
    bar: Optional[float] = None
    bar_is_share: bool = False
    # More arguments of rondo-bench: --form=.., --bind=.., --dtype=..
    args: tuple = ()
    threads: int = 1
    # Functions of peers.py.
    peers: tuple = ()

    def evaluate(self, formula):
        return float(eval(formula, {"__builtins__": {}}, dict(self.dims)))
