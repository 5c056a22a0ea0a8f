# Configuration of the lit tests: `ninja check`, or `lit build/test/<folder>`.
#
# Substitutions, beside the tools by their names:
#   %examples   the folder of the example programs
#   %golden     the folder of the independent expected values (feature `golden`)
#   %cc         a C compiler
#   %python     a Python with numpy (feature `numpy`)
#   %runtime    the folder of the runtime's headers
#   %build      the build folder
#   %exits N    runs the command after it, which must exit with N
#
# Features: golden, numpy, avx512, avx2, slow (set RONDO_SLOW_TESTS=1).

import os
import shutil
import subprocess

import lit.formats

config.name = "Rondo"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".rondo", ".test", ".ll"]
config.excludes = ["Inputs", "CMakeLists.txt", "lit.cfg.py"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.rondo_build_dir, "test")

config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.rondo_build_dir, "bin"), config.llvm_tools_dir,
     os.environ.get("PATH", "")])
for name in ("HOME", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

golden = os.environ.get("RONDO_GOLDEN") or os.path.join(
    config.rondo_source_dir, "..", "shared", "golden")
golden = os.path.normpath(os.path.join(config.rondo_source_dir, golden))
if os.path.isdir(golden):
    config.available_features.add("golden")


def find_python():
    """The first Python 3 that has numpy; Debian's, even if another one comes
    first in the PATH."""
    for python in ("/usr/bin/python3", "python3"):
        try:
            if subprocess.run([python, "-c", "import numpy"],
                              capture_output=True).returncode == 0:
                config.available_features.add("numpy")
                return python
        except OSError:
            pass
    return "python3"


def read_cpu_flags():
    try:
        with open("/proc/cpuinfo") as file:
            return set(next((line for line in file if line.startswith("flags")),
                            "").split())
    except OSError:
        return set()


flags = read_cpu_flags()
if "avx2" in flags:
    config.available_features.add("avx2")
if "avx512f" in flags:
    config.available_features.add("avx512")
if shutil.which("ptxas"):
    config.available_features.add("ptxas")
if os.environ.get("RONDO_SLOW_TESTS"):
    config.available_features.add("slow")

config.substitutions += [
    ("%examples", os.path.join(config.rondo_source_dir, "examples")),
    ("%golden", golden),
    ("%cc", config.c_compiler),
    ("%python", find_python()),
    ("%runtime", os.path.join(config.rondo_source_dir, "runtime", "include")),
    ("%build", config.rondo_build_dir),
    ("%exits", os.path.join(config.test_source_root, "exits.sh")),
]
