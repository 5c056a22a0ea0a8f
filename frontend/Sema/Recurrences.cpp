//===- Recurrences.cpp - Components with states ---------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For a set of equations that need each other's earlier values: which index of
// each is the one along which the states run, how far back every read reaches,
// in which direction the recurrence runs, and in which order the equations are
// computed at one point. Every read must lie provably before the point that is
// computed.
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Graph.h"
#include "llvm/ADT/STLExtras.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;
using model::Op;

static llvm::StringRef nameOf(const Graph &graph, unsigned equation) {
  return graph.equations[equation]->target->name;
}

static llvm::SMRange lhsOf(const Graph &graph, unsigned equation) {
  return graph.equations[equation]->target->items[0]->lhsRange;
}

/// Of a long cycle only the first members are named.
static constexpr size_t maxNamed = 8;

static std::string quotedNames(const Graph &graph,
                               llvm::ArrayRef<const Access *> cycle) {
  std::string text;
  for (size_t i = 0; i < cycle.size() && i < maxNamed; ++i)
    text += (i ? ", `" : "`") + nameOf(graph, cycle[i]->reader).str() + "`";
  return text + (cycle.size() > maxNamed ? ", .." : "");
}

/// Which equation needs which, around the cycle.
static void noteCycle(Error &error, const Graph &graph,
                      llvm::ArrayRef<const Access *> cycle) {
  for (size_t i = 0; i < cycle.size() && i < maxNamed; ++i)
    error.note(llvm::SMRange(cycle[i]->read->loc, cycle[i]->read->loc),
               "`" + nameOf(graph, cycle[i]->reader) + "` needs `" +
                   nameOf(graph, cycle[i]->target) + "` here");
}

//===----------------------------------------------------------------------===//
// Cycles that no state breaks
//===----------------------------------------------------------------------===//

void KernelAnalyzer::reportSameTime(Graph &graph,
                                    llvm::ArrayRef<const Access *> cycle) {
  const Access &first = *cycle.front();
  llvm::SMRange place(first.read->loc, first.read->loc);
  if (cycle.size() == 1) {
    reporter
        .error(place, "`" + nameOf(graph, first.reader) +
                          "` is defined by itself at the same time step")
        .expected("a value from another time step, such as `" +
                  nameOf(graph, first.reader) + "[t-1, ..]` of a state")
        .note(lhsOf(graph, first.reader), "in the equation that starts here");
    return;
  }
  auto &&error = reporter.error(place, "cycle at the same time step: " +
                                           quotedNames(graph, cycle));
  error.expected("an order in which each value is computed from earlier ones");
  error.hint(
      "let one of them use a state at an earlier time, such as `S[t-1]`");
  noteCycle(error, graph, cycle);
}

/// Does the access read the very point of the left side, or one that differs
/// only in which plain indices it names?
static bool readsSamePoint(const Graph &graph, const Access &access) {
  const EqInfo &eq = *graph.equations[access.reader];
  for (size_t i = 0; i < access.read->args.size(); ++i) {
    const Expr *arg = access.read->args[i];
    if (arg->kind != Expr::Kind::Index)
      return false;
    if (access.reader == access.target && arg->index != eq.eq->indices[i])
      return false;
  }
  return true;
}

/// `state h: [D]` as the user would declare it; the first index is the time.
static std::string declarationFor(PolyContext &polys, const View &view) {
  std::string shape;
  for (size_t s = 1; s < view.subscripts.size(); ++s) {
    const Dim &dim = view.info->dims[view.subscripts[s]];
    shape += (s > 1 ? ", " : "") +
             (dim.known ? polys.str(dim.poly) : std::string(".."));
  }
  return "[" + shape + "]";
}

void KernelAnalyzer::reportNoState(Graph &graph,
                                   llvm::ArrayRef<unsigned> members) {
  auto any = [](const Access &) { return true; };
  // A cycle inside one point is an error whatever is declared.
  for (auto &part : graph.components(members, [&](const Access &access) {
         return readsSamePoint(graph, access);
       })) {
    auto cycle = graph.cycle(part, [&](const Access &access) {
      return readsSamePoint(graph, access);
    });
    if (!cycle.empty()) {
      reportSameTime(graph, cycle);
      return;
    }
  }
  auto cycle = graph.cycle(members, any);
  if (cycle.empty())
    return;
  const Access *shifted = cycle.front();
  for (const Access *access : cycle)
    if (!readsSamePoint(graph, *access)) {
      shifted = access;
      break;
    }
  const View &view = *graph.equations[shifted->target]->target;
  llvm::SMRange place(shifted->read->loc, shifted->read->loc);
  auto &&error = reporter.error(
      place, cycle.size() == 1
                 ? "`" + view.name +
                       "` is defined from its own values but is "
                       "not declared as a state"
                 : "tensors are defined from each other and none is declared "
                   "as a state: " +
                       quotedNames(graph, cycle));
  std::string shape = declarationFor(polys, view);
  if (view.subscripts.empty()) {
    error.expected("an equation that does not need its own value");
  } else if (view.role == Tensor::Role::Output) {
    error.expected("a state, `state s: " + shape + "`");
    error.hint("compute the state and then the result from it, `" + view.name +
               "[t, ..] = s[t, ..]`");
  } else {
    error.expected("`state " + view.name + ": " + shape + "`");
  }
  if (cycle.size() > 1)
    noteCycle(error, graph, cycle);
  else
    error.note(view.decl, "`" + view.name + "` is " +
                              (view.implicit ? "defined" : "declared") +
                              " here");
}

/// A cycle through locals and results alone.
bool KernelAnalyzer::checkStatelessCycles(Graph &graph, Recurrence &rec) {
  auto isState = [&](unsigned i) {
    return graph.equations[i]->target->role == Tensor::Role::State;
  };
  std::vector<unsigned> others;
  for (unsigned member : rec.members)
    if (!isState(member))
      others.push_back(member);
  bool good = true;
  for (auto &part :
       graph.components(others, [](const Access &) { return true; })) {
    bool cyclic = part.size() > 1;
    for (const Access &access : graph.accesses[part[0]])
      cyclic |= access.target == part[0];
    if (cyclic) {
      reportNoState(graph, part);
      good = false;
    }
  }
  return good;
}

//===----------------------------------------------------------------------===//
// Which index is the time
//===----------------------------------------------------------------------===//

/// Through one read between a member whose time is known and one whose time is
/// not: where the same index stands on the other side. Empty when that is not
/// clear.
std::vector<unsigned> KernelAnalyzer::matchThrough(Graph &graph,
                                                   Recurrence &rec,
                                                   const Access &access,
                                                   bool toTarget) {
  const model::Equation &reader = *graph.equations[access.reader]->eq;
  size_t known = size_t(rec.find(toTarget ? access.reader : access.target));
  std::vector<unsigned> found;
  for (unsigned a = 0; a < rec.alongCount; ++a) {
    unsigned at = rec.position[known][a], count = 0, place = 0;
    size_t candidates =
        toTarget ? access.read->args.size() : reader.indices.size();
    for (unsigned p = 0; p < candidates; ++p) {
      const Expr *subscript = access.read->args[toTarget ? p : at];
      const Index *index = reader.indices[toTarget ? at : p];
      if (!polys.mentions(polys.fromExpr(subscript), index))
        continue;
      ++count;
      place = p;
    }
    if (count == 1 && !llvm::is_contained(found, place))
      found.push_back(place);
  }
  if (found.size() != rec.alongCount)
    found.clear();
  return found;
}

/// The dims of a member that are as long as the time, if they are unique.
std::vector<unsigned>
KernelAnalyzer::matchByLength(Graph &graph, Recurrence &rec, unsigned member) {
  const View &view = *graph.equations[member]->target;
  std::vector<unsigned> found;
  for (unsigned a = 0; a < rec.alongCount; ++a) {
    Poly extent;
    for (size_t s = 0; s < rec.members.size(); ++s) {
      const View &state = *graph.equations[rec.members[s]]->target;
      if (state.role == Tensor::Role::State)
        extent = state.info->dims[rec.position[s][a]].poly;
    }
    unsigned count = 0, place = 0;
    for (unsigned p : view.subscripts)
      if (view.info->dims[p].poly == extent) {
        ++count;
        place = p;
      }
    if (count != 1 || llvm::is_contained(found, place))
      return {};
    found.push_back(place);
  }
  return found;
}

/// Fills `position` of every member; the states have theirs already.
bool KernelAnalyzer::matchAlong(Graph &graph, Recurrence &rec) {
  bool progress = true;
  while (progress) {
    progress = false;
    for (Access *access : rec.accesses) {
      if (!access->piece->general)
        continue;
      std::vector<unsigned> &reader =
          rec.position[size_t(rec.find(access->reader))];
      std::vector<unsigned> &target =
          rec.position[size_t(rec.find(access->target))];
      if (reader.empty() == target.empty())
        continue;
      bool toTarget = target.empty();
      std::vector<unsigned> found = matchThrough(graph, rec, *access, toTarget);
      progress |= !found.empty();
      (toTarget ? target : reader) = found;
    }
  }
  for (size_t m = 0; m < rec.members.size(); ++m) {
    if (rec.position[m].empty())
      rec.position[m] = matchByLength(graph, rec, rec.members[m]);
    if (!rec.position[m].empty())
      continue;
    if (reporter.errorCount() != errorsAtStart)
      return false; // what could not be resolved may have told it
    auto &&error = reporter.error(
        lhsOf(graph, rec.members[m]),
        "`" + nameOf(graph, rec.members[m]) +
            "` takes part in a recurrence, but none of its indices is the "
            "one over which the states run");
    error.expected("an index that also stands where the states have their "
                   "time");
    for (unsigned member : rec.members)
      if (graph.equations[member]->target->role == Tensor::Role::State)
        error.note(lhsOf(graph, member),
                   "with state `" + nameOf(graph, member) + "`");
    return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// How far back
//===----------------------------------------------------------------------===//

bool KernelAnalyzer::findDistances(Graph &graph, Recurrence &rec) {
  for (Access *access : rec.accesses) {
    size_t reader = size_t(rec.find(access->reader));
    size_t target = size_t(rec.find(access->target));
    const EqInfo &eq = *graph.equations[access->reader];
    for (unsigned a = 0; a < rec.alongCount; ++a) {
      const Expr *guard =
          access->piece->general ? nullptr : access->piece->guard[a];
      Poly here = guard ? polys.fromExpr(guard)
                        : polys.index(eq.eq->indices[rec.position[reader][a]]);
      Poly there = polys.fromExpr(access->read->args[rec.position[target][a]]);
      access->distance.push_back(here - there);
    }
  }
  return true;
}

/// From a comparison of integers that holds: something is at least 0.
void KernelAnalyzer::addFact(const Expr *condition, bool truth) {
  if (condition->kind != Expr::Kind::Apply)
    return;
  Op op = condition->op;
  if (op == Op::Not)
    return addFact(condition->args[0], !truth);
  if (op == (truth ? Op::And : Op::Or)) {
    addFact(condition->args[0], truth);
    addFact(condition->args[1], truth);
    return;
  }
  if (condition->args.size() != 2 ||
      condition->args[0]->type != model::Type::Int)
    return;
  if (!truth) {
    switch (op) {
    case Op::Lt:
      op = Op::Ge;
      break;
    case Op::Le:
      op = Op::Gt;
      break;
    case Op::Gt:
      op = Op::Le;
      break;
    case Op::Ge:
      op = Op::Lt;
      break;
    case Op::Ne:
      op = Op::Eq;
      break;
    default:
      return;
    }
  }
  Poly difference =
      polys.fromExpr(condition->args[0]) - polys.fromExpr(condition->args[1]);
  Poly opposite = Poly() - difference;
  switch (op) {
  case Op::Lt:
    bounds.facts.push_back(opposite - Poly(1));
    break;
  case Op::Le:
    bounds.facts.push_back(opposite);
    break;
  case Op::Gt:
    bounds.facts.push_back(difference - Poly(1));
    break;
  case Op::Ge:
    bounds.facts.push_back(difference);
    break;
  case Op::Eq:
    bounds.facts.push_back(difference);
    bounds.facts.push_back(opposite);
    break;
  default:
    break;
  }
}

void KernelAnalyzer::collectFacts(const Access &access) {
  bounds.facts.clear();
  for (auto &[condition, truth] : access.path) {
    size_t before = bounds.facts.size();
    addFact(condition, truth);
    // From conditions that never hold together, anything would follow.
    if (bounds.nonNegative(Poly(-1)))
      bounds.facts.resize(before);
  }
}

/// Where a read lies along one dim, as far as it can be proved: for all sizes,
/// or else for those that are fixed. (Conditions that hold for some sizes may
/// hold for none of the fixed ones, and then say nothing.)
KernelAnalyzer::Side KernelAnalyzer::sideOf(const Access &access, unsigned a,
                                            bool mayBeZero) {
  if (access.distance[a].isZero())
    return Side::Same;
  std::map<std::string, int64_t> fixed;
  std::swap(fixed, bounds.boundSizes);
  Side side = provenSide(access, a, mayBeZero);
  std::swap(fixed, bounds.boundSizes);
  if (side == Side::Earlier || side == Side::Later || bounds.boundSizes.empty())
    return side;
  Side narrower = provenSide(access, a, mayBeZero);
  return narrower == Side::Unknown ? side : narrower;
}

KernelAnalyzer::Side KernelAnalyzer::provenSide(const Access &access,
                                                unsigned a, bool mayBeZero) {
  const Poly &d = access.distance[a];
  collectFacts(access);
  Side side = Side::Unknown;
  if (bounds.nonNegative(d - Poly(1)))
    side = Side::Earlier;
  else if (bounds.nonNegative(Poly(-1) - d))
    side = Side::Later;
  else if (mayBeZero && bounds.nonNegative(d))
    side = Side::EarlierOrSame;
  else if (mayBeZero && bounds.nonNegative(Poly() - d))
    side = Side::LaterOrSame;
  bounds.facts.clear();
  return side;
}

void KernelAnalyzer::reportDistance(Graph &graph, Recurrence &rec,
                                    const Access &access, unsigned a) {
  const EqInfo &eq = *graph.equations[access.reader];
  size_t reader = size_t(rec.find(access.reader));
  const Poly &d = access.distance[a];
  std::string time = eq.eq->indices[rec.position[reader][a]]->name;
  std::string block = "`" + time + " - " + time + " mod 16 - 1`";
  std::vector<const Index *> indices;
  polys.collectIndices(d, indices);
  auto &&error = reporter.error(
      llvm::SMRange(access.read->loc, access.read->loc),
      "`" + nameOf(graph, access.target) +
          "` is read at a distance that can be zero or negative");
  error.expected("a distance that is at least 1 at every point (or at most -1 "
                 "at every point)");
  error.found("the distance `" + polys.strWithMod(d) + "` along `" + time +
              "`");
  if (indices.empty())
    error.hint("fix the value when compiling: `--dims` for a size, `const` for "
               "a number");
  else
    error.hint("use `" + time +
               "-1`, or the end of the block before: " + block);
  error.note(lhsOf(graph, access.reader),
             "in the equation of `" + nameOf(graph, access.reader) + "`");
}

void KernelAnalyzer::reportBothWays(Graph &graph, const Access &access,
                                    const Access &first, bool later) {
  reporter
      .error(llvm::SMRange(access.read->loc, access.read->loc),
             "the recurrence runs both ways: `" + nameOf(graph, access.target) +
                 "` is read at " + (later ? "a later" : "an earlier") +
                 " point here")
      .expected("only " + llvm::Twine(later ? "earlier" : "later") + " points")
      .note(llvm::SMRange(first.read->loc, first.read->loc),
            "`" + nameOf(graph, first.target) + "` is read at " +
                (later ? "an earlier" : "a later") + " point here");
}

/// Per along dim, from the outermost: all reads that are not yet known to lie
/// at an earlier point must lie on one side. Marks reads of the same point.
bool KernelAnalyzer::decideDirections(Graph &graph, Recurrence &rec) {
  struct Open {
    Access *access;
    bool maybeZero = false; // a distance that may be 0 was passed
  };
  std::vector<Open> open;
  for (Access *access : rec.accesses)
    open.push_back({access});
  rec.reversed.assign(rec.alongCount, false);
  bool good = true;
  for (unsigned a = 0; a < rec.alongCount; ++a) {
    std::vector<Open> rest;
    const Access *decidedBy = nullptr;
    for (Open &entry : open) {
      Side side = sideOf(*entry.access, a, a + 1 < rec.alongCount);
      if (side == Side::Same) {
        rest.push_back(entry);
        continue;
      }
      if (side == Side::Unknown) {
        reportDistance(graph, rec, *entry.access, a);
        good = false;
        continue;
      }
      bool later = side == Side::Later || side == Side::LaterOrSame;
      if (decidedBy && rec.reversed[a] != later) {
        reportBothWays(graph, *entry.access, *decidedBy, later);
        good = false;
        continue;
      }
      if (!decidedBy)
        decidedBy = entry.access;
      rec.reversed[a] = later;
      if (side == Side::EarlierOrSame || side == Side::LaterOrSame) {
        entry.maybeZero = true;
        rest.push_back(entry);
      }
    }
    open = std::move(rest);
  }
  for (Open &entry : open) {
    entry.access->sameTime = !entry.maybeZero;
    if (!entry.maybeZero)
      continue;
    reporter
        .error(llvm::SMRange(entry.access->read->loc, entry.access->read->loc),
               "`" + nameOf(graph, entry.access->target) +
                   "` is read at a distance that can be zero in every dim")
        .expected("an earlier point of the recurrence");
    good = false;
  }
  return good;
}

//===----------------------------------------------------------------------===//
// Order at one point
//===----------------------------------------------------------------------===//

bool KernelAnalyzer::orderSameTime(Graph &graph, Recurrence &rec) {
  auto sameTime = [](const Access &access) {
    return access.piece && access.sameTime;
  };
  bool good = true;
  std::vector<unsigned> order;
  for (auto &part : graph.components(rec.members, sameTime)) {
    auto cycle = graph.cycle(part, sameTime);
    if (!cycle.empty()) {
      reportSameTime(graph, cycle);
      good = false;
    }
    order.insert(order.end(), part.begin(), part.end());
  }
  std::vector<std::vector<unsigned>> position;
  for (unsigned member : order)
    position.push_back(rec.position[size_t(rec.find(member))]);
  rec.members = order;
  rec.position = position;
  return good;
}

void KernelAnalyzer::finishRecurrence(Graph &graph,
                                      llvm::ArrayRef<unsigned> members) {
  Recurrence rec;
  rec.members.assign(members.begin(), members.end());
  for (size_t m = 0; m < members.size(); ++m)
    rec.places[members[m]] = unsigned(m);
  rec.position.resize(members.size());
  const View *first = nullptr;
  bool good = true;
  for (size_t m = 0; m < members.size(); ++m) {
    const View &view = *graph.equations[members[m]]->target;
    if (view.role != Tensor::Role::State)
      continue;
    if (first && view.alongCount != first->alongCount) {
      reporter
          .error(view.decl, "states `" + first->name + "` and `" + view.name +
                                "` need each other but do not run along the "
                                "same dims")
          .expected(countOf(first->alongCount, "dim", "dims"))
          .found(countOf(view.alongCount, "dim", "dims"))
          .note(first->decl, "`" + first->name + "` is declared here");
      return;
    }
    first = &view;
    rec.alongCount = view.alongCount;
    for (unsigned a = 0; a < view.alongCount; ++a)
      rec.position[m].push_back(view.info->tensor->alongBegin + a);
  }
  for (unsigned member : members)
    for (Access &access : graph.accesses[member]) {
      if (rec.find(access.target) < 0)
        continue;
      if (!access.piece) {
        llvm::SMRange place(access.read->loc, access.read->loc);
        reporter
            .error(place, "the initial value of `" + nameOf(graph, member) +
                              "` depends on its own values")
            .expected("a value that is computed without the state");
        good = false;
        continue;
      }
      rec.accesses.push_back(&access);
    }
  if (!good || !checkStatelessCycles(graph, rec) || !matchAlong(graph, rec))
    return;
  findDistances(graph, rec);
  if (!decideDirections(graph, rec) || !orderSameTime(graph, rec))
    return;

  model::Component component;
  component.recurrence = true;
  component.alongCount = rec.alongCount;
  component.reversed = rec.reversed;
  component.alongPosition = rec.position;
  for (unsigned member : rec.members) {
    finishEquation(*graph.equations[member], rec.reversed[0]);
    component.equations.push_back(graph.equations[member]->eq);
  }
  kernel.components.push_back(std::move(component));
}
