#!/usr/bin/env bash
# Build, test and show Rondo: ./build.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD
build=$root/build
llvm=/usr/lib/llvm-22
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 # equal files in another folder
golden=$(realpath -m "${RONDO_GOLDEN:-../shared/golden}") # relative to the project

# What Debian 12 calls the things that a build and its tests need.
packages=(
  clang-22 lld-22 llvm-22-dev llvm-22-tools   # compiler, linker, LLVM, lit
  libmlir-22-dev mlir-22-tools                # MLIR and its table generator
  liblld-22-dev zlib1g-dev libzstd-dev        # the linker as a library
  libclang-rt-22-dev                          # sanitizers, for the tests
  cmake ninja-build ccache
  python3 python3-numpy                       # lit and the numerical checks
)

usage() {
  cat <<'END'
Usage: ./build.sh COMMAND

  build   install what is missing, configure and build into build/
  test    build, run all tests, and end with "N passed, N failed"
  demo    build, compile examples/gla.rondo and call it from C
  clean   remove build/

Missing Debian packages are installed with apt-get, as root or through sudo;
nothing is downloaded when all are there. Environment: JOBS (parallel jobs),
RONDO_GOLDEN (folder of expected values, default ../shared/golden).
END
}

say() { printf '\n== %s\n' "$*"; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 2; }

install_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || {
    [[ -x $llvm/bin/mlir-opt ]] && return
    die "this is not Debian; install LLVM, MLIR, clang and lld 22, cmake, ninja, ccache and Python 3 with numpy"
  }
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
      grep -q 'ok installed' || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] && return
  say "installing ${missing[*]}"
  local as_root=()
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null ||
      die "run as root, or install yourself: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get)
  "${apt[@]}" -qq update
  "${apt[@]}" -qq install --yes --no-install-recommends "${missing[@]}" \
    >"${TMPDIR:-/tmp}/rondo-apt-$$.log" 2>&1 || {
    tail -n 20 "${TMPDIR:-/tmp}/rondo-apt-$$.log" >&2
    die "apt-get could not install ${missing[*]}"
  }
  rm -f "${TMPDIR:-/tmp}/rondo-apt-$$.log"
}

# One job per core, but no more than memory allows (about 1 GB each).
jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 1000000)}' /proc/meminfo)
  ((memory < 1)) && memory=1
  echo "${JOBS:-$((cores < memory ? cores : memory))}"
}

build_all() {
  install_packages
  if [[ ! -f $build/build.ninja ]]; then
    say "configuring build/"
    rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles"
    cmake -G Ninja -S "$root" -B "$build" -Wno-dev --log-level=WARNING \
      -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 \
      -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
      -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld \
      -DCMAKE_SHARED_LINKER_FLAGS=-fuse-ld=lld
  fi
  say "building"
  NINJA_STATUS='[%f/%t] ' ninja -C "$build" -j "$(jobs)"
}

# Each runner leaves its outcome in a file; tally.py adds them up.
run_tests() {
  local results=$build/test-results
  rm -rf "$results"
  mkdir -p "$results"
  say "lit: frontend, dialects, passes, reference, compiler, tools"
  RONDO_GOLDEN=$golden "$llvm/bin/lit" -sv -j "$(jobs)" \
    -o "$results/lit.json" "$build/test" || true
  say "ctest: the runtime and its neighbours"
  (cd "$build" && RONDO_GOLDEN=$golden ctest --output-on-failure --no-tests=ignore \
    -j "$(jobs)" --output-junit "$results/ctest.xml") || true
  say "random programs, interpreted and compiled: 500 fixed seeds, 100 fresh"
  /usr/bin/python3 "$root/test/random/run.py" --build "$build" --count 500 --fresh 100 \
    --jobs "$(nproc)" --output "$results/random.json" || true
  say "fuzzers of the parser and of Sema, two minutes"
  /usr/bin/python3 "$root/test/fuzz/run.py" --build "$build" --seconds 120 \
    --output "$results/fuzz.json" || true
  say "summary"
  /usr/bin/python3 "$root/utils/tally.py" "$results"
}

show_demo() {
  local out=$build/demo
  rm -rf "$out"
  mkdir -p "$out"
  say "the equations: examples/gla.rondo"
  cat examples/gla.rondo
  say "rondoc examples/gla.rondo -o build/demo/libgla.so"
  local start end
  start=$(date +%s%N)
  "$build/bin/rondoc" examples/gla.rondo -o "$out/libgla.so"
  end=$(date +%s%N)
  printf 'libgla.so, %d bytes, in %d ms; it needs\n' \
    "$(stat -c %s "$out/libgla.so")" $(((end - start) / 1000000))
  ldd "$out/libgla.so" | sed 's/(0x.*//'
  say "its entry in build/demo/gla.h"
  sed -n '/^typedef struct gla_args/,/^} gla_args;/p' "$out/gla.h"
  grep -A 1 '^rondo_status gla_forward' "$out/gla.h"
  say "a C program calls it: examples/demo/gla.c"
  clang-22 -std=c99 -O2 -Wall -Wextra -pedantic -I "$out" \
    examples/demo/gla.c "$out/libgla.so" -Wl,-rpath,"$out" -lm -o "$out/gla-demo"
  "$out/gla-demo" "$out/gla.safetensors"
  say "its results against the interpreter, which computes in f64"
  "$build/bin/rondo-run" examples/gla.rondo --reference \
    --in "$out/gla.safetensors" --check "$out/gla.safetensors" --tolerance 1e-5
  local expected=$golden/gla.safetensors
  if [[ -f $expected ]]; then
    say "the library against independent expected values"
    "$build/bin/rondo-run" "$out/libgla.so" \
      --in "$expected" --check "$expected" --tolerance 1e-5
  fi
  say "done: equations in, shared library out, the same numbers"
}

case ${1:-} in
build) build_all && say "built: the tools are in build/bin" ;;
test) build_all && run_tests ;;
demo) build_all && show_demo ;;
clean) rm -rf "$build" ;;
-h | --help | help) usage ;;
*) usage >&2; exit 2 ;;
esac
