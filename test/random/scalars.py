#===- scalars.py - The functions of the language on Python's numbers -------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Built-in functions and reductions as the language page defines them, on
Python's float and int, and on dual numbers, which carry a derivative."""

import math

INF, NAN = math.inf, math.nan


class Dual:
    """A value and its derivative by the access that `grad` names."""

    __slots__ = ("v", "d")

    def __init__(self, v, d):
        self.v, self.d = v, d

    def __add__(self, o):
        return Dual(self.v + value(o), self.d + slope(o))

    def __sub__(self, o):
        return Dual(self.v - value(o), self.d - slope(o))

    def __mul__(self, o):
        return Dual(self.v * value(o), self.d * value(o) + self.v * slope(o))

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, o):
        return Dual(o - self.v, -self.d)

    def __neg__(self):
        return Dual(-self.v, -self.d)

    def __lt__(self, o):
        return self.v < value(o)

    def __le__(self, o):
        return self.v <= value(o)

    def __gt__(self, o):
        return self.v > value(o)

    def __ge__(self, o):
        return self.v >= value(o)

    def __eq__(self, o):
        return self.v == value(o)

    def __ne__(self, o):
        return self.v != value(o)


def value(x):
    return x.v if isinstance(x, Dual) else x


def slope(x):
    return x.d if isinstance(x, Dual) else 0.0


#===------------------------------------------------------------------------===#
# Functions of one number: (value, derivative)
#===------------------------------------------------------------------------===#


def exp(x):
    try:
        return math.exp(x)
    except OverflowError:
        return INF


def log(x):
    return math.log(x) if x > 0 else -INF if x == 0 else NAN


def log1p(x):
    return math.log1p(x) if x > -1 else -INF if x == -1 else NAN


def expm1(x):
    try:
        return math.expm1(x)
    except OverflowError:
        return INF


def sqrt(x):
    return math.sqrt(x) if x >= 0 else NAN


def sigmoid(x):
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(x)
    return e / (1 + e)


def softplus(x):
    if x != x:
        return x
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def sign(x):
    return 1.0 if x > 0 else -1.0 if x < 0 else x


def finite(f):
    return lambda x: f(x) if math.isfinite(x) else NAN


def rounded(f):
    return lambda x: float(f(x)) if math.isfinite(x) else x


def divide(a, b):
    if isinstance(a, Dual) or isinstance(b, Dual):
        va, vb = value(a), value(b)
        q = divide(va, vb)
        return Dual(q, divide(slope(a) - q * slope(b), vb))
    if b != 0:
        return a / b
    if a == 0 or a != a:
        return NAN
    return math.copysign(INF, a) * math.copysign(1, b)


def rsqrt(x):
    return divide(1.0, sqrt(x))


def silu(x):
    if x == -INF:
        return NAN  # -inf * 0, as it is written
    return x * sigmoid(x)


def gelu(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def relu(x):
    return x if x > 0 or x != x else 0.0


PI = math.pi
FUNCTIONS = {
    "exp": (exp, exp),
    "log": (log, lambda x: divide(1, x)),
    "log1p": (log1p, lambda x: divide(1, 1 + x)),
    "expm1": (expm1, exp),
    "sqrt": (sqrt, lambda x: divide(0.5, sqrt(x))),
    "rsqrt": (rsqrt, lambda x: divide(-0.5 * rsqrt(x), x)),
    "abs": (abs, sign),
    "sign": (sign, lambda x: 0.0),
    "floor": (rounded(math.floor), lambda x: 0.0),
    "ceil": (rounded(math.ceil), lambda x: 0.0),
    "sin": (finite(math.sin), math.cos),
    "cos": (finite(math.cos), lambda x: -math.sin(x)),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "silu": (silu, lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    "relu": (relu, lambda x: 1.0 if x > 0 else 0.0),
    "gelu": (gelu, lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))) +
             x * math.exp(-0.5 * x * x) / math.sqrt(2 * PI)),
    "softplus": (softplus, sigmoid),
    "logsigmoid": (lambda x: -softplus(-x), lambda x: sigmoid(-x)),
    "erf": (math.erf, lambda x: 2 / math.sqrt(PI) * math.exp(-x * x)),
    "step": (lambda x: 1.0 if x >= 0 else 0.0, lambda x: 0.0),
}


def function(name):
    f, derivative = FUNCTIONS[name]

    def apply(x):
        if isinstance(x, Dual):
            return Dual(f(x.v), x.d * derivative(x.v))
        return f(x)
    return apply


#===------------------------------------------------------------------------===#
# Functions of several
#===------------------------------------------------------------------------===#


def power(a, b):
    if isinstance(a, Dual) or isinstance(b, Dual):
        va, vb = value(a), value(b)
        d = slope(a) * vb * power(va, vb - 1) if slope(a) else 0.0
        if slope(b):
            d += slope(b) * power(va, vb) * log(va)
        return Dual(power(va, vb), d)
    try:
        return math.pow(a, b)
    except OverflowError:
        return -INF if a < 0 and b % 2 == 1 else INF
    except ValueError:
        return INF if a == 0 else NAN


def larger(*numbers):
    best = numbers[0]
    for x in numbers[1:]:
        best = x if x > best or x != x else best
    return best


def smaller(*numbers):
    best = numbers[0]
    for x in numbers[1:]:
        best = x if x < best or x != x else best
    return best


def clamp(x, low, high):
    return smaller(larger(x, low), high)


#===------------------------------------------------------------------------===#
# Reductions
#===------------------------------------------------------------------------===#


def total(terms):
    result = 0
    for x in terms:
        result = result + x
    return result


def product(terms):
    result = 1
    for x in terms:
        result = result * x
    return result


def attained(best, terms):
    """The terms that attain the value share its derivative."""
    if any(isinstance(x, Dual) for x in terms):
        slopes = [slope(x) for x in terms if x == best]
        return Dual(value(best), sum(slopes) / max(1, len(slopes)))
    return best


def largest(terms):
    terms = list(terms)
    return attained(larger(-INF, *terms), terms)


def smallest(terms):
    terms = list(terms)
    return attained(smaller(INF, *terms), terms)


def log_sum_exp(terms):
    terms = list(terms)
    shift = larger(-INF, *(value(x) for x in terms))
    if not math.isfinite(shift):
        return shift
    return function("log")(total(function("exp")(x - shift)
                                 for x in terms)) + shift


def softmax(terms, point):
    """`terms` are (point, number) of those that pass the filter."""
    terms = list(terms)
    shift = larger(-INF, *(value(x) for _, x in terms))
    e = {p: function("exp")(x - shift) for p, x in terms}
    return divide(e[point], total(e.values())) if point in e else 0.0
