//===- Scan.cpp - Recurrences as associative scans ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/Scan.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <limits>

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

namespace {

/// Members that need each other's past, and how their step composes.
struct Group {
  enum class Kind { None, Affine, MaxPlus };
  Kind kind = Kind::None;
  SmallVector<unsigned> members;
  /// Affine: the matrix by rows. MaxPlus: the one a.
  SmallVector<Expr> factors;
  SmallVector<Expr> constants; // b, one per member; null: nothing
  StringRef combiner;          // MaxPlus: arith.maximumf or arith.minimumf
};

class ScanBuilder {
public:
  ScanBuilder(Context &context, RecurrenceOp op, std::string &reason)
      : context(context), op(op), reason(reason), builder(op), loc(op.getLoc()),
        numBatch(op.getBatch()) {}

  bool analyze();
  void emit();

private:
  bool refuse(const Twine &why) {
    reason = why.str();
    return false;
  }
  bool inlineMembers();
  void findGroups();
  bool analyze(Group &group);
  bool analyzeAffine(Group &group);
  bool analyzeMaxPlus(Group &group);
  bool isOwnPoint(const Group &group, unsigned member, Expr past);
  /// The member whose past a node reads, or -1.
  int pastOf(Expr node) const {
    if (node->kind != Kind::Read)
      return -1;
    auto argument = dyn_cast<BlockArgument>(node->value);
    if (!argument || argument.getOwner() != &op->getRegion(0).front())
      return -1;
    return int(argument.getArgNumber()) - int(numAlong());
  }
  unsigned numAlong() const { return RecurrenceOp(op).getNumAlong(); }
  EquationOp equationOf(unsigned member) {
    return op.getSlice(member).getDefiningOp<EquationOp>();
  }

  void emit(const Group &group);
  void emitAffine(const Group &group);
  void emitMaxPlus(const Group &group);
  void emitFinal(unsigned state);
  /// [batch.., t, rest..] of `expr`, which is over a member's leaves.
  Value history(const Twine &suffix, unsigned member, Expr expr);
  /// A constant [batch.., rest..].
  Value constant(const Twine &suffix, unsigned member, double value);
  Value initialOf(unsigned member);
  using Combine = llvm::function_ref<SmallVector<Value>(OpBuilder &, ValueRange,
                                                        ValueRange)>;
  ValueRange scan(unsigned member, ValueRange inputs, ValueRange initials,
                  Combine combine);
  SmallVector<Value> historySizes(unsigned member);
  Value makeEquation(const Twine &name, Type type, ValueRange sizes,
                     llvm::function_ref<Expr(ArrayRef<Expr>)> body);

  Context &context;
  RecurrenceOp op;
  std::string &reason;
  OpBuilder builder;
  Location loc;
  unsigned numBatch;

  SmallVector<Expr> values;             // of members, slices inlined
  SmallVector<SmallVector<bool>> needs; // [member][whose past]
  SmallVector<Group> groups;            // in an order of computation
  SmallVector<Value> histories;         // of members, as they are built
};

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

bool ScanBuilder::inlineMembers() {
  if (op.getNumAlong() != 1)
    return refuse("it runs along several dims");
  if (analysis::gathersOwn(op))
    return refuse("it is read at places that data gives while it is computed");
  for (Operation &each : op.getBlock().without_terminator())
    if (!isa<EquationOp>(each) &&
        llvm::any_of(each.getResultTypes(),
                     [](Type type) { return isa<TensorType>(type); }))
      return refuse("its step contains a recurrence of its own");
  unsigned count = op.getNumMembers();
  needs.assign(count, SmallVector<bool>(count, false));
  for (unsigned i = 0; i < count; ++i) {
    EquationOp equation = equationOf(i);
    if (!equation)
      return refuse("a step of '" + op.getName(i) + "' is not an equation");
    values.push_back(analysis::inlineSlice(context, op, op.getSlice(i)));
    walk(values[i], [&](Expr node) {
      int member = pastOf(node);
      if (member >= 0)
        needs[i][member] = true;
    });
  }
  return true;
}

/// Strongly connected members, each group after those that it needs.
void ScanBuilder::findGroups() {
  unsigned count = values.size();
  SmallVector<SmallVector<bool>> reach = needs;
  for (unsigned k = 0; k < count; ++k)
    for (unsigned i = 0; i < count; ++i)
      for (unsigned j = 0; j < count; ++j)
        if (reach[i][k] && reach[k][j])
          reach[i][j] = true;
  SmallVector<bool> done(count, false);
  while (llvm::is_contained(done, false)) {
    for (unsigned i = 0; i < count; ++i) {
      if (done[i])
        continue;
      Group group;
      bool ready = true;
      for (unsigned j = 0; j < count; ++j) {
        bool together = i == j || (reach[i][j] && reach[j][i]);
        if (together)
          group.members.push_back(j);
        else
          ready &= !reach[i][j] || done[j];
      }
      if (!ready)
        continue;
      for (unsigned member : group.members)
        done[member] = true;
      groups.push_back(std::move(group));
    }
  }
}

/// Whether a read of the group's past by a member is at the step before and at
/// the member's own indices.
bool ScanBuilder::isOwnPoint(const Group &group, unsigned member, Expr past) {
  EquationOp reader = equationOf(member);
  EquationOp source = equationOf(pastOf(past));
  if (reader.getSizes() != source.getSizes())
    return false;
  Expr time = context.leaf(op.getAlongIndices()[0]);
  unsigned next = 0;
  for (auto [k, subscript] : llvm::enumerate(past->subscripts())) {
    if (k == numBatch) {
      std::optional<int64_t> lag = analysis::distance(time, subscript);
      if (!lag || *lag != (op.getReversed()[0] ? -1 : 1))
        return false;
    } else if (subscript != context.leaf(reader.getParallelIndices()[next++])) {
      return false;
    }
  }
  return true;
}

bool ScanBuilder::analyzeAffine(Group &group) {
  unsigned count = group.members.size();
  for (unsigned member : group.members) {
    auto affine = linearize(context, values[member], [&](Expr node) {
      return llvm::is_contained(group.members, pastOf(node));
    });
    if (!affine)
      return false;
    SmallVector<Expr> row(count, context.real(0, values[member]->type));
    for (const LinearTerm &term : affine->terms) {
      // Sums without the past's indices belong to the coefficient.
      Expr &factor =
          row[llvm::find(group.members, unsigned(pastOf(term.read))) -
              group.members.begin()];
      factor = context.add(factor,
                           sumOut(context, term.coefficient, term.variables));
    }
    llvm::append_range(group.factors, row);
    group.constants.push_back(affine->constant);
  }
  group.kind = Group::Kind::Affine;
  return true;
}

bool ScanBuilder::analyzeMaxPlus(Group &group) {
  if (group.members.size() != 1)
    return false;
  unsigned member = group.members[0];
  Expr value = values[member];
  for (StringRef combiner : {"arith.maximumf", "arith.minimumf"})
    if (value->isOp(combiner))
      group.combiner = combiner;
  if (group.combiner.empty())
    return false;
  SmallVector<Expr> branches{value};
  for (unsigned i = 0; i < branches.size();) {
    if (!branches[i]->isOp(group.combiner)) {
      ++i;
      continue;
    }
    Expr node = branches[i];
    branches[i] = node->args[0];
    branches.push_back(node->args[1]);
  }
  auto join = [&](Expr a, Expr b) {
    return a ? context.apply(group.combiner, {a, b}, b->type) : b;
  };
  Expr factor = nullptr, constant = nullptr;
  auto isPast = [&](Expr node) { return pastOf(node) == int(member); };
  for (Expr branch : branches) {
    if (!contains(branch, isPast)) {
      constant = join(constant, branch);
      continue;
    }
    auto affine = linearize(context, branch, isPast);
    if (!affine || affine->terms.size() != 1 ||
        !affine->terms[0].coefficient->isReal(1) ||
        !affine->terms[0].variables.empty())
      return false;
    factor = join(factor, affine->constant);
  }
  group.kind = Group::Kind::MaxPlus;
  group.factors = {factor};
  group.constants = {constant};
  return true;
}

bool ScanBuilder::analyze(Group &group) {
  unsigned first = group.members[0];
  if (group.members.size() == 1 && !needs[first][first])
    return true;
  for (unsigned member : group.members) {
    if (!isa<FloatType>(values[member]->type))
      return refuse("'" + op.getName(member) + "' does not hold real numbers");
    bool fits = true;
    walk(values[member], [&](Expr node) {
      if (llvm::is_contained(group.members, pastOf(node)))
        fits &= isOwnPoint(group, member, node);
    });
    if (!fits)
      return refuse("'" + op.getName(member) +
                    "' reads its past at other indices than its own or more "
                    "than a step back");
  }
  constexpr unsigned most = 4;
  if (group.members.size() > most)
    return refuse("more than 4 members need each other's past");
  return analyzeAffine(group) || analyzeMaxPlus(group) ||
         refuse("the step of '" + op.getName(first) +
                "' is neither affine nor a maximum of sums in its past");
}

//===----------------------------------------------------------------------===//
// Emission
//===----------------------------------------------------------------------===//

Value ScanBuilder::makeEquation(const Twine &name, Type type, ValueRange sizes,
                                llvm::function_ref<Expr(ArrayRef<Expr>)> body) {
  return emitEquation(context, builder, loc, name, type, sizes, body);
}

SmallVector<Value> ScanBuilder::historySizes(unsigned member) {
  SmallVector<Value> sizes(equationOf(member).getSizes());
  sizes.insert(sizes.begin() + numBatch, op.getSizes()[0]);
  return sizes;
}

Value ScanBuilder::history(const Twine &suffix, unsigned member, Expr expr) {
  auto type = cast<RankedTensorType>(op.getHistory(member).getType());
  return makeEquation(
      op.getName(member) + suffix, type.getElementType(), historySizes(member),
      [&](ArrayRef<Expr> at) {
        llvm::DenseMap<Expr, Expr> here{
            {context.leaf(op.getAlongIndices()[0]), at[numBatch]}};
        for (auto [i, index] :
             llvm::enumerate(equationOf(member).getParallelIndices()))
          here[context.leaf(index)] = at[i < numBatch ? i : i + 1];
        // Pasts of groups that are computed already.
        llvm::DenseMap<Expr, Expr> pasts;
        walk(expr, [&](Expr node) {
          int past = pastOf(node);
          if (past < 0)
            return;
          unsigned rank = node->subscripts().size();
          pasts[node] = context.read(
              histories[past], node->subscripts(), node->fallback,
              ArrayRef<Expr>(node->args).drop_front(rank), node->type);
        });
        return context.substitute(context.substitute(expr, pasts), here);
      });
}

Value ScanBuilder::constant(const Twine &suffix, unsigned member,
                            double value) {
  Type type = values[member]->type;
  return makeEquation(
      op.getName(member) + suffix, type, equationOf(member).getSizes(),
      [&](ArrayRef<Expr>) { return context.real(value, type); });
}

/// Locals are 0 before the start.
Value ScanBuilder::initialOf(unsigned member) {
  return member < op.getNumStates() ? Value(op.getInitials()[member])
                                    : constant(".zero", member, 0);
}

ValueRange ScanBuilder::scan(unsigned member, ValueRange inputs,
                             ValueRange initials, Combine combine) {
  Type scalar = values[member]->type;
  SmallVector<Type> types;
  unsigned rank = equationOf(member).getSizes().size() + 1;
  types.assign(inputs.size(),
               RankedTensorType::get(
                   SmallVector<int64_t>(rank, ShapedType::kDynamic), scalar));
  UnitAttr reversed = op.getReversed()[0] ? builder.getUnitAttr() : UnitAttr();
  auto result = ScanOp::create(builder, loc, types,
                               builder.getStringAttr(op.getName(member)),
                               builder.getI64IntegerAttr(numBatch), reversed,
                               inputs, historySizes(member), initials);
  OpBuilder::InsertionGuard guard(builder);
  unsigned count = inputs.size();
  Block *block = builder.createBlock(&result.getBody(), {},
                                     SmallVector<Type>(2 * count, scalar),
                                     SmallVector<Location>(2 * count, loc));
  ValueRange arguments = block->getArguments();
  YieldOp::create(builder, loc,
                  combine(builder, arguments.take_front(count),
                          arguments.drop_front(count)));
  return result.getResults();
}

void ScanBuilder::emitAffine(const Group &group) {
  unsigned count = group.members.size(), lead = group.members[0];
  SmallVector<Value> inputs, initials;
  // A sum of the steps so far needs no factor.
  bool isSum = count == 1 && group.factors[0]->isReal(1);
  for (unsigned i = 0; i < count && !isSum; ++i)
    for (unsigned j = 0; j < count; ++j) {
      inputs.push_back(
          history(".factor", group.members[i], group.factors[i * count + j]));
      initials.push_back(constant(".unit", group.members[i], i == j));
    }
  unsigned first = inputs.size();
  for (auto [member, expr] : llvm::zip_equal(group.members, group.constants)) {
    inputs.push_back(history(".input", member, expr));
    initials.push_back(initialOf(member));
  }
  ValueRange results = scan(
      lead, inputs, initials,
      [&](OpBuilder &b, ValueRange before, ValueRange after) {
        auto mul = [&](Value x, Value y) -> Value {
          return arith::MulFOp::create(b, loc, x, y);
        };
        auto add = [&](Value x, Value y) -> Value {
          return x ? arith::AddFOp::create(b, loc, x, y) : y;
        };
        SmallVector<Value> combined;
        for (unsigned i = 0; i < count && !isSum; ++i)
          for (unsigned j = 0; j < count; ++j) {
            Value sum;
            for (unsigned k = 0; k < count; ++k)
              sum = add(sum, mul(after[i * count + k], before[k * count + j]));
            combined.push_back(sum);
          }
        for (unsigned i = 0; i < count; ++i) {
          Value sum = isSum ? before[first] : Value();
          for (unsigned k = 0; k < count && !isSum; ++k)
            sum = add(sum, mul(after[i * count + k], before[first + k]));
          combined.push_back(add(sum, after[first + i]));
        }
        return combined;
      });
  for (auto [i, member] : llvm::enumerate(group.members))
    histories[member] = results[first + i];
}

void ScanBuilder::emitMaxPlus(const Group &group) {
  unsigned member = group.members[0];
  bool isMax = group.combiner == "arith.maximumf";
  Expr factor = group.factors[0], constant = group.constants[0];
  Type type = values[member]->type;
  if (!constant) {
    double nothing = std::numeric_limits<double>::infinity();
    constant = context.real(isMax ? -nothing : nothing, type);
  }
  SmallVector<Value> inputs, initials;
  bool isPlain = factor->isReal(0);
  if (!isPlain) {
    inputs.push_back(history(".factor", member, factor));
    initials.push_back(this->constant(".unit", member, 0));
  }
  inputs.push_back(history(".input", member, constant));
  initials.push_back(initialOf(member));
  ValueRange results =
      scan(member, inputs, initials,
           [&](OpBuilder &b, ValueRange before, ValueRange after) {
             Value past = before.back();
             SmallVector<Value> combined;
             if (!isPlain) {
               combined.push_back(
                   arith::AddFOp::create(b, loc, before[0], after[0]));
               past = arith::AddFOp::create(b, loc, past, after[0]);
             }
             combined.push_back(
                 isMax ? arith::MaximumFOp::create(b, loc, past, after.back())
                             .getResult()
                       : arith::MinimumFOp::create(b, loc, past, after.back())
                             .getResult());
             return combined;
           });
  histories[member] = results.back();
}

void ScanBuilder::emit(const Group &group) {
  switch (group.kind) {
  case Group::Kind::None:
    histories[group.members[0]] =
        history("", group.members[0], values[group.members[0]]);
    return;
  case Group::Kind::Affine:
    return emitAffine(group);
  case Group::Kind::MaxPlus:
    return emitMaxPlus(group);
  }
}

/// The history at the last step, or the initial value when there is none.
void ScanBuilder::emitFinal(unsigned state) {
  if (op.getFinal(state).use_empty())
    return;
  Type index = builder.getIndexType(), type = values[state]->type;
  Expr last =
      op.getReversed()[0]
          ? context.integer(0)
          : context.apply("arith.subi",
                          {context.leaf(op.getSizes()[0]), context.integer(1)},
                          index);
  Value final =
      makeEquation(op.getName(state) + ".last", type,
                   equationOf(state).getSizes(), [&](ArrayRef<Expr> at) {
                     SmallVector<Expr> subscripts(at);
                     subscripts.insert(subscripts.begin() + numBatch, last);
                     return context.read(histories[state], subscripts,
                                         op.getInitials()[state], at, type);
                   });
  op.getFinal(state).replaceAllUsesWith(final);
}

bool ScanBuilder::analyze() {
  if (!inlineMembers())
    return false;
  findGroups();
  bool isScan = false;
  for (Group &group : groups) {
    if (!analyze(group))
      return false;
    isScan |= group.kind != Group::Kind::None;
  }
  if (!isScan)
    return refuse("nothing in it needs its own past");
  return true;
}

void ScanBuilder::emit() {
  histories.resize(values.size());
  for (const Group &group : groups)
    emit(group);
  for (unsigned i = 0; i < values.size(); ++i)
    op.getHistory(i).replaceAllUsesWith(histories[i]);
  for (unsigned i = 0; i < op.getNumStates(); ++i)
    emitFinal(i);
  op.erase();
}

} // namespace

bool rondo::toScan(Context &context, RecurrenceOp op, std::string &reason) {
  ScanBuilder scan(context, op, reason);
  if (!scan.analyze())
    return false;
  scan.emit();
  return true;
}

bool rondo::hasScanForm(Context &context, RecurrenceOp op,
                        std::string &reason) {
  return ScanBuilder(context, op, reason).analyze();
}
