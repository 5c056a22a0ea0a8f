//===- Graph.h - Which equation reads which ---------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_SEMA_GRAPH_H
#define RONDO_FRONTEND_SEMA_GRAPH_H

#include "frontend/Sema/Internal.h"

namespace rondo::frontend::sema {

/// One read of a tensor that has an equation.
struct Access {
  unsigned reader, target; // numbers of equations
  const Expr *read;
  const Piece *piece; // null: in the initial value of a state
  /// Conditions that hold (or do not hold) where the value is used.
  std::vector<std::pair<const Expr *, bool>> path;
  /// Recurrences: reader's position minus subscript, per along dim.
  std::vector<Poly> distance;
  bool sameTime = false;
};

struct Graph {
  std::vector<EqInfo *> equations;
  std::vector<std::vector<Access>> accesses; // by reader

  /// Strongly connected components among `nodes` along the accesses that
  /// `follow` accepts, each after those that it reads.
  std::vector<std::vector<unsigned>>
  components(llvm::ArrayRef<unsigned> nodes,
             llvm::function_ref<bool(const Access &)> follow) const;
  /// A cycle of accepted accesses through the members of one component.
  std::vector<const Access *>
  cycle(llvm::ArrayRef<unsigned> members,
        llvm::function_ref<bool(const Access &)> follow) const;
};

/// A component with states, while it is analysed. Everything is parallel to
/// `members`.
struct Recurrence {
  std::vector<unsigned> members;
  unsigned alongCount = 1;
  /// Position in the layout of each along dim; empty while not known.
  std::vector<std::vector<unsigned>> position;
  std::vector<bool> reversed;
  std::vector<Access *> accesses; // among members, without initial values
  llvm::DenseMap<unsigned, unsigned> places; // of equations in `members`
  int find(unsigned equation) const {
    auto it = places.find(equation);
    return it == places.end() ? -1 : int(it->second);
  }
};

} // namespace rondo::frontend::sema

#endif // RONDO_FRONTEND_SEMA_GRAPH_H
