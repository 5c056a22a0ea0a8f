#===- evaluate.py - What a program means, point by point -------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Evaluates kernels from the trees that the generator made: every tensor is a
function of its indices that remembers its values. Shares nothing with the
compiler but the language page, and knows no order, no loops and no time."""

import itertools

import numpy as np

import scalars
from program import COND, INT, Node, base

NAMES = {"exp": "_exp", "max": "_larger", "min": "_smaller", "clamp": "_clamp"}
REDUCE = {"sum": "_total", "prod": "_product", "max": "_largest",
          "min": "_smallest", "any": "any", "all": "all",
          "logsumexp": "_log_sum_exp"}


def evaluate_dim(dim, sizes):
    return int(eval(dim.replace("/", "//"), {}, sizes))


class Seed:
    """The access that a derivative is taken by."""

    def __init__(self, state, key):
        self.state, self.key, self.memo = state, key, {}


class Evaluator:
    """`inputs` are arrays by name, `S.initial` among them."""

    def __init__(self, kernel, sizes, inputs):
        self.kernel, self.sizes, self.inputs = kernel, sizes, inputs
        self.seed = None
        self.memo = {}
        self.space = {"_divide": scalars.divide, "_power": scalars.power,
                      "_larger": scalars.larger, "_smaller": scalars.smaller,
                      "_clamp": scalars.clamp, "_total": scalars.total,
                      "_product": scalars.product,
                      "_largest": scalars.largest,
                      "_smallest": scalars.smallest,
                      "_log_sum_exp": scalars.log_sum_exp,
                      "_softmax": scalars.softmax, "_grad": self.grad,
                      "_recall": self.recall, "_before": self.mark,
                      "_inf": scalars.INF, "_pi": scalars.PI}
        for name in scalars.FUNCTIONS:
            self.space["_" + name] = scalars.function(name)
        for name, n in sizes.items():
            self.space["n_" + name] = n
        self.batch = ["b_" + name for name in kernel.batch]
        for name, (parameters, body) in kernel.functions.items():
            self.define("f_" + name, ["v_" + p for p in parameters], body)
        for name, node in kernel.consts.items():
            self.define("v_" + name, [], node)
        for name, node in kernel.lets.items():
            self.define("v_" + name, self.batch, node)
        for tensor in kernel.tensors.values():
            getattr(self, "add_" + ("argument" if tensor.role == "argument"
                                    else "equations"))(tensor)
        for call in kernel.calls:
            self.add_call(call)

    def dim(self, dim):
        return evaluate_dim(dim, self.sizes)

    def define(self, name, parameters, node):
        self.run("def %s(%s):\n  return %s\n" % (
            name, ", ".join(parameters), self.code(node)))

    def run(self, source):
        exec(source, self.space)

    #===--------------------------------------------------------------------===#
    # Tensors
    #===--------------------------------------------------------------------===#

    def zero(self, tensor):
        return False if tensor.kind == COND else \
            0 if tensor.kind == INT else 0.0

    def place(self, tensor, names, data):
        """`data` at the batch point and the inner subscripts `names`, packed
        in the layout of the tensor."""
        names, offset = iter(names), "0"
        for dim in tensor.dims:
            if base(dim) in self.kernel.batch:
                part = "b_" + base(dim)
                if "/" in dim:
                    part += " // %d" % self.dim(dim.split("/")[1])
            else:
                part = next(names)
            offset = "(%s) * %d + %s" % (offset, self.dim(dim), part)
        return "%s[%s]" % (data, offset)

    def inside(self, names, dims):
        return " and ".join("0 <= %s < %d" % (name, self.dim(dim))
                            for name, dim in zip(names, dims)) or "True"

    def add_argument(self, tensor):
        dims = self.kernel.inner(tensor)
        names = ["i%d" % i for i in range(len(dims))]
        self.space["d_" + tensor.name] = \
            np.asarray(self.inputs[tensor.name]).ravel().tolist()
        self.run("def t_%s(%s):\n  return %s if %s else %r\n" % (
            tensor.name, ", ".join(self.batch + names),
            self.place(tensor, names, "d_" + tensor.name),
            self.inside(names, dims), self.zero(tensor)))

    def add_equations(self, tensor):
        """A function that checks the range, remembers, and calls e_<name>,
        the right-hand side."""
        mine = [e for e in self.kernel.equations if e.tensor == tensor.name]
        if not mine:
            return  # a result of a call
        equation = next(e for e in mine if e.point is None)
        along = len(tensor.along)
        names = ["i_" + name for name in equation.indices]
        dims = self.kernel.inner(tensor)
        body, before = "", None
        for other in mine:
            if other.point is None:
                continue
            code, rest = self.code(other.expr), names[1:]
            for a, b in zip(rest, other.indices):
                code = "(lambda i_%s: %s)(%s)" % (b, code, a)
            if self.is_before(tensor, other.point):
                before = code
            else:
                body += "  if %s == %s: return %s\n" % (
                    names[0], self.code(other.point), code)
        head = ", ".join(self.batch + names)
        self.run("def e_%s(%s):\n%s  return %s\n" % (
            tensor.name, head, body, self.code(equation.expr)))
        self.add_initial(tensor, names[along:], before)
        start = "s_%s(%s)" % (tensor.name, ", ".join(
            self.batch + names[along:])) if along else "None"
        self.run("def t_%s(%s):\n"
                 "  if not (%s): return %r\n"
                 "  if not (%s): return _before(%s, %r, %d, (%s))\n"
                 "  return _recall(%r, %d, (%s))\n" % (
                     tensor.name, head,
                     self.inside(names[along:], dims[along:]),
                     self.zero(tensor),
                     self.inside(names[:along], dims), start,
                     tensor.name, len(self.batch) + along,
                     head + ("," if head else ""), tensor.name, len(self.batch) + along if along else 0,
                     head + ("," if head else "")))

    def is_before(self, tensor, point):
        """Whether a boundary equation stands for the initial value."""
        scope = dict(self.space)
        return eval(self.code(point), scope) == (
            self.dim(tensor.along[0]) if self.directions(tensor)[0] else -1)

    def directions(self, state):
        """Per along dim, whether the recurrence of a state runs from the end:
        the outermost dim in which a read moves must be one that moves to a
        later point. What a function of the file does not use of its arguments
        is not read: a function is its text. Nor is the branch that a condition
        made of numbers does not take."""
        def used(node):
            if node.op == "if" or (node.op, node.name) == ("call", "select"):
                condition, *branches = node.args
                if all(n.op in ("number", "constant", "unary", "binary", "call",
                                "if") for n in condition.walk()):
                    taken = eval(self.code(condition), dict(self.space))
                    yield from used(branches[0 if taken else 1])
                    return
            yield node
            parts = [part for entry in node.ranges for part in entry[1:]
                     if isinstance(part, Node)]
            args = node.args
            if node.op == "apply":
                parameters, body = self.kernel.functions[node.name]
                names = {n.name for n in used(body)}
                args = [arg for name, arg in zip(parameters, args)
                        if name in names]
            for part in parts + args:
                yield from used(part)

        reads = {}
        for equation in self.kernel.equations:
            reads.setdefault(equation.tensor, []).extend(
                n for n in used(equation.expr) if n.op == "read")

        def reached(start):
            found, todo = set(), [start]
            while todo:
                for n in reads.get(todo.pop(), ()):
                    if n.name not in found:
                        found.add(n.name)
                        todo.append(n.name)
            return found

        result = [False] * len(state.along)
        for member in reached(state.name):
            if state.name not in reached(member):
                continue
            for n in reads[member]:
                along = self.kernel.tensors[n.name].along
                if state.name not in reached(n.name) or not along:
                    continue
                for i, a in enumerate(n.args[:len(along)]):
                    if a.op == "binary":
                        result[i] |= a.name == "+"
                    if a.op != "index":
                        break
        return result

    def add_initial(self, tensor, names, before):
        if not tensor.along:
            return
        given = self.inputs.get(tensor.name + ".initial")
        if given is not None:
            self.space["d_" + tensor.name] = np.asarray(given).ravel().tolist()
            code = self.place(tensor, names, "d_" + tensor.name)
        elif before is not None:
            code = before
        elif tensor.initial is None:
            code = repr(self.zero(tensor))
        elif tensor.initial.op == "read":
            code = "t_%s(%s)" % (tensor.initial.name,
                                 ", ".join(self.batch + names))
        else:
            code = self.code(tensor.initial)
        self.run("def s_%s(%s):\n  return %s\n" % (
            tensor.name, ", ".join(self.batch + names), code))

    def recall(self, name, fixed, key):
        """The value of a tensor at a point; `fixed` is 0, or for states the
        number of leading indices that tell the point in time."""
        seed = self.seed
        memo = self.memo if fixed or seed is None else seed.memo
        found = memo.get((name, key))
        if found is None:
            if fixed:
                self.seed = None  # its equation is not differentiated
            found = memo[name, key] = self.space["e_" + name](*key)
            self.seed = seed
        return self.mark(found, name, fixed, key) if fixed else found

    def mark(self, found, name, fixed, key):
        """With its derivative, if the value of a state has one."""
        seed = self.seed
        if seed is not None and seed.state == name \
                and seed.key[:fixed] == key[:fixed]:
            return scalars.Dual(found, 1.0 if seed.key == key else 0.0)
        return found

    def grad(self, expression, state, key):
        outer, self.seed = self.seed, Seed(state, key)
        result = scalars.slope(expression())
        self.seed = outer
        return result

    #===--------------------------------------------------------------------===#
    # Calls
    #===--------------------------------------------------------------------===#

    def add_call(self, call):
        """The callee runs on whole tensors, once one of its results is read."""
        results = {}

        def run():
            inner = call.callee
            inputs = {}
            for parameter, argument in zip(inner.of("argument"),
                                           call.arguments):
                inputs[parameter.name] = self.array(
                    self.kernel.tensors[argument]) \
                    if isinstance(argument, str) else \
                    eval(self.code(argument), self.space)
            sizes = {name: self.dim(dim) for name, dim in call.sizes.items()}
            evaluator = Evaluator(inner, sizes, inputs)
            for name, parameter in zip(call.results, inner.of("result")):
                results[name] = evaluator.array(parameter).ravel().tolist()
            return results

        for name in call.results:
            tensor = self.kernel.tensors[name]
            dims = self.kernel.inner(tensor)
            names = ["i%d" % i for i in range(len(dims))]
            self.space["d_" + name] = \
                lambda name=name: (results or run())[name]
            self.run("def t_%s(%s):\n  return %s if %s else 0.0\n" % (
                name, ", ".join(self.batch + names),
                self.place(tensor, names, "d_%s()" % name),
                self.inside(names, dims)))

    #===--------------------------------------------------------------------===#
    # Expressions
    #===--------------------------------------------------------------------===#

    def code(self, node):
        return getattr(self, "code_" + node.op)(node)

    def codes(self, nodes):
        return [self.code(node) for node in nodes]

    def code_number(self, node):
        return node.name

    def code_constant(self, node):
        return {"inf": "_inf", "pi": "_pi", "true": "True",
                "false": "False"}[node.name]

    def code_index(self, node):
        return "i_" + node.name

    def code_size(self, node):
        return "n_" + node.name

    def code_name(self, node):
        if node.name in self.kernel.lets:
            return "v_%s(%s)" % (node.name, ", ".join(self.batch))
        if node.name in self.kernel.consts:
            return "v_%s()" % node.name
        return "v_" + node.name

    def code_read(self, node):
        return "t_%s(%s)" % (node.name,
                             ", ".join(self.batch + self.codes(node.args)))

    def code_call(self, node):
        args = self.codes(node.args)
        if node.name == "select":
            return "(%s if %s else %s)" % (args[1], args[0], args[2])
        if node.name == "div":
            return "((%s) // (%s))" % tuple(args)
        return "%s(%s)" % (NAMES.get(node.name, "_" + node.name),
                           ", ".join(args))

    def code_apply(self, node):
        return "f_%s(%s)" % (node.name, ", ".join(self.codes(node.args)))

    def code_unary(self, node):
        return "(%s %s)" % (node.name, self.code(node.args[0]))

    def code_binary(self, node):
        a, b = self.codes(node.args)
        if node.name == "/":
            return "_divide(%s, %s)" % (a, b)
        if node.name == "^":
            return "_power(%s, %s)" % (a, b)
        return "(%s %s %s)" % (a, "%" if node.name == "mod" else node.name, b)

    def code_if(self, node):
        return "(%s if %s else %s)" % tuple(self.codes(
            [node.args[1], node.args[0], node.args[2]]))

    def code_reduce(self, node):
        loops, point = "", ""
        for entry in node.ranges:
            ends = "0, %d" % self.dim(entry[1]) if len(entry) == 2 else \
                ", ".join(self.codes(entry[1:]))
            loops += " for i_%s in range(%s)" % (entry[0], ends)
            point += "i_%s, " % entry[0]
        if len(node.args) > 1:
            loops += " if " + self.code(node.args[1])
        body = self.code(node.args[0])
        if node.name == "softmax":
            return "_softmax([((%s), %s)%s], (%s))" % (point, body, loops,
                                                       point)
        return "%s(%s%s)" % (REDUCE[node.name], body, loops)

    def code_grad(self, node):
        expression, access = node.args
        return "_grad(lambda: %s, %r, (%s,))" % (
            self.code(expression), access.name,
            ", ".join(self.batch + self.codes(access.args)))

    #===--------------------------------------------------------------------===#
    # Results
    #===--------------------------------------------------------------------===#

    def fill(self, tensor, function, names, along=()):
        """An array with function(batch.., along.., inner..) at every point."""
        shape = [self.dim(dim) for dim in tensor.dims]
        kind = {COND: np.bool_, INT: np.int64}.get(tensor.kind, np.float64)
        array = np.zeros(shape, kind)
        batch = {dim: i for i, dim in enumerate(self.kernel.batch)}
        for point in itertools.product(*map(range, shape)):
            lead, rest = [0] * len(batch), []
            for dim, i in zip(tensor.dims, point):
                if dim in batch:
                    lead[batch[dim]] = i
                else:
                    rest.append(i)
            array[point] = function(*lead, *along, *rest)
        return array

    def array(self, tensor):
        return self.fill(tensor, self.space["t_" + tensor.name], ())

    def final(self, tensor):
        ends = [self.dim(dim) for dim in tensor.along]
        last = [0 if later else n - 1
                for later, n in zip(self.directions(tensor), ends)]
        if 0 in ends:
            last = [-1] * len(ends)
        return self.fill(tensor, self.space["t_" + tensor.name], (), last)

    def results(self):
        """{name: array}, final values of states among them."""
        found = {t.name: self.array(t) for t in self.kernel.of("result")}
        for t in self.kernel.of("state"):
            found[t.name + ".final"] = self.final(t)
        return found
