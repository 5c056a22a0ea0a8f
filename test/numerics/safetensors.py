#===- safetensors.py - Reading and writing tensors -------------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""The safetensors format: a length, a header in JSON, and the data."""

import json
import struct

import numpy as np

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16,
         "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
         "U8": np.uint8, "BOOL": np.bool_}
NAMES = {np.dtype(type_): name for name, type_ in TYPES.items()}


def write(path, tensors):
    header, blobs, offset = {}, [], 0
    for name, x in tensors.items():
        blob = np.ascontiguousarray(x).tobytes()
        header[name] = {"dtype": NAMES[x.dtype], "shape": list(x.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read(path):
    """{name: array}; bf16 becomes float32."""
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        blob = data[8 + length + begin:8 + length + end]
        if entry["dtype"] == "BF16":
            bits = np.frombuffer(blob, np.uint16).astype(np.uint32) << 16
            x = bits.view(np.float32)
        else:
            x = np.frombuffer(blob, TYPES[entry["dtype"]])
        tensors[name] = x.reshape(entry["shape"])
    return tensors
