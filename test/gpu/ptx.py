# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""An interpreter of PTX, so that kernels are tested without a GPU.

All threads of a launch run in lockstep as lanes of numpy arrays. Lanes that
have taken different branches run in turn, those with the smallest program
counter first, so they meet again where paths join; a barrier waits for all
lanes of its block, or as many as it names; who waits at a barrier in memory
sleeps until its phase ends. It finds what a GPU would not tell: accesses outside of the
memory that was handed out, misaligned ones, and races, that is, two warps of a
block that touch one place without barriers in between, or two blocks that
touch one place at all, with at least one write of another value. Accesses that
blocks make to talk to one another (.relaxed, .acquire, .release) are no races.

    kernel = Module(text).kernels["gla"]
    run(kernel, params, grid, block, shared_bytes, memory)

Instructions that not every kernel needs register themselves in OPS with `op`:
a function of (machine, instruction) that returns nothing.
"""

import re

import numpy as np

SHARED = 1 << 57   # where shared memory lies for generic addresses
LOCAL = 1 << 58

DTYPES = {"f64": np.float64, "f32": np.float32, "f16": np.float16,
          "s64": np.int64, "u64": np.uint64, "b64": np.uint64,
          "s32": np.int32, "u32": np.uint32, "b32": np.uint32,
          "s16": np.int16, "u16": np.uint16, "b16": np.uint16,
          "s8": np.int8, "u8": np.uint8, "b8": np.uint8}
UINT = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


# Executed by so many warps as one.
WHOLE_WARPS = {"mma": 1, "ldmatrix": 1, "stmatrix": 1, "movmatrix": 1, "shfl": 1, "wgmma": 4}


class Fault(Exception):
    """A kernel did what it must not do."""


# ---------------------------------------------------------------------------
# Text to instructions
# ---------------------------------------------------------------------------

class Instruction:
    def __init__(self, text):
        self.text = text
        match = re.match(r"@(!?)(%?\w+)\s+(.*)", text)
        self.negated, self.predicate = False, None
        if match:
            self.negated, self.predicate = match[1] == "!", match[2]
            text = match[3]
        name, _, rest = text.partition(" ")
        if name.endswith(("\t",)):
            name = name.strip()
        self.parts = name.split(".")
        self.name = self.parts[0]
        self.operands = split(rest)
        self.type = next((p for p in reversed(self.parts) if p in DTYPES), None)

    def has(self, part):
        return part in self.parts


def split(text):
    """Operands at commas outside of brackets and braces."""
    result, depth, current = [], 0, ""
    for c in text.strip():
        depth += (c in "[{(") - (c in "]})")
        if c == "," and depth == 0:
            result.append(current.strip())
            current = ""
        else:
            current += c
    if current.strip():
        result.append(current.strip())
    return result


class Kernel:
    def __init__(self, module, name, params, body):
        self.module, self.name = module, name
        self.params = []  # (name, offset, bytes)
        offset = 0
        for text in split(params):
            text = " ".join(text.split())
            match = re.search(r"\.(b|u|s|f)(\d+) .*?([\w$]+)(?:\[(\d+)\])?$", text)
            align = re.search(r"\.align (\d+) \.b8", text)
            size = int(match[2]) // 8 * int(match[4] or 1)
            step = int(align[1]) if align else size
            offset = -(-offset // step) * step
            self.params.append((match[3], offset, size))
            offset += size
        self.param_bytes = offset
        self.offsets = {name: o for name, o, _ in self.params}
        self.local_bytes = 0
        self.instructions, self.labels, self.tables = [], {}, {}
        label = None
        for statement in statements(body):
            match = re.match(r"\.local .*?\.b8\s+\w+\[(\d+)\]", statement)
            if match:
                self.local_bytes = int(match[1])
            match = re.match(r"\.shared .*?\.b8\s+(\w+)\[(\d+)\]", statement)
            if match:
                module.add_shared(match[1], int(match[2]))
            if statement.startswith(".branchtargets"):
                self.tables[label] = split(statement.split(None, 1)[1])
            if statement.startswith("."):
                continue
            if statement.endswith(":"):
                label = statement[:-1]
                self.labels[label] = len(self.instructions)
            else:
                self.instructions.append(Instruction(statement))


def statements(body):
    """Labels (with their colon) and instructions."""
    for piece in re.split(r";|(?<=:)\s*\n", body):
        piece = " ".join(piece.split())
        while True:
            match = re.match(r"([$\w]+:)\s*", piece)
            if not match or piece.startswith("."):
                break
            yield match[1]
            piece = piece[match.end():]
        # Braces open scopes of inline assembly.
        while piece[:1] in ("{", "}"):
            piece = piece[1:].strip()
        piece = piece.strip()
        if piece and piece not in "{}":
            yield piece


class Module:
    def __init__(self, text):
        text = re.sub(r"//[^\n]*", "", text)
        self.shared, self.shared_bytes = {}, 0
        for match in re.finditer(
                r"^\s*\.(?:visible )?\.?(?:extern )?\.?shared[^;\n]*?\.b8\s+([\w$]+)\[(\d*)\]",
                text, re.M):
            self.add_shared(match[1], int(match[2] or 0))
        for match in re.finditer(
                r"\.extern\s+\.shared[^;\n]*?\.b8\s+([\w$]+)\[\]", text):
            self.add_shared(match[1], 0)
        self.kernels = {}
        for match in re.finditer(r"\.entry\s+([\w$]+)\s*\(", text):
            close = text.index(")", match.end())
            start = text.index("{", close)
            depth, end = 1, start + 1
            while depth:
                depth += (text[end] == "{") - (text[end] == "}")
                end += 1
            kernel = Kernel(self, match[1], text[match.end():close],
                            text[start + 1:end - 1])
            self.kernels[match[1]] = kernel

    def add_shared(self, name, size):
        if name in self.shared:
            return
        if size == 0:  # dynamic: behind all others
            self.shared[name] = None
            return
        offset = -(-self.shared_bytes // 128) * 128
        self.shared[name] = offset
        self.shared_bytes = offset + size


# ---------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------

class Region:
    def __init__(self, base, data):
        self.base, self.data = base, data
        self.size = data.size
        self.shadow = None

    def track(self, warps):
        """Of each byte: the lane that wrote last and when, the block that read
        (-1: several), and when each of a block's warps did."""
        if self.shadow is None:
            n = self.size + 1
            self.shadow = [np.zeros(n, np.int64) for _ in range(3)] + \
                [np.zeros((n, warps), np.int32)]
        return self.shadow

    def forget(self):
        self.shadow = None


class Memory:
    """The device's memory: the parts of the process that were registered."""

    def __init__(self):
        self.regions = []

    def add(self, array):
        data = array.reshape(-1).view(np.uint8)
        self.regions.append(Region(array.ctypes.data, data))
        self.regions.sort(key=lambda r: r.base)
        self.starts = np.array([r.base for r in self.regions], np.uint64)

    def remove(self, base):
        self.regions = [r for r in self.regions if r.base != base]
        self.starts = np.array([r.base for r in self.regions], np.uint64)

    def forget(self):
        for region in self.regions:
            region.forget()

    def parts(self, address, size):
        """(region, positions in address, offsets) for every region touched."""
        if not self.regions:
            raise Fault("no memory was handed out")
        which = np.searchsorted(self.starts, address, "right").astype(np.int64) - 1
        for number in np.unique(which):
            if number < 0:
                raise Fault(f"access at {int(address[which < 0][0]):#x}, outside of all memory")
            at = np.nonzero(which == number)[0]
            region = self.regions[number]
            offset = (address[at] - np.uint64(region.base)).astype(np.int64)
            bad = offset + size > region.size
            if bad.any():
                raise Fault(f"access {int(offset[bad][0])} bytes into memory of "
                            f"{region.size} bytes")
            yield region, at, offset


# ---------------------------------------------------------------------------
# The machine
# ---------------------------------------------------------------------------

class Phase:
    """Of a barrier in memory."""

    def __init__(self, count, warps):
        self.count = self.pending = count
        self.number = 0  # of the phase
        self.gathers = np.zeros(warps, np.int64)  # what those who came had seen
        self.shown = np.zeros(warps, np.int64)    # the same of the phase before


class Machine:
    def __init__(self, kernel, params, grid, block, dynamic, memory, check_races=True):
        self.kernel, self.memory, self.check_races = kernel, memory, check_races
        self.grid, self.block = grid, block
        threads = block[0] * block[1] * block[2]
        blocks = grid[0] * grid[1] * grid[2]
        self.lanes = lanes = threads * blocks
        self.threads = threads
        number = np.arange(lanes)
        self.block_of, self.thread_of = number // threads, number % threads
        b, t = self.block_of, self.thread_of
        u32 = lambda x: x.astype(np.uint32)
        full = lambda x: np.full(lanes, x, np.uint32)
        self.special = {
            "%tid.x": u32(t % block[0]), "%tid.y": u32(t // block[0] % block[1]),
            "%tid.z": u32(t // (block[0] * block[1])),
            "%ctaid.x": u32(b % grid[0]), "%ctaid.y": u32(b // grid[0] % grid[1]),
            "%ctaid.z": u32(b // (grid[0] * grid[1])),
            "%ntid.x": full(block[0]), "%ntid.y": full(block[1]), "%ntid.z": full(block[2]),
            "%nctaid.x": full(grid[0]), "%nctaid.y": full(grid[1]),
            "%nctaid.z": full(grid[2]),
            "%laneid": u32(t % 32), "%warpid": u32(t // 32)}
        self.params = params
        self.registers = {}
        self.shared_size = -(-(kernel.module.shared_bytes + dynamic + 1024) // 1024) * 1024
        self.shared = Region(0, np.zeros(blocks * self.shared_size, np.uint8))
        self.local = Region(0, np.zeros(lanes * max(kernel.local_bytes, 8), np.uint8))
        self.local_size = max(kernel.local_bytes, 8)
        self.blocks, self.warps = blocks, -(-threads // 32)
        self.warp_of = self.thread_of // 32
        # What was done when: a warp is behind what another one did before the
        # time that it has seen of it.
        self.time = 1
        self.seen = np.zeros((blocks, self.warps, self.warps), np.int64)
        self.phases = {}  # of barriers in memory, by (block, address)
        self.asleep = np.zeros(lanes, bool)
        self.executed = 0

    def meet(self, block, warps):
        """These warps have waited for one another."""
        self.time += 1
        seen = self.seen[block, warps].max(0)
        seen[warps] = self.time
        self.seen[block, warps] = np.maximum(self.seen[block, warps], seen)

    def arrive(self, block, address, warp):
        phase = self.phases[block, address]
        self.time += 1
        self.seen[block, warp, warp] = self.time
        np.maximum(phase.gathers, self.seen[block, warp], out=phase.gathers)
        phase.pending -= 1
        if phase.pending < 0:
            raise Fault("more arrivals at a barrier than it expects")
        if phase.pending == 0:
            phase.number += 1
            phase.pending = phase.count
            phase.shown, phase.gathers = phase.gathers, phase.gathers.copy()
            self.asleep[self.block_of == block] = False

    # Values ---------------------------------------------------------------

    def read(self, text, dtype):
        """A value of every active lane as dtype (bits are kept)."""
        register = self.registers.get(text)
        if register is not None:
            value = register if self.all else register[self.active]
            if value.dtype == np.bool_:
                return value
            size = np.dtype(dtype).itemsize
            if value.dtype.itemsize != size:
                value = value.astype(UINT[size])
            return value.view(dtype)
        return self.constant(text, dtype)

    def constant(self, text, dtype):
        special = self.special.get(text)
        if special is not None:
            return (special if self.all else special[self.active]).astype(
                np.uint64 if np.dtype(dtype).itemsize == 8 else np.uint32).view(dtype) \
                if np.dtype(dtype).itemsize >= 4 else special[self.active].astype(dtype)
        n = self.count
        if text.startswith("0f"):
            return np.full(n, int(text[2:], 16), np.uint32).view(dtype)
        if text.startswith("0d"):
            return np.full(n, int(text[2:], 16), np.uint64).view(dtype)
        if text.startswith("0x") and np.dtype(dtype).itemsize == 2:
            return np.full(n, int(text, 16), np.uint16).view(dtype)
        if re.fullmatch(r"-?(0x[0-9A-Fa-f]+|\d+)U?", text):
            size = np.dtype(dtype).itemsize
            value = int(text.rstrip("U"), 0) & ((1 << (8 * size)) - 1)
            return np.full(n, value, UINT[size]).view(dtype)
        if text == "true" or text == "false":
            return np.full(n, text == "true")
        return np.full(n, self.symbol(text), np.uint64).astype(
            UINT[np.dtype(dtype).itemsize]).view(dtype)

    def symbol(self, text):
        module = self.kernel.module
        if text in module.shared:
            offset = module.shared[text]
            return -(-module.shared_bytes // 1024) * 1024 if offset is None else offset
        if text.startswith("__local_depot"):
            return 0
        if text in self.kernel.offsets:
            return self.kernel.offsets[text]
        raise NotImplementedError(f"operand {text} in {self.current.text}")

    def predicate(self, text):
        negated = text.startswith("!")
        text = text.lstrip("!")
        if text in self.registers:
            value = self.registers[text]
            value = value if self.all else value[self.active]
        else:
            value = np.full(self.count, text in ("true", "1", "-1"))
        return ~value if negated else value

    def write(self, text, value):
        if text == "_":
            return
        if value.dtype != np.bool_:
            value = np.ascontiguousarray(value).view(UINT[value.dtype.itemsize])
        register = self.registers.get(text)
        if register is None or register.dtype != value.dtype:
            old = register
            register = self.registers[text] = np.zeros(self.lanes, value.dtype)
            if old is not None:
                register[:] = old.astype(value.dtype)
        if self.all:
            register[:] = value
        else:
            register[self.active] = value

    # Memory ---------------------------------------------------------------

    def address(self, text):
        match = re.fullmatch(r"\[\s*([%\w$.]+)\s*(?:\+\s*(-?\d+))?\s*\]", text)
        base = self.read(match[1], np.uint64) if match[1] in self.registers or \
            not re.fullmatch(r"\d+", match[1]) else np.full(self.count, int(match[1]), np.uint64)
        if match[2]:
            base = base + np.uint64(int(match[2]) & ((1 << 64) - 1))
        return base

    def places(self, space, address, size):
        """(region, positions among the active lanes, offsets)."""
        if (address % np.uint64(size)).any():
            raise Fault(f"misaligned access of {size} bytes")
        if space == "shared":
            yield from self.windows(self.shared, self.shared_size, self.block_of,
                                    address, np.arange(address.size), size, "shared")
        elif space == "local":
            yield from self.windows(self.local, self.local_size, np.arange(self.lanes),
                                    address, np.arange(address.size), size, "local")
        else:
            in_shared = (address >> np.uint64(57)) == 1
            in_local = (address >> np.uint64(58)) == 1
            rest = ~(in_shared | in_local)
            if in_shared.any():
                at = np.nonzero(in_shared)[0]
                yield from self.windows(self.shared, self.shared_size, self.block_of,
                                        address[at] - np.uint64(SHARED), at, size, "shared")
            if in_local.any():
                at = np.nonzero(in_local)[0]
                yield from self.windows(self.local, self.local_size, np.arange(self.lanes),
                                        address[at] - np.uint64(LOCAL), at, size, "local")
            if rest.all():
                yield from self.memory.parts(address, size)
            elif rest.any():
                where = np.nonzero(rest)[0]
                for region, at, offset in self.memory.parts(address[rest], size):
                    yield region, where[at], offset

    def windows(self, region, window, owner, address, at, size, what):
        offset = address.astype(np.int64)
        if ((offset < 0) | (offset + size > window)).any():
            raise Fault(f"access outside of {what} memory ({window} bytes)")
        yield region, at, offset + owner[self.active[at]] * window

    def load(self, space, address, dtype, strong=False):
        size = np.dtype(dtype).itemsize
        result = np.zeros(address.size, dtype)
        for region, at, offset in self.places(space, address, size):
            result[at] = gather(region, offset, dtype)
            if self.check_races and region is not self.local and not strong:
                self.note_read(region, at, offset)
        return result

    def store(self, space, address, value, strong=False):
        size = value.dtype.itemsize
        for region, at, offset in self.places(space, address, size):
            wanted = value[at]
            if self.check_races and region is not self.local and not strong:
                changed = gather(region, offset, value.dtype).view(UINT[size]) != \
                    wanted.view(UINT[size])
                self.note_write(region, at[changed], offset[changed])
            scatter(region, offset, wanted)
            if self.check_races and region is not self.local and at.size > 1:
                if (gather(region, offset, value.dtype).view(UINT[size]) !=
                        wanted.view(UINT[size])).any():
                    raise Fault("race: two lanes write different values at once")

    def note_read(self, region, at, offset):
        writer, written, reader, read = region.track(self.warps)
        lane = self.active[at]
        self.conflict(writer[offset], written[offset], lane, "written")
        block = self.block_of[lane] + 1
        before = reader[offset]
        reader[offset] = np.where((before == 0) | (before == block), block, -1)
        read[offset, self.warp_of[lane]] = self.time

    def note_write(self, region, at, offset):
        if not at.size:
            return
        writer, written, reader, read = region.track(self.warps)
        lane = self.active[at]
        self.conflict(writer[offset], written[offset], lane, "written")
        block, before = self.block_of[lane], reader[offset]
        own = self.warp_of[lane]
        if ((before > 0) & (before != block + 1)).any():
            raise Fault("race: a thread writes what another block has read")
        late = read[offset] >= np.maximum(self.seen[block, own], 1)
        late[np.arange(late.shape[0]), own] = False
        late &= (before > 0)[:, None]
        if late.any():
            i, warp = np.argwhere(late)[0]
            raise Fault(f"race: thread {self.thread_of[lane[i]]} meets what warp {warp} "
                        "has read since they last met")
        writer[offset], written[offset] = lane + 1, self.time

    def conflict(self, other, when, lane, what):
        # A warp runs in lockstep here, and its lanes wait for one another.
        known = other > 0
        if not known.any():
            return
        other, when, lane = other[known] - 1, when[known], lane[known]
        block, warp = self.block_of[lane], self.warp_of[lane]
        bad = (self.block_of[other] != block) | (
            (self.warp_of[other] != warp) &
            (when >= self.seen[block, warp, self.warp_of[other]]))
        if bad.any():
            i = np.nonzero(bad)[0][0]
            raise Fault(f"race: thread {self.thread_of[lane[i]]} meets what thread "
                        f"{self.thread_of[other[i]]} has {what} since they last met")

    # Execution ------------------------------------------------------------

    def run(self, limit=50_000_000):
        instructions = self.kernel.instructions
        end = len(instructions)
        pc = np.zeros(self.lanes, np.int64)
        waiting = np.full(self.lanes, -1)      # at the barrier of this number,
        wanted = np.zeros(self.lanes, np.int64)  # of so many lanes (0: all)
        held = np.zeros(self.lanes, bool)
        labels = self.kernel.labels
        handlers = [OPS.get(i.name) for i in instructions]
        while True:
            ready = (pc < end) & (waiting < 0) & ~held & ~self.asleep
            if not ready.any():
                if (waiting >= 0).any() and self.open_barriers(pc < end, waiting, wanted):
                    continue
                if held.any():
                    raise Fault("a warp does not meet at an instruction for all of it")
                if (waiting >= 0).any() or self.asleep.any():
                    raise Fault("deadlock at a barrier")
                return
            here = pc[ready].min()
            self.active = np.nonzero(ready & (pc == here))[0]
            # Straight on while no other lane can join or is behind.
            others = pc[ready & (pc != here)]
            until = others.min() if others.size else end
            self.all = self.active.size == self.lanes
            self.count = self.active.size
            while here < until:
                instruction = instructions[here]
                self.current = instruction
                self.executed += 1
                if self.executed > limit:
                    raise Fault("the kernel does not end")
                name = instruction.name
                if name == "bra":
                    target = labels[instruction.operands[0]]
                    if instruction.predicate is None:
                        pc[self.active] = target
                    else:
                        taken = self.predicate(instruction.predicate)
                        if instruction.negated:
                            taken = ~taken
                        pc[self.active] = np.where(taken, target, here + 1)
                    break
                if name == "brx":
                    targets = np.array([labels[x] for x in self.kernel.tables[
                        instruction.operands[1]]])
                    choice = self.read(instruction.operands[0], np.uint32)
                    pc[self.active] = targets[choice]
                    break
                if name in ("ret", "exit"):
                    pc[self.active] = end
                    break
                if name in ("bar", "barrier") and not instruction.has("warp"):
                    pc[self.active] = here + 1
                    numbers = instruction.operands
                    waiting[self.active] = self.read(numbers[0], np.uint32) \
                        if numbers else 0
                    wanted[self.active] = self.read(numbers[1], np.uint32) \
                        if len(numbers) > 1 else 0
                    break
                if name == "mbarrier" and instruction.parts[1].endswith("_wait"):
                    done = self.await_phase(instruction)
                    pc[self.active[done]] = here + 1
                    self.asleep[self.active[~done]] = True
                    break
                if name in WHOLE_WARPS and self.hold(here, pc, end, held,
                                                     32 * WHOLE_WARPS[name]):
                    break
                try:
                    self.step(instruction, handlers[here])
                except Fault as fault:
                    raise Fault(f"{fault}\n  in {self.kernel.name}: {instruction.text}") from None
                here += 1
                pc[self.active] = here

    def open_barriers(self, live, waiting, wanted):
        """Lets lanes on whose barrier is complete."""
        opened = False
        for block in np.unique(self.block_of[waiting >= 0]):
            own = (self.block_of == block) & live
            for number in np.unique(waiting[own & (waiting >= 0)]):
                here = own & (waiting == number)
                count = wanted[here].max() or own.sum()
                if here.sum() > count:
                    raise Fault("more lanes at a barrier than it expects")
                if here.sum() == count:
                    self.meet(block, np.unique(self.warp_of[here]))
                    waiting[here] = -1
                    opened = True
        return opened

    def await_phase(self, instruction):
        """Which lanes need not wait; the others sleep until the phase ends."""
        address = self.address(instruction.operands[1])
        parity = self.read(instruction.operands[2], np.uint32)
        done = np.zeros(self.count, bool)
        keys = np.stack([self.block_of[self.active], address.astype(np.int64), parity], 1)
        for block, place, odd in np.unique(keys, axis=0):
            if (block, place) not in self.phases:
                raise Fault("a wait at no barrier")
            same = (keys == (block, place, odd)).all(1)
            phase = self.phases[block, place]
            if phase.number & 1 == odd:
                continue
            done |= same
            for warp in np.unique(self.warp_of[self.active[same]]):
                np.maximum(self.seen[block, warp], phase.shown, out=self.seen[block, warp])
        active, everything, count = self.active, self.all, self.count
        self.active, self.all, self.count = active[done], done.all() and everything, done.sum()
        self.write(instruction.operands[0], np.ones(self.count, bool))
        self.active, self.all, self.count = active, everything, count
        return done

    def hold(self, here, pc, end, held, size):
        """Lanes wait for those of their warps that took another way, and that the
        instruction names as members."""
        lanes = np.arange(self.lanes)
        warps = lanes // self.threads * (self.threads // size + 1) + \
            lanes % self.threads // size
        members = np.full(warps.max() + 1, 0xffffffff, np.uint32)
        if self.current.name == "shfl":
            members[warps[self.active]] = self.read(self.current.operands[4], np.uint32)
        wanted = (pc < end) & (members[warps] >> (lanes % self.threads % 32) & 1 != 0)
        live = np.bincount(warps, wanted)
        present = np.bincount(warps[self.active], minlength=live.size)
        missing = self.active[present[warps[self.active]] < live[warps[self.active]]]
        if not missing.size:
            return False
        held[missing] = True
        together = np.bincount(warps, held & (pc == here), minlength=live.size) == live
        held[held & together[warps] & (pc == here)] = False
        return True

    def step(self, instruction, handler):
        if handler is None:
            raise NotImplementedError(instruction.text)
        if instruction.predicate is None:
            handler(self, instruction)
            return
        active, everything, count = self.active, self.all, self.count
        taken = self.predicate(instruction.predicate)
        if instruction.negated:
            taken = ~taken
        self.active = active[taken]
        self.count, self.all = self.active.size, self.active.size == self.lanes
        if self.count:
            handler(self, instruction)
        self.active, self.all, self.count = active, everything, count


def gather(region, offset, dtype):
    size = np.dtype(dtype).itemsize
    if size == 1:
        return region.data[offset].view(dtype)
    if region.base % size == 0:
        view = region.data[:region.size // size * size].view(UINT[size])
        return view[offset // size].view(dtype)
    bytes_ = region.data[offset[:, None] + np.arange(size)]
    return np.ascontiguousarray(bytes_).view(dtype)[:, 0]


def scatter(region, offset, value):
    size = value.dtype.itemsize
    value = np.ascontiguousarray(value)
    if size == 1:
        region.data[offset] = value.view(np.uint8)
    elif region.base % size == 0:
        view = region.data[:region.size // size * size].view(UINT[size])
        view[offset // size] = value.view(UINT[size])
    else:
        region.data[offset[:, None] + np.arange(size)] = \
            value.view(np.uint8).reshape(-1, size)


# ---------------------------------------------------------------------------
# Launches
# ---------------------------------------------------------------------------

OPS = {}


def op(*names):
    def register(function):
        for name in names:
            OPS[name] = function
        return function
    return register


def run(kernel, params, grid, block, shared, memory, check_races=True):
    """Runs a launch; returns the number of instructions executed."""
    memory.forget()
    machine = Machine(kernel, params, grid, block, shared, memory, check_races)
    machine.run()
    memory.forget()
    return machine.executed


import ptx_ops  # noqa: E402,F401 (fills OPS)
