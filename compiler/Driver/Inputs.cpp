//===- Inputs.cpp - Tensors for a run from files --------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Inputs.h"
#include "llvm/BinaryFormat/Magic.h"

using namespace rondo;
using namespace rondo::driver;

llvm::Expected<io::TensorMap>
driver::readInputs(llvm::ArrayRef<std::string> paths) {
  io::TensorMap all;
  std::map<std::string, llvm::StringRef> origin;
  for (const std::string &path : paths) {
    auto tensors = io::readSafetensors(path);
    if (!tensors)
      return tensors.takeError();
    for (auto &[name, array] : *tensors) {
      auto [entry, isNew] = origin.try_emplace(name, path);
      if (!isNew)
        return llvm::createStringError("tensor `" + name + "` is both in " +
                                       entry->second + " and in " + path);
      all.emplace(name, std::move(array));
    }
  }
  return all;
}

bool driver::isLibrary(llvm::StringRef path) {
  llvm::file_magic magic;
  return path != "-" && !llvm::identify_magic(path, magic) &&
         magic == llvm::file_magic::elf_shared_object;
}
