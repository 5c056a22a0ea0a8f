//===- Parser.h - From text to the syntax tree ------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_PARSER_PARSER_H
#define RONDO_FRONTEND_PARSER_PARSER_H

#include "frontend/AST/AST.h"
#include "frontend/Diagnostics/Diagnostics.h"
#include <memory>

namespace rondo::frontend {

/// The deepest nesting of parentheses, brackets, calls, reductions, `if`,
/// unary operators and `^` that the parser accepts in one expression.
inline constexpr unsigned maxNesting = 256;

/// Parses one buffer of `sources`. Always returns a tree; after errors (which
/// are in `diags`) it is partial and `File::broken` is set. An empty file gives
/// an empty tree. Takes time linear in the length of the text.
std::unique_ptr<ast::File> parse(const llvm::SourceMgr &sources,
                                 unsigned bufferId, Diagnostics &diags);

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_PARSER_PARSER_H
