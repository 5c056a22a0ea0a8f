"""Writes safetensors files for the tests, good ones and bad ones.

tensors.py OUT NAME=DTYPE:SHAPE:VALUES ..
  SHAPE is like 2x3 (empty for none), VALUES are separated by commas and
  repeated to fill the shape: tensors.py out.safetensors x=F32:2x3:1,2
tensors.py --bad KIND OUT
"""

import json
import struct
import sys

FORMATS = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "I32": "i",
           "I16": "h", "I8": "b", "U8": "B", "BOOL": "B"}


def write(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def write_tensors(path, specs):
    header, data = {}, b""
    for spec in specs:
        name, rest = spec.split("=", 1)
        dtype, shape, values = rest.split(":")
        shape = [int(dim) for dim in shape.split("x")] if shape else []
        count = 1
        for dim in shape:
            count *= dim
        numbers = [float(value) for value in values.split(",")]
        numbers = [numbers[i % len(numbers)] for i in range(count)]
        if dtype == "BF16":
            raw = b"".join(struct.pack("<f", x)[2:] for x in numbers)
        else:
            cast = float if dtype[0] == "F" else int
            raw = struct.pack(f"<{count}{FORMATS[dtype]}", *map(cast, numbers))
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    write(path, header, data)


def write_bad(kind, path):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    eight = bytes(8)
    if kind == "empty":
        open(path, "wb").close()
    elif kind == "short":
        with open(path, "wb") as file:
            file.write(b"abc")
    elif kind == "huge-header":
        with open(path, "wb") as file:
            file.write(b"\xff" * 8 + b"{}")
    elif kind == "cut-header":
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", 1000) + b"{}")
    elif kind == "json":
        write(path, b"{\"x\":", b"")
    elif kind == "list":
        write(path, b"[]", b"")
    elif kind == "deep":
        write(path, b"[" * 1_000_000, b"")
    elif kind == "number":
        write(path, {"x": 1}, b"")
    elif kind == "no-shape":
        write(path, {"x": {"dtype": "F32", "data_offsets": [0, 8]}}, eight)
    elif kind == "dtype":
        write(path, {"x": dict(entry, dtype="F8_E4M3")}, eight)
    elif kind == "negative":
        write(path, {"x": dict(entry, shape=[-2])}, eight)
    elif kind == "fraction":
        write(path, {"x": dict(entry, shape=[2.5])}, eight)
    elif kind == "overflow":
        write(path, {"x": dict(entry, shape=[2**40, 2**40])}, eight)
    elif kind == "rank":
        write(path, {"x": dict(entry, shape=[1] * 100)}, eight)
    elif kind == "offsets":
        write(path, {"x": dict(entry, data_offsets=[8, 0])}, eight)
    elif kind == "beyond":
        write(path, {"x": dict(entry, data_offsets=[0, 2**62])}, eight)
    elif kind == "size":
        write(path, {"x": dict(entry, shape=[3])}, eight)
    elif kind == "overlap":
        write(path, {"x": entry, "y": dict(entry, data_offsets=[4, 12])},
              bytes(12))
    elif kind == "hole":
        write(path, {"x": dict(entry, data_offsets=[4, 12])}, bytes(12))
    elif kind == "tail":
        write(path, {"x": entry}, bytes(12))
    elif kind == "utf8":
        write(path, b"{\"\xff\xfe\": 1}", b"")
    else:
        sys.exit(f"no such kind: {kind}")


if sys.argv[1] == "--bad":
    write_bad(sys.argv[2], sys.argv[3])
else:
    write_tensors(sys.argv[1], sys.argv[2:])
