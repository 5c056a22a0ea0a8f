//===- TemporaryFolder.h - Files that vanish with the tool ------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_DRIVER_TEMPORARYFOLDER_H
#define RONDO_COMPILER_DRIVER_TEMPORARYFOLDER_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"
#include <string>

namespace rondo::driver {

/// A new folder, removed with the files in it at the end of its scope; the
/// files also when the tool is killed by a signal.
class TemporaryFolder {
public:
  TemporaryFolder() = default;
  TemporaryFolder(const TemporaryFolder &) = delete;
  ~TemporaryFolder() {
    if (!path.empty())
      llvm::sys::fs::remove_directories(path);
  }

  bool create() { return !llvm::sys::fs::createUniqueDirectory("rondo", path); }

  /// The path of a file with this name.
  std::string file(llvm::StringRef name) {
    llvm::SmallString<128> result = path;
    llvm::sys::path::append(result, name);
    llvm::sys::RemoveFileOnSignal(result);
    return result.str().str();
  }

private:
  llvm::SmallString<128> path;
};

} // namespace rondo::driver

#endif // RONDO_COMPILER_DRIVER_TEMPORARYFOLDER_H
