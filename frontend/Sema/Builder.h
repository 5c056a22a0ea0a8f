//===- Builder.h - Makes resolved expressions -------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every node of the model is made here: constants are folded, integers become
// real where they meet a real, and the size of what inlining builds is bounded.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_SEMA_BUILDER_H
#define RONDO_FRONTEND_SEMA_BUILDER_H

#include "frontend/Sema/Model.h"
#include "frontend/Sema/Reporter.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"

namespace rondo::frontend::sema {

class Builder {
public:
  Builder(model::Kernel &kernel, Reporter &reporter)
      : kernel(kernel), reporter(reporter) {}

  /// All of these return null when the limits are exceeded (reported once) or
  /// an argument is null.
  const model::Expr *integer(int64_t value, llvm::SMLoc loc);
  const model::Expr *real(double value, llvm::SMLoc loc);
  const model::Expr *boolean(bool value, llvm::SMLoc loc);
  const model::Expr *size(llvm::StringRef name, llvm::SMLoc loc);
  const model::Expr *index(const model::Index *index, llvm::SMLoc loc);
  /// Operands must already have the types that `op` wants.
  const model::Expr *apply(model::Op op,
                           llvm::ArrayRef<const model::Expr *> args,
                           llvm::SMLoc loc);
  /// Any other kind of node.
  const model::Expr *make(model::Expr node);

  /// Int becomes Real; must not be given a Bool.
  const model::Expr *toReal(const model::Expr *expr);
  /// N, N -> N operations and comparisons: both Int or both Real. Must not be
  /// given a Bool.
  const model::Expr *numeric(model::Op op, const model::Expr *a,
                             const model::Expr *b, llvm::SMLoc loc);
  /// An operation on reals.
  const model::Expr *realOp(model::Op op,
                            llvm::ArrayRef<const model::Expr *> args,
                            llvm::SMLoc loc);

  /// A limit was exceeded: nothing more will be built.
  bool exhausted() const { return isExhausted; }
  /// Where the text being worked on stands, for the report about limits.
  llvm::SMRange current;
  void exhaust(const llvm::Twine &what);

private:
  const model::Expr *
  fold(model::Op op, llvm::ArrayRef<const model::Expr *> args, llvm::SMLoc loc);

  model::Kernel &kernel;
  Reporter &reporter;
  /// Of the expression written out as a tree.
  struct Extent {
    unsigned depth;
    uint64_t nodes;
  };
  llvm::DenseMap<const model::Expr *, Extent> extents;
  bool isExhausted = false;
};

inline bool isConstant(const model::Expr *e) {
  return e->kind == model::Expr::Kind::IntConst ||
         e->kind == model::Expr::Kind::RealConst;
}

} // namespace rondo::frontend::sema

#endif // RONDO_FRONTEND_SEMA_BUILDER_H
