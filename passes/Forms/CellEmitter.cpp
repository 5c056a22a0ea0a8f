//===- CellEmitter.cpp - Writing kernels of cells -------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Forms/CellEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Common/PackedSequences.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::algebra;

using Values = CellEmitter::Values;

CellEmitter::CellEmitter(Context &context, CellStructure &structure,
                         CellParameters parameters)
    : PointEmitter(context, structure), s(structure), p(parameters),
      numPairs(llvm::divideCeil(llvm::divideCeil(structure.width, 32),
                                parameters.splits)),
      planeSize(numPairs * p.splits * p.rowTiles * 256),
      numStates(structure.states.size()),
      // A warp may be a barrier ahead of another one, which still reads.
      numBuffers(structure.numLevels == 1 ? 2 : 1) {}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

/// The batch points that differ in what the weights depend on. A device
/// computes all points of a call at once. In a packed batch the first dim has
/// as many values as there are points for.
Value CellEmitter::countHeads(Value points) {
  Scope scope;
  Value heads = constant(1), others = constant(1);
  for (unsigned k = s.numBatch; k-- > 0;) {
    Value extent =
        k ? emit(context.leaf(s.extents[k]), scope)
          : div(points, arith::MaxSIOp::create(b, others, constant(1)));
    others = mul(others, extent);
    if (!s.isRow[k])
      heads = mul(heads, extent);
  }
  return arith::MaxSIOp::create(b, heads, constant(1));
}

/// Teams: each head with tiles of its rows. A team is a block, or `parts` of
/// them, and as many teams as fit most devices are computed at a time.
void CellEmitter::createKernel() {
  int64_t threads = 32 * p.unitTiles * p.splits;
  int64_t slots = std::max<int64_t>(1, 96 / p.parts);
  auto launch = [&](Value first, Value stop, ValueRange operands) {
    Value points = sub(stop, first), one = constant(1);
    Value heads = countHeads(points);
    Value groups = arith::CeilDivSIOp::create(b, div(points, heads),
                                              constant(8 * p.rowTiles));
    Value teams = mul(heads, groups);
    mlir::gpu::KernelDim3 grid{teams, one, one};
    if (p.parts > 1) {
      grid = {constant(p.parts),
              arith::MinSIOp::create(b, teams, constant(slots)), one};
      launchClear(operands.back(), slots * getSlotBytes());
    }
    auto call = mlir::gpu::LaunchFuncOp::create(
        b, kernel, grid, mlir::gpu::KernelDim3{constant(threads), one, one},
        /*dynamicSharedMemorySize=*/Value(), operands);
    if (p.parts > 1)
      call->setAttr("rondo.together", b.getUnitAttr());
  };
  auto bytes = [&] { return constant(slots * getSlotBytes()); };
  PointEmitter::createKernel(op.getSymName(), threads);
  if (p.parts > 1)
    createHost("sequential", launch, bytes);
  else
    createHost("sequential", launch, nullptr);
  enterKernel();
  whole = sizes;
  wholeTensors = tensors;
}

/// The number of the batch point with this row, of the block's head.
Value CellEmitter::pointOf(Value row) {
  Values at(s.numBatch), extents(s.numBatch);
  Scope scope;
  Value rest[2] = {head, row};
  int first[2] = {-1, -1}; // takes what is left
  for (unsigned k = s.numBatch; k-- > 0;)
    first[s.isRow[k]] = k;
  for (unsigned k = s.numBatch; k-- > 0;) {
    Value &number = rest[s.isRow[k]];
    extents[k] = arith::MaxSIOp::create(
        b, emit(context.leaf(s.extents[k]), scope), constant(1));
    at[k] = first[s.isRow[k]] == static_cast<int>(k) ? number
                                                     : rem(number, extents[k]);
    number = div(number, extents[k]);
  }
  Value point = constant(0);
  for (unsigned k = 0; k < s.numBatch; ++k)
    point = k ? add(mul(point, extents[k]), at[k]) : at[k];
  return add(point, begin);
}

PointEmitter::Place CellEmitter::emitPlaceOfRow(Value row) {
  sizes = whole;
  tensors = wholeTensors;
  Value last = sub(numRows, constant(1));
  return emitPlaceOf(pointOf(arith::MinSIOp::create(b, row, last)));
}

/// Which elements the thread has. Those beyond the last row or unit compute
/// what the last one does, and store nothing.
void CellEmitter::emitPlaces(Value team) {
  head = rem(team, numHeads);
  firstRow = mul(div(team, numHeads), constant(8 * p.rowTiles));
  unit = add(mul(add(mul(part, constant(p.unitTiles)),
                     rem(warp, constant(p.unitTiles))),
                 constant(8)),
             group);
  Value wanted = unit;
  if (8 * p.unitTiles * p.parts != s.width) {
    isUnit = less(unit, constant(s.width));
    unit = select(isUnit, unit, constant(s.width - 1));
  }

  Packing packing = Packing::get(op->getAttrDictionary());
  bool canBePacked =
      packing.timeSize >= 0 && op.getBound()[packing.timeSize] < 0;
  auto lengthOf = [&](const Place &place) {
    sizes = place.sizes;
    Scope scope;
    return emit(context.leaf(s.length), scope);
  };
  if (canBePacked) {
    auto loop =
        scf::ForOp::create(b, constant(0), constant(8 * p.rowTiles),
                           constant(1), ValueRange{constant(0), firstRow});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value row = add(firstRow, loop.getInductionVar());
    Value here = lengthOf(emitPlaceOfRow(row));
    Value isLonger = less(loop.getRegionIterArg(0), here);
    scf::YieldOp::create(
        b, ValueRange{select(isLonger, here, loop.getRegionIterArg(0)),
                      select(isLonger, row, loop.getRegionIterArg(1))});
    longest = loop.getResult(0);
    longestRow = loop.getResult(1);
  }
  // The first warps of a sum have a tile of rows each.
  int64_t numOwn = p.splits > 1 ? 1 : p.rowTiles;
  for (int64_t own = 0; own < numOwn; ++own) {
    Value r = p.splits > 1 ? split : constant(own);
    for (int64_t i = 0; i < 2; ++i) {
      Element &element = elements.emplace_back();
      Value column = add(mul(quad, constant(2)), constant(i));
      Value row = add(firstRow, add(column, mul(r, constant(8))));
      element.rowTile = r;
      element.own = emitPlaceOfRow(row);
      element.isOwn = both(less(row, numRows), isUnit);
      element.length = lengthOf(element.own);
      if (!canBePacked)
        longest = element.length;
      auto bind = [&](const Place &place, Scope &scope) {
        enter(place);
        bindBatch(place.point, scope);
        scope.values[s.unit] = unit;
      };
      bind(element.own, element.ownScope);
      element.place =
          canBePacked ? emitPlaceOfRow(select(less(constant(0), element.length),
                                              row, longestRow))
                      : element.own;
      bind(element.place, element.scope);
      // In the order of right operands: pairs of 16 units, tiles of rows,
      // lanes; a lane has two of its column at a distance of 8, in both.
      Value pair = div(wanted, constant(32)), u = rem(wanted, constant(16));
      Value half = rem(div(wanted, constant(16)), constant(2));
      Value place = add(mul(pair, constant(p.rowTiles)), r);
      place = add(mul(place, constant(32)), mul(column, constant(4)));
      place = add(place, div(rem(u, constant(8)), constant(2)));
      place = add(mul(place, constant(8)), mul(half, constant(4)));
      place = add(place, mul(div(u, constant(8)), constant(2)));
      element.offset = add(place, rem(u, constant(2)));
    }
  }
}

/// Loads what depends on no step; finds what is loaded at each.
void CellEmitter::collectReads() {
  llvm::SetVector<Expr> fixed;
  auto collect = [&](Expr root) {
    SmallVector<Expr> work{root};
    while (!work.empty()) {
      Expr expr = work.pop_back_val();
      // A short sum is computed where it is needed.
      if (expr->kind == Kind::Reduce || isState(expr))
        continue;
      if (expr->kind == Kind::Read)
        (dependsOn(expr, s.time) ? reads : fixed).insert(expr);
      else
        llvm::append_range(work, llvm::reverse(expr->args));
    }
  };
  for (const CellStructure::Operand &operand : s.operands)
    collect(operand.value);
  for (const CellStructure::State &state : s.states)
    collect(state.value);
  for (const CellStructure::Result &result : s.results)
    collect(result.value);
  for (Element &element : elements) {
    enter(element.place);
    for (Expr read : fixed)
      emit(read, element.scope);
  }
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// The time of step `number`, counted in the direction of the recurrence; that
/// of the last step behind the end.
Value CellEmitter::timeOf(const Element &element, Value number) {
  Scope scope;
  sizes = element.place.sizes;
  Value last = sub(emit(context.leaf(s.length), scope), constant(1));
  Value inside = arith::MinSIOp::create(b, number, last);
  return s.reversed ? sub(last, inside) : inside;
}

/// What the element reads at a step, as it lies in memory.
Values CellEmitter::emitRaws(Element &element, Value number) {
  enter(element.place);
  Scope scope(element.scope);
  scope.values[s.time] = timeOf(element, number);
  Values raws;
  for (Expr read : reads)
    raws.push_back(emitRaw(read, scope));
  return raws;
}

/// What the warps compute that hold elements.
Values CellEmitter::emitOwned(ValueRange otherwise,
                              llvm::function_ref<Values()> body) {
  if (p.splits == 1)
    return body();
  SmallVector<Type> types(otherwise.getTypes());
  auto test = scf::IfOp::create(b, types, less(split, constant(p.rowTiles)),
                                /*withElseRegion=*/!types.empty());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(test.thenBlock());
  Values values = body();
  if (types.empty())
    return {};
  scf::YieldOp::create(b, values);
  b.setInsertionPointToStart(test.elseBlock());
  scf::YieldOp::create(b, otherwise);
  return Values(test.getResults());
}

/// States are [element][state], raws [element][read]; returns both, of the next
/// step and of that `steps` later.
Values CellEmitter::emitStep(Value number, unsigned u, ValueRange before,
                             ValueRange raws) {
  std::vector<Values> products(s.contractions.size());
  // What is known when the contractions below `level` are.
  auto bind = [&](unsigned level, std::deque<Scope> &scopes) {
    for (auto [e, element] : llvm::enumerate(elements)) {
      enter(element.place);
      Scope &scope = scopes.emplace_back(element.scope);
      scope.values[s.time] = timeOf(element, number);
      for (auto [k, state] : llvm::enumerate(s.states))
        scope.values[state.past] = before[e * numStates + k];
      for (auto [k, read] : llvm::enumerate(reads))
        scope.values[read] =
            finishRead(read, raws[e * reads.size() + k], scope);
      for (auto [c, each] : llvm::enumerate(s.contractions))
        if (s.operands[each.operand].level < level)
          scope.values[each.marker] =
              p.splits > 1 ? emitSum(c, e) : products[c][e];
    }
  };
  unsigned buffer = u % numBuffers;
  for (unsigned level = 0; level < s.numLevels; ++level) {
    emitOwned({}, [&] {
      std::deque<Scope> scopes;
      bind(level, scopes);
      for (auto [o, operand] : llvm::enumerate(s.operands)) {
        if (operand.level != level)
          continue;
        for (auto [element, scope] : llvm::zip(elements, scopes)) {
          enter(element.place);
          Value value = select(isUnit, emit(operand.value, scope), real(0));
          storeOperand(o, buffer, element, value);
        }
      }
      return Values();
    });
    barrier();
    if (p.parts > 1)
      emitExchange(
          add(mul(number, constant(s.numLevels)), constant(level + 1)));
    emitProducts(level, buffer, products);
    if (p.splits > 1)
      barrier();
  }
  Values otherwise(before);
  llvm::append_range(otherwise, raws);
  return emitOwned(otherwise, [&] {
    std::deque<Scope> scopes;
    bind(s.numLevels, scopes);
    Values now, later;
    for (Element &element : elements)
      llvm::append_range(later,
                         emitRaws(element, add(number, constant(p.steps))));
    for (auto [e, element] : llvm::enumerate(elements)) {
      enter(element.place);
      Scope &scope = scopes[e];
      Value isStep = less(number, element.length);
      for (auto [k, state] : llvm::enumerate(s.states))
        now.push_back(select(isStep, emit(state.value, scope),
                             before[e * numStates + k]));
      Values results;
      for (const CellStructure::Result &result : s.results)
        results.push_back(emit(result.value, scope));
      emitIf(both(element.isOwn, isStep), [&] {
        Values here;
        for (Expr index : ArrayRef(s.indices).take_front(s.numBatch))
          here.push_back(scope.lookup(index));
        here.push_back(scope.lookup(s.time));
        here.push_back(unit);
        for (auto [result, value] : llvm::zip(s.results, results))
          emitResult(result.output, here, value);
      });
    }
    llvm::append_range(now, later);
    return now;
  });
}

Values CellEmitter::emitSteps(ValueRange initials) {
  Values carried(initials);
  unsigned count = initials.size(), rawsOfStep = elements.size() * reads.size();
  for (int64_t u = 0; u < p.steps; ++u)
    for (Element &element : elements)
      llvm::append_range(carried, emitRaws(element, constant(u)));
  Value blocks = arith::CeilDivUIOp::create(b, longest, constant(p.steps));
  auto loop = scf::ForOp::create(b, constant(0), blocks, constant(1), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values arguments(loop.getRegionIterArgs());
  Values states(ArrayRef(arguments).take_front(count)), later;
  Value first = mul(loop.getInductionVar(), constant(p.steps));
  for (int64_t u = 0; u < p.steps; ++u) {
    Values next =
        emitStep(add(first, constant(u)), u, states,
                 ArrayRef(arguments).slice(count + u * rawsOfStep, rawsOfStep));
    states.assign(next.begin(), next.begin() + count);
    later.append(next.begin() + count, next.end());
  }
  llvm::append_range(states, later);
  scf::YieldOp::create(b, states);
  return Values(loop.getResults().take_front(count));
}

/// All steps of a team.
void CellEmitter::emitTeam(Value team) {
  emitPlaces(team);
  Values initials;
  for (Element &element : elements) {
    enter(element.own);
    for (CellStructure::State &state : s.states)
      initials.push_back(emitInitial(state, element.ownScope));
  }
  SmallVector<Type> types(initials.size(), type);
  auto test = scf::IfOp::create(b, types, less(constant(0), longest),
                                /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(test.thenBlock());
    createBuffers();
    collectReads();
    loadWeights();
    scf::YieldOp::create(b, emitSteps(initials));
    b.setInsertionPointToStart(test.elseBlock());
    scf::YieldOp::create(b, initials);
  }
  Value isOwner = p.splits > 1 ? less(split, constant(p.rowTiles)) : Value();
  for (auto [e, element] : llvm::enumerate(elements)) {
    enter(element.own);
    for (auto [output, state] : s.finals)
      emitFinal(output, element.ownScope, test.getResult(e * numStates + state),
                both(isOwner, element.isOwn));
  }
}

void CellEmitter::run() {
  createKernel();
  planTiles();
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  Value block = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::x);
  lane = rem(thread, constant(32));
  warp = div(thread, constant(32));
  group = div(lane, constant(4));
  quad = rem(lane, constant(4));
  split = div(warp, constant(p.unitTiles));
  part = p.parts > 1 ? block : constant(0);
  Value points = sub(end, begin);
  numHeads = countHeads(points);
  numRows = div(points, numHeads);
  if (p.parts == 1) {
    emitTeam(block);
  } else {
    Value slot = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::y);
    Value slots = mlir::gpu::GridDimOp::create(b, mlir::gpu::Dimension::y);
    Value groups =
        arith::CeilDivSIOp::create(b, numRows, constant(8 * p.rowTiles));
    findSlot(slot);
    auto loop =
        scf::ForOp::create(b, slot, mul(numHeads, groups), slots, constant(0));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    epoch = loop.getRegionIterArg(0);
    emitTeam(loop.getInductionVar());
    Value steps = mul(arith::CeilDivUIOp::create(b, longest, constant(p.steps)),
                      constant(p.steps * s.numLevels));
    scf::YieldOp::create(b, add(epoch, steps));
  }
  mlir::gpu::ReturnOp::create(b);
  op.erase();
}

void rondo::toCellKernel(Context &context, CellStructure &structure,
                         CellParameters parameters) {
  CellEmitter(context, structure, parameters).run();
}
