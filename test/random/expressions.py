#===- expressions.py - Random expressions ----------------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Random expressions that are valid and bounded: every node knows a bound of
its absolute value, and what grows too large is squashed. Functions with a
restricted domain get arguments inside it."""

from program import (COND, INT, REAL, Node, base, binary, call, choose, index,
                     number, size, unary)

SIZE_BOUND = 48  # of every size
LIMIT = 12.0  # of every number
LETTERS = "ijklmnpqrsuvwabcefgh"
SMOOTH = ("tanh", "sigmoid", "silu", "gelu", "softplus", "logsigmoid", "erf",
          "sin", "cos", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt")
KINKED = ("abs", "relu")
JUMPING = ("sign", "step", "floor", "ceil")


class Scope:
    """What an expression may use.

    indices    {name: dim}; dim is None for those with a written range
    readable   tensors
    rules      {tensor: "past" or "now"} of the recurrence being defined
    time       indices of its point, first dim first
    reverse    whether it runs from the end
    variable   the access that a gradient is taken by; expressions are smooth
    reductions how many are around
    """

    def __init__(self, indices, readable, rules=None, time=(), reverse=False):
        self.indices, self.readable = dict(indices), list(readable)
        self.rules, self.time, self.reverse = rules or {}, time, reverse
        self.variable, self.reductions = None, 0

    def inside(self, indices, reductions=1):
        scope = Scope({**self.indices, **indices}, self.readable, self.rules,
                      self.time, self.reverse)
        scope.variable = self.variable
        scope.reductions = self.reductions + reductions
        return scope


def stands_alone(node, name):
    """Whether an index is a whole subscript somewhere. A softmax whose range
    is written has an index of its own."""
    if node.op == "read" and any(a.op == "index" and a.name == name
                                 for a in node.args):
        return True
    if any(len(entry) > 2 and entry[0] == name for entry in node.ranges):
        return False
    return any(stands_alone(arg, name) for arg in node.args)


class Expressions:

    def __init__(self, rng, kernel, dims, times, stepwise=False):
        """With `stepwise`, nothing looks at other steps than its own, but at
        states one step back."""
        self.rng, self.kernel = rng, kernel
        self.dims, self.times = dims, times  # inner dims; those of time
        self.stepwise = stepwise

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, table):
        """A key of {key: weight}."""
        keys = list(table)
        return self.rng.choices(keys, [table[key] for key in keys])[0]

    def fresh(self, scope, count=1):
        free = [c for c in LETTERS if c not in scope.indices]
        return self.rng.sample(free[:8], count)

    def literal(self, low, high):
        return number(round(self.rng.uniform(low, high),
                            self.rng.choice([1, 2, 3])))

    def squash(self, node, limit):
        """The same, bounded by `limit` (at least 1)."""
        if node.bound <= limit:
            return node
        way = self.pick({"tanh": 3, "clamp": 0 if node.kind == INT else 1,
                         "divide": 3, "sigmoid": 1, "sin": 1})
        if way == "divide" and node.bound < 1e6:
            factor = round(node.bound / limit + 0.5) + 1
            return binary("/", node, number(factor), node.bound / factor)
        if way == "clamp" and self.kernel is not None:
            return call("clamp", node, number(-1), number(1), kind=REAL,
                        exact=node.exact)
        if way == "sin" and node.bound < 50:
            return call("sin", node)
        return call("sigmoid" if way == "sigmoid" else "tanh", node)

    #===--------------------------------------------------------------------===#
    # Subscripts and reads
    #===--------------------------------------------------------------------===#

    def extent(self, dim):
        """A dim as an expression."""
        if dim.isdigit():
            return number(int(dim))
        if dim.isidentifier():
            return size(dim, SIZE_BOUND)
        a, op, b = dim.partition("*")
        return binary(op, self.extent(a.strip()), self.extent(b.strip()),
                      2 * SIZE_BOUND)

    def usable(self, scope):
        """Indices that may stand anywhere."""
        return [i for i, d in scope.indices.items()
                if not (self.stepwise and d in self.times)]

    def subscript(self, dim, scope):
        """Any position; it may be outside of the dim."""
        alone = [i for i, d in scope.indices.items() if d == dim]
        near = alone or self.usable(scope)
        if alone and (self.chance(0.8) or self.stepwise and dim in self.times):
            return self.index(self.rng.choice(alone[-3:]))
        way = self.pick({"shift": 6 if near else 0, "end": 2,
                         "mirror": 2 if alone else 0,
                         "fold": 2 if near else 0, "point": 1,
                         "offset": 1 if near else 0})
        i = self.index(self.rng.choice(near)) if near else None
        if way == "shift":
            return binary(self.rng.choice("+-"), i,
                          number(self.rng.randint(1, 3)))
        if way == "mirror":
            return binary("-", binary("-", self.extent(dim), number(1)), i)
        if way == "fold":
            return self.rng.choice([
                lambda: binary("mod", i, number(self.rng.randint(1, 4))),
                lambda: call("div", i, number(self.rng.randint(1, 3)),
                             kind=INT, bound=i.bound, exact=True),
                lambda: binary("*", number(2), i),
                lambda: binary("+", binary("*", number(2), i), number(1)),
                lambda: unary("-", i)])()
        offsets = [t for t in scope.readable if t.draw == "offset"]
        if way == "offset" and offsets:
            return binary(self.rng.choice("+-"), i,
                          Node("read", offsets[0].name, (), INT, 4, True))
        if way == "end":
            return binary("-", self.extent(dim),
                          number(self.rng.randint(1, 2)))
        return number(self.rng.randint(0, 2))

    def index(self, name):
        return index(name, SIZE_BOUND)

    def past(self, scope, now):
        """The subscripts of an earlier point of the recurrence, or of this
        one if `now`."""
        t = [self.index(name) for name in scope.time]
        if now and self.chance(0.6):
            return t
        if self.stepwise:
            return [binary("-", t[0], number(1))]
        earlier, later = ("+", "-") if scope.reverse else ("-", "+")

        def move(i, op, n):
            return binary(op, i, number(n)) if n else i

        if len(t) == 2:
            a, b = self.rng.choice([(1, 0), (0, 1), (1, 1), (1, -1), (2, 0),
                                    (0, 2), (1, 2), (2, -1)])
            return [move(t[0], earlier, a),
                    move(t[1], earlier if b > 0 else later, abs(b))]
        if not scope.reverse and self.chance(0.12):
            block = number(self.rng.choice([1, 2, 3, 4, 8, 16]))
            return [binary("-", binary("-", t[0], binary("mod", t[0], block)),
                           number(1))]
        return [move(t[0], earlier, self.pick({1: 7, 2: 2, 3: 1}))]

    def access(self, tensor, scope):
        """A read of a tensor at subscripts that its rule allows."""
        rule = scope.rules.get(tensor.name)
        dims = self.kernel.inner(tensor)
        subscripts = []
        if rule and tensor.role != "state" and \
                dims[:len(scope.time)] != self.times:
            now = dict(zip(self.times, scope.time))
            return self.read(tensor, [
                self.index(now[dim]) if dim in now else
                self.subscript(dim, scope) for dim in dims])
        if rule:
            if tensor.role == "state":
                subscripts = self.past(scope, rule == "now")
            else:
                subscripts = [self.index(name) for name in scope.time]
        if tensor.role == "state" or not rule:
            if self.chance(0.3):
                found = self.gather(tensor, dims, scope, subscripts)
                if found:
                    return found
        for dim in dims[len(subscripts):]:
            subscripts.append(self.subscript(dim, scope))
        return self.read(tensor, subscripts)

    def read(self, tensor, subscripts):
        return Node("read", tensor.name, subscripts, tensor.kind,
                    tensor.bound, tensor.role == "argument")

    def gather(self, tensor, dims, scope, known):
        """A read at the value of an integer tensor, which is in range, behind
        the subscripts that are known."""
        def alone(dim):
            return [i for i, d in scope.indices.items() if d == dim]

        tokens = [t for t in scope.readable
                  if (t.draw or "").startswith("token ") and
                  all(alone(d) for d in self.kernel.inner(t)) and
                  t.draw.split()[1] in dims[len(known):]]
        if not tokens:
            return None
        token = self.rng.choice(tokens)
        at = dims.index(token.draw.split()[1], len(known))
        where = self.read(token, [self.index(alone(d)[-1])
                                  for d in self.kernel.inner(token)])
        n = self.extent(dims[at])
        where = self.rng.choice([
            lambda: where, lambda: where,
            lambda: binary("-", binary("-", n, number(1)), where),
            lambda: binary("mod", binary("+", where, self.some_index(scope)),
                           n),
            lambda: call("min", where, self.some_index(scope), kind=INT,
                         bound=SIZE_BOUND, exact=True)])()
        return self.read(tensor, known + [
            where if i == at else self.subscript(dim, scope)
            for i, dim in list(enumerate(dims))[len(known):]])

    def some_index(self, scope):
        """An integer that is not negative."""
        near = [i for i in self.usable(scope) if scope.indices.get(i)]
        if near and self.chance(0.8):
            return self.index(self.rng.choice(near))
        return number(self.rng.randint(0, 3))

    def some(self, kind, scope):
        """A read of some tensor of this kind, or None."""
        table = {}
        for tensor in scope.readable:
            if tensor.kind != kind:
                continue
            known = set(scope.indices.values())
            dims = self.kernel.inner(tensor)
            if self.stepwise and not known.issuperset(
                    set(dims) & set(self.times)):
                continue
            fit = sum(dim in known for dim in dims) / max(1, len(dims))
            table[tensor] = 0.3 + 4 * fit ** 2 + 3 * bool(
                scope.rules.get(tensor.name))
        return self.access(self.pick(table), scope) if table else None

    #===--------------------------------------------------------------------===#
    # Reals
    #===--------------------------------------------------------------------===#

    def real(self, scope, depth):
        if depth <= 0 or self.chance(0.1):
            return self.leaf(scope)
        reduce_ = 3.5 if scope.reductions < 2 else 0
        rough = 0 if scope.variable else 1
        way = self.pick({
            "sum": 5, "product": 5, "quotient": 1.5, "function": 4,
            "power": 1, "extreme": 1.5 * rough, "branch": 1.5,
            "reduce": reduce_, "softmax": 0.6 if reduce_ else 0,
            "attend": 0.5 * rough if reduce_ else 0,
            "apply": 0.7 if self.kernel.functions else 0})
        return self.squash(getattr(self, "real_" + way)(scope, depth - 1),
                           LIMIT)

    def leaf(self, scope):
        if scope.variable is not None and self.chance(0.4):
            return scope.variable()
        way = self.pick({"read": 14, "number": 1.5, "integer": 1.5,
                         "let": 1 if self.kernel.lets or self.kernel.consts
                         else 0})
        if way == "let":
            names = list(self.kernel.lets.items()) + \
                list(self.kernel.consts.items())
            name, node = self.rng.choice(names)
            return Node("name", name, (), node.kind, node.bound)
        if way == "integer" and scope.indices:
            return self.small_integer(scope)
        found = self.some(REAL, scope) if way != "number" else None
        return found or self.literal(-2, 2)

    def small_integer(self, scope):
        """An integer made small enough to stand in a real expression."""
        i = self.integer(scope, 1)
        if i.bound <= LIMIT:
            return i
        return self.rng.choice([
            lambda: binary("*", self.literal(0.01, 0.1), i, 0.1 * i.bound),
            lambda: binary("/", i, number(SIZE_BOUND),
                           i.bound / SIZE_BOUND),
            lambda: call("sin", i),
            lambda: binary("^", self.literal(0.3, 0.95),
                           call("abs", i, kind=INT, bound=i.bound,
                                exact=True), 1.0)])()

    def real_sum(self, scope, depth):
        return binary(self.rng.choice("+-"), self.real(scope, depth),
                      self.real(scope, depth - self.chance(0.5)))

    def real_product(self, scope, depth):
        a, b = self.real(scope, depth), self.real(scope, depth - 1)
        node = binary("*", a, b)
        return unary("-", node) if self.chance(0.1) else node

    def real_quotient(self, scope, depth):
        a = self.real(scope, depth)
        way = self.pick({"size": 2, "one": 3, "time": 1})
        if way == "size" and self.dims:
            n = self.extent(self.rng.choice(self.dims))
            divisor = self.rng.choice([
                lambda: call("max", n, number(1), kind=INT, bound=n.bound,
                             exact=True),
                lambda: call("sqrt", binary("+", n, number(1)),
                             bound=n.bound)])()
        elif way == "time":
            divisor = binary("+", self.some_index(scope), number(1))
        else:
            b = self.real(scope, depth - 1)
            divisor = binary("+", self.literal(0.5, 1.5), self.rng.choice([
                lambda: binary("^", b, number(2), b.bound ** 2),
                lambda: call("exp", self.squash(b, 2.0), bound=8.0)])())
        return binary("/", a, divisor, 2 * a.bound)

    def real_function(self, scope, depth):
        rough = 0 if scope.variable else 1
        name = self.rng.choice(self.rng.choices(
            [SMOOTH, KINKED, JUMPING], [8, 2 * rough, 0.5 * rough])[0])
        a = self.real(scope, depth)
        if name in JUMPING:
            if not a.exact:
                self.kernel.jumps.add(name)
            return call(name, a, bound=a.bound + 1)
        if name in ("exp", "expm1"):
            if self.chance(0.4):
                a = unary("-", binary("^", a, number(2), a.bound ** 2))
                return call(name, a)
            return call(name, self.squash(a, 2.0), bound=8.0)
        if name in ("log", "sqrt", "rsqrt", "log1p"):
            a = binary("+", self.literal(0.3, 2),
                       binary("^", a, number(2), a.bound ** 2))
            return call(name, a, bound=a.bound if name == "sqrt" else 6.0)
        if name in ("sin", "cos"):
            return call(name, a)
        bound = 1.0 if name in ("tanh", "sigmoid", "erf") else a.bound + 1
        return call(name, a, bound=bound,
                    exact=a.exact and name in KINKED)

    def real_power(self, scope, depth):
        a = self.real(scope, depth)
        way = self.pick({"square": 5, "cube": 1, "real": 1, "minus": 1})
        if way == "square" or a.bound > 4:
            return binary("^", a, number(2), a.bound ** 2)
        if way == "cube":
            return binary("^", a, number(3), a.bound ** 3)
        a = binary("+", number(1), binary("^", a, number(2), a.bound ** 2))
        if way == "minus":
            return binary("^", a, number(-self.rng.randint(1, 2)), 1.0)
        return binary("^", a, self.literal(-1, 1), a.bound)

    def real_extreme(self, scope, depth):
        name = self.pick({"max": 3, "min": 3, "clamp": 2})
        a, b = self.real(scope, depth), self.real(scope, depth - 1)
        if name == "clamp":
            return call(name, a, self.literal(-2, 0), self.literal(0, 2),
                        bound=min(a.bound, 2.0))
        args = [a, b] + [self.leaf(scope)] * self.chance(0.2)
        return call(name, *args, bound=max(x.bound for x in args),
                    exact=all(x.exact for x in args))

    def real_branch(self, scope, depth):
        condition = self.condition(scope, min(depth, 1))
        a, b = self.real(scope, depth), self.real(scope, depth - 1)
        if self.chance(0.3):
            return call("select", condition, a, b,
                        bound=max(a.bound, b.bound))
        return choose(condition, a, b)

    def real_apply(self, scope, depth):
        name, (parameters, body) = self.rng.choice(
            list(self.kernel.functions.items()))
        args = [self.squash(self.real(scope, depth), 4.0) for _ in parameters]
        return Node("apply", name, args, REAL, body.bound)

    #===--------------------------------------------------------------------===#
    # Reductions
    #===--------------------------------------------------------------------===#

    def ranges(self, scope, reads=True):
        """New indices: ({name: dim}, ranges, number of points at most)."""
        count = 2 if self.chance(0.12) and scope.reductions == 0 else 1
        indices, ranges, points = {}, [], 1
        for name in self.fresh(scope, count):
            if self.chance(0.25) and count == 1:
                low = self.rng.choice([0, 0, 0, 1, -1])
                high = low + self.rng.randint(1, 5)
                ends = number(low), number(high)
                n = high - low
                near = self.usable(scope)
                if near and self.chance(0.4):
                    i = self.index(self.rng.choice(near))
                    ends, n = self.rng.choice([
                        ((number(0), binary("+", i, number(1))), SIZE_BOUND),
                        ((binary("-", i, number(2)),
                          binary("+", i, number(1))), 3),
                        ((number(0), i), SIZE_BOUND)])
                indices[name] = None
                ranges.append((name, *ends))
                points *= n
                continue
            dim = self.rng.choice(self.dims)
            indices[name] = dim
            if self.chance(0.1):
                ranges.append((name, number(0), self.extent(dim)))
            else:
                ranges.append((name, dim))
            points *= SIZE_BOUND
        return indices, ranges, points

    def written(self, ranges, body):
        """Ranges that can't be told from the body must be written."""
        return [entry if len(entry) > 2 or stands_alone(body, entry[0]) else
                (entry[0], number(0), self.extent(entry[1]))
                for entry in ranges]

    def filter(self, scope, indices):
        """A condition that depends on the new indices, or None."""
        if self.chance(0.6):
            return None
        first, dim = next(iter(indices.items()))
        same = [i for i, d in scope.indices.items()
                if d == dim and i not in indices]
        if same and self.chance(0.7):
            i, u = self.index(self.rng.choice(same)), self.index(first)
            node = binary(self.pick({"<=": 4, "<": 2, ">=": 1, "!=": 1}), u, i)
            if self.chance(0.3):
                node = binary("and", node, binary(
                    "<", binary("-", i, u), number(self.rng.randint(1, 6))))
            if self.chance(0.3):
                node = binary("and", node, self.condition(scope, 0))
            return node
        return self.condition(scope, 1)

    def reduced(self, name, scope, depth, body_of):
        indices, ranges, points = self.ranges(scope)
        inner = scope.inside(indices)
        body = body_of(inner, depth)
        ranges = self.written(ranges, body)
        filter_ = self.filter(inner, indices)
        return name, [body] + ([filter_] if filter_ else []), ranges, points

    def recent(self, scope):
        """A sum over some of the last points of a recurrence."""
        states = [t for t in scope.readable if t.role == "state" and
                  t.kind == REAL and scope.rules.get(t.name)]
        if not states or len(scope.time) > 1 or scope.reverse or \
                self.stepwise:
            return None
        state, t = self.rng.choice(states), self.index(scope.time[0])
        name, = self.fresh(scope)
        i = self.index(name)
        inner = scope.inside({name: None})
        rest = [self.subscript(d, scope)
                for d in self.kernel.inner(state)[1:]]
        weight = self.squash(self.leaf(inner), 1.0)
        if self.chance(0.5):
            body = binary("*", weight,
                          self.read(state, [binary("-", t, i)] + rest))
            return Node("reduce", "sum", [body], REAL, 4 * body.bound,
                        False, [(name, number(1), number(
                            self.rng.randint(2, 5)))])
        body = binary("*", weight, self.read(state, [i] + rest))
        return Node("reduce", "sum",
                    [body, binary("<", i, t)], REAL,
                    SIZE_BOUND * body.bound, False, [(name, state.along[0])])

    def real_reduce(self, scope, depth):
        if self.chance(0.25) and not scope.variable:
            found = self.recent(scope)
            if found:
                return found
        rough = 0 if scope.variable else 1
        kind = self.pick({"sum": 10, "prod": 1, "max": 1.5 * rough,
                          "min": 1 * rough, "logsumexp": 1})

        def body(inner, depth):
            if kind == "prod":
                return self.squash(self.real(inner, depth), 1.0)
            if self.chance(0.5):
                return binary("*", self.real(inner, depth - 1),
                              self.real(inner, 0))
            return self.real(inner, depth)

        name, args, ranges, points = self.reduced(kind, scope, depth, body)
        if kind == "sum":
            bound = args[0].bound * points
        elif kind == "prod":
            bound = 1.0
        else:
            bound = args[0].bound + 4
        node = Node("reduce", name, args, REAL, bound,
                    kind in ("max", "min") and args[0].exact, ranges)
        if kind in ("max", "min", "logsumexp") and self.chance(0.9):
            # An empty one is infinite.
            node = call("clamp", node, number(-LIMIT), number(LIMIT),
                        bound=LIMIT, exact=node.exact)
        return node

    def real_softmax(self, scope, depth):
        """A value at an index in scope."""
        # Hiding the time of a recurrence would hide its distances too.
        known = [i for i in self.usable(scope)
                 if scope.indices[i] and i not in scope.time]
        if not known:
            return self.real(scope, depth)
        name = self.rng.choice(known)
        inner = scope.inside({name: scope.indices[name]})
        return self.weights(name, inner, depth)

    def weights(self, name, inner, depth):
        body = self.real(inner, depth)
        dim = inner.indices[name]
        entry = (name, dim) if stands_alone(body, name) else \
            (name, number(0), self.extent(dim))
        filter_ = self.filter(inner, {name: dim})
        return Node("reduce", "softmax", [body] + (
            [filter_] if filter_ else []), REAL, 1.0, False, [entry])

    def real_attend(self, scope, depth):
        """sum[u] (softmax[u | c] s[u]) * v[u]"""
        dim = self.rng.choice(self.dims)
        name, = self.fresh(scope)
        inner = scope.inside({name: dim})
        weight = self.weights(name, inner, depth)
        body = binary("*", weight, self.real(inner, 0))
        entry, = self.written([(name, dim)], body)
        return Node("reduce", "sum", [body], REAL, body.bound, False, [entry])

    #===--------------------------------------------------------------------===#
    # Integers and conditions
    #===--------------------------------------------------------------------===#

    def integer(self, scope, depth):
        if depth <= 0 or self.chance(0.2):
            found = None
            way = self.pick({"index": 6, "read": 3, "size": 1, "number": 2})
            near = self.usable(scope)
            if way == "index" and near:
                return self.index(self.rng.choice(near))
            if way == "read":
                found = self.some(INT, scope)
            if way == "size" and self.dims:
                found = self.extent(self.rng.choice(self.dims))
            return found or number(self.rng.randint(0, 5))
        a, b = self.integer(scope, depth - 1), self.integer(scope, 0)
        bound = max(a.bound, b.bound)
        way = self.pick({"+": 3, "-": 3, "*": 1.5, "mod": 3, "div": 2,
                         "abs": 1, "max": 1, "min": 1, "if": 1, "negate": 0.5,
                         "clamp": 0.5,
                         "count": 0.7 if scope.reductions < 1 and not
                         scope.rules else 0})
        if way in "+-" or (way == "*" and a.bound * b.bound < 1e5):
            return binary(way, a, b)
        if way == "mod":
            return binary("mod", a, number(self.rng.randint(1, 7)))
        if way == "negate":
            return unary("-", a)
        if way == "div":
            return call("div", a, number(self.rng.randint(1, 5)), kind=INT,
                        bound=a.bound, exact=True)
        if way in ("max", "min"):
            return call(way, a, b, kind=INT, bound=bound, exact=True)
        if way == "clamp":
            return call("clamp", a, number(-2), number(5), kind=INT, bound=5,
                        exact=True)
        if way == "if":
            return choose(self.condition(scope, 0), a, b)
        if way == "count" and self.dims:
            return self.count(scope)
        return call("abs", a, kind=INT, bound=a.bound, exact=True)

    def count(self, scope):
        """How often a condition holds."""
        def body(inner, depth):
            return call("select", self.condition(inner, 1), number(1),
                        self.rng.choice([number(0), self.some_index(inner)]),
                        kind=INT, bound=SIZE_BOUND, exact=True)

        name, args, ranges, points = self.reduced("sum", scope, 1, body)
        return Node("reduce", name, args, INT, points * SIZE_BOUND, True,
                    ranges)

    def condition(self, scope, depth):
        if depth > 0:
            way = self.pick({"and": 3, "or": 2, "not": 1,
                             "any": 1 if scope.reductions < 1 and
                             not scope.variable else 0,
                             "compare": 4})
            if way in ("and", "or"):
                return binary(way, self.condition(scope, depth - 1),
                              self.condition(scope, depth - 1))
            if way == "not":
                return unary("not", self.condition(scope, depth - 1))
            if way == "any":
                name, args, ranges, _ = self.reduced(
                    self.rng.choice(["any", "all"]), scope, depth - 1,
                    self.condition)
                return Node("reduce", name, args, COND, 1, False, ranges)
        way = self.pick({"integers": 6, "reals": 2.5, "read": 2.5,
                         "constant": 0.2})
        if way == "constant":
            return Node("constant", self.rng.choice(["true", "false"]), (),
                        COND)
        if way == "read":
            found = self.some(COND, scope)
            if found:
                return found
        if way == "reals" and not scope.variable:
            a, b = self.real(scope, 0), self.real(scope, 0)
            if not (a.exact and b.exact):
                self.kernel.jumps.add("compare")
            return binary(self.rng.choice(["<", "<=", ">", ">="]), a, b)
        op = self.pick({"==": 2, "!=": 2, "<": 3, "<=": 3, ">": 1, ">=": 1})
        return binary(op, self.integer(scope, 1), self.integer(scope, 0))
