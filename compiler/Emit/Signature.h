//===- Signature.h - What a caller sees of a kernel -------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything that the constant tables and the C header say about a kernel. The
// two are written from the same object, so they can't disagree.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_COMPILER_EMIT_SIGNATURE_H
#define RONDO_COMPILER_EMIT_SIGNATURE_H

#include "mlir/IR/AffineMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <string>

namespace mlir {
class DictionaryAttr;
class ModuleOp;
class Operation;
} // namespace mlir

namespace rondo {

/// A size, such as T.
struct SizeSignature {
  std::string name;
  int64_t bound = -1; ///< fixed at compile time, or -1
  /// Its field in the argument struct.
  std::string fieldName;
};

/// A tensor at the border.
struct TensorSignature {
  std::string name;        ///< "S.initial"
  int32_t role = 0;        ///< RONDO_ROLE_*
  int32_t dtype = 0;       ///< RONDO_F32, ...
  std::string description; ///< for the header and the table; may be empty
  /// One expression per dim; its symbols are the sizes.
  mlir::AffineMap shape;

  /// The rest is computed by KernelSignature::complete.
  std::string shapeText; ///< "[B, T, H/G, K]"
  std::string fieldName; ///< "S_initial"
  int64_t valueOffset = 0, stridesOffset = -1;
  int32_t timeDim = -1, sequenceDim = -1;
  int32_t partner = -1;

  unsigned getRank() const { return shape.getNumResults(); }
  bool isReadOnly() const;
  bool isOptional() const;
  /// The value itself stands in the argument struct.
  bool isValue() const;
};

/// A gather whose index may be out of range.
struct FaultSignature {
  std::string text;     ///< "emb[tokens[t], d]"
  std::string tensor;   ///< "emb"
  std::string location; ///< "embed.rondo:3:14"
  /// Size of the dim that is indexed; null when not known.
  mlir::AffineExpr extent;
  int64_t dim = -1; ///< -1 when not known
};

struct KernelSignature {
  std::string name;              ///< what C names start with: "gla", "gla_step"
  std::string kernel;            ///< its name in the program: "gla"
  std::string entry = "forward"; ///< what it computes: or "backward", "step"
  std::string form;              ///< "sequential"
  std::string text;              ///< the kernel's first line as written
  std::string source;            ///< "gla.rondo:2:1"
  std::string description;       ///< the comment above the kernel; may be empty
  int32_t ioDtype = 0, accumulationDtype = 0;
  llvm::SmallVector<SizeSignature, 8> sizes;
  /// Indices of sizes, outermost first.
  llvm::SmallVector<int32_t, 4> batch;
  /// The size of which points are blocks, by `rondo.channels`, or -1.
  int32_t channels = -1;
  int64_t channelBlock = 0;
  /// The inputs, then the outputs.
  llvm::SmallVector<TensorSignature, 8> tensors;
  llvm::SmallVector<FaultSignature, 2> faults;
  /// Index of the time size, or -1. After `complete`: -1 as well when packed
  /// sequences are not possible (rondo_kernel_info::time_size says when).
  int32_t timeSize = -1;
  int32_t flags = 0; ///< RONDO_KERNEL_*, by `rondo.workspace`, `rondo.rows`

  /// The rest is computed by `complete`.
  int32_t sequenceSize = -1;
  int64_t argsSize = 0, packedOffset = -1;

  /// The signature that an op carries: a rondo.kernel by its own attributes, or
  /// a function by the attribute `rondo.signature`, a dictionary of the same
  /// ones (`sizes`, `bound`, `batch`, `time`, `inputs`, `outputs`; optional
  /// strings `kernel` (that it was derived from), `entry`, `text`, `source`, `description`; optional types
  /// `io_dtype` and `accumulation_dtype`), beside `rondo.form` and
  /// `rondo.faults`. A fault is the tensor's name, or a dictionary of strings
  /// `text`, `tensor`, `location`, an integer `dim` and an affine map `extent`
  /// from the sizes to one result.
  static llvm::Expected<KernelSignature> get(mlir::Operation *op);

  /// The C function that runs it: "gla_forward", "gla_step".
  std::string getRunName() const {
    return entry == "forward" ? name + "_forward" : name;
  }

  /// Computes the layout of the argument struct and the other derived fields.
  /// Call again after changing a field that they follow from. Fails when the
  /// kernel can't be offered through the binary interface, and says why.
  llvm::Error complete();
};

/// The signatures of all kernels in a module, in order.
llvm::Expected<llvm::SmallVector<KernelSignature, 1>>
getKernelSignatures(mlir::ModuleOp module);

/// "H/G", "4*D", "T + 1": an expression over sizes as a program writes it.
std::string printSizeExpr(mlir::AffineExpr expr,
                          llvm::ArrayRef<SizeSignature> sizes);

} // namespace rondo

#endif // RONDO_COMPILER_EMIT_SIGNATURE_H
