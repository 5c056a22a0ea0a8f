#===- shrink.py - Making failing programs smaller --------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Drops equations and terms as long as the program fails in the same way."""

import copy
import time

from check import Failure
from program import COND, INT, Node, number


def reads(kernel):
    names = {name for op, name in kernel.operations() if op == "read"}
    return names | {a for c in kernel.calls for a in c.arguments
                    if isinstance(a, str)}


def drop(kernel, name):
    del kernel.tensors[name]
    kernel.equations = [e for e in kernel.equations if e.tensor != name]
    kernel.calls = [c for c in kernel.calls if name not in c.results]


def tidy(kernel):
    """Without locals and states that nothing else reads, and names unused."""
    while True:
        used = set()
        for equation in kernel.equations:
            used |= {n.name for n in equation.expr.walk()
                     if n.op in ("read", "grad") and n.name != equation.tensor}
        used |= reads_of_calls(kernel)
        unread = [t.name for t in kernel.of("local", "state")
                  if t.name not in used
                  and not any(t.name in c.results for c in kernel.calls)]
        if not unread:
            break
        for name in unread:
            drop(kernel, name)
    kernel.calls = [c for c in kernel.calls
                    if any(r in reads(kernel) for r in c.results)]
    results = {r for c in kernel.calls for r in c.results}
    defined = {e.tensor for e in kernel.equations}
    for t in kernel.of("local"):
        if t.name not in results | defined:
            del kernel.tensors[t.name]
    names = {name for op, name in kernel.operations()
             if op in ("name", "apply")}
    for table in (kernel.lets, kernel.consts, kernel.functions):
        for name in list(table):
            if name not in names:
                del table[name]
    for t in kernel.of("local"):
        t.declared = True
    for t in kernel.of("state"):
        t.write_along = True
    kernel.breaks = 0


def reads_of_calls(kernel):
    return {a for c in kernel.calls for a in c.arguments
            if isinstance(a, str)}


def smaller_nodes(node):
    """What may stand in the place of an expression."""
    for arg in node.args if node.op != "reduce" else ():
        if (arg.kind == COND) == (node.kind == COND) and \
                (node.kind != INT or arg.kind == INT) and node.op != "read" \
                and node.op != "grad":
            yield arg
    if node.op in ("number", "constant", "index", "size"):
        return
    if node.kind == COND:
        yield Node("constant", "true", (), COND)
    elif node.kind == INT:
        yield number(1)
    elif node.op != "name":
        yield number(0.5)


def slots(kernel):
    """(holder, key) of every expression, large ones first."""
    found = []

    def visit(holder, key, node):
        found.append((holder, key))
        for i, arg in enumerate(node.args):
            visit(node.args, i, arg)

    for equation in kernel.equations:
        visit(equation, "expr", equation.expr)
    return found


def get(holder, key):
    return holder[key] if isinstance(holder, list) else getattr(holder, key)


def put(holder, key, node):
    if isinstance(holder, list):
        holder[key] = node
    else:
        setattr(holder, key, node)


def candidates(kernel):
    """Smaller kernels, the smallest first."""
    results = kernel.of("result")
    for t in results if len(results) > 1 else []:
        if t.name not in reads(kernel):
            yield lambda k, n=t.name: drop(k, n)
    for i, e in enumerate(kernel.equations):
        if e.point is not None:
            yield lambda k, i=i: k.equations.pop(i)
    for t in kernel.of("state"):
        if t.initial is not None:
            yield lambda k, n=t.name: setattr(k.tensors[n], "initial", None)
    for i, (holder, key) in enumerate(slots(kernel)):
        node = get(holder, key)
        for j, _ in enumerate(smaller_nodes(node)):
            yield lambda k, i=i, j=j: replace(k, i, j)
        if node.op == "reduce" and len(node.args) > 1:
            yield lambda k, i=i: get(*slots(k)[i]).args.pop()


def replace(kernel, i, j):
    holder, key = slots(kernel)[i]
    put(holder, key, list(smaller_nodes(get(holder, key)))[j])


def shrink(kernel, failure, check, seconds):
    """(kernel, failure) of a smaller kernel that fails alike, or None."""
    end, best = time.time() + seconds, None
    progress = True
    while progress and time.time() < end:
        progress = False
        for change in list(candidates(kernel)):
            if time.time() > end:
                break
            smaller = copy.deepcopy(kernel)
            try:
                change(smaller)
                tidy(smaller)
            except (IndexError, KeyError):
                continue
            if not smaller.of("result"):
                continue
            try:
                check(smaller)
            except Failure as other:
                if other.category == failure.category:
                    kernel, best, progress = smaller, (smaller, other), True
                    break
            except Exception:
                continue
    return best
