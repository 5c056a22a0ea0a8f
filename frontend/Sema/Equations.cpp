//===- Equations.cpp - Resolves equations and calls -----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An equation is resolved as soon as the tensors that it reads are known; a
// call is inlined as soon as the shapes of its arguments are.
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Internal.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;
using model::Op;
using model::Type;

//===----------------------------------------------------------------------===//
// Order of work
//===----------------------------------------------------------------------===//

/// Is every tensor that `expr` names known (not the result of a call that is
/// still to be inlined)?
bool KernelAnalyzer::ready(Scope &scope, const ast::Expr *expr) {
  llvm::SmallVector<llvm::StringRef> lets;
  if (!ready(scope, expr, lets))
    return false;
  for (size_t i = 0; i < lets.size(); ++i)
    if (!ready(scope, scope.lets.lookup(lets[i])->value, lets))
      return false;
  return true;
}

/// Adds the lets that `expr` names to `lets`, each once.
bool KernelAnalyzer::ready(Scope &scope, const ast::Expr *expr,
                           llvm::SmallVectorImpl<llvm::StringRef> &lets) {
  if (!expr)
    return true;
  auto known = [&](llvm::StringRef name) {
    View *view = lookup(&scope, name);
    if (view)
      return view->info != nullptr;
    if (scope.lets.count(name) && !llvm::is_contained(lets, name))
      lets.push_back(name);
    return true;
  };
  auto all = [&](llvm::ArrayRef<const ast::Expr *> list) {
    for (const ast::Expr *e : list)
      if (!ready(scope, e, lets))
        return false;
    return true;
  };
  switch (expr->kind) {
  case ast::ExprKind::Name:
    return known(llvm::cast<ast::NameExpr>(expr)->name);
  case ast::ExprKind::Access: {
    auto *access = llvm::cast<ast::AccessExpr>(expr);
    return known(access->name.text) && all(access->subscripts);
  }
  case ast::ExprKind::Call:
    return all(llvm::cast<ast::CallExpr>(expr)->args);
  case ast::ExprKind::Unary:
    return all(llvm::cast<ast::UnaryExpr>(expr)->operand);
  case ast::ExprKind::Binary: {
    auto *binary = llvm::cast<ast::BinaryExpr>(expr);
    return all({binary->lhs, binary->rhs});
  }
  case ast::ExprKind::If: {
    auto *branch = llvm::cast<ast::IfExpr>(expr);
    return all({branch->condition, branch->thenValue, branch->elseValue});
  }
  case ast::ExprKind::Reduce: {
    auto *reduce = llvm::cast<ast::ReduceExpr>(expr);
    return all({reduce->filter, reduce->body});
  }
  case ast::ExprKind::Grad: {
    auto *grad = llvm::cast<ast::GradExpr>(expr);
    return all({grad->value, grad->access});
  }
  default:
    return true;
  }
}

void KernelAnalyzer::elaborate(Scope &scope) {
  auto callReady = [&](const CallInfo &call) {
    for (const ast::Expr *arg : call.call->args) {
      auto *name = llvm::dyn_cast<ast::NameExpr>(arg);
      View *view = name ? lookup(&scope, name->name) : nullptr;
      if (view ? !view->info || !view->info->shapeKnown() : !ready(scope, arg))
        return false;
    }
    return true;
  };
  auto equationReady = [&](const EqInfo &eq) {
    if (scope.calls.empty())
      return true;
    for (const ast::EquationItem *item : eq.target->items)
      if (!ready(scope, item->value))
        return false;
    return true;
  };
  bool progress = true;
  while (progress && !builder.exhausted()) {
    progress = false;
    for (auto &call : scope.calls)
      if (!call->done && callReady(*call)) {
        call->done = true;
        inlineCall(scope, *call);
        progress = true;
      }
    for (auto &eq : scope.equations)
      if (!eq->resolved && equationReady(*eq)) {
        eq->resolved = true;
        resolveEquation(*eq);
        progress = true;
      }
    inferShapes(scope);
    if (!progress)
      progress = inferDimsFromReaders(scope, /*states=*/true) ||
                 inferFromShifts(scope) ||
                 inferDimsFromReaders(scope, /*states=*/false);
  }
  if (reporter.errorCount() == errorsAtStart)
    for (auto &call : scope.calls)
      if (!call->done)
        reporter
            .error(call->call->range, "the shapes of the arguments of `" +
                                          call->call->callee.text +
                                          "` are not known")
            .expected("arguments whose shapes do not depend on the results")
            .hint("declare the shape: `local x: [..]`");
  checkLets(scope);
  inferShapes(scope);
}

/// Every let is looked at, used or not.
void KernelAnalyzer::checkLets(Scope &scope) {
  if (scope.lets.empty() || builder.exhausted())
    return;
  std::vector<const Index *> batch;
  for (const Scope::Batch &b : scope.batch) {
    Index *index = newIndex(b.name.lower(), b.range, nullptr);
    infoOf(index).batch = true;
    infoOf(index).range = {b.extent, true, b.range};
    batch.push_back(index);
  }
  for (const ast::Item *item : scope.ast->items) {
    auto *let = llvm::dyn_cast<ast::LetItem>(item);
    if (!let || scope.lets.lookup(let->name.text) != let ||
        !ready(scope, let->value))
      continue;
    Env env;
    env.place = Env::Place::Let;
    env.scope = &scope;
    env.batch = &batch;
    letStack.push_back(let->name.text);
    builder.current = let->name.range;
    resolve(let->value, env);
    letStack.pop_back();
  }
}

//===----------------------------------------------------------------------===//
// Left sides
//===----------------------------------------------------------------------===//

/// On the left, in the place of a dim along which a state runs: a value, not
/// the name of an index.
bool KernelAnalyzer::isBoundarySubscript(Scope &scope,
                                         const ast::Expr *subscript) {
  auto *name = llvm::dyn_cast<ast::NameExpr>(subscript);
  if (!name)
    return true;
  View *view = lookup(&scope, name->name);
  return scope.sizes.count(name->name) || scope.lets.count(name->name) ||
         scope.scalars.count(name->name) || file.consts.count(name->name) ||
         (view && view->info && view->role == Tensor::Role::Argument &&
          view->subscripts.empty());
}

bool KernelAnalyzer::isBoundary(EqInfo &eq, const ast::EquationItem &item) {
  for (size_t a = 0; a < eq.alongCount() && a < item.subscripts.size(); ++a)
    if (isBoundarySubscript(*eq.scope, item.subscripts[a]))
      return true;
  return false;
}

/// Indices of the general equation, batch dims included.
void KernelAnalyzer::makeLeftSide(EqInfo &eq, Env &env,
                                  const ast::EquationItem &item) {
  View &view = *eq.target;
  size_t next = 0;
  for (unsigned i = 0; i < view.slots.size(); ++i) {
    if (view.slots[i].batch >= 0) {
      const Scope::Batch &batch = eq.scope->batch[view.slots[i].batch];
      Index *index = newIndex(batch.name.lower(), batch.range, &eq);
      infoOf(index).batch = true;
      eq.batch[view.slots[i].batch] = index;
      eq.eq->indices.push_back(index);
      continue;
    }
    const ast::Expr *subscript =
        next < item.subscripts.size() ? item.subscripts[next] : nullptr;
    ++next;
    auto *name = llvm::dyn_cast_if_present<ast::NameExpr>(subscript);
    llvm::SMRange place = subscript ? subscript->range : item.lhsRange;
    Index *index = newIndex(name ? name->name : "_", place, &eq);
    infoOf(index).onLeft = true;
    infoOf(index).position = i;
    eq.eq->indices.push_back(index);
    if (!name) {
      eq.failed = true;
      if (subscript && subscript->kind != ast::ExprKind::Error)
        reporter.error(place, "the left side of an equation wants indices")
            .expected("the name of an index")
            .found("an expression")
            .hint(view.role == Tensor::Role::State
                      ? "`" + view.name + "[t, ..] = ..` may use `" +
                            view.name + "[t-1, ..]` on the right"
                      : "only a state can be defined at single points of the "
                        "dim it runs along");
      continue;
    }
    if (eq.scope->sizes.count(name->name) || name->name == "pi" ||
        name->name == "inf" || name->name == "true" || name->name == "false") {
      eq.failed = true;
      bool size = eq.scope->sizes.count(name->name);
      reporter
          .error(place, "`" + name->name + "` is " +
                            (size ? "a size" : "a constant") +
                            " and cannot be the name of an index")
          .expected("the name of an index, such as `i`")
          .note(eq.scope->declared.lookup(name->name), "it is a size here");
    }
    for (auto &[other, otherIndex] : env.indices)
      if (other == name->name) {
        eq.failed = true;
        reporter
            .error(place,
                   "index `" + name->name + "` stands twice on the left side")
            .expected("a different name for each index")
            .hint("for a diagonal write `if i == j then .. else 0`")
            .note(infoOf(otherIndex).decl, "first here");
        index = nullptr;
        break;
      }
    if (index)
      env.indices.emplace_back(name->name, index);
  }
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Converts a value to what the tensor holds.
const Expr *KernelAnalyzer::coerce(const Expr *value, model::DType dtype,
                                   const ast::EquationItem &item) {
  if (!value)
    return nullptr;
  bool wantsInt = dtype == model::DType::I32 || dtype == model::DType::I64;
  bool wantsBool = dtype == model::DType::Bool;
  if (wantsInt ? value->type == Type::Int
               : wantsBool == (value->type == Type::Bool))
    return wantsInt || wantsBool ? value : builder.toReal(value);
  auto &&error = reporter.error(item.value->range,
                                "`" + item.name.text + "` cannot hold this");
  error.expected(describe(wantsInt    ? Type::Int
                          : wantsBool ? Type::Bool
                                      : Type::Real));
  error.found(describe(value->type));
  if (wantsInt && value->type == Type::Real)
    error.hint("there is no conversion from real to integer; `div(a, b)` "
               "divides integers, and `" +
               item.name.text + "` could be declared as a real tensor");
  else if (value->type == Type::Bool)
    error.hint("write `select(.., 1, 0)`, or declare `local " + item.name.text +
               ": bool[..]`");
  else
    error.hint("compare it with something, such as `.. != 0`");
  return nullptr;
}

void KernelAnalyzer::resolvePiece(EqInfo &eq, const ast::EquationItem &item,
                                  bool general) {
  View &view = *eq.target;
  Piece piece;
  piece.item = &item;
  piece.general = general;
  piece.guard.assign(eq.alongCount(), nullptr);
  Env env;
  env.scope = eq.scope;
  env.eq = &eq;
  env.batch = &eq.batch;
  if (general) {
    makeLeftSide(eq, env, item);
  } else {
    for (size_t s = 0; s < item.subscripts.size(); ++s) {
      const ast::Expr *subscript = item.subscripts[s];
      if (s < eq.alongCount() && isBoundarySubscript(*eq.scope, subscript)) {
        Env inner;
        inner.scope = eq.scope;
        inner.batch = &eq.batch;
        inner.place = Env::Place::Let;
        const Expr *guard = resolve(subscript, inner);
        if (!wantInt(guard, subscript, "a subscript"))
          eq.failed = true;
        piece.guard[s] = guard ? guard : builder.integer(0, subscript->loc);
        continue;
      }
      auto *name = llvm::dyn_cast<ast::NameExpr>(subscript);
      if (!name) {
        eq.failed = true;
        reporter
            .error(subscript->range,
                   "the left side of an equation wants indices")
            .expected("the name of an index")
            .found("an expression")
            .hint("only along the dims over which it runs can a state be "
                  "defined at single points");
        continue;
      }
      for (auto &[other, otherIndex] : env.indices)
        if (other == name->name) {
          eq.failed = true;
          reporter
              .error(subscript->range,
                     "index `" + name->name + "` stands twice on the left side")
              .expected("a different name for each index");
          break;
        }
      env.indices.emplace_back(name->name, eq.eq->indices[view.subscripts[s]]);
    }
  }
  builder.current = item.lhsRange;
  piece.value =
      coerce(resolve(item.value, env), view.info->tensor->dtype, item);
  eq.failed |= !piece.value;
  eq.pieces.push_back(std::move(piece));
}

void KernelAnalyzer::resolveEquation(EqInfo &eq) {
  View &view = *eq.target;
  unsigned before = reporter.errorCount();
  auto equation = std::make_unique<model::Equation>();
  eq.eq = equation.get();
  eq.eq->target = view.info->tensor;
  eq.eq->value = nullptr;
  kernel.equationPool.push_back(std::move(equation));
  eq.batch.assign(eq.scope->batch.size(), nullptr);

  const ast::EquationItem *general = nullptr;
  for (const ast::EquationItem *item : view.items) {
    if (item->subscripts.size() != view.subscripts.size()) {
      wrongRank(view, item->subscripts.size(), item->lhsRange);
      eq.failed = true;
    }
    if (isBoundary(eq, *item))
      continue;
    if (general) {
      reporter
          .error(item->lhsRange, "state `" + view.name + "` is defined twice")
          .expected("one equation for all points, and others at single points "
                    "of the dim it runs along, such as `" +
                    view.name + "[0, ..] = ..`")
          .note(general->lhsRange, "first defined here");
      eq.failed = true;
      continue;
    }
    general = item;
  }
  if (!general) {
    general = view.items[0];
    reporter
        .error(general->lhsRange,
               "state `" + view.name + "` is defined at single points only")
        .expected("an equation for all points, such as `" + view.name +
                  "[t, ..] = ..`")
        .note(view.decl, "`" + view.name + "` is declared here");
    eq.failed = true;
    return;
  }
  eq.eq->loc = general->lhsRange.Start;
  if (eq.failed && general->subscripts.size() != view.subscripts.size())
    return;
  resolvePiece(eq, *general, true);
  for (const ast::EquationItem *item : view.items)
    if (isBoundary(eq, *item) &&
        item->subscripts.size() == view.subscripts.size())
      resolvePiece(eq, *item, false);
  if (view.role == Tensor::Role::State)
    resolveInitial(eq);
  eq.failed |= reporter.errorCount() != before;
}

//===----------------------------------------------------------------------===//
// Initial values
//===----------------------------------------------------------------------===//

const Expr *sema::readBesidesArguments(const Expr *expr) {
  if (expr->kind == Expr::Kind::Read &&
      expr->tensor->role != Tensor::Role::Argument)
    return expr;
  for (const Expr *arg : expr->args)
    if (const Expr *found = readBesidesArguments(arg))
      return found;
  return nullptr;
}

/// `state h: [D] = h0`: h0 read at every point of the state.
const Expr *KernelAnalyzer::initialFromArgument(EqInfo &eq, View &view,
                                                llvm::SMRange range) {
  View &state = *eq.target;
  const Tensor &tensor = *state.info->tensor;
  size_t rank = state.subscripts.size() - state.alongCount;
  if (view.subscripts.size() != rank) {
    reporter
        .error(range, "`" + view.name + "` has another rank than state `" +
                          state.name + "`")
        .expected("a number or a tensor with " +
                  countOf(rank, "index", "indices"))
        .found(countOf(view.subscripts.size(), "index", "indices"))
        .note(view.decl, "`" + view.name + "` is declared here");
    return nullptr;
  }
  Env env;
  env.scope = eq.scope;
  std::vector<const Index *> batch(eq.scope->batch.size());
  for (unsigned i = 0; i < tensor.alongBegin; ++i)
    batch[state.slots[i].batch] = tensor.initialIndices[i];
  env.batch = &batch;
  llvm::SmallVector<const Expr *> subscripts;
  for (size_t s = 0; s < rank; ++s) {
    const Dim &have = view.info->dims[view.subscripts[s]];
    const Dim &want = state.info->dims[state.subscripts[s + state.alongCount]];
    if (have.known && want.known && !have.poly.invalid && !want.poly.invalid &&
        have.poly != want.poly)
      reporter
          .error(range, "`" + view.name + "` has another shape than state `" +
                            state.name + "`")
          .expected("size `" + polys.str(want.poly) + "`")
          .found("size `" + polys.str(have.poly) + "`")
          .note(have.from, "this dim")
          .note(want.from, "of the state here");
    subscripts.push_back(builder.index(
        tensor.initialIndices[tensor.alongBegin + s], range.Start));
  }
  for (const Expr *subscript : subscripts)
    if (!subscript)
      return nullptr;
  size_t firstUse = eq.scope->uses.size();
  const Expr *read = readTensor(view, subscripts, range, env);
  eq.scope->uses.resize(firstUse); // checked above
  return read;
}

void KernelAnalyzer::resolveInitial(EqInfo &eq) {
  View &view = *eq.target;
  auto *tensor = const_cast<Tensor *>(eq.eq->target);
  for (unsigned i = 0; i < view.slots.size(); ++i) {
    if (i >= tensor->alongBegin && i < tensor->alongBegin + tensor->alongCount)
      continue;
    std::string name = view.slots[i].batch >= 0
                           ? eq.scope->batch[view.slots[i].batch].name.lower()
                           : eq.eq->indices[i]->name;
    Index *index = newIndex(name, view.decl, &eq);
    infoOf(index).batch = view.slots[i].batch >= 0;
    infoOf(index).range = view.info->dims[i];
    tensor->initialIndices.push_back(index);
  }
  const ast::Expr *text = view.state->initial;
  const Expr *value = builder.real(0, view.decl.Start);
  if (text) {
    auto *name = llvm::dyn_cast<ast::NameExpr>(text);
    View *source = name ? lookup(eq.scope, name->name) : nullptr;
    if (source && source->info && source->role != Tensor::Role::Argument) {
      reporter
          .error(text->range, "the initial value of a state can only use "
                              "arguments")
          .expected("a number, an argument or an expression of them")
          .found("`" + source->name + "`, which is computed")
          .note(source->decl, "`" + source->name + "` is declared here");
      value = nullptr;
    } else if (source && source->info && !source->subscripts.empty()) {
      value = initialFromArgument(eq, *source, text->range);
    } else {
      Env env;
      env.place = Env::Place::Initial;
      env.scope = eq.scope;
      std::vector<const Index *> batch(eq.scope->batch.size());
      for (unsigned i = 0; i < tensor->alongBegin; ++i)
        batch[view.slots[i].batch] = tensor->initialIndices[i];
      env.batch = &batch;
      value = resolve(text, env);
    }
    if (value)
      if (const Expr *read = readBesidesArguments(value)) {
        View *view = nullptr;
        for (auto &candidate : eq.scope->viewPool)
          if (candidate->info && candidate->info->tensor == read->tensor)
            view = candidate.get();
        if (!view || view->role != Tensor::Role::Argument) {
          reporter
              .error(text->range, "the initial value of a state can only use "
                                  "arguments")
              .expected("a number, an argument or an expression of them")
              .found("`" + read->tensor->name + "`, which is computed");
          value = nullptr;
        }
      }
  }
  if (!value)
    return;
  // The state's own dtype decides; the report names the declaration.
  bool wantsInt =
      tensor->dtype == model::DType::I32 || tensor->dtype == model::DType::I64;
  bool wantsBool = tensor->dtype == model::DType::Bool;
  if (!text) {
    if (wantsInt)
      value = builder.integer(0, view.decl.Start);
    if (wantsBool)
      value = builder.boolean(false, view.decl.Start);
  } else if (wantsInt    ? !wantInt(value, text, "the initial value")
             : wantsBool ? !wantBool(value, text, "the initial value")
                         : !wantNumber(value, text, "the initial value")) {
    return;
  }
  tensor->initial = wantsInt || wantsBool ? value : builder.toReal(value);
}

//===----------------------------------------------------------------------===//
// Types of undeclared locals
//===----------------------------------------------------------------------===//

/// An undeclared local is bool when its value is a condition by its form, else
/// real.
bool KernelAnalyzer::looksBool(Scope &scope, const ast::Expr *expr,
                               unsigned nesting) {
  if (!expr || nesting > 20)
    return false;
  auto named = [&](llvm::StringRef name) {
    if (View *view = lookup(&scope, name); view && view->info)
      return view->info->tensor->dtype == model::DType::Bool;
    auto let = scope.lets.find(name);
    if (let != scope.lets.end())
      return looksBool(scope, let->second->value, nesting + 1);
    auto item = scope.firstItem.find(name);
    if (item != scope.firstItem.end())
      return looksBool(scope, item->second->value, nesting + 1);
    return name == "true" || name == "false";
  };
  switch (expr->kind) {
  case ast::ExprKind::Name:
    return named(llvm::cast<ast::NameExpr>(expr)->name);
  case ast::ExprKind::Access:
    return named(llvm::cast<ast::AccessExpr>(expr)->name.text);
  case ast::ExprKind::Unary:
    return llvm::cast<ast::UnaryExpr>(expr)->op == ast::UnaryOp::Not;
  case ast::ExprKind::Binary:
    return llvm::cast<ast::BinaryExpr>(expr)->op <= ast::BinaryOp::Ge;
  case ast::ExprKind::If:
    return looksBool(scope, llvm::cast<ast::IfExpr>(expr)->thenValue,
                     nesting + 1);
  case ast::ExprKind::Reduce: {
    ast::ReduceOp op = llvm::cast<ast::ReduceExpr>(expr)->op;
    return op == ast::ReduceOp::Any || op == ast::ReduceOp::All;
  }
  case ast::ExprKind::Call: {
    auto *call = llvm::cast<ast::CallExpr>(expr);
    if (call->callee.text == "select" && call->args.size() == 3)
      return looksBool(scope, call->args[1], nesting + 1);
    if (const ast::Fn *fn = file.fns.lookup(call->callee.text))
      return looksBool(scope, fn->value, nesting + 1);
    return false;
  }
  default:
    return false;
  }
}
