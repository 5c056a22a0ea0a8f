//===- FrontendFuzzer.cpp - Any bytes through the frontend ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Whatever the bytes are, the frontend must end, and either accept them or
// report an error. What it accepts must come through semantic analysis in the
// same way.
//
//===----------------------------------------------------------------------===//

#include "frontend/Parser/Parser.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#ifdef RONDO_FUZZ_SEMA
#include "frontend/Sema/Sema.h"
#endif

using namespace rondo::frontend;

/// Ends the run as a crash does, so that libFuzzer keeps the input.
static void require(bool condition, const char *what) {
  if (condition)
    return;
  llvm::errs() << "frontend fuzzer: " << what << "\n";
  abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  llvm::SourceMgr sources;
  unsigned id = sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(text, "fuzz.rondo"), llvm::SMLoc());

  std::string reports;
  llvm::raw_string_ostream os(reports);
  Diagnostics diags(sources, os);
  std::unique_ptr<ast::File> file = parse(sources, id, diags);
  require(file != nullptr, "no tree");
  require(file->broken == diags.hasErrors(), "broken without an error");
  require(diags.hasErrors() == !reports.empty(), "an error without a report");

  ast::dump(*file, sources, llvm::nulls());
#ifdef RONDO_FUZZ_SEMA
  auto kernels = analyze(*file, diags, SemaOptions());
  require(!kernels.empty() || file->kernels.empty() || diags.hasErrors(),
          "a kernel is lost without an error");
  for (const auto &kernel : kernels)
    dump(*kernel, llvm::nulls());
#endif
  return 0;
}
