//===- Body.cpp - Scalar code of an equation ------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Rondo/Reference/Body.h"
#include "dialects/Rondo/Reference/Points.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::reference;

llvm::Error rondo::reference::makeError(Operation *op,
                                        const llvm::Twine &message) {
  std::string text;
  llvm::raw_string_ostream os(text);
  op->getLoc()->print(os);
  os << ": '" << op->getName() << "' " << message;
  return llvm::createStringError(text);
}

//===----------------------------------------------------------------------===//
// Environment
//===----------------------------------------------------------------------===//

const Scalar *Environment::getScalar(Value value) const {
  auto found = scalars.find(value);
  return found == scalars.end() ? nullptr : &found->second;
}

Array &Environment::defineTensor(Value value) {
  Array *&array = tensors[value];
  if (!array)
    array = &storage.emplace_back();
  return *array;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

static constexpr double infinity = std::numeric_limits<double>::infinity();

static Combining getRealCombining(Combiner combiner) {
  switch (combiner) {
  case Combiner::Sum:
    return {makeReal(0), getScalarFunction("arith.addf")};
  case Combiner::Prod:
    return {makeReal(1), getScalarFunction("arith.mulf")};
  case Combiner::Max:
    return {makeReal(-infinity), getScalarFunction("arith.maximumf")};
  default:
    return {makeReal(infinity), getScalarFunction("arith.minimumf")};
  }
}

Combining Combining::get(Combiner combiner, Type type) {
  using Limits = std::numeric_limits<int64_t>;
  if (isa<FloatType>(type))
    return getRealCombining(combiner);
  switch (combiner) {
  case Combiner::Sum:
    return {makeInteger(0), getScalarFunction("arith.addi")};
  case Combiner::Prod:
    return {makeInteger(1), getScalarFunction("arith.muli")};
  case Combiner::Max:
    return {makeInteger(Limits::min()), getScalarFunction("arith.maxsi")};
  case Combiner::Min:
    return {makeInteger(Limits::max()), getScalarFunction("arith.minsi")};
  case Combiner::Any:
    return {makeInteger(0), getScalarFunction("arith.ori")};
  case Combiner::All:
    return {makeInteger(1), getScalarFunction("arith.andi")};
  }
  llvm_unreachable("unknown combiner");
}

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

llvm::Expected<std::unique_ptr<Body>> Body::compile(Block &block) {
  auto body = std::make_unique<Body>();
  body->parent = block.getParentOp();
  if (llvm::Error error = body->addBlock(block, body->top))
    return error;
  return body;
}

Body::Register Body::newRegister(Value value, Scalar scalar) {
  registerOf[value] = registers.size();
  registers.push_back(scalar);
  return registers.size() - 1;
}

Body::Register Body::getRegister(Value value) {
  auto found = registerOf.find(value);
  if (found != registerOf.end())
    return found->second;
  // Values of the body have a register before their uses are met, so this one
  // comes from outside.
  Register target = newRegister(value);
  captures.push_back({value, target});
  return target;
}

llvm::SmallVector<Body::Register, 2> Body::getRegisters(ValueRange values) {
  return llvm::map_to_vector<2>(
      values, [this](Value value) { return getRegister(value); });
}

llvm::Error Body::addBlock(Block &block, Sequence &sequence) {
  for (BlockArgument argument : block.getArguments())
    newRegister(argument);
  for (Operation &op : block.without_terminator())
    if (llvm::Error error = add(&op, sequence))
      return error;
  auto yield = cast<YieldOp>(block.getTerminator());
  sequence.values = getRegisters(yield.getValues());
  if (yield.getFilter())
    sequence.filter = getRegister(yield.getFilter());
  return llvm::Error::success();
}

llvm::Error Body::add(Operation *op, Sequence &sequence) {
  if (auto read = dyn_cast<ReadOp>(op)) {
    addAccess(op, Instruction::Read, read.getSource(), read.getSubscripts(),
              read.getFallback(), read.getFallbackSubscripts(), sequence);
  } else if (auto gather = dyn_cast<GatherOp>(op)) {
    addAccess(op, Instruction::Gather, gather.getSource(),
              gather.getSubscripts(), gather.getFallback(),
              gather.getFallbackSubscripts(), sequence);
  } else if (auto reduce = dyn_cast<ReduceOp>(op)) {
    return addReduce(reduce, sequence);
  } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (!constant.getType().isIntOrIndexOrFloat())
      return makeError(op, "is not a number");
    newRegister(constant, getConstant(constant.getValue()));
  } else if (auto size = dyn_cast<SizeOp>(op)) {
    getRegister(size); // the environment knows every size of the kernel
  } else if (ScalarFunction function = getScalarFunction(op)) {
    addCompute(op, function, sequence);
  } else {
    return makeError(op, "is not known to the interpreter");
  }
  return llvm::Error::success();
}

void Body::addCompute(Operation *op, ScalarFunction function,
                      Sequence &sequence) {
  Instruction instruction{Instruction::Compute, 0, function};
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    instruction.operands[i] = getRegister(operand);
  instruction.result = newRegister(op->getResult(0));
  sequence.instructions.push_back(instruction);
}

void Body::addAccess(Operation *op, Instruction::Kind kind, Value tensor,
                     ValueRange subscripts, Value fallback,
                     ValueRange fallbackSubscripts, Sequence &sequence) {
  Instruction instruction{kind, 0};
  instruction.op = op;
  auto newAccess = [&](Value tensor, ValueRange subscripts) {
    Access access{tensor, {}};
    for (Value subscript : subscripts)
      access.subscripts.push_back(getRegister(subscript));
    accesses.push_back(access);
    return static_cast<int>(accesses.size()) - 1;
  };
  instruction.access = newAccess(tensor, subscripts);
  if (fallback)
    instruction.fallback = newAccess(fallback, fallbackSubscripts);
  instruction.isReal = isa<FloatType>(op->getResult(0).getType());
  instruction.result = newRegister(op->getResult(0));
  sequence.instructions.push_back(instruction);
}

llvm::Error Body::addReduce(ReduceOp op, Sequence &sequence) {
  Instruction instruction{Instruction::Reduce, 0};
  instruction.reduction = reductions.size();
  Reduction &reduction = reductions.emplace_back();
  reduction.combining = Combining::get(op.getCombiner(), op.getType());
  reduction.lowers = getRegisters(op.getLowers());
  reduction.uppers = getRegisters(op.getUppers());
  if (llvm::Error error = addBlock(op.getBlock(), reduction.body))
    return error;
  reduction.indices = getRegisters(op.getBlock().getArguments());
  instruction.result = newRegister(op);
  sequence.instructions.push_back(instruction);
  return llvm::Error::success();
}

llvm::Error Body::bind(const Environment &environment) {
  for (auto [captured, target] : captures) {
    const Scalar *scalar = environment.getScalar(captured);
    if (!scalar)
      return makeError(parent, "uses a value that has not been computed");
    registers[target] = *scalar;
  }
  for (Access &access : accesses) {
    access.array = environment.getTensor(access.tensor);
    if (!access.array)
      return makeError(parent, "reads a tensor that has no value");
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Execution
//===----------------------------------------------------------------------===//

int64_t Body::locate(const Access &access) const {
  int64_t position = 0;
  const int64_t *extent = access.array->shape.data();
  for (Register subscript : access.subscripts) {
    int64_t index = registers[subscript].integer;
    if (index < 0 || index >= *extent)
      return -1;
    position = position * *extent++ + index;
  }
  return position;
}

/// The first dim of a gather at which data is out of range, or -1.
int64_t Body::findFault(const Instruction &gather) const {
  const Access &access = accesses[gather.access];
  for (int64_t dim : cast<GatherOp>(gather.op).getDims()) {
    int64_t index = registers[access.subscripts[dim]].integer;
    if (index < 0 || index >= access.array->shape[dim])
      return dim;
  }
  return -1;
}

Scalar Body::read(const Instruction &instruction) const {
  const Access *access = &accesses[instruction.access];
  int64_t position = locate(*access);
  if (position < 0 && instruction.fallback >= 0) {
    access = &accesses[instruction.fallback];
    position = locate(*access);
  }
  double element = position < 0 ? 0 : access->array->data[position];
  return instruction.isReal ? makeReal(element)
                            : makeInteger(toInteger(element));
}

bool Body::run(const Sequence &sequence) {
  for (const Instruction &instruction : sequence.instructions) {
    Scalar &result = registers[instruction.result];
    switch (instruction.kind) {
    case Instruction::Compute:
      result = instruction.function(registers[instruction.operands[0]],
                                    registers[instruction.operands[1]],
                                    registers[instruction.operands[2]]);
      break;
    case Instruction::Gather:
      if (findFault(instruction) >= 0) {
        fault = &instruction;
        return false;
      }
      [[fallthrough]];
    case Instruction::Read:
      result = read(instruction);
      break;
    case Instruction::Reduce:
      if (!reduce(instruction))
        return false;
      break;
    }
  }
  return true;
}

// combine over r, lowers <= r < uppers and filter(r), of body(r)
bool Body::reduce(const Instruction &instruction) {
  const Reduction &reduction = reductions[instruction.reduction];
  auto getIntegers = [&](ArrayRef<Register> from) {
    return llvm::map_to_vector(
        from, [&](Register r) { return registers[r].integer; });
  };
  Scalar result = reduction.combining.identity;
  for (Points points(getIntegers(reduction.lowers),
                     getIntegers(reduction.uppers));
       !points.isDone(); points.next()) {
    for (auto [index, value] : llvm::zip(reduction.indices, points.get()))
      registers[index] = makeInteger(value);
    if (!run(reduction.body))
      return false;
    if (passesFilter(reduction.body))
      result = reduction.combining.combine(
          result, registers[reduction.body.values[0]], Scalar());
  }
  registers[instruction.result] = result;
  return true;
}

llvm::Error Body::takeFault() const {
  const Access &access = accesses[fault->access];
  int64_t dim = findFault(*fault);
  return makeError(fault->op,
                   "index out of range: dim " + llvm::Twine(dim) + " of '" +
                       cast<GatherOp>(fault->op).getName() +
                       "' expects a value in [0, " +
                       llvm::Twine(access.array->shape[dim]) + "), found " +
                       llvm::Twine(registers[access.subscripts[dim]].integer));
}
