#!/usr/bin/env python3
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the programs in the documentation.

  check_docs.py ROOT WORKDIR CC

Every ```rondo block that holds a kernel, in README.md and docs/**/*.md, is
written to WORKDIR and lowered with `rondoc --emit=rondo`. Every ```c block that
includes the header of an example is checked by the C compiler against the
header that rondoc writes. Prints what fails; exit code 1 if anything does, or
if there is nothing to compile.
"""

import os
import re
import subprocess
import sys

BLOCK = re.compile(r"^```(rondo|c)\n(.*?)^```", re.S | re.M)


def pages(root):
    yield os.path.join(root, "README.md")
    for folder, _, files in sorted(os.walk(os.path.join(root, "docs"))):
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.join(folder, name)


def commands(root, cc, language, code, path):
    """What compiles a block that has been written to `path`; nothing for a
    block that is no whole program."""
    if language == "rondo":
        if re.search(r"^kernel ", code, re.M):
            yield ["rondoc", path, "--emit=rondo", "-o", path + ".mlir"]
        return
    example = re.search(r'^#include "(\w+)\.h"', code, re.M)
    if not example:
        return
    folder = os.path.dirname(path)
    yield ["rondoc", os.path.join(root, "examples", example[1] + ".rondo"),
           "--emit=header", "-o", os.path.join(folder, example[1] + ".h")]
    yield [cc, "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror",
           "-I", folder, "-fsyntax-only", path]


def main(root, work, cc):
    os.makedirs(work, exist_ok=True)
    count = failed = 0
    for page in pages(root):
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for block in BLOCK.finditer(text):
            line = text.count("\n", 0, block.start(2)) + 1
            name = f"{os.path.splitext(os.path.basename(page))[0]}-{line}.{block[1]}"
            path = os.path.join(work, name)
            steps = list(commands(root, cc, block[1], block[2], path))
            if not steps:
                continue
            with open(path, "w", encoding="utf-8") as file:
                file.write(block[2])
            count += 1
            for step in steps:
                run = subprocess.run(step, capture_output=True, text=True)
                if run.returncode:
                    failed += 1
                    print(f"{page}:{line}: {step[0]} returned {run.returncode}\n"
                          f"{run.stdout}{run.stderr}")
                    break
    print(f"{count} programs, {failed} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
