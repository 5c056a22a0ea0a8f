//===- Sema.h - Semantic analysis -------------------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From the syntax tree to resolved kernels (Model.h). Names, shapes, types,
// inlining, states and the order of computation are decided here; everything
// that can be wrong with a program is reported here, several errors in one run.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_SEMA_SEMA_H
#define RONDO_FRONTEND_SEMA_SEMA_H

#include "frontend/AST/AST.h"
#include "frontend/Diagnostics/Diagnostics.h"
#include "frontend/Sema/Model.h"

namespace rondo::frontend {

struct SemaOptions {
  /// Only this kernel (and what it calls); empty: all kernels of the file.
  std::string kernel;
  /// Sizes that the compile command fixes, e.g. K=64.
  std::vector<std::pair<std::string, int64_t>> dims;
};

/// Analyses `file` and returns its kernels in the order of the text; none if
/// anything in them is wrong. The reports come in the order of the text.
std::vector<std::unique_ptr<model::Kernel>>
analyze(const ast::File &file, Diagnostics &diags, const SemaOptions &options);

/// Prints `kernel` as equations with every index, conversion and component
/// written out.
void dump(const model::Kernel &kernel, llvm::raw_ostream &os);

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_SEMA_SEMA_H
