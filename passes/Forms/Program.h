//===- Program.h - A kernel as statements and tensors -----------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The view of a kernel on which clustering, storage and emission work.
//
//   Node       what is ordered at kernel level: an equation, a recurrence, or
//   the
//              choice of a state's initial value
//   Statement  one equation, of the kernel or of a recurrence's region
//   Tensor     what a statement defines, an argument, or a final value. A
//              recurrence's slice, its past and its history are one tensor:
//              dims are always [batch.., along.., rest..]; the same holds for
//              equations in a region that are not yielded. (A recurrence may
//              count more dims as batch than the kernel: those of a kernel that
//              was inlined)
//   Inner      a recurrence that runs whole within a step of the loops around
//              it: it stands in another recurrence's region, or has no states
//              and one more leading dim than the kernel has batch dims and is
//              computed for one value of it at a time
//   Iterate    repeats the statements of its body within a step of the loops
//              around it. Its guess, the tensor that the body sees and its
//              result are one tensor; what the body makes is another one, which
//              is copied over it
//   Carried    an inner recurrence with states: only its current step and the
//              final values of its states exist
//   Access     one read of a tensor by a statement, with a subscript for every
//              dim (a read of a slice gets the along indices as subscripts)
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_PROGRAM_H
#define RONDO_PASSES_FORMS_PROGRAM_H

#include "passes/Forms/IndexExprs.h"
#include <memory>

namespace rondo {

struct Node;
struct Statement;
struct Tensor;

struct Access {
  /// rondo.read or rondo.gather; null: what a statement writes, as an access.
  mlir::Operation *op = nullptr;
  Statement *reader = nullptr;
  Tensor *tensor = nullptr;
  llvm::SmallVector<mlir::Value> subscripts; // one per dim of `tensor`
  /// Initial value of a state, read where `subscripts` are out of range.
  Tensor *fallback = nullptr;
  llvm::SmallVector<mlir::Value> fallbackSubscripts;
  /// A gather: the dims of `tensor` at which its subscripts are data.
  llvm::SmallVector<unsigned, 1> dataDims;
  /// Reads a recurrence's past: at an earlier step, whatever can be proved.
  bool isPast = false;

  bool isGather() const { return !dataDims.empty(); }
  /// Whether a dim out of range is an error of the kernel.
  bool isData(unsigned dim) const { return llvm::is_contained(dataDims, dim); }
};

struct Tensor {
  enum class Kind { Argument, Equation, Member, Initial, Final };
  Kind kind;
  std::string name;
  mlir::Type element; // of the rondo tensor
  llvm::SmallVector<mlir::AffineExpr> shape;
  unsigned numBatch = 0; // leading batch dims, one point of which exists
  Node *node = nullptr;  // that computes it; null for arguments
  Statement *producer = nullptr; // null for arguments and finals
  int argument = -1;             // position among the inputs
  int output = -1;               // position among the outputs
  /// Member and Final: the recurrence and which member, or state, it is.
  RecurrenceOp recurrence;
  unsigned member = 0;
  Tensor *initial = nullptr; // states
  Tensor *final = nullptr;   // states, when it is used
  /// The iteration whose result this is: its value, or the count.
  IterateOp iterate;
  Tensor *state = nullptr;          // of a final value
  llvm::SmallVector<Access *> uses; // where it is read, fallbacks included

  unsigned getRank() const { return shape.size(); }
  bool isState() const { return kind == Kind::Member && initial; }
};

struct Statement {
  EquationOp op;
  Node *node;
  Tensor *result;
  RecurrenceOp recurrence; // that holds it, or null
  /// The inner recurrence that holds it, or null, and the dims of the result
  /// that this one runs along.
  RecurrenceOp inner;
  llvm::SmallVector<unsigned> innerDims;
  /// The iteration that it belongs to, or null.
  IterateOp iterate;
  /// The index values of the result's dims.
  llvm::SmallVector<mlir::Value> indices;
  llvm::SmallVector<std::unique_ptr<Access>> accesses;
  /// result[indices], what it writes.
  Access write;
  unsigned order; // in the program
  /// Dims of the result that the cluster's loops run over, outermost first.
  llvm::SmallVector<unsigned> timeDims;
  /// A step of the loop covers this many steps of the one time dim, those of
  /// which `block`, an index of another statement, is the quotient. 0: one.
  int64_t blockSize = 0;
  mlir::Value block;
  /// Position among the statements of its cluster.
  unsigned position = 0;

  Access *getAccess(mlir::Operation *read);
  /// Whether it stands in an inner recurrence of which one step exists.
  bool isCarried() const {
    return inner && RecurrenceOp(inner).getNumStates() > 0;
  }
  /// Whether dim `dim` of the result takes no place because of that.
  bool isCarriedDim(unsigned dim) const {
    return isCarried() && llvm::is_contained(innerDims, dim);
  }
  bool isReduction() { return op.getCombiner().has_value(); }
};

struct Node {
  mlir::Operation *op;
  unsigned order;
  llvm::SmallVector<Statement *> statements;
  Tensor *initial = nullptr; // of a rondo.initial: its result
};

class Program {
public:
  /// Of a kernel that is normalised (Normalize.h). Null after an error, which
  /// was reported.
  static std::unique_ptr<Program> create(KernelOp kernel);

  KernelOp kernel;
  IndexExprs exprs;
  unsigned numBatch;
  llvm::SmallVector<mlir::AffineExpr> batchSizes;
  llvm::SmallVector<std::unique_ptr<Node>> nodes;
  llvm::SmallVector<std::unique_ptr<Statement>> statements;
  llvm::SmallVector<std::unique_ptr<Tensor>> tensors;

  Tensor *getTensor(mlir::Value value) const { return byValue.lookup(value); }
  Tensor *getOutput(unsigned i) const { return outputs[i]; }
  /// Whether a recurrence runs within a step of other loops.
  bool isInner(RecurrenceOp op) const;
  /// What an extent is at most, over the kernel's sizes: itself, or the n of
  /// min(.., n). Null if that is not known.
  mlir::AffineExpr getLargest(mlir::AffineExpr size) const;
  /// The extent of a parallel index, or of a reduction index that starts at 0.
  mlir::AffineExpr getIndexSize(const Statement &statement,
                                mlir::Value index);

private:
  explicit Program(KernelOp kernel);
  mlir::LogicalResult build();
  Tensor *addTensor(Tensor::Kind kind, mlir::Value value, llvm::StringRef name);
  void addArguments();
  mlir::LogicalResult addEquation(EquationOp op, Node *node);
  mlir::LogicalResult addRecurrence(RecurrenceOp op, Node *node);
  mlir::LogicalResult addStep(EquationOp op, RecurrenceOp recurrence,
                              Node *node);
  mlir::LogicalResult checkRegionRead(ReadOp read);
  mlir::LogicalResult addInitial(InitialOp op, Node *node);
  mlir::LogicalResult addBlock(mlir::Block &block, RecurrenceOp recurrence,
                               Node *node);
  mlir::LogicalResult addIterate(IterateOp op, RecurrenceOp recurrence,
                                 Node *node);
  Statement *addStatement(EquationOp op, Node *node, Tensor *result,
                          RecurrenceOp recurrence);
  void addAccesses(Statement &statement);
  mlir::LogicalResult checkShape(const Tensor &tensor);

  llvm::DenseMap<mlir::Value, Tensor *> byValue;
  llvm::SmallVector<Tensor *> outputs;
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_PROGRAM_H
