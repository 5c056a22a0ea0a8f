//===- Safetensors.h - Files of named tensors -------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The format: 8 bytes little-endian length of the header; the header, a JSON
// object from names to {dtype, shape, data_offsets: [begin, end]} and
// optionally
// `__metadata__`; then the elements. Offsets count from the end of the header,
// the tensors cover the rest of the file without holes or overlaps.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_IO_SAFETENSORS_H
#define RONDO_COMPILER_IO_SAFETENSORS_H

#include "compiler/IO/Array.h"
#include "llvm/Support/MemoryBufferRef.h"
#include <map>

namespace rondo::io {

/// Tensors by name, in alphabetical order.
using TensorMap = std::map<std::string, Array, std::less<>>;

/// Reads a whole file, `-` for standard input. Every error names the file and
/// says what is wrong with it; no content makes it crash.
llvm::Expected<TensorMap> readSafetensors(llvm::StringRef path);
llvm::Expected<TensorMap> parseSafetensors(llvm::MemoryBufferRef buffer);

/// Writes a file, `-` for standard output; an existing file is replaced only
/// when everything could be written.
llvm::Error writeSafetensors(llvm::StringRef path, const TensorMap &tensors);

} // namespace rondo::io

#endif // RONDO_COMPILER_IO_SAFETENSORS_H
