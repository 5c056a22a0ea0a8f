//===- Program.cpp - A kernel as statements and tensors -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Program.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace rondo;

Access *Statement::getAccess(Operation *read) {
  for (std::unique_ptr<Access> &access : accesses)
    if (access->op == read)
      return access.get();
  return nullptr;
}

Program::Program(KernelOp kernel)
    : kernel(kernel), exprs(kernel), numBatch(kernel.getBatch().size()) {
  for (auto name : kernel.getBatch().getAsRange<StringAttr>())
    batchSizes.push_back(exprs.getOfSizes(getAffineSymbolExpr(
        kernel.getSizeIndex(name.getValue()), kernel.getContext())));
}

std::unique_ptr<Program> Program::create(KernelOp kernel) {
  std::unique_ptr<Program> program(new Program(kernel));
  if (failed(program->build()))
    return nullptr;
  return program;
}

Tensor *Program::addTensor(Tensor::Kind kind, Value value, StringRef name) {
  tensors.push_back(std::make_unique<Tensor>());
  Tensor *tensor = tensors.back().get();
  tensor->kind = kind;
  tensor->name = name.str();
  tensor->element = cast<RankedTensorType>(value.getType()).getElementType();
  byValue[value] = tensor;
  return tensor;
}

void Program::addArguments() {
  for (BlockArgument argument : kernel.getBody().getArguments()) {
    TensorSpecAttr spec = kernel.getInput(argument.getArgNumber());
    Tensor *tensor =
        addTensor(Tensor::Kind::Argument, argument, spec.getName());
    tensor->argument = argument.getArgNumber();
    for (AffineExpr size : spec.getShape().getResults())
      tensor->shape.push_back(exprs.getOfSizes(size));
  }
}

AffineExpr Program::getLargest(AffineExpr size) const {
  if (exprs.isOfSizes(size))
    return size;
  Value value =
      isa<AffineSymbolExpr>(size) ? exprs.getSymbolValue(size) : Value();
  auto least = value ? value.getDefiningOp<arith::MinSIOp>() : arith::MinSIOp();
  APInt bound;
  if (least)
    for (Value operand : least->getOperands())
      if (matchPattern(operand, m_ConstantInt(&bound)))
        return exprs.getConstant(bound.getSExtValue());
  return {};
}

AffineExpr Program::getIndexSize(const Statement &statement, Value index) {
  auto parallel = llvm::find(statement.indices, index);
  if (parallel != statement.indices.end())
    return statement.result->shape[parallel - statement.indices.begin()];
  EquationOp op = statement.op;
  auto reduced = llvm::find(op.getReductionIndices(), index);
  return exprs.get(
      op.getUppers()[reduced - op.getReductionIndices().begin()]);
}

/// Buffers are laid out before any loop: their shapes need sizes only.
LogicalResult Program::checkShape(const Tensor &tensor) {
  for (auto [dim, size] : llvm::enumerate(tensor.shape))
    if (!getLargest(size) &&
        !(tensor.producer && tensor.producer->isCarriedDim(dim)))
      return tensor.node->op->emitOpError()
             << "expects the sizes of '" << tensor.name
             << "' to be sums, products and quotients of the kernel's sizes";
  return success();
}

/// Inserts what belongs to the along dims of a recurrence and of those around
/// it into a list that has an entry per dim of a slice.
template <typename T, typename Along>
static void insertAlong(RecurrenceOp recurrence, SmallVector<T> &list,
                        Along along) {
  for (; recurrence; recurrence = recurrence->getParentOfType<RecurrenceOp>()) {
    SmallVector<T> dims = along(recurrence);
    list.insert(list.begin() + recurrence.getBatch(), dims.begin(), dims.end());
  }
}

bool Program::isInner(RecurrenceOp op) const {
  return op->getParentOfType<RecurrenceOp>() ||
         (op.getBatch() > numBatch && op.getNumStates() == 0);
}

Statement *Program::addStatement(EquationOp op, Node *node, Tensor *result,
                                 RecurrenceOp recurrence) {
  statements.push_back(std::make_unique<Statement>());
  Statement *statement = statements.back().get();
  statement->op = op;
  statement->node = node;
  statement->result = result;
  statement->recurrence = recurrence;
  statement->iterate = op->getParentOfType<IterateOp>();
  statement->order = statements.size() - 1;
  node->statements.push_back(statement);
  result->producer = statement;
  result->node = node;

  AffineExpr zero = exprs.getConstant(0);
  for (auto [i, index] : llvm::enumerate(op.getParallelIndices())) {
    statement->indices.push_back(index);
    exprs.addIndex(index, zero, exprs.get(op.getSizes()[i]));
  }
  insertAlong(recurrence, statement->indices, [](RecurrenceOp each) {
    return SmallVector<Value>(each.getAlongIndices());
  });
  for (auto [i, index] : llvm::enumerate(op.getReductionIndices()))
    exprs.addIndex(index, exprs.get(op.getLowers()[i]),
                   exprs.get(op.getUppers()[i]));
  statement->write.reader = statement;
  statement->write.tensor = result;
  statement->write.subscripts = statement->indices;
  return statement;
}

/// The recurrence in whose region a tensor is defined, or none.
static RecurrenceOp getHome(Value tensor) {
  Operation *home = tensor.getDefiningOp();
  if (!home)
    home = cast<BlockArgument>(tensor).getOwner()->getParentOp();
  return home->getParentOfType<RecurrenceOp>();
}

void Program::addAccesses(Statement &statement) {
  // Inside a region, tensors lack the along dims of the recurrences around.
  auto resolve = [&](Value source, ValueRange subscripts) {
    SmallVector<Value> full(subscripts);
    insertAlong(getHome(source), full, [](RecurrenceOp each) {
      return SmallVector<Value>(each.getAlongIndices());
    });
    return full;
  };
  statement.op.getBody().walk([&](Operation *op) {
    auto read = dyn_cast<ReadOp>(op);
    auto gather = dyn_cast<GatherOp>(op);
    if (!read && !gather)
      return;
    auto access = std::make_unique<Access>();
    access->op = op;
    access->reader = &statement;
    Value source = read ? read.getSource() : gather.getSource();
    access->tensor = getTensor(source);
    access->isPast = isa<BlockArgument>(source) &&
                     access->tensor->kind == Tensor::Kind::Member;
    access->tensor->uses.push_back(access.get());
    access->subscripts = resolve(source, read ? ValueRange(read.getSubscripts())
                                              : gather.getSubscripts());
    Value fallback = read ? read.getFallback() : gather.getFallback();
    if (fallback) {
      access->fallback = getTensor(fallback);
      access->fallback->uses.push_back(access.get());
      access->fallbackSubscripts =
          resolve(fallback, read ? read.getFallbackSubscripts()
                                 : gather.getFallbackSubscripts());
    }
    if (gather) {
      // Numbered as the dims of the tensor are.
      SmallVector<bool> data(gather.getSubscripts().size(), false);
      for (int64_t dim : gather.getDims())
        data[dim] = true;
      insertAlong(getHome(source), data, [](RecurrenceOp each) {
        return SmallVector<bool>(each.getNumAlong(), false);
      });
      for (auto [dim, isData] : llvm::enumerate(data))
        if (isData)
          access->dataDims.push_back(dim);
    }
    statement.accesses.push_back(std::move(access));
  });
}

LogicalResult Program::addEquation(EquationOp op, Node *node) {
  Tensor *tensor =
      addTensor(Tensor::Kind::Equation, op.getResult(), op.getName());
  tensor->numBatch = numBatch;
  for (Value size : op.getSizes())
    tensor->shape.push_back(exprs.get(size));
  Statement *statement = addStatement(op, node, tensor, RecurrenceOp());
  addAccesses(*statement);
  return checkShape(*tensor);
}

LogicalResult Program::addInitial(InitialOp op, Node *node) {
  auto declared = op.getDeclared().getDefiningOp<EquationOp>();
  Tensor *tensor =
      addTensor(Tensor::Kind::Initial, op.getResult(), declared.getName());
  tensor->numBatch = numBatch;
  node->initial = tensor;
  for (Value size : declared.getSizes())
    tensor->shape.push_back(exprs.get(size));
  Statement *statement = addStatement(declared, node, tensor, RecurrenceOp());
  addAccesses(*statement);
  return checkShape(*tensor);
}

/// Between equations only what is known before the kernel starts is read.
LogicalResult Program::checkRegionRead(ReadOp read) {
  Tensor *tensor = getTensor(read.getSource());
  if (tensor && tensor->kind == Tensor::Kind::Argument && !read.getFallback())
    return success();
  return read.emitOpError("between equations reads something else than an "
                          "argument");
}

LogicalResult Program::addRecurrence(RecurrenceOp op, Node *node) {
  if (isInner(op) && op.getNumStates() > 0 &&
      (op.getNumAlong() != 1 || op.getReversed()[0]))
    return op.emitOpError("with states can't run within a step of loops unless "
                          "it runs forward along one dim");
  AffineExpr zero = exprs.getConstant(0);
  for (auto [index, size] : llvm::zip(op.getAlongIndices(), op.getSizes())) {
    // At a step there is one: max(n, 0) is n.
    Value extent = size;
    if (auto greatest = extent.getDefiningOp<arith::MaxSIOp>())
      for (Value operand : greatest->getOperands())
        if (!matchPattern(operand, m_Zero()))
          extent = operand;
    exprs.addIndex(index, zero, exprs.get(extent));
  }
  // Members first: equations read the pasts of all of them.
  for (unsigned i = 0; i < op.getNumMembers(); ++i) {
    Tensor *tensor =
        addTensor(Tensor::Kind::Member, op.getHistory(i), op.getName(i));
    tensor->recurrence = op;
    tensor->member = i;
    tensor->node = node;
    byValue[op.getPast(i)] = tensor;
    byValue[op.getSlice(i)] = tensor;
    if (i >= op.getNumStates())
      continue;
    tensor->initial = getTensor(op.getInitials()[i]);
    if (op.getFinal(i).use_empty())
      continue;
    Tensor *final =
        addTensor(Tensor::Kind::Final, op.getFinal(i), op.getName(i));
    final->recurrence = op;
    final->member = i;
    final->node = node;
    final->state = tensor;
    tensor->final = final;
  }
  return addBlock(op.getBlock(), op, node);
}

/// What stands in a region within the loops of a recurrence.
LogicalResult Program::addBlock(Block &block, RecurrenceOp recurrence,
                                Node *node) {
  for (Operation &each : block) {
    LogicalResult result = success();
    if (auto equation = dyn_cast<EquationOp>(each))
      result = addStep(equation, recurrence, node);
    else if (auto inner = dyn_cast<RecurrenceOp>(each))
      result = addRecurrence(inner, node);
    else if (auto iterate = dyn_cast<IterateOp>(each))
      result = addIterate(iterate, recurrence, node);
    else if (auto read = dyn_cast<ReadOp>(each))
      result = checkRegionRead(read);
    if (failed(result))
      return failure();
  }
  return success();
}

LogicalResult Program::addIterate(IterateOp op, RecurrenceOp recurrence,
                                  Node *node) {
  if (op->getParentOp() != recurrence || isInner(recurrence))
    return op.emitOpError("must stand in the region of a recurrence of the "
                          "kernel");
  for (unsigned i = 0; i < op.getNumTensors(); ++i) {
    Tensor *tensor = getTensor(op.getGuesses()[i]);
    tensor->iterate = op;
    byValue[op.getBody().getArgument(i)] = tensor;
    byValue[op.getResult(i)] = tensor;
  }
  if (failed(addBlock(op.getBody().front(), recurrence, node)) ||
      failed(addBlock(op.getOtherwise().front(), recurrence, node)))
    return failure();
  Tensor *residual = getTensor(op.getResidual());
  if (!residual || !residual->producer ||
      residual->getRank() != numBatch + recurrence.getNumAlong())
    return op.emitOpError("expects a residual with the kernel's batch dims");
  if (op.getCount().use_empty())
    return success();
  // The count appears together with the residual.
  Tensor *count = addTensor(Tensor::Kind::Equation, op.getCount(), "count");
  count->numBatch = numBatch;
  count->shape = residual->shape;
  count->producer = residual->producer;
  count->node = node;
  count->iterate = op;
  return success();
}

/// An equation in the region of a recurrence.
LogicalResult Program::addStep(EquationOp op, RecurrenceOp recurrence,
                               Node *node) {
  Tensor *tensor = getTensor(op.getResult());
  if (!tensor)
    tensor = addTensor(Tensor::Kind::Equation, op.getResult(), op.getName());
  tensor->numBatch = numBatch;
  for (Value size : op.getSizes())
    tensor->shape.push_back(exprs.get(size));
  insertAlong(recurrence, tensor->shape, [&](RecurrenceOp each) {
    SmallVector<AffineExpr> sizes;
    for (Value size : each.getSizes())
      sizes.push_back(exprs.get(size));
    return sizes;
  });
  Statement *statement = addStatement(op, node, tensor, recurrence);
  // The loops of the cluster run over the outermost along dims, or over the
  // leading dim of an inner recurrence of the kernel.
  RecurrenceOp outer = recurrence;
  while (auto parent = outer->getParentOfType<RecurrenceOp>())
    outer = parent;
  unsigned firstLoop = isInner(outer) ? numBatch : outer.getBatch();
  unsigned numLoops = isInner(outer) ? 1 : outer.getNumAlong();
  for (unsigned i = 0; i < numLoops; ++i)
    statement->timeDims.push_back(firstLoop + i);
  if (isInner(recurrence)) {
    statement->inner = recurrence;
    unsigned first = recurrence.getBatch();
    if (outer != recurrence)
      first += outer.getNumAlong();
    for (unsigned i = 0; i < recurrence.getNumAlong(); ++i)
      statement->innerDims.push_back(first + i);
  }
  addAccesses(*statement);
  if (failed(checkShape(*tensor)))
    return failure();
  if (Tensor * final = tensor->final) {
    final->numBatch = numBatch;
    final->shape = tensor->shape;
    auto first = final->shape.begin() + firstLoop;
    if (statement->isCarried()) {
      // It lives within a step of the loops, like its state.
      final->producer = statement;
      first = final->shape.begin() + statement->innerDims[0];
      numLoops = 1;
    }
    final->shape.erase(first, first + numLoops);
  }
  return success();
}

LogicalResult Program::build() {
  addArguments();
  // The equations that declare initial values belong to the rondo.initial.
  llvm::DenseSet<Operation *> declared;
  for (auto initial : kernel.getBody().getOps<InitialOp>())
    declared.insert(initial.getDeclared().getDefiningOp());
  for (Operation &op : kernel.getBody().front()) {
    if (!isa<EquationOp, RecurrenceOp, InitialOp>(op) || declared.contains(&op))
      continue;
    nodes.push_back(std::make_unique<Node>());
    Node *node = nodes.back().get();
    node->op = &op;
    node->order = nodes.size() - 1;
    LogicalResult result =
        isa<EquationOp>(op)     ? addEquation(cast<EquationOp>(op), node)
        : isa<RecurrenceOp>(op) ? addRecurrence(cast<RecurrenceOp>(op), node)
                                : addInitial(cast<InitialOp>(op), node);
    if (failed(result))
      return failure();
  }
  for (auto [i, value] : llvm::enumerate(
           kernel.getBody().front().getTerminator()->getOperands())) {
    outputs.push_back(getTensor(value));
    outputs.back()->output = i;
  }
  return success();
}
