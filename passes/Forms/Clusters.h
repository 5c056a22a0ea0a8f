//===- Clusters.h - Which statements share a loop over time -----*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// A cluster is a set of nodes that are computed in one nest of loops, one step
// at a time: for every dim that the loops run over ("time"), every statement
// has one dim of its result that advances with it. A recurrence brings its
// along dims; clusters of equations only have one loop, over a parallel dim.
//
// Nodes start as clusters of their own. Then, over edges producer -> consumer
// in the order of the program until nothing changes, two clusters are merged
// when
//   - their loops have the same sizes and directions that agree (a cluster
//     whose statements read the same step only takes any direction);
//   - every access between them is *aligned*: the point read is not later, in
//     the order of the loops, than the point computed. The distance, e.g.
//       (t) - (t - t mod 16 - 1) = (t mod 16) + 1  in 1..16,
//     is found and bounded symbolically (IndexExprs.h);
//   - no third cluster lies between them, so that the order of clusters stays
//     acyclic.
// An equation that reads s[t div n], one step of a loop over the blocks of n of
// its own steps, joins that loop *in blocks*: a step of it computes n steps of
// the equation.
//
// What is read in another way (all u of s[t, u], later times) must be complete
// before: its producer stays in an earlier cluster.
//
// Inside a cluster, a statement comes after those it may read at the same step.
// Where that is possible without a cycle, statements that read the step before
// come before the one that overwrites it; Storage.h profits.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_PASSES_FORMS_CLUSTERS_H
#define RONDO_PASSES_FORMS_CLUSTERS_H

#include "passes/Forms/Program.h"

namespace rondo {

enum class Direction { Any, Forward, Reversed };

struct Loop {
  mlir::AffineExpr size;
  Direction direction;
};

struct Cluster {
  unsigned id = 0; // position in the order of execution
  llvm::SmallVector<Node *> nodes;
  llvm::SmallVector<Loop> loops; // outermost first; none: equations as a whole
  llvm::SmallVector<Statement *> schedule;

  bool hasRecurrence() const;
};

/// How many steps before the point computed the point read lies, per loop.
struct Distance {
  std::optional<int64_t> min, max;
  mlir::AffineExpr expr;
  bool isExactly(int64_t value) const { return min == value && max == value; }
};

/// Distances of an access between statements that share loops.
struct Timing {
  llvm::SmallVector<Distance> distances;

  static Timing get(const Access &access, llvm::ArrayRef<Loop> loops,
                    IndexExprs &exprs);
  /// Not later than the step computed.
  bool isAligned() const;
  /// Surely at an earlier step.
  bool isEarlier() const;
  /// Surely at the same step.
  bool isSame() const;
  /// Exactly one step before in loop `level`, at the same point of the others.
  bool isPrevious(unsigned level) const;
  /// The outermost loop whose distance is not surely 0.
  unsigned getLevel() const;
};

class Clusters {
public:
  explicit Clusters(Program &program);

  /// In an order in which every cluster reads only earlier ones and itself.
  llvm::SmallVector<std::unique_ptr<Cluster>> list;
  Cluster *of(const Node *node) const { return byNode.lookup(node); }
  /// Whether `access` reads a tensor of the reader's own cluster.
  bool isInside(const Access &access) const;
  /// Whether an access inside a cluster surely reads an earlier step.
  bool isEarlier(const Access &access) const;
  Timing getTiming(const Access &access) const;

private:
  struct Edge {
    Node *producer, *consumer;
    const Access *access; // null: the producer must be complete
  };
  void collectEdges();
  void mergeAll();
  bool tryMerge(Cluster *a, Cluster *b);
  bool hasDetour(Cluster *from, Cluster *to) const;
  bool assign(Statement *statement, Cluster *a, Cluster *b,
              llvm::function_ref<bool()> accept);
  bool assignBlocks(Statement *statement, const Access &access,
                    const Loop &loop, llvm::function_ref<bool()> accept);
  bool assignBoth(Cluster *a, Cluster *b, llvm::function_ref<bool()> accept);
  bool combineLoops(Cluster *a, Cluster *b, llvm::SmallVector<Loop> &loops);
  bool allAligned(Cluster *a, Cluster *b, llvm::ArrayRef<Loop> loops) const;
  bool fixDirection(Cluster *a, Cluster *b,
                    llvm::SmallVector<Loop> &loops) const;
  bool isWorthwhile(Cluster *a, Cluster *b, llvm::ArrayRef<Loop> loops) const;
  void giveLoopToNarrowResults();
  void order();
  void schedule(Cluster &cluster);

  Program &program;
  mlir::AffineExpr timeSize; // null: none
  llvm::SmallVector<Edge> edges;
  llvm::DenseMap<const Node *, Cluster *> byNode;
};

} // namespace rondo

#endif // RONDO_PASSES_FORMS_CLUSTERS_H
