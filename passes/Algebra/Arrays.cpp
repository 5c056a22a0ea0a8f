//===- Arrays.cpp - A kernel as definitions of arrays ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Algebra/Arrays.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/AffineExprVisitor.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

SmallVector<Expr>
rondo::algebra::indexExprs(Context &context,
                           ArrayRef<const Variable *> variables) {
  SmallVector<Expr> exprs;
  for (const Variable *variable : variables)
    exprs.push_back(context.variable(variable));
  return exprs;
}

std::pair<const Variable *, int64_t> rondo::algebra::takeLag(Expr point) {
  int64_t lag = 0;
  while (point->isOp("arith.addi") || point->isOp("arith.subi")) {
    bool isSum = point->isOp("arith.addi");
    bool isFirst = isSum && point->args[0]->kind == Kind::Integer;
    Expr constant = point->args[isFirst ? 0 : 1];
    if (constant->kind != Kind::Integer)
      return {nullptr, 0};
    lag += isSum ? -constant->integer : constant->integer;
    point = point->args[isFirst ? 1 : 0];
  }
  return {point->kind == Kind::Variable ? point->variable : nullptr, lag};
}

Arrays::~Arrays() {
  for (Operation *op : standIns)
    if (op->use_empty())
      op->erase();
}

/// What bodies see of elements of this type.
static Type scalarType(Type element, Type real) {
  if (isa<FloatType>(element))
    return real;
  return element.isInteger(1) ? element
                              : Type(IndexType::get(element.getContext()));
}

Array &Arrays::append(const Twine &name, Value value, ValueRange sizes) {
  arrays.emplace_back(name, value.getLoc(),
                      cast<RankedTensorType>(value.getType()).getElementType(),
                      value, value);
  Array &array = arrays.back();
  byValue[value] = &array;
  Value zero = getConstant(0);
  for (Value size : sizes)
    array.variables.push_back(context.fresh(zero, size));
  return array;
}

Array &Arrays::add(const Twine &name, Location loc, Type type,
                   ArrayRef<const Variable *> variables) {
  OpBuilder builder = OpBuilder::atBlockBegin(&kernel.getBody().front());
  SmallVector<int64_t> dims(variables.size(), ShapedType::kDynamic);
  auto standIn = UnrealizedConversionCastOp::create(
      builder, loc, RankedTensorType::get(dims, type), ValueRange());
  standIns.push_back(standIn);
  arrays.emplace_back(name, loc, type, standIn.getResult(0), Value());
  Array &array = arrays.back();
  array.variables.assign(variables.begin(), variables.end());
  byValue[array.value] = &array;
  return array;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

/// The result of an op of the kernel's block that `isIt` accepts; made at its
/// beginning if there is none.
Value Arrays::getScalar(llvm::function_ref<bool(Operation &)> isIt,
                        llvm::function_ref<Value(OpBuilder &)> make) {
  Block &block = kernel.getBody().front();
  for (Operation &op : block)
    if (op.getNumResults() == 1 && op.getNumRegions() == 0 && isIt(op)) {
      // Before everything that may use it; its operands are sizes, too.
      return op.getResult(0);
    }
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  return make(builder);
}

Value Arrays::getConstant(int64_t value) {
  return getScalar(
      [&](Operation &op) {
        return isa<arith::ConstantIndexOp>(op) &&
               getConstantIntValue(op.getResult(0)) == value;
      },
      [&](OpBuilder &builder) -> Value {
        return arith::ConstantIndexOp::create(builder, kernel.getLoc(), value);
      });
}

Value Arrays::getSize(AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return getConstant(constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    unsigned position = symbol.getPosition();
    if (int64_t bound = kernel.getBound()[position]; bound >= 0)
      return getConstant(bound);
    StringRef name = cast<StringAttr>(kernel.getSizes()[position]).getValue();
    return getScalar(
        [&](Operation &op) {
          auto size = dyn_cast<SizeOp>(op);
          return size && size.getName() == name;
        },
        [&](OpBuilder &builder) -> Value {
          return SizeOp::create(builder, kernel.getLoc(),
                                builder.getIndexType(), name);
        });
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value a = getSize(binary.getLHS()), b = getSize(binary.getRHS());
  OpBuilder builder(kernel.getContext());
  builder.setInsertionPointAfterValue(b);
  if (a.getDefiningOp() && b.getDefiningOp() &&
      b.getDefiningOp()->isBeforeInBlock(a.getDefiningOp()))
    builder.setInsertionPointAfterValue(a);
  StringRef op = expr.getKind() == AffineExprKind::Add   ? "arith.addi"
                 : expr.getKind() == AffineExprKind::Mul ? "arith.muli"
                 : expr.getKind() == AffineExprKind::FloorDiv
                     ? "arith.floordivsi"
                 : expr.getKind() == AffineExprKind::CeilDiv ? "arith.ceildivsi"
                                                             : "arith.remsi";
  for (Operation &each : kernel.getBody().front())
    if (each.getName().getStringRef() == op && each.getOperand(0) == a &&
        each.getOperand(1) == b)
      return each.getResult(0);
  OperationState state(kernel.getLoc(), op);
  state.addOperands({a, b});
  state.addTypes(builder.getIndexType());
  return builder.create(state)->getResult(0);
}

//===----------------------------------------------------------------------===//
// Definitions
//===----------------------------------------------------------------------===//

void Arrays::addArguments() {
  for (BlockArgument argument : kernel.getBody().getArguments()) {
    TensorSpecAttr spec = kernel.getInput(argument.getArgNumber());
    SmallVector<Value> sizes;
    for (AffineExpr size : spec.getShape().getResults())
      sizes.push_back(getSize(size));
    append(spec.getName(), argument, sizes);
  }
}

void Arrays::addEquation(EquationOp op) {
  Array &array = append(op.getName(), op.getResult(), op.getSizes());
  array.loc = op.getLoc();
  array.definition =
      Importer(context).instantiate(op, indexExprs(context, array.variables));
}

/// Scalar code that is the same at all steps, in front of the recurrence.
static void hoistScalars(RecurrenceOp op) {
  for (Operation &each : llvm::make_early_inc_range(op.getBlock())) {
    if (each.getNumRegions() || each.getNumResults() != 1 ||
        !each.getResult(0).getType().isIntOrIndexOrFloat())
      continue;
    bool isSame = llvm::none_of(each.getOperands(), [&](Value operand) {
      return operand.getParentBlock() == &op.getBlock();
    });
    if (isSame)
      each.moveBefore(op);
  }
}

/// The arrays of a region first: its equations read the pasts of all members.
LogicalResult Arrays::addRecurrence(RecurrenceOp op) {
  hoistScalars(op);
  for (Operation &each : op.getBlock())
    if (isa<RecurrenceOp, IterateOp>(each))
      return each.emitError("cannot differentiate: a recurrence within a step "
                            "of another one");
  for (EquationOp equation : op.getBlock().getOps<EquationOp>()) {
    SmallVector<Value> sizes(equation.getSizes());
    sizes.insert(sizes.begin() + op.getBatch(), op.getSizes().begin(),
                 op.getSizes().end());
    int member = -1;
    for (unsigned i = 0; i < op.getNumMembers(); ++i)
      if (op.getSlice(i) == equation.getResult() && member < 0)
        member = i;
    Array *array;
    if (member >= 0) {
      array = &append(equation.getName(), op.getHistory(member), sizes);
    } else {
      SmallVector<const Variable *> variables;
      Value zero = getConstant(0);
      for (Value size : sizes)
        variables.push_back(context.fresh(zero, size));
      array = &add(equation.getName(), equation.getLoc(),
                   cast<RankedTensorType>(equation.getResult().getType())
                       .getElementType(),
                   variables);
    }
    array->loc = equation.getLoc();
    array->recurrence = op;
    byValue[equation.getResult()] = array;
  }
  for (unsigned i = 0; i < op.getNumMembers(); ++i) {
    Array *array = byValue.lookup(op.getSlice(i));
    if (!array)
      return op.emitError("cannot differentiate: '")
             << op.getName(i) << "' is not defined by an equation of its own";
    byValue[op.getHistory(i)] = byValue[op.getPast(i)] = array;
    if (i < op.getNumStates()) {
      if (array->initial)
        return op.emitError("cannot differentiate: '")
               << op.getName(i) << "' is two states";
      array->initial = op.getInitials()[i];
      array->final = op.getFinal(i);
    }
  }
  return addDefinitions(op);
}

LogicalResult Arrays::addDefinitions(RecurrenceOp op) {
  for (EquationOp equation : op.getBlock().getOps<EquationOp>()) {
    Array &array = *byValue.lookup(equation.getResult());
    SmallVector<Expr> indices = indexExprs(context, array.variables);
    SmallVector<Expr> along(array.along(ArrayRef<Expr>(indices)));
    Expr body = Importer(context).instantiate(
        equation, array.withoutAlong(ArrayRef<Expr>(indices)));
    llvm::DenseMap<Expr, Expr> here;
    for (auto [index, expr] : llvm::zip_equal(op.getAlongIndices(), along))
      here[context.leaf(index)] = expr;
    body = context.substitute(body, here);
    // Slices are the points of this step, pasts the arrays themselves.
    array.definition = context.replaceReads(body, [&](Expr read) {
      Array *source = byValue.lookup(read->value);
      if (!source || source->recurrence != op)
        return read;
      SmallVector<Expr> subscripts(read->subscripts());
      ArrayRef<Expr> rest = ArrayRef(read->args).drop_front(subscripts.size());
      DictionaryAttr gather = read->attributes;
      if (subscripts.size() < source->variables.size()) {
        subscripts.insert(subscripts.begin() + op.getBatch(), along.begin(),
                          along.end());
        if (gather) {
          SmallVector<int64_t> dims(
              gather.getAs<DenseI64ArrayAttr>("dims").asArrayRef());
          for (int64_t &dim : dims)
            if (dim >= static_cast<int64_t>(op.getBatch()))
              dim += along.size();
          Builder builder(context.getContext());
          gather = builder.getDictionaryAttr(
              {builder.getNamedAttr("dims", builder.getDenseI64ArrayAttr(dims)),
               builder.getNamedAttr("name", gather.get("name"))});
        }
      }
      return context.read(source->value, subscripts, read->fallback, rest,
                          read->type, gather);
    });
    if (failed(checkDefinition(array)))
      return failure();
  }
  return success();
}

/// Of a region's equation: it is known outside, too.
LogicalResult Arrays::checkDefinition(Array &array) {
  Block *block = &kernel.getBody().front();
  Value inside;
  walk(array.definition, [&](Expr node) {
    Value scalar = node->value;
    if (node->kind == Kind::Value && scalar.getParentBlock() != block)
      inside = scalar;
    for (const Variable *each : node->variables)
      for (Value bound : {each->lower, each->upper})
        if (bound.getParentBlock() != block)
          inside = bound;
  });
  if (inside)
    return emitError(array.loc)
           << "cannot differentiate '" << array.name
           << "': the range of one of its indices depends on the step";
  return success();
}

LogicalResult Arrays::build() {
  addArguments();
  // Bodies compute in one type of real numbers.
  Type real;
  kernel.walk([&](EquationOp op) {
    if (!real && isa<FloatType>(op.getScalarType()))
      real = op.getScalarType();
  });
  if (!real)
    real = Float32Type::get(kernel.getContext());
  for (Operation &op : llvm::make_early_inc_range(kernel.getBody().front())) {
    if (auto equation = dyn_cast<EquationOp>(op)) {
      addEquation(equation);
    } else if (auto recurrence = dyn_cast<RecurrenceOp>(op)) {
      if (failed(addRecurrence(recurrence)))
        return failure();
    } else if (auto initial = dyn_cast<InitialOp>(op)) {
      auto declared = initial.getDeclared().getDefiningOp<EquationOp>();
      if (!declared)
        return op.emitError("cannot differentiate: the declared initial value "
                            "is no equation");
      Array &array =
          append(declared.getName(), initial.getResult(), declared.getSizes());
      array.choice = initial;
    } else if (isa<ScanOp, AttentionOp, ConvolutionOp, TriangularSolveOp,
                   IterateOp>(op)) {
      return op.emitError("cannot differentiate '")
             << op.getName() << "': run rondo-decompose before";
    }
  }
  for (Array &array : arrays)
    array.type = scalarType(array.type, real);
  return success();
}
