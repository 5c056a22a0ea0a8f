//===- Rows.cpp - Blocks of rows that share matrices ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Rows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace rondo;

std::optional<std::pair<unsigned, unsigned>>
Rows::find(const Statement *statement) const {
  for (auto [g, group] : llvm::enumerate(groups))
    for (auto [m, member] : llvm::enumerate(group.members))
      if (member.statement == statement)
        return std::make_pair(unsigned(g), unsigned(m));
  return std::nullopt;
}

/// The factors of a sum's term, or nothing where it is not of that kind.
static SmallVector<Value> getFactors(EquationOp op) {
  if (op.getCombiner() != Combiner::Sum || op.getYield().getFilter())
    return {};
  SmallVector<Value> worklist(op.getYield().getValues()), factors;
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    auto product = value.getDefiningOp<arith::MulFOp>();
    if (product && product->getBlock() == &op.getBlock())
      worklist.append({product.getRhs(), product.getLhs()});
    else
      factors.push_back(value);
  }
  return factors;
}

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

/// The indices of an equation behind a value of its body, and its ops.
static void collectSlice(EquationOp op, Value value,
                         llvm::SmallPtrSetImpl<Value> &indices,
                         llvm::SetVector<Operation *> &slice) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() == &op.getBlock())
      indices.insert(value);
    return;
  }
  Operation *def = value.getDefiningOp();
  if (def->getBlock() != &op.getBlock() || slice.contains(def))
    return;
  for (Value operand : def->getOperands())
    collectSlice(op, operand, indices, slice);
  slice.insert(def);
}

static bool isArgument(Value tensor) {
  auto argument = dyn_cast<BlockArgument>(tensor);
  return argument && isa<KernelOp>(argument.getOwner()->getParentOp());
}

static void separate(EquationOp op, unsigned numBatch) {
  SmallVector<Value> factors = getFactors(op);
  if (factors.size() < 3)
    return;
  // The factor with indices that no other has.
  Value matrix;
  llvm::SmallPtrSet<Value, 8> indices;
  llvm::SetVector<Operation *> slice;
  for (Value candidate : factors) {
    auto read = candidate.getDefiningOp<ReadOp>();
    if (!read || !isArgument(read.getSource()) || read.getFallback())
      continue;
    indices.clear();
    slice.clear();
    for (Value other : factors)
      if (other != candidate)
        collectSlice(op, other, indices, slice);
    if (llvm::any_of(read.getSubscripts(), [&](Value subscript) {
          return llvm::is_contained(op.getParallelIndices(), subscript) &&
                 !indices.contains(subscript);
        }))
      matrix = candidate;
    if (matrix)
      break;
  }
  bool isWhole = llvm::all_of(op.getReductionIndices(), [&](Value index) {
    return indices.contains(index);
  });
  for (Value lower : op.getLowers())
    isWhole &= matchPattern(lower, m_Zero());
  if (!matrix || !isWhole ||
      llvm::any_of(slice, [](Operation *each) { return isa<GatherOp>(each); }))
    return;

  SmallVector<Value> sizes, subscripts;
  for (auto [i, index] : llvm::enumerate(op.getParallelIndices())) {
    if (i >= numBatch && !indices.contains(index))
      continue;
    sizes.push_back(op.getSizes()[i]);
    subscripts.push_back(index);
  }
  for (auto [i, index] : llvm::enumerate(op.getReductionIndices())) {
    sizes.push_back(op.getUppers()[i]);
    subscripts.push_back(index);
  }
  OpBuilder builder(op);
  Type scalar = matrix.getType();
  auto equation = EquationOp::create(
      builder, op.getLoc(), (op.getName() + ".factors").str(), scalar, sizes);
  builder.setInsertionPointToStart(&equation.getBlock());
  IRMapping map;
  map.map(subscripts, equation.getParallelIndices());
  for (Operation *each : slice)
    builder.clone(*each, map);
  Value product;
  for (Value factor : factors) {
    if (factor == matrix)
      continue;
    Value value = map.lookupOrDefault(factor);
    product = product
                  ? arith::MulFOp::create(builder, op.getLoc(), product, value)
                        .getResult()
                  : value;
  }
  YieldOp::create(builder, op.getLoc(), product);
  YieldOp yield = op.getYield();
  builder.setInsertionPoint(yield);
  Value read = ReadOp::create(builder, op.getLoc(), scalar,
                              equation.getResult(), subscripts);
  Value term = arith::MulFOp::create(builder, op.getLoc(), matrix, read);
  yield.getValuesMutable()[0].set(term);
}

void rondo::separateFactors(KernelOp kernel) {
  for (auto recurrence : kernel.getBody().getOps<RecurrenceOp>()) {
    SmallVector<EquationOp> equations(
        recurrence.getBlock().getOps<EquationOp>());
    for (EquationOp equation : equations)
      separate(equation, kernel.getBatch().size());
  }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
class RowsFinder {
public:
  RowsFinder(Program &program, const Clusters &clusters)
      : program(program), clusters(clusters) {}
  std::optional<Rows> run();

private:
  std::optional<Product> match(Statement &statement);
  bool isProductOf(Product &product, const Access &matrix,
                   const Access &vector);
  bool isAlike(const Product &a, const Product &b);
  bool areAlike(const Product &a, const Product &b, ArrayRef<Value> mine,
                ArrayRef<Value> other);
  bool fits(const Product &product, unsigned dim);
  bool hasRows(unsigned dim);
  /// Number of a parallel index, or past them of a reduction index; -1: none.
  static int getIndex(Statement &statement, Value value);

  Program &program;
  const Clusters &clusters;
};
} // namespace

int RowsFinder::getIndex(Statement &statement, Value value) {
  auto parallel = llvm::find(statement.indices, value);
  if (parallel != statement.indices.end())
    return parallel - statement.indices.begin();
  auto reduced = llvm::find(statement.op.getReductionIndices(), value);
  if (reduced == statement.op.getReductionIndices().end())
    return -1;
  return statement.indices.size() +
         (reduced - statement.op.getReductionIndices().begin());
}

/// Fills in the packed indices.
bool RowsFinder::isProductOf(Product &product, const Access &matrix,
                             const Access &vector) {
  Statement &statement = *product.statement;
  if (matrix.tensor->kind != Tensor::Kind::Argument || matrix.fallback ||
      matrix.isGather() || vector.isGather() || !clusters.isInside(vector))
    return false;
  unsigned rank = statement.indices.size();
  unsigned numIndices = rank + statement.op.getReductionIndices().size();
  llvm::SmallBitVector inMatrix(numIndices), inVector(numIndices);
  for (Value subscript : matrix.subscripts) {
    int index = getIndex(statement, subscript);
    if (index < 0 || inMatrix.test(index) ||
        llvm::is_contained(statement.timeDims, unsigned(index)))
      return false;
    inMatrix.set(index);
  }
  for (auto [dim, subscript] : llvm::enumerate(vector.subscripts)) {
    if (llvm::is_contained(vector.tensor->producer->timeDims, dim))
      continue;
    int index = getIndex(statement, subscript);
    if (index < 0 || inVector.test(index))
      return false;
    inVector.set(index);
  }
  product.matrix = &matrix;
  product.vector = &vector;
  product.packed.clear();
  SmallVector<Value> reduced, columns;
  for (unsigned i = rank; i < numIndices; ++i) {
    if (!inMatrix.test(i) || !inVector.test(i))
      return false;
    reduced.push_back(statement.op.getReductionIndices()[i - rank]);
  }
  for (unsigned i = program.numBatch; i < rank; ++i)
    if (inMatrix.test(i))
      (inVector.test(i) ? product.packed : columns)
          .push_back(statement.indices[i]);
  for (auto [lower, upper] :
       llvm::zip(statement.op.getLowers(), statement.op.getUppers()))
    if (!matchPattern(lower, m_Zero()) ||
        !program.exprs.isOfSizes(program.exprs.get(upper)))
      return false;
  product.packed.append(reduced);
  product.packed.append(columns);
  return !reduced.empty() && !columns.empty();
}

/// A product whose result lives within a step.
std::optional<Product> RowsFinder::match(Statement &statement) {
  Tensor *result = statement.result;
  const Cluster *cluster = clusters.of(statement.node);
  if (!statement.recurrence || statement.timeDims.size() != 1 ||
      cluster->loops.size() != 1 || result->isState() || result->output >= 0 ||
      !isa<FloatType>(result->element))
    return std::nullopt;
  for (const Access *use : result->uses)
    if (use->tensor != result || use->isGather() || !clusters.isInside(*use) ||
        !clusters.getTiming(*use).isSame())
      return std::nullopt;
  SmallVector<Value> factors = getFactors(statement.op);
  if (factors.size() != 2)
    return std::nullopt;
  SmallVector<const Access *> accesses;
  for (Value factor : factors) {
    Operation *def = factor.getDefiningOp();
    const Access *access = def ? statement.getAccess(def) : nullptr;
    if (!access || factor.getType() != result->element)
      return std::nullopt;
    accesses.push_back(access);
  }
  Product product;
  product.statement = &statement;
  if (isProductOf(product, *accesses[0], *accesses[1]) ||
      isProductOf(product, *accesses[1], *accesses[0]))
    return product;
  return std::nullopt;
}

/// Whether products have one vector, and the same indices everywhere.
bool RowsFinder::isAlike(const Product &a, const Product &b) {
  Statement &first = *a.statement, &second = *b.statement;
  if (first.recurrence != second.recurrence ||
      first.result->element != second.result->element ||
      first.result->shape != second.result->shape ||
      a.vector->tensor != b.vector->tensor ||
      a.vector->fallback != b.vector->fallback ||
      a.packed.size() != b.packed.size() ||
      first.op.getUppers() != second.op.getUppers() ||
      first.op.getLowers() != second.op.getLowers())
    return false;
  return areAlike(a, b, a.packed, b.packed) &&
         areAlike(a, b, a.vector->subscripts, b.vector->subscripts) &&
         areAlike(a, b, a.vector->fallbackSubscripts,
                  b.vector->fallbackSubscripts);
}

bool RowsFinder::areAlike(const Product &a, const Product &b,
                          ArrayRef<Value> mine, ArrayRef<Value> other) {
  return llvm::equal(mine, other, [&](Value x, Value y) {
    int index = getIndex(*a.statement, x);
    return index < 0 ? program.exprs.get(x) == program.exprs.get(y)
                     : index == getIndex(*b.statement, y);
  });
}

/// Whether the points of a batch dim share the matrix.
bool RowsFinder::fits(const Product &product, unsigned dim) {
  return !llvm::is_contained(product.matrix->subscripts,
                             product.statement->indices[dim]);
}

/// Whether everything in the kernel can be computed for several points.
bool RowsFinder::hasRows(unsigned dim) {
  auto size = dyn_cast<AffineConstantExpr>(program.batchSizes[dim]);
  if (size && size.getValue() < Rows::kLeastRows)
    return false;
  for (const std::unique_ptr<Statement> &statement : program.statements)
    if (statement->inner || statement->iterate || statement->blockSize)
      return false;
  for (unsigned i = 0; i < program.kernel.getOutputs().size(); ++i) {
    TensorSpecAttr spec = program.kernel.getOutput(i);
    bool isReturned = false;
    for (unsigned d = 0; d < spec.getShape().getNumResults(); ++d)
      isReturned |= spec.getReturnedDim(d) == dim;
    if (!isReturned)
      return false;
  }
  return true;
}

std::optional<Rows> RowsFinder::run() {
  SmallVector<Product> products;
  for (const std::unique_ptr<Cluster> &cluster : clusters.list)
    for (Statement *statement : cluster->schedule)
      if (std::optional<Product> product = match(*statement))
        products.push_back(std::move(*product));
  for (unsigned dim = 0; dim < program.numBatch; ++dim) {
    Rows rows;
    rows.dim = dim;
    for (const Product &product : products) {
      if (!fits(product, dim))
        continue;
      const Cluster *cluster = clusters.of(product.statement->node);
      auto group = llvm::find_if(rows.groups, [&](const ProductGroup &each) {
        return each.cluster == cluster && isAlike(each.members[0], product);
      });
      if (group == rows.groups.end()) {
        rows.groups.push_back({cluster, {product}});
        continue;
      }
      const Product &first = group->members[0];
      group->areAlike &=
          first.matrix->tensor->element == product.matrix->tensor->element &&
          areAlike(first, product, first.matrix->subscripts,
                   product.matrix->subscripts);
      group->members.push_back(product);
    }
    if (!rows.groups.empty() && hasRows(dim))
      return rows;
  }
  return std::nullopt;
}

std::optional<Rows> rondo::findRows(Program &program,
                                    const Clusters &clusters) {
  return RowsFinder(program, clusters).run();
}
