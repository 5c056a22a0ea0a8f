//===- Clusters.cpp - Which statements share a loop over time -------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Clusters.h"

using namespace mlir;
using namespace rondo;

//===----------------------------------------------------------------------===//
// Timing
//===----------------------------------------------------------------------===//

/// The step of the loop that computes `point` of a statement's time dim.
static AffineExpr getStep(const Statement &statement, AffineExpr point,
                          IndexExprs &exprs) {
  if (!statement.blockSize)
    return point;
  return exprs.inBlocks(exprs.simplify(point.floorDiv(statement.blockSize)));
}

Timing Timing::get(const Access &access, ArrayRef<Loop> loops,
                   IndexExprs &exprs) {
  Timing timing;
  const Statement &producer = *access.tensor->producer;
  for (auto [l, loop] : llvm::enumerate(loops)) {
    const Statement &reader = *access.reader;
    AffineExpr now =
        getStep(reader, exprs.get(reader.indices[reader.timeDims[l]]), exprs);
    AffineExpr point = getStep(
        producer, exprs.get(access.subscripts[producer.timeDims[l]]), exprs);
    AffineExpr ago = exprs.simplify(
        loop.direction == Direction::Reversed ? point - now : now - point);
    timing.distances.push_back(
        {exprs.getLowerBound(ago), exprs.getUpperBound(ago), ago});
  }
  return timing;
}

bool Timing::isAligned() const {
  for (const Distance &distance : distances) {
    if (!distance.min || *distance.min < 0)
      return false;
    if (*distance.min > 0)
      return true;
  }
  return true;
}

bool Timing::isEarlier() const {
  return isAligned() && llvm::any_of(distances, [](const Distance &distance) {
           return distance.min && *distance.min > 0;
         });
}

bool Timing::isSame() const {
  return llvm::all_of(distances, [](const Distance &distance) {
    return distance.isExactly(0);
  });
}

bool Timing::isPrevious(unsigned level) const {
  for (auto [l, distance] : llvm::enumerate(distances))
    if (!distance.isExactly(l == level ? 1 : 0))
      return false;
  return true;
}

unsigned Timing::getLevel() const {
  for (auto [l, distance] : llvm::enumerate(distances))
    if (!distance.isExactly(0))
      return l;
  return distances.size();
}

//===----------------------------------------------------------------------===//
// Clusters
//===----------------------------------------------------------------------===//

bool Cluster::hasRecurrence() const {
  return llvm::any_of(nodes,
                      [](Node *node) { return isa<RecurrenceOp>(node->op); });
}

Clusters::Clusters(Program &program) : program(program) {
  KernelOp kernel = program.kernel;
  if (kernel.getTime())
    timeSize = program.exprs.getOfSizes(getAffineSymbolExpr(
        kernel.getSizeIndex(*kernel.getTime()), kernel.getContext()));
  for (std::unique_ptr<Node> &node : program.nodes) {
    list.push_back(std::make_unique<Cluster>());
    Cluster *cluster = list.back().get();
    cluster->nodes.push_back(node.get());
    byNode[node.get()] = cluster;
    auto recurrence = dyn_cast<RecurrenceOp>(node->op);
    if (!recurrence)
      continue;
    if (program.isInner(recurrence)) {
      cluster->loops.push_back(
          {node->statements[0]->result->shape[program.numBatch],
           Direction::Any});
      continue;
    }
    for (auto [size, reversed] :
         llvm::zip(recurrence.getSizes(), recurrence.getReversed()))
      cluster->loops.push_back(
          {program.exprs.get(size),
           reversed ? Direction::Reversed : Direction::Forward});
  }
  collectEdges();
  mergeAll();
  giveLoopToNarrowResults();
  order();
  for (std::unique_ptr<Cluster> &cluster : list)
    schedule(*cluster);
}

bool Clusters::isInside(const Access &access) const {
  const Tensor &tensor = *access.tensor;
  return tensor.producer && tensor.kind != Tensor::Kind::Initial &&
         of(tensor.node) == of(access.reader->node) &&
         !of(tensor.node)->loops.empty();
}

bool Clusters::isEarlier(const Access &access) const {
  return access.isPast || getTiming(access).isEarlier();
}

Timing Clusters::getTiming(const Access &access) const {
  return Timing::get(access, of(access.reader->node)->loops, program.exprs);
}

void Clusters::collectEdges() {
  for (std::unique_ptr<Node> &node : program.nodes) {
    auto add = [&](Tensor *tensor, const Access *access) {
      if (tensor && tensor->node && tensor->node != node.get())
        edges.push_back({tensor->node, node.get(), access});
    };
    for (Statement *statement : node->statements) {
      for (std::unique_ptr<Access> &access : statement->accesses) {
        bool whole = access->tensor->kind == Tensor::Kind::Final ||
                     access->tensor->kind == Tensor::Kind::Initial;
        add(access->tensor, whole ? nullptr : access.get());
        add(access->fallback, nullptr);
      }
    }
    if (auto recurrence = dyn_cast<RecurrenceOp>(node->op))
      for (Value initial : recurrence.getInitials())
        add(program.getTensor(initial), nullptr);
  }
}

/// Whether a path leads from one cluster to the other over a third.
bool Clusters::hasDetour(Cluster *from, Cluster *to) const {
  llvm::DenseSet<Cluster *> reached = {from};
  SmallVector<Cluster *> work = {from};
  while (!work.empty()) {
    Cluster *cluster = work.pop_back_val();
    for (const Edge &edge : edges) {
      Cluster *next = of(edge.consumer);
      if (of(edge.producer) != cluster || next == cluster)
        continue;
      if (next == to) {
        if (cluster != from)
          return true;
        continue;
      }
      if (reached.insert(next).second)
        work.push_back(next);
    }
  }
  return false;
}

void Clusters::mergeAll() {
  bool changed = true;
  while (changed) {
    changed = false;
    for (const Edge &edge : edges) {
      Cluster *a = of(edge.producer), *b = of(edge.consumer);
      if (a != b && edge.access && tryMerge(a, b))
        changed = true;
    }
  }
  llvm::erase_if(list, [](auto &cluster) { return cluster->nodes.empty(); });
}

bool Clusters::tryMerge(Cluster *a, Cluster *b) {
  if (isa<InitialOp>(a->nodes[0]->op) || isa<InitialOp>(b->nodes[0]->op))
    return false;
  SmallVector<Loop> loops;
  auto accept = [&]() {
    return combineLoops(a, b, loops) && isWorthwhile(a, b, loops) &&
           fixDirection(a, b, loops);
  };
  if (hasDetour(a, b) || !assignBoth(a, b, accept))
    return false;
  a->loops = loops;
  for (Node *node : b->nodes) {
    a->nodes.push_back(node);
    byNode[node] = a;
  }
  b->nodes.clear();
  b->loops.clear();
  return true;
}

/// Gives time dims to the equations of `a` and `b` that have none, such that
/// `accept` holds; takes them away again when that is not possible.
bool Clusters::assignBoth(Cluster *a, Cluster *b,
                          llvm::function_ref<bool()> accept) {
  // A cluster without loops is a single equation.
  if (!a->loops.empty() && !b->loops.empty())
    return accept();
  if (!a->loops.empty())
    return assign(b->nodes[0]->statements[0], a, b, accept);
  if (!b->loops.empty())
    return assign(a->nodes[0]->statements[0], a, b, accept);

  // Two equations: any parallel dim of the producer, time first.
  Statement *producer = a->nodes[0]->statements[0];
  SmallVector<unsigned> dims;
  for (bool time : {true, false})
    for (unsigned k = program.numBatch; k < producer->result->getRank(); ++k)
      if ((producer->result->shape[k] == timeSize) == time)
        dims.push_back(k);
  for (unsigned dim : dims) {
    producer->timeDims = {dim};
    a->loops = {{producer->result->shape[dim], Direction::Any}};
    if (assign(b->nodes[0]->statements[0], a, b, accept))
      return true;
    producer->timeDims.clear();
    a->loops.clear();
  }
  return false;
}

/// Finds the dims of `statement`, the equation of `a` or `b` that has no loops
/// yet, that advance with the loops of the other cluster: those that stand in
/// the subscripts of an access between them.
bool Clusters::assign(Statement *statement, Cluster *a, Cluster *b,
                      llvm::function_ref<bool()> accept) {
  bool isConsumer = of(statement->node) == b;
  Cluster *other = isConsumer ? a : b;
  IndexExprs &exprs = program.exprs;
  for (const Edge &edge : edges) {
    if (of(edge.producer) != a || of(edge.consumer) != b || !edge.access)
      continue;
    const Access &access = *edge.access;
    SmallVector<unsigned> dims;
    for (unsigned l = 0; l < other->loops.size(); ++l) {
      for (unsigned k = program.numBatch; k < statement->result->getRank();
           ++k) {
        // Consumer: its index k in the subscript of the producer's time dim.
        // Producer: the consumer's time index in the subscript of its dim k.
        Value index = isConsumer
                          ? statement->indices[k]
                          : access.reader->indices[access.reader->timeDims[l]];
        Value subscript =
            isConsumer ? access.subscripts[access.tensor->producer->timeDims[l]]
                       : access.subscripts[k];
        LinearExpr linear = LinearExpr::get(exprs.get(subscript));
        if (linear.getCoefficient(exprs.get(index)) == 1 &&
            statement->result->shape[k] == other->loops[l].size &&
            !llvm::is_contained(dims, k)) {
          dims.push_back(k);
          break;
        }
      }
      if (dims.size() != l + 1)
        break;
    }
    if (dims.size() != other->loops.size()) {
      if (isConsumer && other->loops.size() == 1 &&
          assignBlocks(statement, access, other->loops[0], accept))
        return true;
      continue;
    }
    statement->timeDims = dims;
    if (accept())
      return true;
    statement->timeDims.clear();
  }
  return false;
}

/// Lets `statement`, which reads a tensor of the loop's cluster, join the loop
/// in blocks.
bool Clusters::assignBlocks(Statement *statement, const Access &access,
                            const Loop &loop,
                            llvm::function_ref<bool()> accept) {
  IndexExprs &exprs = program.exprs;
  const Tensor &result = *statement->result;
  Statement *producer = access.tensor->producer;
  unsigned timeDim = producer->timeDims[0];
  // Blocks are computed where they stay.
  if (result.output >= 0) {
    TensorSpecAttr spec = program.kernel.getOutput(result.output);
    bool isCopied = spec.getElementType() != result.element &&
                    (!result.uses.empty() || statement->isReduction());
    if (isCopied || spec.getRole() != Role::Result ||
        spec.getShape().getNumResults() < result.getRank())
      return false;
  }
  for (unsigned k = program.numBatch; k < result.getRank(); ++k) {
    AffineExpr index = exprs.get(statement->indices[k]);
    AffineExpr subscript = exprs.get(access.subscripts[timeDim]);
    int64_t size = producer->blockSize;
    Value block = producer->block;
    if (size) {
      if (subscript != index ||
          result.shape[k] != access.tensor->shape[timeDim])
        continue;
    } else {
      auto quotient = dyn_cast<AffineBinaryOpExpr>(subscript);
      if (!quotient || quotient.getKind() != AffineExprKind::FloorDiv ||
          quotient.getLHS() != index ||
          !isa<AffineConstantExpr>(quotient.getRHS()))
        continue;
      size = cast<AffineConstantExpr>(quotient.getRHS()).getValue();
      block = producer->indices[timeDim];
    }
    if (!exprs.isEqual((result.shape[k] + (size - 1)).floorDiv(size),
                       loop.size))
      continue;
    statement->timeDims = {k};
    statement->blockSize = size;
    statement->block = block;
    exprs.setBlock(statement->indices[k], block, size);
    if (accept())
      return true;
    exprs.clearBlock(statement->indices[k]);
    statement->timeDims.clear();
    statement->blockSize = 0;
    statement->block = {};
  }
  return false;
}

bool Clusters::combineLoops(Cluster *a, Cluster *b, SmallVector<Loop> &loops) {
  loops = a->loops.empty() ? b->loops : a->loops;
  if (a->loops.empty() || b->loops.empty())
    return true;
  if (a->loops.size() != b->loops.size())
    return false;
  for (auto [l, loop] : llvm::enumerate(loops)) {
    const Loop &other = b->loops[l];
    if (loop.size != other.size)
      return false;
    if (loop.direction == Direction::Any)
      loop.direction = other.direction;
    else if (other.direction != Direction::Any &&
             other.direction != loop.direction)
      return false;
  }
  return true;
}

/// Whether every access between the clusters, in either, is aligned.
bool Clusters::allAligned(Cluster *a, Cluster *b, ArrayRef<Loop> loops) const {
  for (const Edge &edge : edges) {
    Cluster *producer = of(edge.producer), *consumer = of(edge.consumer);
    bool concerned =
        (producer == a || producer == b) && (consumer == a || consumer == b);
    if (!concerned)
      continue;
    if (!edge.access ||
        !Timing::get(*edge.access, loops, program.exprs).isAligned())
      return false;
  }
  return true;
}

/// Checks alignment; a direction that is still open is chosen when some access
/// is not at the same step.
bool Clusters::fixDirection(Cluster *a, Cluster *b,
                            SmallVector<Loop> &loops) const {
  if (loops.size() != 1 || loops[0].direction != Direction::Any)
    return allAligned(a, b, loops);
  SmallVector<Loop> forward = {{loops[0].size, Direction::Forward}};
  SmallVector<Loop> reversed = {{loops[0].size, Direction::Reversed}};
  bool runsForward = allAligned(a, b, forward);
  bool runsReversed = allAligned(a, b, reversed);
  if (!runsForward && !runsReversed)
    return false;
  if (runsForward != runsReversed)
    loops = runsForward ? forward : reversed;
  return true;
}

/// Equations share a loop only where that leaves inner dims to work on: a chain
/// of vectors is better computed vector by vector.
bool Clusters::isWorthwhile(Cluster *a, Cluster *b,
                            ArrayRef<Loop> loops) const {
  if (a->hasRecurrence() || b->hasRecurrence())
    return true;
  bool isTime = loops[0].size == timeSize;
  for (Cluster *cluster : {a, b}) {
    for (Node *node : cluster->nodes) {
      Statement *statement = node->statements[0];
      if (statement->timeDims[0] + 1 < statement->result->getRank() ||
          (isTime && statement->isReduction()))
        return true;
    }
  }
  return false;
}

/// A reduction that is returned in a narrower type needs a place to accumulate:
/// a loop over its first dim makes it small.
void Clusters::giveLoopToNarrowResults() {
  for (std::unique_ptr<Cluster> &cluster : list) {
    Statement *statement = cluster->nodes[0]->statements[0];
    Tensor *tensor = statement->result;
    if (!cluster->loops.empty() || isa<InitialOp>(cluster->nodes[0]->op) ||
        tensor->output < 0 || !statement->isReduction() ||
        !tensor->uses.empty() || tensor->getRank() < program.numBatch + 2 ||
        program.kernel.getOutput(tensor->output).getElementType() ==
            tensor->element)
      continue;
    statement->timeDims = {program.numBatch};
    cluster->loops = {{tensor->shape[program.numBatch], Direction::Any}};
  }
}

/// Sorts the clusters by their dependences, earlier in the program first.
void Clusters::order() {
  SmallVector<std::unique_ptr<Cluster>> sorted;
  llvm::DenseSet<Cluster *> done;
  while (!list.empty()) {
    auto best = list.end();
    for (auto it = list.begin(); it != list.end(); ++it) {
      bool ready = llvm::none_of(edges, [&](const Edge &edge) {
        return of(edge.consumer) == it->get() &&
               of(edge.producer) != it->get() &&
               !done.contains(of(edge.producer));
      });
      if (ready && (best == list.end() ||
                    (*it)->nodes[0]->order < (*best)->nodes[0]->order))
        best = it;
    }
    assert(best != list.end() && "a cycle between clusters");
    (*best)->id = sorted.size();
    done.insert(best->get());
    sorted.push_back(std::move(*best));
    list.erase(best);
  }
  list = std::move(sorted);
}

//===----------------------------------------------------------------------===//
// Order of the statements of a cluster
//===----------------------------------------------------------------------===//

namespace {

/// before[s]: the statements that must precede s.
using Precedence = llvm::DenseMap<Statement *, llvm::SmallVector<Statement *>>;

/// A topological order, earlier in the program first; empty on a cycle.
SmallVector<Statement *> sort(SmallVector<Statement *> statements,
                              const Precedence &before) {
  SmallVector<Statement *> sorted;
  llvm::DenseSet<Statement *> done;
  while (!statements.empty()) {
    auto it = llvm::find_if(statements, [&](Statement *statement) {
      auto found = before.find(statement);
      return found == before.end() ||
             llvm::all_of(found->second, [&](Statement *other) {
               return done.contains(other);
             });
    });
    if (it == statements.end())
      return {};
    done.insert(*it);
    sorted.push_back(*it);
    statements.erase(it);
  }
  return sorted;
}

} // namespace

void Clusters::schedule(Cluster &cluster) {
  SmallVector<Statement *> statements;
  for (Node *node : cluster.nodes)
    llvm::append_range(statements, node->statements);
  llvm::sort(statements,
             [](Statement *a, Statement *b) { return a->order < b->order; });
  // An iteration and an inner recurrence are scheduled as a whole, by their
  // first statement.
  llvm::DenseMap<Operation *, Statement *> first;
  auto unitOf = [&](Statement *statement) {
    Operation *whole = statement->iterate ? statement->iterate.getOperation()
                                          : statement->inner.getOperation();
    if (!whole)
      return statement;
    return first.try_emplace(whole, statement).first->second;
  };
  SmallVector<Statement *> units;
  for (Statement *statement : statements)
    if (unitOf(statement) == statement)
      units.push_back(statement);

  Precedence before;
  for (Statement *statement : statements)
    for (std::unique_ptr<Access> &access : statement->accesses) {
      // What an inner recurrence starts from.
      if (access->fallback && access->tensor->producer &&
          access->tensor->producer->isCarried() && access->fallback->producer &&
          of(access->fallback->node) == &cluster)
        before[unitOf(statement)].push_back(unitOf(access->fallback->producer));
      if (!isInside(*access) || isEarlier(*access))
        continue;
      auto add = [&](Statement *earlier) {
        if (unitOf(earlier) != unitOf(statement))
          before[unitOf(statement)].push_back(unitOf(earlier));
      };
      add(access->tensor->producer);
      // Outside of an iteration its result is read, not its guess.
      IterateOp iterate = access->tensor->iterate;
      if (iterate && statement->iterate != iterate)
        add(program.getTensor(iterate.getResidual())->producer);
    }
  SmallVector<Statement *> sorted = sort(units, before);

  for (Statement *writer : statements) {
    Precedence extended = before;
    bool useful = false;
    for (Access *access : writer->result->uses) {
      if (access->tensor != writer->result ||
          unitOf(access->reader) == unitOf(writer) || !isInside(*access) ||
          !isEarlier(*access))
        continue;
      extended[unitOf(writer)].push_back(unitOf(access->reader));
      useful = true;
    }
    if (!useful)
      continue;
    SmallVector<Statement *> better = sort(units, extended);
    if (better.empty())
      continue;
    before = extended;
    sorted = better;
  }
  for (Statement *unit : sorted)
    for (Statement *statement : statements)
      if (unitOf(statement) == unit)
        cluster.schedule.push_back(statement);
  for (auto [i, statement] : llvm::enumerate(cluster.schedule))
    statement->position = i;
}
