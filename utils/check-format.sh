#!/bin/sh
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Checks the format of C and C++ files with the one version that decides.
#
#   utils/check-format.sh            files changed since the last commit
#   utils/check-format.sh REVISION   files changed since that revision
#   utils/check-format.sh --all      every file
#
# --fix as the first argument formats them instead. Exit code 1 if a file is not
# formatted, 2 if the check could not run.

set -u
cd "$(dirname "$0")/.." || exit 2

format=${CLANG_FORMAT:-clang-format-22}
if ! command -v "$format" > /dev/null; then
  echo "check-format: error: $format is not installed (package clang-format-22)" >&2
  exit 2
fi

mode="--dry-run -Werror"
if [ "${1:-}" = --fix ]; then
  mode=-i
  shift
fi

if [ "${1:-}" = --all ]; then
  files=$(git ls-files '*.cpp' '*.h' '*.c' ':!*/Inputs/*')
else
  files=$(git diff --name-only --diff-filter=d "${1:-HEAD}" -- '*.cpp' '*.h' '*.c' &&
          git ls-files --others --exclude-standard -- '*.cpp' '*.h' '*.c') || exit 2
fi
[ -n "$files" ] || exit 0

# File names of the tree hold no blanks.
# shellcheck disable=SC2086
"$format" $mode $files
