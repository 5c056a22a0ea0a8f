#!/usr/bin/env python3
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the programs in the documentation.

  check_docs.py ROOT WORKDIR

Every ```rondo block that holds a kernel, in README.md and docs/**/*.md, is
written to WORKDIR and lowered with `rondoc --emit=rondo`. Prints what fails;
exit code 1 if anything does, or if there is nothing to compile.
"""

import os
import re
import subprocess
import sys

BLOCK = re.compile(r"^```rondo\n(.*?)^```", re.S | re.M)


def pages(root):
    yield os.path.join(root, "README.md")
    for folder, _, files in sorted(os.walk(os.path.join(root, "docs"))):
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.join(folder, name)


def main(root, work):
    os.makedirs(work, exist_ok=True)
    count = failed = 0
    for page in pages(root):
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for block in BLOCK.finditer(text):
            if not re.search(r"^kernel ", block[1], re.M):
                continue
            line = text.count("\n", 0, block.start(1)) + 1
            name = f"{os.path.splitext(os.path.basename(page))[0]}-{line}.rondo"
            program = os.path.join(work, name)
            with open(program, "w", encoding="utf-8") as file:
                file.write(block[1])
            count += 1
            run = subprocess.run(["rondoc", program, "--emit=rondo", "-o",
                                  program + ".mlir"], capture_output=True, text=True)
            if run.returncode:
                failed += 1
                print(f"{page}:{line}: exit code {run.returncode}\n{run.stdout}{run.stderr}")
    print(f"{count} programs, {failed} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
