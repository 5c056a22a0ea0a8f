#===- program.py - Programs as trees, and their text -----------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Trees of expressions and kernels. The generator makes them, the evaluator
reads them, the printer writes them as a user would: with as few parentheses as
the grammar allows, which is a test of the parser too."""

REAL, INT, COND = "real", "int", "cond"
REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "logsumexp",
              "softmax")

# How tightly an expression binds.
IF, OR, AND, NOT, COMPARE, SUM, PRODUCT, NEGATE, POWER, PRIMARY = range(10)
LEVEL = {"or": OR, "and": AND, "==": COMPARE, "!=": COMPARE, "<": COMPARE,
         "<=": COMPARE, ">": COMPARE, ">=": COMPARE, "+": SUM, "-": SUM,
         "*": PRODUCT, "/": PRODUCT, "mod": PRODUCT, "^": POWER}


class Node:
    """An expression.

    op       name            args
    number   its text
    constant inf, pi, true, false
    index    name
    size     name
    name     a let, constant or parameter
    read     tensor          subscripts
    call     function        arguments (built-in)
    apply    function        arguments (of the file)
    unary    - not           operand
    binary   operator        operands
    if                       condition, then, else
    reduce   one of REDUCTIONS   [body] or [body, filter]; `ranges` holds its
             indices: (name, dim) runs over the whole dim and is not written,
             (name, low, high) is written
    grad                     expression, access

    `kind` is its type; `bound` is at least its absolute value; `exact` tells
    that no rounding happens on the way to it, in whatever precision.
    """

    __slots__ = ("op", "name", "args", "kind", "bound", "exact", "ranges")

    def __init__(self, op, name, args=(), kind=REAL, bound=1.0, exact=False,
                 ranges=()):
        self.op, self.name, self.args = op, name, list(args)
        self.kind, self.bound, self.exact = kind, bound, exact
        self.ranges = list(ranges)

    def walk(self):
        yield self
        for entry in self.ranges:
            for part in entry[1:]:
                if isinstance(part, Node):
                    yield from part.walk()
        for arg in self.args:
            yield from arg.walk()

    def copy(self):
        ranges = [tuple(part.copy() if isinstance(part, Node) else part
                        for part in entry) for entry in self.ranges]
        return Node(self.op, self.name, [arg.copy() for arg in self.args],
                    self.kind, self.bound, self.exact, ranges)


#===------------------------------------------------------------------------===#
# Makers
#===------------------------------------------------------------------------===#


def number(value, kind=None):
    """A literal that is not negative, or its negation."""
    if value < 0:
        return unary("-", number(-value, kind))
    value = value or abs(value)  # no negative zero
    whole = isinstance(value, int)
    return Node("number", repr(value), (), kind or (INT if whole else REAL),
                abs(value), whole or float(value * 1024).is_integer())


def index(name, bound):
    return Node("index", name, (), INT, bound, True)


def size(name, bound):
    return Node("size", name, (), INT, bound, True)


def unary(op, a):
    return Node("unary", op, [a], a.kind, a.bound, a.exact)


def binary(op, a, b, bound=None):
    """Arithmetic on numbers, a comparison, `and` or `or`."""
    if LEVEL[op] in (OR, AND, COMPARE):
        return Node("binary", op, [a, b], COND, 1)
    both = a.kind == INT and b.kind == INT
    if bound is None:
        bound = {"+": a.bound + b.bound, "-": a.bound + b.bound,
                 "*": a.bound * b.bound, "mod": b.bound}[op]
    kind = INT if both and op not in ("/", "^") else REAL
    return Node("binary", op, [a, b], kind, bound, kind == INT)


def call(function, *args, kind=REAL, bound=1.0, exact=False):
    return Node("call", function, args, kind, bound, exact)


def choose(condition, a, b):
    kind = COND if a.kind == COND else \
        INT if a.kind == INT and b.kind == INT else REAL
    return Node("if", None, [condition, a, b], kind, max(a.bound, b.bound),
                a.exact and b.exact)


#===------------------------------------------------------------------------===#
# Kernels
#===------------------------------------------------------------------------===#


class Tensor:
    """`dims` is the whole layout, batch dims included; along dims of a state
    come first among those without batch dims, and are not declared."""

    def __init__(self, name, role, dims, kind=REAL, dtype="", draw=None,
                 bound=1.0, along=(), initial=None, declared=True):
        self.name, self.role, self.dims = name, role, list(dims)
        self.kind, self.dtype = kind, dtype
        self.draw = draw  # argument: how its values are drawn
        self.bound = bound
        self.along = list(along)
        self.initial = initial  # state: a Node, or None for 0
        self.declared = declared  # local: with its shape
        self.write_along = True  # state
        self.write_batch = False  # local: declared with its batch dims


class Equation:
    """`point` is None, or the point of a boundary equation (a Node)."""

    def __init__(self, tensor, indices, expr, point=None):
        self.tensor, self.indices = tensor, list(indices)
        self.expr, self.point = expr, point


class Call:
    """results = callee(arguments); an argument is a tensor's name or a Node.
    `sizes` maps the callee's sizes to the caller's dims."""

    def __init__(self, results, callee, arguments, sizes):
        self.results, self.callee = results, callee
        self.arguments, self.sizes = arguments, sizes


def base(dim):
    """The batch dim in `H/G`, else the dim itself."""
    return dim.split("/")[0]


class Kernel:

    def __init__(self, name):
        self.name = name
        self.batch = []
        self.tensors = {}
        self.lets = {}  # name: Node
        self.consts = {}  # name: Node; of the file
        self.functions = {}  # name: (parameters, Node); of the file
        self.equations = []
        self.calls = []
        self.jumps = set()  # why small errors may become large ones
        self.breaks = 0  # printing: a line break after every n-th operator

    def of(self, *roles):
        return [t for t in self.tensors.values() if t.role in roles]

    def inner(self, tensor):
        """The dims that its accesses write."""
        return tensor.along + [d for d in tensor.dims
                               if base(d) not in self.batch]

    def expressions(self):
        for equation in self.equations:
            yield equation.expr
            if equation.point is not None:
                yield equation.point
        yield from self.lets.values()
        yield from self.consts.values()
        for _, body in self.functions.values():
            yield body
        for tensor in self.tensors.values():
            if tensor.initial is not None:
                yield tensor.initial
        for call_ in self.calls:
            yield from (a for a in call_.arguments if isinstance(a, Node))

    def operations(self):
        return {(n.op, n.name) for e in self.expressions() for n in e.walk()}


#===------------------------------------------------------------------------===#
# Text
#===------------------------------------------------------------------------===#


class Printer:

    def __init__(self, breaks=0):
        self.breaks, self.operators = breaks, 0

    def at(self, node, level, closed=False):
        """The text of an operand that must bind at least like `level`, and,
        if `closed`, must not end in a reduction, which would take the factors
        after it."""
        text, own, open_ = self.write(node)
        return "(%s)" % text if own < level or (closed and open_) else text

    def plain(self, node):
        return self.write(node)[0]

    def list(self, nodes):
        return ", ".join(self.plain(node) for node in nodes)

    def operator(self, op):
        self.operators += 1
        if self.breaks and self.operators % self.breaks == 0:
            return " %s\n      " % op
        return " %s " % op

    def write(self, node):
        """(text, level, whether it ends in a reduction)"""
        op, args = node.op, node.args
        if op == "read":
            text = "%s[%s]" % (node.name, self.list(args)) if args else \
                node.name
            return text, PRIMARY, False
        if op in ("call", "apply"):
            return "%s(%s)" % (node.name, self.list(args)), PRIMARY, False
        if op == "grad":
            return "grad(%s)" % self.list(args), PRIMARY, False
        if op == "unary" and node.name == "not":
            text = self.at(args[0], NOT)
            return "not " + text, NOT, text[-1] not in ")]"
        if op == "unary":
            text, _, open_ = self.write(args[0])
            inner = self.at(args[0], POWER)
            return "-" + inner, NEGATE, open_ and inner == text
        if op == "binary":
            return self.binary(node)
        if op == "if":
            return "if %s then %s else %s" % tuple(
                self.at(a, OR) for a in args), IF, True
        if op == "reduce":
            body = self.at(args[0], PRODUCT)
            return "%s[%s] %s" % (node.name, self.ranges(node), body), \
                PRIMARY, True
        return node.name, PRIMARY, False

    def binary(self, node):
        level = LEVEL[node.name]
        a, b = node.args
        if level == POWER:
            left, right = self.at(a, PRIMARY, True), self.at(b, NEGATE, True)
            return "%s^%s" % (left, right), POWER, False
        left = self.at(a, level + (level == COMPARE), level == PRODUCT)
        text, own, open_ = self.write(b)
        if own < level + 1:
            text, open_ = "(%s)" % text, False
        return left + self.operator(node.name) + text, level, open_

    def ranges(self, node):
        words = []
        for entry in node.ranges:
            words.append(entry[0] if len(entry) == 2 else "%s in %s..%s" % (
                entry[0], self.at(entry[1], SUM), self.at(entry[2], SUM)))
        text = ", ".join(words)
        if len(node.args) > 1:
            text += " | " + self.plain(node.args[1])
        return text


def type_text(dtype, dims):
    return dtype if dtype and not dims else \
        "%s[%s]" % (dtype + " " if dtype else "", ", ".join(dims))


def kernel_text(kernel):
    """The kernel without the constants and functions that it uses."""
    printer = Printer(kernel.breaks)

    def group(role):
        return ", ".join("%s: %s" % (t.name, type_text(t.dtype, t.dims))
                         for t in kernel.of(role))

    lines = ["kernel %s(%s)" % (kernel.name, group("argument")),
             "    -> (%s) {" % group("result")]
    if kernel.batch:
        lines.append("  batch " + ", ".join(kernel.batch))
    for name, value in kernel.lets.items():
        lines.append("  let %s = %s" % (name, printer.plain(value)))
    for t in kernel.of("state"):
        own = [d for d in t.dims if d not in kernel.batch]
        line = "  state %s: %s" % (t.name, type_text(t.dtype, own))
        if t.initial is not None:
            line += " = " + printer.plain(t.initial)
        if t.write_along:
            line += " along " + ", ".join(t.along)
        lines.append(line)
    for t in kernel.of("local"):
        if t.declared:
            own = t.dims if t.write_batch else \
                [d for d in t.dims if d not in kernel.batch]
            lines.append("  local %s: %s" % (t.name, type_text(t.dtype, own)))
    for c in kernel.calls:
        words = [a if isinstance(a, str) else printer.plain(a)
                 for a in c.arguments]
        lines.append("  %s = %s(%s)" % (", ".join(c.results), c.callee.name,
                                        ", ".join(words)))
    for e in kernel.equations:
        left = ([printer.plain(e.point)] if e.point is not None else []) \
            + e.indices
        name = "%s[%s]" % (e.tensor, ", ".join(left)) if left else e.tensor
        lines.append("  %s = %s" % (name, printer.plain(e.expr)))
    return "\n".join(lines + ["}"]) + "\n"


def file_text(kernel):
    """A file that holds the kernel and all that it needs."""
    printer = Printer()
    lines = ["const %s = %s\n" % (name, printer.plain(value))
             for name, value in kernel.consts.items()]
    lines += ["fn %s(%s) = %s\n" % (name, ", ".join(parameters),
                                    printer.plain(body))
              for name, (parameters, body) in kernel.functions.items()]
    for callee in {c.callee.name: c.callee for c in kernel.calls}.values():
        lines.append(kernel_text(callee))
    return "".join(lines) + kernel_text(kernel)
