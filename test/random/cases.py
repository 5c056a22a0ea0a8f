#===- cases.py - Arguments for a kernel, and how it is called --------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""The same kernel on whole arguments, on sequences that are packed one after the
other, and on a sequence cut in two, the final states of the first part handed to
the second."""

import numpy as np

import artifact
import draw


class Case:
    """Whole arguments, and what is expected of them."""

    def __init__(self, title, sizes, inputs):
        self.title, self.sizes, self.inputs = title, sizes, inputs
        self.expected = None

    def __str__(self):
        return "%s [%s]" % (self.title, " ".join(
            "%s=%d" % entry for entry in self.sizes.items()))

    def interpret(self, run):
        """`run` interprets the kernel on some inputs."""
        return run(self.inputs)

    def call(self, info, rng):
        return artifact.call_kernel(info, self.sizes, self.inputs, rng,
                                    self.title == "tiny")


def has_one_time(kernel):
    """Whether the only time dim is T, and stands in shapes by itself, once."""
    shapes = [t.along + t.dims for t in kernel.tensors.values()]
    return not kernel.calls and all(
        s.count("T") < 2 and not any("T" in d and d != "T" for d in s)
        for s in shapes) and all(t.along == ["T"] for t in kernel.of("state")) \
        and any("T" in s for s in shapes)


#===------------------------------------------------------------------------===#
# Packed sequences
#===------------------------------------------------------------------------===#


def can_be_packed(kernel, bound):
    return has_one_time(kernel) and kernel.batch[:1] == ["B"] and \
        not {"T", "B"} & set(bound) and \
        all("B" in t.dims for t in kernel.of("result"))


class PackedCase(Case):
    """Sequences of the given lengths."""

    def __init__(self, kernel, sizes, lengths, rng, round_):
        sizes = {**sizes, "B": 1, "T": sum(lengths)}
        super().__init__("packed %s" % lengths, sizes, {})
        self.kernel, self.lengths = kernel, lengths
        shared = {**sizes, "B": len(lengths)}
        for t in kernel.of("argument"):
            self.inputs[t.name] = draw.draw_argument(
                t, sizes if "T" in t.dims else shared, rng, round_)
        if rng.random() < 0.5:
            states = draw.draw_inputs(kernel, shared, rng, round_, True)
            self.inputs.update({name: x for name, x in states.items()
                                if name.endswith(".initial")})

    def part(self, name, n):
        """What sequence n sees of an argument."""
        x = self.inputs[name]
        t = self.kernel.tensors[name.split(".")[0]]
        begin = sum(self.lengths[:n])
        if t.role == "argument" and "T" in t.dims:
            if "B" not in t.dims:  # all sequences read it from its start
                begin = 0
            return x.take(range(begin, begin + self.lengths[n]),
                          t.dims.index("T"))
        return x.take([n], t.dims.index("B")) if "B" in t.dims else x

    def interpret(self, run):
        parts = [run({name: self.part(name, n) for name in self.inputs})
                 for n in range(len(self.lengths))]
        whole = {}
        for name in parts[0]:
            t = self.kernel.tensors[name.split(".")[0]]
            axis = t.dims.index("T" if "T" in t.dims else "B")
            whole[name] = np.concatenate([part[name] for part in parts], axis)
        return whole

    def call(self, info, rng):
        boundaries = np.cumsum([0] + self.lengths)
        return artifact.call_kernel(info, self.sizes, self.inputs, rng,
                                    boundaries=boundaries)


#===------------------------------------------------------------------------===#
# A sequence in two parts
#===------------------------------------------------------------------------===#


def continues(kernel):
    """Whether final states say all that the next part needs to know: nothing
    looks at other steps than its own, but at states one step back."""
    def is_step(node, time):
        return node.op == "index" and node.name == time

    def is_local(node, time):
        if node.op == "size" and node.name == "T" or is_step(node, time):
            return False
        args = list(node.args)
        if node.op == "read":
            t = kernel.tensors[node.name]
            for dim, at in zip(kernel.inner(t), node.args):
                if dim != "T":
                    continue
                args.remove(at)
                back = at.op == "binary" and at.name == "-" and \
                    is_step(at.args[0], time) and at.args[1].name == "1"
                if not is_step(at, time) and not (back and t.along):
                    return False
        for entry in node.ranges:
            if entry[0] == time or entry[1] == "T":
                return False
            args += entry[1:] if len(entry) > 2 else ()
        return all(is_local(arg, time) for arg in args)

    if not has_one_time(kernel):
        return False
    if any(e.point is not None for e in kernel.equations):
        return False
    for e in kernel.equations:
        dims = kernel.inner(kernel.tensors[e.tensor])
        time = e.indices[dims.index("T")] if "T" in dims else None
        if not is_local(e.expr, time):
            return False
    return all(is_local(node, None) for node in [
        *kernel.lets.values(),
        *(t.initial for t in kernel.of("state") if t.initial is not None)])


class SplitCase(Case):
    """Another case, cut at a step."""

    def __init__(self, kernel, whole, cut):
        super().__init__("split at %d" % cut, whole.sizes, whole.inputs)
        self.kernel, self.cut = kernel, cut

    def call(self, info, rng):
        length, given, parts = self.sizes["T"], {}, []
        for begin, end in (0, self.cut), (self.cut, length):
            inputs = {**self.inputs, **given}
            for t in self.kernel.of("argument"):
                if "T" in t.dims:
                    inputs[t.name] = inputs[t.name].take(
                        range(begin, end), t.dims.index("T"))
            parts.append(artifact.call_kernel(
                info, {**self.sizes, "T": end - begin}, inputs, rng))
            given = {name[:-len("final")] + "initial": x
                     for name, x in parts[-1].items()
                     if name.endswith(".final")}
        whole = parts[1]
        for t in self.kernel.of("result"):
            if "T" in t.dims:
                whole[t.name] = np.concatenate(
                    [part[t.name] for part in parts], t.dims.index("T"))
        return whole
