#!/usr/bin/env python3
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks what the source tree promises (docs/Pipeline.md, "Include rules").

  check_tree.py CHECK.. [ROOT]

  includes  every #include goes in an allowed direction
  headers   every source file starts with its own name and the license header
            (examples are for copying and need none)
  cmake     source lists name existing files, and every source file is in one
  lines     no file is longer than 800 lines
  docs      pages name existing files, passes and tools only

Prints one line per problem; exit code 1 if there is any.
"""

import os
import re
import sys

MAX_LINES = 800
SOURCES = (".cpp", ".h", ".c", ".td")
# Not ours to check: build folders, hidden ones, inputs of tests.
SKIPPED = re.compile(r"^(build.*|\..*|Inputs|__pycache__)$")

# Folder -> what its files may include. The longest matching folder counts.
# `std` is any header in <>, the rest are prefixes of include paths. A folder
# may always include itself.
FRONTEND = ["std", "llvm/ADT", "llvm/Support"]
PASSES = ["std", "llvm/ADT", "llvm/Support", "mlir", "dialects"]
RULES = {
    "runtime": ["std"],
    "frontend/AST": FRONTEND,
    "frontend/Diagnostics": FRONTEND,
    "frontend/Parser": FRONTEND + ["frontend/AST", "frontend/Diagnostics"],
    "frontend/Sema": FRONTEND + ["frontend/AST", "frontend/Diagnostics"],
    "frontend/Fuzz": FRONTEND + ["frontend"],
    "frontend/Lowering": FRONTEND + ["mlir", "dialects/Rondo", "frontend"],
    "dialects/Rondo": ["std", "llvm/ADT", "llvm/Support", "mlir"],
    "dialects/Tile": ["std", "llvm/ADT", "llvm/Support", "mlir"],
    "dialects/Check": ["std", "llvm/ADT", "llvm/Support", "mlir"],
    "passes/Common": PASSES,
    "passes/Algebra": PASSES + ["passes/Common"],
    "passes/Analysis": PASSES + ["passes/Common", "passes/Algebra"],
    "passes/Strategy": PASSES + ["passes/Common", "passes/Algebra",
                                 "passes/Analysis",
                                 # What a form fits, never how it is derived.
                                 "passes/Forms/ChunkedStructure.h",
                                 "passes/Forms/Newton.h",
                                 "passes/Forms/Powers.h",
                                 "passes/Forms/Scan.h"],
    "passes/Forms": PASSES + ["passes/Common", "passes/Algebra",
                              "passes/Analysis"],
    # The layout of rondo_frame is the border to the runtime.
    "passes/CPU": PASSES + ["passes/Common", "rondo/abi.h"],
    "passes/GPU": PASSES + ["passes/Common", "rondo/abi.h"],
    "passes/GPU/Tile": PASSES + ["passes/Common", "passes/Algebra"],
    "compiler": ["std", "llvm", "mlir", "lld", "dialects", "frontend",
                 "passes", "rondo/abi.h", "runtime/src/ArtifactObject.h"],
    # The tools that run kernels are hosts.
    "compiler/Driver": ["std", "llvm", "mlir", "lld", "dialects", "frontend",
                        "passes", "compiler", "rondo/abi.h",
                        "rondo/runtime.h"],
    "compiler/tools": ["std", "llvm", "mlir", "lld", "compiler"],
}


def walk(root):
    """All files below root, as paths relative to it."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not SKIPPED.match(f))
        for name in sorted(files):
            yield os.path.relpath(os.path.join(folder, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def within(path, prefix):
    return path == prefix or path.startswith(prefix + "/")


def rule_for(path):
    folders = [folder for folder in RULES if within(path, folder)]
    return max(folders, key=len) if folders else None


INCLUDE = re.compile(r'^\s*#?\s*include\s+(?:<([^>]+)>|"([^"]+)")')


def resolve(root, path, name):
    """The include path of `name` as the tree knows it."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    if os.path.exists(os.path.join(root, beside)):
        return beside
    if name.startswith("rondo/"):
        return "runtime/include/" + name
    return name


def check_includes(root):
    for path in walk(root):
        if not path.endswith(SOURCES) or path.startswith(("test/", "examples/")):
            continue
        folder = rule_for(path)
        if folder is None:
            yield f"{path}: no include rule covers this folder"
            continue
        for number, line in enumerate(read(root, path).splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            if match[1]:
                if "std" not in RULES[folder]:
                    yield f"{path}:{number}: {folder} may not include <{match[1]}>"
                continue
            name = resolve(root, path, match[2])
            allowed = [folder] + [
                "runtime/include/" + prefix if prefix.startswith("rondo/")
                else prefix for prefix in RULES[folder]]
            if not any(within(name, prefix) for prefix in allowed):
                yield f"{path}:{number}: {folder} may not include \"{match[2]}\""


def check_headers(root):
    license = ["// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.",
               "// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"]
    for path in walk(root):
        if not path.endswith(SOURCES) or path.startswith("examples/"):
            continue
        lines = read(root, path).splitlines()[:5]
        name = os.path.basename(path)
        if not lines or not lines[0].startswith(f"//===- {name} "):
            yield f"{path}:1: the first line is not `//===- {name} - ..`"
        elif lines[2:4] != license:
            yield f"{path}:3: the license header is missing"


def cmake_files(root, path):
    """(line number, file) for every source file that a CMakeLists.txt names;
    paths of the build folder are left out."""
    folder = os.path.dirname(path)
    variables = {"CMAKE_SOURCE_DIR": ".", "CMAKE_CURRENT_SOURCE_DIR": folder}
    for number, line in enumerate(read(root, path).splitlines(), 1):
        line = line.split("#")[0]
        for name, value in variables.items():
            line = line.replace("${%s}" % name, "@/" + value)
        definition = re.match(r"\s*set\((\w+) @/(\S+)\)", line)
        if definition:
            variables[definition[1]] = definition[2]
        for word in re.findall(r"[^\s()\"]+", line):
            if not word.endswith((".cpp", ".c", ".td")) or re.search(r"[$*<]", word):
                continue
            yield number, os.path.normpath(
                word[2:] if word.startswith("@/") else os.path.join(folder, word))


def check_cmake(root):
    named = set()
    for path in walk(root):
        if os.path.basename(path) != "CMakeLists.txt":
            continue
        folder = os.path.dirname(path)
        generated = re.findall(r"(?:file\(WRITE|configure_file\(\S+)\s+(\S+)",
                               read(root, path))
        generated = {os.path.basename(file) for file in generated}
        for number, file in cmake_files(root, path):
            named.add(file)
            if (not os.path.exists(os.path.join(root, file))
                    and os.path.basename(file) not in generated):
                yield f"{path}:{number}: there is no {file}"
        # rondo_tool(rondo-opt ..) and foreach(test a b c) name files without
        # their ending.
        for word in re.findall(r"[\w/-]+", read(root, path)):
            for ending in (".cpp", ".c"):
                named.add(os.path.normpath(os.path.join(folder, word + ending)))
    included = set()
    for path in walk(root):
        if path.endswith((".c", ".td", ".h")):
            for line in read(root, path).splitlines():
                match = INCLUDE.match(line)
                if match and match[2]:
                    included.add(resolve(root, path, match[2]))
    for path in walk(root):
        if (path.endswith((".cpp", ".c", ".td")) and path not in named
                and path not in included
                and not path.startswith("examples/")):
            yield f"{path}: in no CMakeLists.txt"


def check_lines(root):
    for path in walk(root):
        if path.endswith(SOURCES + (".py", ".md", ".mlir", ".rondo", ".sh")):
            count = read(root, path).count("\n")
            if count > MAX_LINES:
                yield f"{path}: {count} lines, more than {MAX_LINES}"


# `passes/Forms/ToSequential.cpp`, `docs/*.md`, `test/reference/`
PATH = re.compile(r"`((?:compiler|dialects|passes|runtime|frontend|test|docs|"
                  r"utils|examples)/[\w./*-]*)`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
NAME = re.compile(r"\brondo-[a-z0-9]+(?:-[a-z0-9]+)*\b")


def known_names(root):
    """Everything called rondo-..: passes, pipelines, tools."""
    names = set()
    for path in walk(root):
        if path.endswith((".td", ".cpp", ".h", ".c")):
            names.update(re.findall(r'"(rondo-[a-z0-9-]+)"', read(root, path)))
        elif path.endswith("CMakeLists.txt"):
            names.update(re.findall(r"(?:rondo_tool|add_executable)\s*\(\s*"
                                    r"(rondo-[a-z0-9-]+)", read(root, path)))
    return names


def matches(root, path):
    if "*" not in path:
        return os.path.exists(os.path.join(root, path))
    import glob
    return bool(glob.glob(os.path.join(root, path)))


def check_docs(root):
    names = known_names(root)
    for path in walk(root):
        if not path.endswith(".md"):
            continue
        for number, line in enumerate(read(root, path).splitlines(), 1):
            for file in PATH.findall(line):
                if not matches(root, file):
                    yield f"{path}:{number}: there is no {file}"
            for link in LINK.findall(line):
                target = os.path.normpath(os.path.join(os.path.dirname(path), link))
                if not os.path.exists(os.path.join(root, target)):
                    yield f"{path}:{number}: the link {link} leads nowhere"
            for name in NAME.findall(line):
                if name not in names:
                    yield f"{path}:{number}: there is no pass or tool {name}"


CHECKS = {"includes": check_includes, "headers": check_headers,
          "cmake": check_cmake, "lines": check_lines, "docs": check_docs}


def main(arguments):
    wanted = [a for a in arguments if a in CHECKS]
    rest = [a for a in arguments if a not in CHECKS]
    if not wanted or len(rest) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    root = rest[0] if rest else os.path.join(os.path.dirname(__file__), "..", "..")
    problems = [problem for check in wanted
                for problem in CHECKS[check](os.path.normpath(root))]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
