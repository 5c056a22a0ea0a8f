#!/usr/bin/env python3
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes the files of a new pass (docs/AddAPass.md).

  utils/new-pass.py GROUP Name "Does X to Y"     e.g. Forms FoldRings "Folds .."

One idea, one name: passes/GROUP/Name.cpp, its entry in passes/GROUP/Passes.td
and in the group's CMakeLists.txt, --rondo-name in the tools, and the test
test/passes/GROUP/name.mlir. Nothing that exists is overwritten.
"""

import os
import re
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

ENTRY = """def {name} : Pass<"rondo-{kebab}", "::mlir::ModuleOp"> {{
  let summary = "{summary}";
  let description = [{{
    Words used, pre-condition.

    ```mlir
    // before
    // becomes
    // after
    ```

    Post-condition.
  }}];
}}

"""

SOURCE = """//===- {name}.cpp - {title} {dashes}===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/{group}/Passes.h"

namespace {namespace} {{
#define GEN_PASS_DEF_{upper}
#include "passes/{group}/Passes.h.inc"
}} // namespace {namespace}

using namespace mlir;
using namespace rondo;

namespace {{

class {name} : public {namespace}::impl::{name}Base<{name}> {{
  void runOnOperation() override {{ markAllAnalysesPreserved(); }}
}};

}} // namespace
"""

TEST = """// RUN: rondo-opt %s --rondo-{kebab} | FileCheck %s

// The case that the pass is for.
// CHECK-LABEL: func.func @positive
func.func @positive() {{
  return
}}

// A case in which it must do nothing.
// CHECK-LABEL: func.func @negative
func.func @negative() {{
  return
}}
"""


def fail(message):
    sys.exit(f"new-pass: error: {message}")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def write(path, text):
    os.makedirs(os.path.dirname(os.path.join(ROOT, path)), exist_ok=True)
    with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
        file.write(text)
    print(path)


def add_to_cmake(text, group, name):
    """Enters the source file where the alphabet wants it."""
    library = re.search(r"rondo_library\(\w+\n((?:  \w+\.cpp\n?)+)", text)
    if not library:
        fail(f"passes/{group}/CMakeLists.txt lists its sources in another way")
    files = sorted(set(library[1].split()) | {f"{name}.cpp"})
    end = "\n" if library[1].endswith("\n") else ""
    block = "\n".join(f"  {file}" for file in files) + end
    return text[:library.start(1)] + block + text[library.end(1):]


def main(arguments):
    if len(arguments) != 3:
        sys.exit(__doc__)
    group, name, summary = arguments
    if not re.fullmatch(r"([A-Z]+[a-z0-9]*)+", name):
        fail(f"`{name}` is not a name such as FoldRings")
    table = f"passes/{group}/Passes.td"
    if not os.path.exists(os.path.join(ROOT, table)):
        fail(f"there is no {table}")
    kebab = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-",
                   name).lower()
    source = f"passes/{group}/{name}.cpp"
    test = f"test/passes/{group}/{kebab}.mlir"
    for path in (source, test):
        if os.path.exists(os.path.join(ROOT, path)):
            fail(f"{path} exists already")
    td = read(table)
    end = re.search(r"\n#endif // \w+\s*$", td)
    if not end:
        fail(f"{table} does not end with its #endif")
    namespace = re.search(r"namespace (rondo[\w:]*) {", read(f"passes/{group}/Passes.h"))
    cmake = add_to_cmake(read(f"passes/{group}/CMakeLists.txt"), group, name)
    title = summary.rstrip(".")
    line = len(f"//===- {name}.cpp - {title} ===//")
    if line > 80:
        title = title[:len(title) - (line - 80)].rstrip()
        line = len(f"//===- {name}.cpp - {title} ===//")
    values = dict(group=group, name=name, kebab=kebab, upper=name.upper(),
                  namespace=namespace[1] if namespace else "rondo",
                  summary=summary.rstrip(".").replace('"', '\\"'), title=title,
                  dashes="-" * (80 - line))
    write(table, td[:end.start() + 1] + ENTRY.format(**values) + td[end.start() + 1:])
    write(f"passes/{group}/CMakeLists.txt", cmake)
    write(source, SOURCE.format(**values))
    write(test, TEST.format(**values))
    print(f"Next: docs/AddAPass.md; add it to the pipeline; "
          f"`rondo-opt --rondo-{kebab}` runs it.")


if __name__ == "__main__":
    main(sys.argv[1:])
