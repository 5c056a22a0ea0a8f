//===- Registration.h - Every dialect and pass that Rondo uses --*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_PIPELINE_REGISTRATION_H
#define RONDO_COMPILER_PIPELINE_REGISTRATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace rondo {

/// Our dialects and the upstream ones that our levels are made of, with the
/// external interface implementations that the pipelines need. The compiler
/// loads only what it uses; the editor server wants exactly these.
void registerDialects(mlir::DialectRegistry &registry);

/// Our dialects and all upstream ones with all extensions, for rondo-opt.
void registerEveryDialect(mlir::DialectRegistry &registry);

/// Our passes and pipelines and all upstream ones, for rondo-opt.
void registerEveryPass();

} // namespace rondo

#endif // RONDO_COMPILER_PIPELINE_REGISTRATION_H
