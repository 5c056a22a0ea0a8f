//===- Declare.cpp - Names of a kernel ------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sizes, batch dims, arguments, results, states and locals; which equations
// define which tensor.
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Internal.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;

std::string sema::countOf(size_t n, llvm::StringRef one, llvm::StringRef many) {
  return std::to_string(n) + " " + (n == 1 ? one : many).str();
}

/// Enters a name; false (after a report) if the kernel has it already.
bool KernelAnalyzer::claim(Scope &scope, const ast::Ident &name) {
  auto [it, isNew] = scope.declared.try_emplace(name.text, name.range);
  if (isNew)
    return true;
  bool size = scope.sizes.count(name.text) && !scope.views.count(name.text);
  reporter
      .error(name.range, "`" + name.text + "` is declared twice in this kernel")
      .hint("give one of them another name")
      .note(it->second,
            "`" + name.text + "` " +
                (size ? "is used as a size here" : "is first declared here"));
  return false;
}

View *KernelAnalyzer::newView(Scope &scope, const ast::Ident &name,
                              Tensor::Role role) {
  scope.viewPool.push_back(std::make_unique<View>());
  View *view = scope.viewPool.back().get();
  view->name = name.text;
  view->role = role;
  view->decl = name.range;
  scope.views[name.text] = view;
  return view;
}

static model::DType modelType(ast::DType dtype) {
  switch (dtype) {
  case ast::DType::None:
    return model::DType::Io;
  case ast::DType::F16:
    return model::DType::F16;
  case ast::DType::BF16:
    return model::DType::BF16;
  case ast::DType::F32:
    return model::DType::F32;
  case ast::DType::F64:
    return model::DType::F64;
  case ast::DType::I32:
    return model::DType::I32;
  case ast::DType::I64:
    return model::DType::I64;
  case ast::DType::Bool:
    return model::DType::Bool;
  }
  return model::DType::Io;
}

TensorInfo *KernelAnalyzer::newTensor(const std::string &name,
                                      Tensor::Role role, ast::DType dtype,
                                      llvm::SMRange decl) {
  auto tensor = std::make_unique<Tensor>();
  unsigned &count = usedNames[name];
  tensor->name = count++ ? name + "." + std::to_string(count) : name;
  if (count > 1) // `name.2` is now taken, too
    ++usedNames[tensor->name];
  tensor->role = role;
  tensor->dtype = modelType(dtype);
  tensor->loc = decl.Start;
  auto info = std::make_unique<TensorInfo>();
  info->tensor = tensor.get();
  info->decl = decl;
  infoOfTensor[tensor.get()] = info.get();
  kernel.tensorPool.push_back(std::move(tensor));
  tensors.push_back(std::move(info));
  return tensors.back().get();
}

//===----------------------------------------------------------------------===//
// Sizes and batch dims
//===----------------------------------------------------------------------===//

template <typename Fn> static void forEachGroup(const ast::Kernel &ast, Fn fn) {
  for (const ast::Group &group : ast.arguments)
    fn(group, true);
  for (const ast::Group &group : ast.outputs)
    fn(group, false);
}

void KernelAnalyzer::declareSizes(Scope &scope) {
  forEachGroup(*scope.ast, [&](const ast::Group &group, bool) {
    for (const ast::Expr *dim : group.type.dims) {
      llvm::SmallVector<const ast::NameExpr *> names;
      collectSizeNames(dim, names);
      for (const ast::NameExpr *name : names) {
        if (!scope.declared.try_emplace(name->name, name->range).second)
          continue;
        scope.sizes[name->name] = polys.size(name->name);
        scope.sizeNames.push_back(name->name);
        model::Kernel::SizeInfo size;
        size.name = name->name.str();
        for (auto &[bound, value] : file.options.dims)
          if (bound == name->name)
            size.bound = value;
        kernel.sizes.push_back(size);
      }
    }
  });
}

/// Is `dim` the batch dim `name` or a division of it?
static const ast::NameExpr *batchNameOf(const ast::Expr *dim) {
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(dim))
    return name;
  if (auto *binary = llvm::dyn_cast<ast::BinaryExpr>(dim))
    if (binary->op == ast::BinaryOp::Div)
      return llvm::dyn_cast<ast::NameExpr>(binary->lhs);
  return nullptr;
}

void KernelAnalyzer::declareBatch(Scope &scope) {
  for (const ast::Item *item : scope.ast->items) {
    auto *batch = llvm::dyn_cast<ast::BatchItem>(item);
    if (!batch)
      continue;
    for (const ast::Ident &name : batch->names) {
      bool twice = false;
      for (const Scope::Batch &other : scope.batch)
        if (other.name == name.text) {
          reporter
              .error(name.range, "batch dim `" + name.text + "` is named twice")
              .note(other.range, "first named here");
          twice = true;
        }
      if (twice)
        continue;
      bool stands = false;
      forEachGroup(*scope.ast, [&](const ast::Group &group, bool) {
        for (const ast::Expr *dim : group.type.dims)
          if (const ast::NameExpr *found = batchNameOf(dim))
            stands |= found->name == name.text;
      });
      auto size = scope.sizes.find(name.text);
      if (!stands || size == scope.sizes.end()) {
        auto &&error = reporter.error(name.range, "batch dim `" + name.text +
                                                      "` is no dim of any "
                                                      "argument or result");
        error.expected("a name that stands as a dim, such as `" + name.text +
                       "` or `" + name.text + "/G`");
        llvm::StringRef near = nearest(name.text, scope.sizeNames);
        if (!near.empty())
          error.hint("did you mean `" + near + "`?");
        continue;
      }
      Scope::Batch entry;
      entry.name = name.text;
      entry.range = name.range;
      entry.extent = size->second;
      if (!scope.parent)
        entry.root = int(scope.batch.size());
      scope.batchOrder.push_back(unsigned(scope.batch.size()));
      scope.batch.push_back(entry);
    }
  }
}

View::Slot KernelAnalyzer::slotOf(Scope &scope, const ast::Expr *dim) {
  View::Slot slot;
  const ast::NameExpr *name = batchNameOf(dim);
  if (!name)
    return slot;
  for (unsigned b = 0; b < scope.batch.size(); ++b)
    if (scope.batch[b].name == name->name)
      slot.batch = int(b);
  if (slot.batch < 0)
    return slot;
  if (auto *binary = llvm::dyn_cast<ast::BinaryExpr>(dim)) {
    llvm::SmallVector<const ast::NameExpr *> names;
    collectSizeNames(binary->rhs, names);
    for (const ast::NameExpr *other : names)
      for (const Scope::Batch &batch : scope.batch)
        if (batch.name == other->name)
          slot.batch = -1; // B/H is an ordinary dim
    if (slot.batch >= 0)
      slot.divisor = dimPoly(scope, binary->rhs);
  }
  return slot;
}

/// Slots from the text of the type; dims too unless the tensor has them.
void KernelAnalyzer::viewFromDims(Scope &scope, View &view,
                                  const ast::Type &type) {
  bool addDims = view.info->dims.empty();
  for (const ast::Expr *expr : type.dims) {
    View::Slot slot = slotOf(scope, expr);
    for (const View::Slot &other : view.slots)
      if (slot.batch >= 0 && other.batch == slot.batch) {
        reporter
            .error(expr->range, "batch dim `" + scope.batch[slot.batch].name +
                                    "` stands twice in the shape of `" +
                                    view.name + "`")
            .note(scope.batch[slot.batch].range, "declared as batch dim here");
        slot.batch = -1;
        break;
      }
    if (slot.batch >= 0 && view.role != Tensor::Role::Argument &&
        slot.divisor != Poly(1) && !slot.divisor.invalid) {
      llvm::StringRef name = scope.batch[slot.batch].name;
      reporter
          .error(expr->range, "`" + view.name +
                                  "` is defined once for every `" + name +
                                  "`, so it cannot have the dim `" + name +
                                  "/" + polys.str(slot.divisor) + "`")
          .expected("`" + name + "`");
      slot.divisor = Poly(1);
    }
    view.slots.push_back(slot);
    if (!addDims)
      continue;
    Dim dim;
    dim.poly = dimPoly(scope, expr);
    dim.known = true; // an unknown one has been reported and agrees with all
    dim.from = expr->range;
    view.info->dims.push_back(dim);
  }
  finishView(view);
}

/// Slots of a result of a call that no declaration names: where the shape has
/// a batch dim of this kernel.
void KernelAnalyzer::viewFromShape(Scope &scope, View &view) {
  std::vector<bool> taken(scope.batch.size());
  for (const Dim &dim : view.info->dims) {
    View::Slot slot;
    for (unsigned b = 0; b < scope.batch.size() && slot.batch < 0; ++b)
      if (!taken[b] && dim.poly == scope.batch[b].extent) {
        slot.batch = int(b);
        taken[b] = true;
      }
    view.slots.push_back(slot);
  }
  finishView(view);
}

void KernelAnalyzer::prependBatch(Scope &scope, View &view, bool addDims) {
  for (unsigned b : scope.batchOrder) {
    View::Slot slot;
    slot.batch = int(b);
    view.slots.push_back(slot);
    if (!addDims)
      continue;
    Dim dim;
    dim.poly = scope.batch[b].extent;
    dim.known = true;
    dim.from = scope.batch[b].range;
    view.info->dims.push_back(dim);
  }
}

void KernelAnalyzer::finishView(View &view) {
  view.subscripts.clear();
  for (unsigned i = 0; i < view.slots.size(); ++i)
    if (view.slots[i].batch < 0)
      view.subscripts.push_back(i);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// The root's arguments and results.
void KernelAnalyzer::declareArguments(Scope &scope) {
  forEachGroup(*scope.ast, [&](const ast::Group &group, bool isArgument) {
    Tensor::Role role =
        isArgument ? Tensor::Role::Argument : Tensor::Role::Output;
    for (const ast::Ident &name : group.names) {
      if (!claim(scope, name))
        continue;
      View *view = newView(scope, name, role);
      view->info =
          newTensor(name.text.str(), role, group.type.dtype, name.range);
      viewFromDims(scope, *view, group.type);
      (isArgument ? kernel.arguments : kernel.outputs)
          .push_back(view->info->tensor);
    }
  });
}

unsigned KernelAnalyzer::alongCountOf(Scope &scope, const View &view) {
  if (!view.state->along.empty())
    return unsigned(view.state->along.size());
  return 1;
}

void KernelAnalyzer::declareState(Scope &scope, const ast::StateItem &item) {
  for (const ast::Ident &name : item.names) {
    if (!claim(scope, name))
      continue;
    View *view = newView(scope, name, Tensor::Role::State);
    view->info = newTensor(scope.prefix + name.text.str(), Tensor::Role::State,
                           item.type.dtype, name.range);
    view->state = &item;
    view->alongCount = alongCountOf(scope, *view);
    prependBatch(scope, *view, true);
    Tensor *tensor = view->info->tensor;
    tensor->alongBegin = unsigned(view->slots.size());
    tensor->alongCount = view->alongCount;
    for (unsigned a = 0; a < view->alongCount; ++a) {
      Dim dim;
      if (a < item.along.size()) {
        const ast::Ident &along = item.along[a];
        auto size = scope.sizes.find(along.text);
        bool isBatch = false;
        for (const Scope::Batch &batch : scope.batch)
          isBatch |= batch.name == along.text;
        dim.known = true;
        dim.from = along.range;
        if (size == scope.sizes.end() || isBatch) {
          auto &&error = reporter.error(
              along.range, isBatch
                               ? "a state cannot run along the batch dim `" +
                                     along.text + "`"
                               : "unknown size `" + along.text + "`");
          error.expected("the name of a size that is no batch dim");
          llvm::StringRef near = nearest(along.text, scope.sizeNames);
          if (!isBatch && !near.empty())
            error.hint("did you mean `" + near + "`?");
          dim.poly.invalid = true;
        } else {
          dim.poly = size->second;
        }
      }
      view->slots.emplace_back();
      view->info->dims.push_back(dim);
    }
    for (const ast::Expr *expr : item.type.dims) {
      if (slotOf(scope, expr).batch >= 0)
        reporter
            .error(expr->range,
                   "batch dim in the shape of state `" + name.text + "`")
            .expected("a shape without batch dims")
            .hint("leave it out: there is one state for each of them anyway");
      Dim dim;
      dim.poly = dimPoly(scope, expr);
      dim.known = true;
      dim.from = expr->range;
      view->slots.emplace_back();
      view->info->dims.push_back(dim);
    }
    finishView(*view);
    kernel.states.push_back(tensor);
  }
}

void KernelAnalyzer::declareLocal(Scope &scope, const ast::LocalItem &item) {
  bool full = false; // the shape names batch dims, so it names all dims
  for (const ast::Expr *expr : item.type.dims)
    full |= slotOf(scope, expr).batch >= 0;
  for (const ast::Ident &name : item.names) {
    if (!claim(scope, name))
      continue;
    View *view = newView(scope, name, Tensor::Role::Local);
    view->info = newTensor(scope.prefix + name.text.str(), Tensor::Role::Local,
                           item.type.dtype, name.range);
    if (full) {
      viewFromDims(scope, *view, item.type);
      continue;
    }
    prependBatch(scope, *view, true);
    for (const ast::Expr *expr : item.type.dims) {
      Dim dim;
      dim.poly = dimPoly(scope, expr);
      dim.known = true;
      dim.from = expr->range;
      view->slots.emplace_back();
      view->info->dims.push_back(dim);
    }
    finishView(*view);
  }
}

void KernelAnalyzer::declareStatesAndLocals(Scope &scope) {
  for (const ast::Item *item : scope.ast->items) {
    if (auto *let = llvm::dyn_cast<ast::LetItem>(item)) {
      if (claim(scope, let->name))
        scope.lets[let->name.text] = let;
    } else if (auto *state = llvm::dyn_cast<ast::StateItem>(item)) {
      declareState(scope, *state);
    } else if (auto *local = llvm::dyn_cast<ast::LocalItem>(item)) {
      declareLocal(scope, *local);
    }
  }
}

//===----------------------------------------------------------------------===//
// Equations
//===----------------------------------------------------------------------===//

View *KernelAnalyzer::lookup(Scope *scope, llvm::StringRef name) {
  return scope ? scope->views.lookup(name) : nullptr;
}

void KernelAnalyzer::groupCall(Scope &scope, const ast::CallExpr *call,
                               llvm::ArrayRef<ast::Ident> results,
                               llvm::SMRange range) {
  auto info = std::make_unique<CallInfo>();
  info->call = call;
  info->results.assign(results.begin(), results.end());
  info->range = range;
  for (const ast::Ident &name : results) {
    View *view = lookup(&scope, name.text);
    if (!view) {
      if (!claim(scope, name))
        continue;
      view = newView(scope, name, Tensor::Role::Local);
      view->implicit = true;
    } else if (view->call || !view->items.empty()) {
      reporter.error(name.range, "`" + name.text + "` is defined twice")
          .note(view->call ? view->call->range : view->items[0]->lhsRange,
                "first defined here");
    } else if (view->role == Tensor::Role::Argument ||
               view->role == Tensor::Role::State) {
      reporter
          .error(
              name.range,
              (view->role == Tensor::Role::State ? "state `" : "argument `") +
                  name.text + "` cannot be the result of a call")
          .expected("a result of this kernel or a local")
          .note(view->decl, "`" + name.text + "` is declared here");
      continue;
    }
    view->call = info.get();
  }
  scope.calls.push_back(std::move(info));
}

void KernelAnalyzer::groupEquations(Scope &scope) {
  for (const ast::Item *item : scope.ast->items)
    if (auto *equation = llvm::dyn_cast<ast::EquationItem>(item))
      scope.firstItem.try_emplace(equation->name.text, equation);
  for (const ast::Item *item : scope.ast->items) {
    if (auto *call = llvm::dyn_cast<ast::CallItem>(item)) {
      groupCall(scope, call->call, call->results, call->range);
      continue;
    }
    auto *equation = llvm::dyn_cast<ast::EquationItem>(item);
    if (!equation)
      continue;
    const ast::Ident &name = equation->name;
    if (auto *call = llvm::dyn_cast_if_present<ast::CallExpr>(equation->value))
      if (equation->subscripts.empty() &&
          file.kernels.count(call->callee.text)) {
        groupCall(scope, call, name, equation->range);
        continue;
      }
    View *view = lookup(&scope, name.text);
    if (!view) {
      if (scope.declared.count(name.text)) {
        reporter
            .error(name.range,
                   "`" + name.text +
                       "` cannot be defined by an equation: it is "
                       "already a " +
                       (scope.lets.count(name.text) ? "let" : "size"))
            .expected("the name of a result, a state or a local")
            .note(scope.declared[name.text], "declared here");
        continue;
      }
      scope.declared[name.text] = name.range;
      view = newView(scope, name, Tensor::Role::Local);
      view->implicit = true;
      ast::DType dtype = looksBool(scope, equation->value) ? ast::DType::Bool
                                                           : ast::DType::None;
      view->info = newTensor(scope.prefix + name.text.str(),
                             Tensor::Role::Local, dtype, name.range);
      prependBatch(scope, *view, true);
      for (size_t i = 0; i < equation->subscripts.size(); ++i) {
        view->slots.emplace_back();
        view->info->dims.emplace_back();
      }
      finishView(*view);
    } else if (view->role == Tensor::Role::Argument) {
      reporter
          .error(equation->lhsRange, "argument `" + name.text +
                                         "` cannot be defined by an equation")
          .hint("give the new tensor another name")
          .note(view->decl, "`" + name.text + "` is declared here");
      continue;
    } else if (view->call ||
               (!view->items.empty() && view->role != Tensor::Role::State)) {
      reporter.error(equation->lhsRange, "`" + name.text + "` is defined twice")
          .expected("one equation for `" + name.text + "`")
          .note(view->call ? view->call->range : view->items[0]->lhsRange,
                "first defined here");
      continue;
    }
    view->items.push_back(equation);
  }

  for (auto &view : scope.viewPool) {
    if (view->items.empty())
      continue;
    auto eq = std::make_unique<EqInfo>();
    eq->scope = &scope;
    eq->target = view.get();
    view->info->eq = eq.get();
    scope.equations.push_back(std::move(eq));
  }
}

void KernelAnalyzer::checkDefined(Scope &scope) {
  if (scope.ast->broken)
    return; // the equation may be what could not be parsed
  llvm::SmallVector<llvm::StringRef> undeclared;
  for (auto &view : scope.viewPool)
    if (view->implicit)
      undeclared.push_back(view->name);
  for (auto &view : scope.viewPool) {
    if (view->role == Tensor::Role::Argument || view->call ||
        !view->items.empty() || reporter.full())
      continue;
    llvm::StringRef kind = view->role == Tensor::Role::Output  ? "result"
                           : view->role == Tensor::Role::State ? "state"
                                                               : "local";
    auto &&error = reporter.error(view->decl, kind + " `" + view->name +
                                                  "` is never defined");
    std::string lhs;
    for (size_t i = 0; i < view->subscripts.size(); ++i)
      lhs += (i ? ", " : "[") + std::string(1, char('i' + i % 8));
    error.expected("an equation `" + view->name +
                   (lhs.empty() ? "" : lhs + "]") + " = ..`");
    llvm::StringRef near = nearest(view->name, undeclared);
    if (!near.empty())
      error.hint("`" + near + "` is defined but not declared: is it meant?");
  }
}

bool KernelAnalyzer::declareBody(Scope &scope) {
  unsigned before = reporter.errorCount();
  declareStatesAndLocals(scope);
  groupEquations(scope);
  checkDefined(scope);
  return reporter.errorCount() == before;
}

bool KernelAnalyzer::declareRoot(Scope &scope) {
  unsigned before = reporter.errorCount();
  declareSizes(scope);
  declareBatch(scope);
  for (const Scope::Batch &batch : scope.batch)
    kernel.batch.push_back(batch.name.str());
  declareArguments(scope);
  declareBody(scope);
  return reporter.errorCount() == before;
}
