//===- Model.h - A kernel after semantic analysis ---------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What semantic analysis hands to lowering: every name resolved, every batch
// subscript written out, constants, lets, functions and kernel calls inlined,
// every index a distinct object. Nothing here depends on MLIR.
//
// Words used throughout:
//   size     a run-time extent with a name, e.g. T
//   index    a variable that runs over [lower, upper)
//   layout   the order of a tensor's dims in memory; subscripts of reads and
//            of the left-hand side are always written in layout order
//   along    the dims over which a state runs; they stand directly after the
//            batch dims in the layout of a state
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_SEMA_MODEL_H
#define RONDO_FRONTEND_SEMA_MODEL_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/SMLoc.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rondo::frontend::model {

/// Element types of arguments and results. `Io` is the io dtype of the compile
/// command; locals and states of real type have it too (they are kept in the
/// accumulation type).
enum class DType { Io, F16, BF16, F32, F64, I32, I64, Bool };

/// Types of expressions. Indices, sizes and integer tensors are `Int`.
enum class Type { Real, Int, Bool };

struct Expr;
struct Tensor;

/// One index variable. Its identity is its address.
struct Index {
  std::string name;
  /// Integer expressions without reads. `lower` is null for 0. Bounds of a
  /// left-hand index use sizes only; bounds of a reduction index may also use
  /// the indices in scope (`sum[u in 0..t+1]`).
  const Expr *lower = nullptr;
  const Expr *upper = nullptr;
  llvm::SMLoc loc;
};

/// Scalar operations. Comment: operand types -> result type; `N` is Real or
/// Int, both operands alike (lowering never has to guess a conversion).
enum class Op {
  Add, Sub, Mul, // N, N -> N
  Div,           // Real, Real -> Real
  FloorDiv, Mod, // Int, Int -> Int, floor division and its remainder
  Pow,           // Real, Real -> Real
  Neg, Abs,      // N -> N
  Max, Min,      // N, N -> N
  Eq, Ne, Lt, Le, Gt, Ge, // N, N -> Bool
  And, Or, Not,           // Bool -> Bool
  Select,                 // Bool, X, X -> X (`if c then a else b`)
  ToReal,                 // Int or Bool -> Real
  Exp, Log, Log1p, Expm1, Sqrt, Rsqrt, Sign, Floor, Ceil, Sin, Cos, Tanh,
  Sigmoid, Softplus, Erf, // Real -> Real; step, silu, relu, gelu, clamp and
                          // logsigmoid are written with the others
};

enum class Reduction { Sum, Prod, Max, Min, Any, All, LogSumExp };

/// One node of a resolved expression. Trees share nodes freely (`silu(e)` holds
/// `e` twice); written out as a tree, one expression has at most 400000 nodes and
/// is at most 2000 deep. A node never changes after Sema.
struct Expr {
  enum class Kind {
    RealConst, // real
    IntConst,  // integer (Bool constants: type Bool, 0 or 1)
    Size,      // name
    Index,     // index
    Read,      // tensor[args...], subscripts in layout order, all Int
    Apply,     // op(args...)
    Reduce,    // reduction over `indices` where `filter`, of args[0]
    Softmax,   // see below
    Grad,      // d args[0] / d args[1]; args[1] is a Read of a state
  };
  Kind kind;
  Type type;
  llvm::SMLoc loc;

  double real = 0;
  int64_t integer = 0;
  std::string name;
  const Index *index = nullptr;
  const Tensor *tensor = nullptr;
  /// Read: which subscripts use values of tensors, so that out of range is a
  /// run-time error instead of 0; empty when none does.
  std::vector<bool> data;
  bool isGather() const { return !data.empty(); }
  Op op = Op::Add;
  Reduction reduction = Reduction::Sum;
  /// Reduce and Softmax: the bound indices.
  std::vector<const Index *> indices;
  /// Reduce and Softmax: null when there is none.
  const Expr *filter = nullptr;
  /// Softmax: for every bound index the index in scope at which the value is
  /// wanted: softmax at u is
  ///   filter(u) ? exp(args[0](u)) / sum[u' | filter(u')] exp(args[0](u')) : 0
  /// where args[0] and filter are written with the bound indices u'.
  std::vector<const Index *> at;
  std::vector<const Expr *> args;
};

/// A named tensor.
struct Tensor {
  enum class Role { Argument, Output, Local, State };
  std::string name; // unique in the kernel; inlined callees get `callee.name`
  Role role;
  DType dtype = DType::Io;
  /// Integer expressions over sizes, in layout order. Arguments and outputs:
  /// as declared. Locals: batch dims, then the left-hand dims (a declared
  /// `local` shape names all dims and wins). States: batch dims, the dims
  /// along which they run, then the declared dims.
  std::vector<const Expr *> shape;
  llvm::SMLoc loc;
  /// After `completeBatch`, of all but arguments: which dim is each of the
  /// kernel's batch dims.
  std::vector<int> batchDims;
  /// Outputs that lack a batch dim: the local of which they are any one point.
  const Tensor *whole = nullptr;

  // States only.
  /// Position of the first dim the state runs along (= number of batch dims
  /// in front) and how many there are.
  unsigned alongBegin = 0, alongCount = 0;
  /// One index per dim of `shape` that is not an along dim, in order; the
  /// initial value is written with them.
  std::vector<const Index *> initialIndices;
  const Expr *initial = nullptr; // Real 0 when nothing was declared
  /// Whether the state is one of the kernel's own (it then has an optional
  /// `<name>.initial` input and `<name>.final` output); states of inlined
  /// callees have them too, under their unique name.
  bool exposed = true;
};

/// target[indices] = value, for all values of the indices. Boundary equations
/// are folded into `value` as conditions on the index.
struct Equation {
  const Tensor *target;
  std::vector<const Index *> indices; // one per dim of the target, in order
  const Expr *value;
  llvm::SMLoc loc;
};

/// Equations that must be computed together. Components are listed so that
/// each one reads only itself and earlier ones.
struct Component {
  /// In an order in which same-time reads come after what they read.
  std::vector<const Equation *> equations;
  /// A recurrence: some member reads a member at an earlier point of the along
  /// dims. All members then have the along dims, and `alongPosition` gives for
  /// each equation (parallel to `equations`) the position in its layout of
  /// each along dim (row-major [equation][along dim]).
  bool recurrence = false;
  unsigned alongCount = 0;
  std::vector<bool> reversed; // per along dim: runs from the end
  std::vector<std::vector<unsigned>> alongPosition;
};

struct Kernel {
  std::string name;
  llvm::SMLoc loc;
  /// Sizes in order of first appearance; `bound` when the compile command
  /// fixed it.
  struct SizeInfo {
    std::string name;
    std::optional<int64_t> bound;
  };
  std::vector<SizeInfo> sizes;
  /// Names of the batch dims, outermost first. States and locals without a
  /// declaration have them as their first dims; arguments, outputs and declared
  /// locals have them where their shape says. Tensors of inlined callees have
  /// those of the caller's batch dims that are batch dims of the callee, too.
  std::vector<std::string> batch;
  std::vector<const Tensor *> arguments, outputs; // in declared order
  std::vector<const Tensor *> states;             // in declared order
  std::vector<Component> components;

  // Owners of everything above.
  std::vector<std::unique_ptr<Expr>> exprs;
  std::vector<std::unique_ptr<Index>> indexPool;
  std::vector<std::unique_ptr<Tensor>> tensorPool;
  std::vector<std::unique_ptr<Equation>> equationPool;
};

} // namespace rondo::frontend::model

#endif // RONDO_FRONTEND_SEMA_MODEL_H
