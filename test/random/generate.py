#!/usr/bin/env python3
#===- generate.py - Random kernels -----------------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Random kernels that are valid by construction.

    generate.py SEED       prints the program of a seed
"""

import random
import sys

from expressions import LIMIT, SIZE_BOUND, Expressions, Scope, stands_alone
from program import (COND, INT, REAL, Call, Equation, Kernel, Node, Tensor,
                     base, binary, call, choose, file_text, index, number,
                     unary)

FEATURES = ("D", "K", "V", "E", "M")
DTYPE = {REAL: "", INT: "i64", COND: "bool"}


class Generator:

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.kernel = Kernel("r%d" % seed)
        self.counts = {}
        self.make_dims()
        stepwise = self.times == ["T"] and self.chance(0.2)
        self.e = Expressions(
            self.rng, self.kernel,
            self.features if stepwise else self.dims, self.times, stepwise)
        self.make_constants()
        self.make_arguments()
        self.make_lets()

    def chance(self, p):
        return self.rng.random() < p

    def name(self, letter):
        """x0, x1, .."""
        self.counts[letter] = self.counts.get(letter, -1) + 1
        return "%s%d" % (letter, self.counts[letter])

    def add(self, tensor):
        self.kernel.tensors[tensor.name] = tensor
        return tensor

    #===--------------------------------------------------------------------===#
    # What there is at the beginning
    #===--------------------------------------------------------------------===#

    def make_dims(self):
        rng = self.rng
        self.kernel.batch = rng.choices(
            [[], ["B"], ["B", "H"], ["H"]], [1, 4, 4, 0.5])[0]
        self.group = rng.choice(["G", "G", "2", "3"]) \
            if "H" in self.kernel.batch and self.chance(0.4) else None
        self.times = ["Y", "X"] if self.chance(0.12) else ["T"]
        self.features = list(rng.sample(FEATURES, rng.randint(1, 3)))
        if self.chance(0.2):
            self.features.append(str(rng.randint(1, 5)))
        if self.chance(0.1):
            self.features.append("2*" + self.features[0])
        self.dims = self.times + self.features
        self.tokens = "N" if self.chance(0.3) else None
        self.places = self.features[0] if self.chance(0.5) else None
        self.kernel.breaks = rng.choice([0, 0, 0, 4, 7])

    def make_constants(self):
        kernel, e, name = self.kernel, self.e, self.kernel.name
        if self.chance(0.2):
            c = Node("binary", "/", [number(self.rng.randint(1, 5)),
                                     number(self.rng.choice([2, 3, 8]))],
                     REAL, 5.0)
            kernel.consts[name + "_c"] = self.rng.choice([
                c, e.literal(-1, 1), call("exp", e.literal(-1, 1), bound=3.0)])
        for suffix in ("_f", "_g"):
            if not self.chance(0.25):
                continue
            parameters = ["x", "y"][:self.rng.randint(1, 2)]
            scope = Scope({}, [])
            functions, kernel.functions = kernel.functions, {}
            dims, e.dims = e.dims, []  # a function sees no sizes

            def leaf(scope, plain=e.leaf):
                if self.chance(0.7):
                    return Node("name", self.rng.choice(parameters), (), REAL,
                                4.0)
                return plain(scope)

            e.leaf = leaf
            scope.reductions = 2
            body = e.real(scope, 2)
            del e.leaf
            e.dims = dims
            kernel.functions = functions
            kernel.functions[name + suffix] = (parameters, body)

    def layout(self, inner, batch):
        """The dims of a tensor; mostly with time between B and H."""
        dims = list(inner)
        rest = [d for d in batch if d != "B"]
        if self.chance(0.25):
            for d in batch:
                dims.insert(self.rng.randint(0, len(dims)), d)
            if self.chance(0.2):
                self.rng.shuffle(dims)
            return dims
        at = 1 if dims and dims[0] in self.times and self.chance(0.7) else 0
        dims[at:at] = rest
        return (["B"] if "B" in batch else []) + dims

    def argument(self, inner, batch=None, kind=REAL, dtype=None, draw=None,
                 bound=3.0):
        batch = self.kernel.batch if batch is None else batch
        dims = self.layout(inner, batch)
        if self.group and self.chance(0.4):
            dims = ["H/" + self.group if d == "H" else d for d in dims]
        if dtype is None:
            dtype = DTYPE[kind]
            if kind == REAL and self.chance(0.06):
                dtype = self.rng.choice(["f32", "f64"])
            if kind == INT and self.chance(0.5):
                dtype = "i32"
        return self.add(Tensor(self.name("x"), "argument", dims, kind, dtype,
                               draw or "normal", bound))

    def make_arguments(self):
        rng, batch = self.rng, self.kernel.batch
        some = [d for d in batch if self.chance(0.5)]
        for feature in self.features[:2]:
            self.argument(self.times + [feature])
        self.argument(self.times + rng.sample(
            self.features, rng.randint(0, 1)), draw="decay", bound=0.9)
        pair = [rng.choice(self.features) for _ in range(2)]
        self.argument(pair, some, draw="weights", bound=1.0)
        self.argument([rng.choice(self.features)],
                      [d for d in batch if self.chance(0.3)],
                      draw=rng.choice(["normal", "decay"]))
        if self.chance(0.3):
            self.argument(self.times + rng.sample(
                self.features, rng.randint(0, 1)), draw="logs", bound=1e4)
        if self.chance(0.3):
            self.argument([], rng.choice([[], batch, some]))
        if self.chance(0.3):
            self.argument(self.times, rng.choice([batch, some]), COND)
        if self.chance(0.3):
            self.argument(rng.choice([self.times, [self.features[0]]]),
                          rng.choice([batch, some]), INT, draw="count",
                          bound=5)
        if self.chance(0.2):
            self.argument([], [], INT, draw="offset", bound=4)
        if self.tokens:
            self.argument(self.times[:1], rng.choice([batch, some]), INT,
                          draw="token N", bound=SIZE_BOUND)
            self.argument(["N", self.features[0]], some)
        if self.places:
            self.argument(self.times[:1] + rng.choice([[], self.features[-1:]]),
                          rng.choice([batch, some]), INT,
                          draw="token " + self.places, bound=SIZE_BOUND)
        if self.chance(0.08):
            self.argument(self.features[:1] * 2 + self.features[-1:], [])
        # Every size stands alone somewhere.
        present = {d for t in self.kernel.tensors.values() for d in t.dims}
        for dim in self.dims + batch:
            if dim not in present and dim.isidentifier():
                self.argument([d for d in [dim] if d not in batch],
                              [d for d in [dim] if d in batch])
                last = list(self.kernel.tensors.values())[-1]
                last.dims = [base(d) for d in last.dims]

    def make_lets(self):
        if not self.chance(0.3):
            return
        e, n = self.e, self.e.extent(self.rng.choice(self.e.dims))
        value = self.rng.choice([
            lambda: binary("/", number(1), call(
                "sqrt", binary("+", n, number(1)), bound=n.bound), 1.0),
            lambda: call("tanh", e.real(Scope({}, [
                t for t in self.kernel.of("argument")
                if not self.kernel.inner(t)]), 1)),
            lambda: binary("*", n, e.literal(0.01, 0.05), 0.05 * n.bound)])()
        self.kernel.lets[self.name("a")] = value

    #===--------------------------------------------------------------------===#
    # Locals and results
    #===--------------------------------------------------------------------===#

    def left(self, dims):
        """An index for each dim."""
        names, free = [], [c for c in "dijklmnpq"]
        for dim in dims:
            wanted = {"T": "t", "Y": "y", "X": "x"}.get(dim)
            if wanted is None or wanted in names:
                wanted = next(c for c in free if c not in names)
                if self.chance(0.3) and dim in self.times:
                    wanted = next((c for c in "us" if c not in names), wanted)
            names.append(wanted)
        return names

    def expression(self, kind, scope, depth):
        if kind == COND:
            return self.e.condition(scope, 2)
        if kind == INT:
            node = self.e.integer(scope, 2)
            if node.bound > 1e6:
                node = binary("mod", node, number(97))
            return node
        return self.e.real(scope, depth)

    def readable(self):
        return list(self.kernel.tensors.values())

    def define(self, role, dims, kind, scope=None, depth=2):
        """A local or a result and its equation."""
        kernel = self.kernel
        indices = self.left(dims)
        if scope is None:
            scope = Scope(zip(indices, dims), self.readable())
        else:
            indices = list(scope.time) + [
                i for i in scope.indices if i not in scope.time]
        expr = self.expression(kind, scope, depth)
        tensor = Tensor(self.name("y" if role == "result" else "l"), role,
                        kernel.batch + dims, kind, DTYPE[kind],
                        bound=max(expr.bound, 1.0))
        if role == "result":
            tensor.dims = self.layout(dims, kernel.batch)
            tensor.dtype = self.result_dtype(kind)
            kernel.equations.append(
                Equation(tensor.name, self.in_layout(tensor, dims, indices),
                         expr))
        else:
            told = kind != INT and all(stands_alone(expr, i) for i in indices)
            tensor.declared = not told or self.chance(0.2)
            tensor.write_batch = bool(kernel.batch) and self.chance(0.1)
            if tensor.write_batch and self.chance(0.3):
                tensor.dims = self.layout(dims, kernel.batch)
                indices = self.in_layout(tensor, dims, indices)
            kernel.equations.append(Equation(tensor.name, indices, expr))
        return self.add(tensor)

    def in_layout(self, tensor, dims, indices):
        """The indices in the order of the tensor's dims."""
        left = list(zip(dims, indices))
        order = []
        for dim in self.kernel.inner(tensor):
            entry = next(e for e in left if e[0] == dim)
            left.remove(entry)
            order.append(entry[1])
        return order

    def result_dtype(self, kind):
        if kind == INT:
            return self.rng.choice(["i32", "i64"])
        if kind == REAL and self.chance(0.08):
            return self.rng.choice(["f64", "f32", "bf16", "f16"])
        return DTYPE[kind]

    def shape(self, most=2):
        dims = self.rng.sample(self.features,
                               self.rng.randint(0, min(most,
                                                       len(self.features))))
        return dims

    def make_local(self):
        kind = self.e.pick({REAL: 8, INT: 1, COND: 1})
        way = self.e.pick({"time": 7, "static": 1,
                           "scores": 0 if self.e.stepwise else 1.5})
        dims = self.times + self.shape() if way == "time" else \
            [self.times[0]] * 2 if way == "scores" else self.shape() or \
            self.features[:1]
        self.define("local", dims, kind)

    def define_as(self, role, dims, indices, expr):
        tensor = Tensor(self.name("y"), role, self.layout(
            dims, self.kernel.batch), REAL, "", bound=max(expr.bound, 1.0))
        tensor.dtype = self.result_dtype(REAL)
        self.kernel.equations.append(Equation(
            tensor.name, self.in_layout(tensor, dims, indices), expr))
        return self.add(tensor)

    def readout(self, state):
        """(dims, indices, expression): a sum over one dim of a state."""
        own = [d for d in state.dims if d not in self.kernel.batch]
        t, i, j = self.left(self.times + own)
        at = Scope({t: self.times[0], i: own[0], j: own[1]},
                   self.kernel.of("argument"))
        first = self.chance(0.7)
        summed, kept = (i, j) if first else (j, i)
        weight = Scope({t: self.times[0], summed: at.indices[summed]},
                       at.readable)
        term = binary("*", self.e.leaf(weight), self.e.read(
            state, [self.e.index(t), self.e.index(i), self.e.index(j)]))
        whole = Node("reduce", "sum", [term], REAL, term.bound * SIZE_BOUND,
                     False, [(summed, at.indices[summed])])
        return self.times + [at.indices[kept]], [t, kept], whole

    def attention(self):
        """(dims, indices, expression): queries, keys and values, with a mask."""
        rng, e = self.rng, self.e
        inner, outer = rng.choice(self.features), rng.choice(self.features)
        t, i, j = self.left(["T", inner, outer])
        u = "u" if t != "u" else "r"
        arguments = self.kernel.of("argument")
        given = Scope({t: "T", u: "T"}, arguments)
        product = binary("*", e.squash(e.leaf(Scope(
            {t: "T", i: inner}, arguments)), 1.0), e.squash(e.leaf(Scope(
                {u: "T", i: inner}, arguments)), 1.0))
        score = Node("reduce", "sum", [product], REAL, SIZE_BOUND, False,
                     [(i, inner)] if stands_alone(product, i) else
                     [(i, number(0), e.extent(inner))])
        back = binary("-", e.index(t), e.index(u))
        score = rng.choice([
            lambda: score,
            lambda: binary("/", score, call("sqrt", binary(
                "+", e.extent(inner), number(1)), bound=8.0), score.bound),
            lambda: call("tanh", score),
            lambda: binary("-", score, binary("*", e.literal(0, 1), back))])()
        mask = rng.choice([
            lambda: None,
            lambda: binary("<=", e.index(u), e.index(t)),
            lambda: binary("and", binary("<=", e.index(u), e.index(t)),
                           binary("<", back.copy(), number(rng.randint(1, 9)))),
            lambda: binary("and", binary(">=", e.index(t), e.index(u)),
                           e.condition(given, 0)),
            lambda: binary("or", binary("<", e.index(u), number(2)), binary(
                "<=", e.index(u), e.index(t)))])()
        weights = Node("reduce", "softmax", [score] + (
            [mask] if mask else []), REAL, 1.0, False, [(u, "T")
            if stands_alone(score, u) else (u, number(0), e.extent("T"))])
        value = e.leaf(Scope({u: "T", j: outer}, arguments))
        body = binary("*", weights, value)
        entry = (u, "T") if stands_alone(body, u) else \
            (u, number(0), e.extent("T"))
        return ["T", outer], [t, j], Node(
            "reduce", "sum", [body], REAL, value.bound, False, [entry])

    def shared_result(self):
        """A result without batch dims, of tensors that have none."""
        plain = [t for t in self.kernel.of("argument")
                 if not any(base(d) in self.kernel.batch for d in t.dims)]
        dims = self.shape() or self.features[:1]
        if self.chance(0.5):
            dims = self.times + dims
        indices, lets = self.left(dims), self.kernel.lets
        names = {t.name for t in plain}
        self.kernel.lets = {name: value for name, value in lets.items()
                            if all(node.name in names for node in value.walk()
                                   if node.op == "read")}
        expr = self.e.real(Scope(zip(indices, dims), plain), 2)
        self.kernel.lets = lets
        tensor = Tensor(self.name("y"), "result", dims, REAL, "",
                        bound=max(expr.bound, 1.0))
        self.kernel.equations.append(Equation(tensor.name, indices, expr))
        return self.add(tensor)

    def make_result(self):
        structured = [t for t in self.kernel.of("state")
                      if getattr(t, "way", "") in ("outer", "delta")]
        if structured and self.chance(0.6):
            return self.define_as("result", *self.readout(
                self.rng.choice(structured)))
        if self.times == ["T"] and not self.e.stepwise and self.chance(0.12):
            return self.define_as("result", *self.attention())
        if self.kernel.batch and self.chance(0.1):
            return self.shared_result()
        kind = self.e.pick({REAL: 12, INT: 1, COND: 1})
        dims = self.times + self.shape() if self.chance(0.85) else self.shape()
        self.define("result", dims, kind, depth=3)

    #===--------------------------------------------------------------------===#
    # Recurrences
    #===--------------------------------------------------------------------===#

    def make_recurrence(self):
        """States and locals that read each other."""
        reverse = self.chance(0.3) and not self.e.stepwise
        before = self.readable()
        states = [self.make_state(reverse)
                  for _ in range(self.rng.choice([1, 1, 1, 2, 2, 3]))]
        order = list(states)
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            order.insert(self.rng.randint(0, len(order)), None)
        rules = {state.name: "past" for state in states}
        known = before + states
        time = self.left(self.times)
        for state in order:
            dims = self.times + (self.shape(1) if state is None else
                                 [d for d in state.dims
                                  if d not in self.kernel.batch])
            indices = list(zip(self.left(dims), dims))
            scope = Scope(indices, known, rules, time, reverse)
            if state is None:
                kind = self.e.pick({REAL: 8, COND: 1})
                local = self.define("local", dims, kind, scope)
                rules[local.name] = "now"
                known.append(local)
                continue
            expr = self.update(state, scope)
            told = stands_alone_in(expr, time, before)
            state.write_along = not told or len(time) > 1 or self.chance(0.4)
            self.kernel.equations.append(
                Equation(state.name, [i for i, _ in indices], expr))
            rules[state.name] = "now"
            if len(time) == 1 and self.chance(0.12) and not (
                    self.e.stepwise or state.way in ("outer", "delta") or
                    state.kind == REAL and state.way in ("free", "forget")):
                self.boundary(state, before, reverse)

    def make_state(self, reverse):
        kind = self.e.pick({REAL: 9, INT: 0.7, COND: 0.5})
        way = self.e.pick({
            "bounded": 2, "decay": 4, "mix": 2, "extreme": 1, "branch": 1,
            "matrix": 1.5, "free": 2, "forget": 0.3,
            **(dict(grad=0.9, outer=3, delta=2) if len(self.times) == 1
               else {})}) if kind == REAL else "free"
        dims = self.shape(2)
        if way in ("outer", "delta"):
            dims = self.rng.choices(self.features, k=2)
        bound = {"bounded": 1.0, "decay": 6.0, "matrix": 6.0, "grad": 4.0,
                 "mix": 3.0}.get(way, 5.0)
        state = Tensor(self.name("S" if dims else "s"), "state",
                       self.kernel.batch + dims, kind, DTYPE[kind],
                       bound=bound if kind == REAL else 90,
                       along=self.times)
        state.way, state.reverse = way, reverse
        if kind == REAL and self.chance(0.4):
            state.initial = self.initial(state, dims)
        return self.add(state)

    def initial(self, state, dims):
        if state.way == "extreme" and self.chance(0.5):
            self.kernel.jumps.add("inf")
            return unary("-", Node("constant", "inf", (), REAL, LIMIT))
        if self.chance(0.5):
            given = Tensor(self.name("x"), "argument", self.kernel.batch + dims,
                           REAL, "", "unit", 1.0)
            self.add(given)
            return Node("read", given.name, (), REAL, 1.0)
        return self.rng.choice([
            self.e.literal(-1, 1),
            binary("/", number(1), binary("+", number(1), self.e.extent(
                self.rng.choice(self.e.dims))), 1.0)])

    def boundary(self, state, before, reverse):
        """An equation at one point."""
        dims = [d for d in state.dims if d not in self.kernel.batch]
        names = self.left(dims)
        last = binary("-", self.e.extent(self.times[0]), number(1))
        point = last if reverse else number(self.e.pick({0: 6, 1: 2}))
        if self.chance(0.15) and state.initial is None:
            # An initial value, which can only use arguments.
            point = self.e.extent(self.times[0]) if reverse else number(-1)
            before = [t for t in before if t.role == "argument"]
        expr = self.expression(state.kind, Scope(zip(names, dims), before), 1)
        if state.kind == REAL:
            expr = self.e.squash(expr, state.bound)
        elif state.kind == INT:
            expr = binary("mod", expr, number(7))
        self.kernel.equations.append(Equation(state.name, names, expr, point))

    def own_past(self, state, scope):
        """The state at an earlier point, at its own indices."""
        rest = [self.e.index(i) for i in scope.indices if i not in scope.time]
        return self.e.read(state, self.e.past(scope, False) + rest)

    def coefficient(self, scope, bound):
        found = self.e.squash(self.e.real(scope, 1), 1.0)
        return binary("*", number(bound), found, bound) \
            if found.bound > bound else found

    def update(self, state, scope):
        e = self.e
        if state.kind == INT:
            node = self.rng.choice([
                lambda: binary("+", self.own_past(state, scope),
                               self.expression(INT, scope, 1)),
                lambda: choose(e.condition(scope, 1), number(0), binary(
                    "+", self.own_past(state, scope), number(1))),
                lambda: call("max", self.own_past(state, scope),
                             self.expression(INT, scope, 1), kind=INT,
                             bound=1e9, exact=True)])()
            return binary("mod", node, number(self.rng.choice([7, 11, 89])))
        if state.kind == COND:
            return binary(self.rng.choice(["or", "and"]), self.rng.choice([
                lambda: self.own_past(state, scope),
                lambda: unary("not", self.own_past(state, scope))])(),
                e.condition(scope, 1))
        return e.squash(getattr(self, "update_" + state.way)(state, scope),
                        state.bound)

    def update_bounded(self, state, scope):
        node = binary(self.rng.choice("+-"), self.e.real(scope, 2),
                      self.own_past(state, scope))
        return call(self.rng.choice(["tanh", "sigmoid", "erf", "sin"]), node)

    def update_decay(self, state, scope):
        gate = self.coefficient(scope, 0.8)
        new = self.e.squash(self.e.real(scope, 2), 1.0)
        old = self.own_past(state, scope)
        pair = [gate, old] if self.chance(0.5) else [old, gate]
        return binary("+", binary("*", *pair, 0.8 * state.bound), new)

    def update_mix(self, state, scope):
        z = call("sigmoid", self.e.real(scope, 1))
        new = self.e.squash(self.e.real(scope, 2), state.bound)
        return binary("+", binary("*", binary("-", number(1), z, 1.0),
                                  self.own_past(state, scope)),
                      binary("*", z.copy(), new), state.bound)

    def update_extreme(self, state, scope):
        return call(self.rng.choice(["max", "max", "min"])
                    if state.initial is None else "max",
                    self.own_past(state, scope),
                    self.e.squash(self.e.real(scope, 2), state.bound),
                    bound=state.bound)

    def update_branch(self, state, scope):
        a = self.own_past(state, scope)
        b = self.e.squash(self.e.real(scope, 2), state.bound)
        c = self.e.condition(scope, 1)
        return choose(c, a, b) if self.chance(0.5) else choose(c, b, a)

    def update_matrix(self, state, scope):
        """A product of a matrix with the state, or of the state with one."""
        own = [i for i in scope.indices if i not in scope.time]
        if not own:
            return self.update_decay(state, scope)
        at = self.rng.randrange(len(own))
        dim = scope.indices[own[at]]
        name, = self.e.fresh(scope)
        inner = scope.inside({name: dim})
        subscripts = self.e.past(scope, False) + [
            self.e.index(name if i == at else other)
            for i, other in enumerate(own)]
        body = binary("*", self.e.squash(self.e.leaf(inner), 1.0),
                      self.e.read(state, subscripts))
        product = Node("reduce", "sum", [body], REAL,
                       state.bound * SIZE_BOUND, False, [(name, dim)])
        mean = binary("/", product, call(
            "max", self.e.extent(dim), number(1), kind=INT), state.bound)
        new = self.e.squash(self.e.real(scope, 1), 1.0)
        return binary("+", binary("*", number(0.7), mean), new,
                      0.7 * state.bound + 1.0)

    def decay(self, scope, dims):
        """A gate over some of the dims, of arguments only."""
        own = [i for i in scope.indices if i not in scope.time]
        chosen = [i for i, keep in zip(own, dims) if keep]
        inner = Scope({i: d for i, d in scope.indices.items()
                       if i in chosen or i in scope.time},
                      [t for t in scope.readable if t.role == "argument"])
        logs = [t for t in inner.readable if t.draw == "logs" and
                set(self.kernel.inner(t)) <= set(inner.indices.values())]
        return self.rng.choice([
            lambda: call("sigmoid", self.e.leaf(inner)),
            lambda: call("exp", unary("-", call(
                "softplus", self.e.leaf(inner), bound=9.0)), bound=1.0),
            lambda: call("exp", self.e.read(self.rng.choice(logs), [
                self.e.index(next(i for i, d in inner.indices.items()
                                  if d == dim))
                for dim in self.kernel.inner(logs[0])]), bound=1.0)
            if len(logs) == 1 else self.e.literal(0.3, 1)])()

    def factor(self, scope, at):
        """Of the time and one dim, bounded by 1."""
        own = [i for i in scope.indices if i not in scope.time]
        return self.e.squash(self.e.leaf(Scope(
            {i: d for i, d in scope.indices.items()
             if i in scope.time or i == own[at]},
            [t for t in scope.readable if t.role == "argument"])), 1.0)

    def update_outer(self, state, scope):
        """A matrix with a decay and an outer product."""
        gate = self.decay(scope, self.rng.choice(
            [(0, 0), (0, 0), (1, 0), (0, 1), (1, 1)]))
        write = binary("*", self.factor(scope, 0), self.factor(scope, 1))
        return binary("+", binary("*", gate, self.own_past(state, scope)),
                      write, 6.0)

    def update_delta(self, state, scope):
        """A matrix that is corrected towards a value."""
        own = [i for i in scope.indices if i not in scope.time]
        gate, key = self.decay(scope, (0, 0)), self.factor(scope, 0)
        past = self.e.past(scope, False)
        name, = self.e.fresh(scope)

        def renamed(node):
            copy = node.copy()
            for n in copy.walk():
                if n.op == "index" and n.name == own[0]:
                    n.name = name
            return copy

        term = binary("*", renamed(key), self.e.read(state, [
            *past, self.e.index(name), self.e.index(own[1])]))
        dim = scope.indices[own[0]]
        held = Node("reduce", "sum", [term], REAL, 6.0, False, [(name, dim)])
        error = binary("-", self.factor(scope, 1), binary(
            "*", gate.copy(), held, 6.0))
        return binary("+", binary("*", gate, self.e.read(
            state, [p.copy() for p in past] + [self.e.index(i) for i in own]),
            6.0), binary("*", binary("*", self.e.literal(0.01, 0.1), key),
                         error), 6.0)

    def update_free(self, state, scope):
        return self.e.real(scope, 3)

    def update_forget(self, state, scope):
        """A state that does not read itself."""
        scope = Scope(scope.indices, [t for t in scope.readable
                                      if t.role == "argument"])
        return self.e.real(scope, 2)

    def update_grad(self, state, scope):
        """Test-time training: a step down the gradient of a random loss."""
        e = self.e
        own = [i for i in scope.indices if i not in scope.time]
        point = e.past(Scope({}, [], {}, scope.time, scope.reverse), False)
        inner = Scope({i: scope.indices[i] for i in scope.time},
                      [t for t in scope.readable if t.role == "argument"],
                      time=scope.time)
        names = e.fresh(Scope({i: 1 for i in scope.indices}, []), len(own))
        inside = inner.inside(dict(zip(names, [scope.indices[i]
                                               for i in own])))

        def variable():
            return e.read(state, [p.copy() for p in point] +
                          [e.index(name) for name in names])

        inside.variable = variable
        loss = binary("*", variable(), e.real(inside, 1))
        loss = self.rng.choice([
            lambda: loss,
            lambda: binary("^", binary("-", loss, e.leaf(inside)), number(2),
                           (loss.bound + 3) ** 2),
            lambda: call("tanh", loss)])()
        if names:
            loss = Node("reduce", self.e.pick({"sum": 6, "logsumexp": 1}),
                        [loss], REAL, loss.bound * SIZE_BOUND, False,
                        [(name, inside.indices[name]) for name in names])
        if self.chance(0.5):
            name = self.name("l")
            self.add(Tensor(name, "local", self.kernel.batch + self.times,
                            REAL, "", bound=loss.bound))
            self.kernel.equations.append(
                Equation(name, scope.time, loss))
            loss = Node("read", name, [e.index(i) for i in scope.time], REAL,
                        loss.bound)
        access = e.read(state, [p.copy() for p in point] +
                        [e.index(i) for i in own])
        gradient = Node("grad", None, [loss, access], REAL, 100.0)
        step = call("tanh", gradient)
        return binary("-", binary("*", number(0.7),
                                  self.own_past(state, scope)),
                      binary("*", number(0.5), step))

    #===--------------------------------------------------------------------===#
    # Calls
    #===--------------------------------------------------------------------===#

    def make_call(self):
        """y = mean(x, a): a leaky mean over the time dim, by another
        kernel; the second result is its input in reverse."""
        kernel = self.kernel
        table = [t for t in self.readable() if t.kind == REAL and not t.along
                 and t.role in ("argument", "local")
                 and t.dims[:len(kernel.batch)] == kernel.batch
                 and not t.dtype and (t.declared or t.role == "argument")
                 and kernel.inner(t)[:1] == ["T"]
                 and len(kernel.inner(t)) == 2 and t.dims[-1].isidentifier()]
        if not table:
            return
        source = self.rng.choice(table)
        feature = source.dims[-1]
        two = self.chance(0.4)
        callee = Kernel(kernel.name + "_mean")
        callee.batch = list(kernel.batch)
        dims = kernel.batch + ["L", "C"]
        for tensor in [Tensor("u", "argument", dims),
                       Tensor("r", "argument", []),
                       Tensor("o", "result", dims)] + (
                           [Tensor("z", "result", dims)] if two else []):
            callee.tensors[tensor.name] = tensor
        state = Tensor("h", "state", kernel.batch + ["C"], along=["L"])
        state.reverse = self.chance(0.3)
        callee.tensors["h"] = state
        t, c = index("t", 1), index("c", 1)
        one = number(1)
        r = Node("read", "r", ())
        back = binary("+" if state.reverse else "-", t, one)
        callee.equations.append(Equation("h", ["t", "c"], binary(
            "+", binary("*", r, Node("read", "h", [back, c])),
            binary("*", binary("-", one, r), Node("read", "u", [t, c])))))
        callee.equations.append(Equation("o", ["t", "c"],
                                         Node("read", "h", [t, c])))
        if two:
            end = binary("-", binary("-", Node("size", "L", (), INT), one), t)
            callee.equations.append(Equation("z", ["t", "c"], Node(
                "read", "u", [end, c])))
        results = [self.name("y") for _ in range(1 + two)]
        for name in results:
            tensor = Tensor(name, "local", kernel.batch + ["T", feature],
                            bound=source.bound)
            tensor.declared = self.chance(0.3)
            self.add(tensor)
        kernel.calls.append(Call(results, callee,
                                 [source.name, self.e.literal(0.1, 0.9)],
                                 {**{b: b for b in kernel.batch},
                                  "L": "T", "C": feature}))

    def make(self):
        rng = self.rng
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            self.make_local()
        if self.chance(0.12) and not self.e.stepwise:
            self.make_call()
        for _ in range(rng.choice([0, 1, 1, 1, 1, 2])):
            self.make_recurrence()
            if self.chance(0.4):
                self.make_local()
        for _ in range(rng.choice([1, 1, 2, 3])):
            self.make_result()
        self.drop_unread()
        if self.chance(0.3):
            rng.shuffle(self.kernel.equations)
        return self.kernel

    def drop_unread(self):
        """Most arguments that nothing reads, as long as the sizes stay."""
        kernel = self.kernel
        read = {name for op, name in kernel.operations() if op == "read"}
        read |= {a for c in kernel.calls for a in c.arguments
                 if isinstance(a, str)}
        for tensor in kernel.of("argument"):
            others = {d for t in kernel.of("argument") if t is not tensor
                      for d in t.dims}
            if tensor.name not in read and set(tensor.dims) <= others \
                    and self.chance(0.9):
                del kernel.tensors[tensor.name]


def stands_alone_in(expr, names, tensors):
    """Whether every index is a whole subscript of one of the tensors."""
    allowed = {t.name for t in tensors
               if t.role == "argument" or t.declared and t.role == "local"}
    return all(any(n.op == "read" and n.name in allowed and
                   stands_alone(n, name) for n in expr.walk())
               for name in names) and not any(
                   n.name == "softmax" for n in expr.walk())


def generate(seed):
    return Generator(seed).make()


if __name__ == "__main__":
    print(file_text(generate(int(sys.argv[1]))), end="")
