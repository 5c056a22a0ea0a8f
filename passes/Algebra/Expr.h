//===- Expr.h - Equations as symbolic expressions ---------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The bodies of equations, taken out of the IR as expressions that can be
// inlined into one another, differentiated, simplified and put back. Nodes are
// unique: equal expressions are one pointer.
//
// Indices are leaves: an index argument of an equation or a recurrence is a
// `Value` leaf, the index of a reduction a `Variable` with its range.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_ALGEBRA_EXPR_H
#define RONDO_PASSES_ALGEBRA_EXPR_H

#include "dialects/Rondo/IR/RondoOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/FoldingSet.h"
#include "llvm/ADT/SetVector.h"
#include <deque>

namespace rondo::algebra {

struct Node;
using Expr = const Node *;

/// The index of a reduction, lower <= i < upper. Its identity is its address.
struct Variable {
  mlir::Value lower, upper;
};

enum class Kind {
  Real,     // a real constant
  Integer,  // an index constant (conditions: 0 or 1 of type i1)
  Value,    // a scalar of the IR that is not looked into: an index, a size
  Variable, // the index of an enclosing Reduce
  Read,     // rondo.read, rondo.gather; args: subscripts, then those of the
            // fallback
  Apply,    // an op of arith, math or rondo on args
  Reduce,   // combiner over `variables` of args[0] where args[1] (may be null)
};

struct Node : llvm::FoldingSetNode {
  Kind kind;
  mlir::Type type;
  double real = 0;
  int64_t integer = 0;
  mlir::Value value;    // Value: the scalar; Read: the tensor
  mlir::Value fallback; // Read
  const rondo::algebra::Variable *variable = nullptr;
  mlir::StringAttr op;             // Apply
  mlir::DictionaryAttr attributes; // Apply: e.g. a comparison's predicate;
                                   // Read: of a rondo.gather, its name and dims
  Combiner combiner = Combiner::Sum;
  llvm::SmallVector<const rondo::algebra::Variable *, 1> variables;
  llvm::SmallVector<Expr, 2> args;

  bool isOp(llvm::StringRef name) const {
    return kind == Kind::Apply && op.getValue() == name;
  }
  bool isReal(double number) const {
    return kind == Kind::Real && real == number;
  }
  bool isInteger(int64_t number) const {
    return kind == Kind::Integer && integer == number;
  }
  bool isGather() const { return kind == Kind::Read && attributes; }
  llvm::ArrayRef<Expr> subscripts() const;
  void Profile(llvm::FoldingSetNodeID &id) const;
};

/// Makes and owns nodes. Constructors simplify: sums and products with 0 and
/// 1, constants, selects with a known condition.
class Context {
public:
  explicit Context(mlir::MLIRContext *context) : context(context) {}
  mlir::MLIRContext *getContext() const { return context; }

  Expr real(double number, mlir::Type type);
  Expr integer(int64_t number);
  Expr boolean(bool truth);
  Expr leaf(mlir::Value scalar);
  Expr variable(const Variable *variable);
  const Variable *fresh(mlir::Value lower, mlir::Value upper);
  Expr read(mlir::Value source, llvm::ArrayRef<Expr> subscripts,
            mlir::Value fallback, llvm::ArrayRef<Expr> fallbackSubscripts,
            mlir::Type type, mlir::DictionaryAttr gather = {});
  Expr apply(llvm::StringRef op, llvm::ArrayRef<Expr> args, mlir::Type type,
             mlir::DictionaryAttr attributes = {});
  Expr reduce(Combiner combiner,
              llvm::ArrayRef<const Variable *> variables, Expr body,
              Expr filter);

  // Shorthands on reals.
  Expr add(Expr a, Expr b);
  Expr sub(Expr a, Expr b);
  Expr mul(Expr a, Expr b);
  Expr div(Expr a, Expr b);
  Expr neg(Expr a);
  Expr select(Expr condition, Expr a, Expr b);
  Expr logicalAnd(Expr a, Expr b);
  /// a == b on indices, as a condition.
  Expr equal(Expr a, Expr b);
  /// a <predicate> b; on reals the ordered comparison.
  Expr compareIndex(int64_t predicate, Expr a, Expr b);

  /// `step`, or the last of `length` steps if it lies behind the end and `expr`
  /// gathers: no place that only such a step asks for is looked up (and
  /// reported, where it is out of range).
  Expr stepFor(Expr expr, Expr step, mlir::Value length);

  /// `expr` with leaves and variables replaced.
  Expr substitute(Expr expr, const llvm::DenseMap<Expr, Expr> &replacements);
  /// `expr` with every read replaced by what `replace` makes of it, inner ones
  /// first.
  Expr replaceReads(Expr expr, llvm::function_ref<Expr(Expr)> replace);

private:
  Expr unique(Node &&node);

  mlir::MLIRContext *context;
  llvm::FoldingSet<Node> nodes;
  std::deque<Node> storage;
  std::deque<Variable> variables;
};

/// Calls `visit` once on every node below `expr`, parents first.
void walk(Expr expr, llvm::function_ref<void(Expr)> visit);

/// Takes scalar code of the IR apart.
class Importer {
public:
  explicit Importer(Context &context) : context(context) {}

  /// The expression of a scalar. Values that are not results of scalar ops
  /// (block arguments, sizes) become leaves unless `bind` gave them a meaning.
  Expr import(mlir::Value scalar);
  void bind(mlir::Value scalar, Expr meaning) { known[scalar] = meaning; }

  /// What an equation says at the point `subscripts` (one per parallel dim):
  /// its body with the indices replaced, a Reduce node if it is a reduction.
  Expr instantiate(EquationOp equation, llvm::ArrayRef<Expr> subscripts);

private:
  template <typename Op>
  Expr importRead(Op op, mlir::DictionaryAttr gather = {});

  Context &context;
  llvm::DenseMap<mlir::Value, Expr> known;
};

/// The op of a Read whose `args` are these values.
mlir::Value emitRead(mlir::OpBuilder &builder, mlir::Location loc, Expr expr,
                     mlir::ValueRange args);

/// Puts expressions back into the body of an equation. Reductions become
/// equations of their own in front of it.
class Exporter {
public:
  explicit Exporter(EquationOp equation) : equation(equation) {}

  /// Emits at the builder's insertion point, which is in the equation's body.
  mlir::Value emit(mlir::OpBuilder &builder, Expr expr);

private:
  using Bindings = llvm::DenseMap<Expr, mlir::Value>;
  struct Scope {
    EquationOp equation; // the equation whose body is being filled
    Bindings bindings;   // what leaves and nodes are in it
  };
  mlir::Value emit(mlir::OpBuilder &builder, Expr expr, Scope &scope);
  mlir::Value emitReduce(mlir::OpBuilder &builder, Expr expr, Scope &scope);

  EquationOp equation;
};

/// A new equation: what `body` says at its indices.
mlir::Value
emitEquation(Context &context, mlir::OpBuilder &at, mlir::Location loc,
             const llvm::Twine &name, mlir::Type type, mlir::ValueRange sizes,
             llvm::function_ref<Expr(llvm::ArrayRef<Expr>)> body);

/// A new reduction over indices from `zero` to `extents`: the term and the
/// filter (or null) that `body` gives at its parallel and reduction indices.
mlir::Value
emitReduction(Context &context, mlir::OpBuilder &at, mlir::Location loc,
              const llvm::Twine &name, mlir::Type type, mlir::ValueRange sizes,
              Combiner combiner, mlir::Value zero, mlir::ValueRange extents,
              llvm::function_ref<std::pair<Expr, Expr>(llvm::ArrayRef<Expr>,
                                                       llvm::ArrayRef<Expr>)>
                  body);

/// A coefficient where all pairs of indices are equal, else 0.
struct DeltaTerm {
  Expr coefficient;
  llvm::SmallVector<std::pair<Expr, Expr>, 2> deltas;
};

/// The derivative of `value`, where `ofRead` says what that of a read is; none
/// is 0. Deltas over a reduction's index end the sum over it, others become
/// conditions; of several indices that a delta determines, the first of the sum
/// is replaced. Null, with the reason, if something cannot be differentiated.
Expr differentiate(Context &context, Expr value,
                   llvm::function_ref<std::optional<DeltaTerm>(Expr)> ofRead,
                   std::string &reason);

/// d value / d variable, where `variable` is a Read. Other reads of the same
/// tensor whose first `numFixed` subscripts are the same expressions are the
/// same array; their remaining subscripts may differ, which gives Kronecker
/// deltas: those over a reduction's index end the sum, others become
/// conditions. Null, with the reason, if something cannot be differentiated.
/// Sub-gradients: of max and min the one of the chosen operand (in a reduction
/// of all that attain it), of abs at 0 the value 0, of comparisons 0.
Expr differentiate(Context &context, Expr value, Expr variable,
                   unsigned numFixed, std::string &reason);

} // namespace rondo::algebra

#endif // RONDO_PASSES_ALGEBRA_EXPR_H
