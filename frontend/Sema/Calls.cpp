//===- Calls.cpp - Kernel calls -------------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `y, s = other(a, b)` puts an instance of `other` into the caller's model. Its
// arguments and results are the caller's tensors with all their dims, batch
// dims included; its sizes are found by matching their shapes. A batch dim of
// `other` that meets one of the outermost kernel is that one; others become
// ordinary leading dims of the locals and states of `other`, after those.
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Internal.h"
#include "llvm/ADT/STLExtras.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;
using model::Type;

static constexpr size_t maxCallDepth = 32;
static constexpr size_t maxInstances = 1000;

static Type typeOf(model::DType dtype) {
  switch (dtype) {
  case model::DType::I32:
  case model::DType::I64:
    return Type::Int;
  case model::DType::Bool:
    return Type::Bool;
  default:
    return Type::Real;
  }
}

static Type typeOf(ast::DType dtype) {
  switch (dtype) {
  case ast::DType::I32:
  case ast::DType::I64:
    return Type::Int;
  case ast::DType::Bool:
    return Type::Bool;
  default:
    return Type::Real;
  }
}

namespace {
/// A parameter or result of the callee.
struct Formal {
  ast::Ident name;
  const ast::Type *type;
};
} // namespace

static std::vector<Formal> formals(llvm::ArrayRef<ast::Group> groups) {
  std::vector<Formal> list;
  for (const ast::Group &group : groups)
    for (const ast::Ident &name : group.names)
      list.push_back({name, &group.type});
  return list;
}

static std::string nameList(llvm::ArrayRef<Formal> list) {
  std::string text;
  for (const Formal &formal : list)
    text += (text.empty() ? "" : ", ") + formal.name.text.str();
  return text;
}

bool KernelAnalyzer::inlineCall(Scope &scope, CallInfo &call) {
  llvm::StringRef name = call.call->callee.text;
  if (!file.kernels.count(name)) {
    llvm::SmallVector<llvm::StringRef> names;
    for (const ast::Kernel *kernel : file.file.kernels)
      names.push_back(kernel->name.text);
    auto &&error = reporter.error(call.call->callee.range,
                                  "unknown kernel `" + name + "`");
    error.expected("a kernel of this file");
    llvm::StringRef near = nearest(name, names);
    if (!near.empty())
      error.hint("did you mean `" + near + "`?");
    else if (file.fns.count(name) || isBuiltin(name))
      error.hint("`" + name + "` is a function of numbers: it has one value");
    return false;
  }
  const ast::Kernel &ast = *file.kernels.lookup(name);
  if (ast.broken)
    return false; // reported by the parser
  builder.current = call.call->range;
  if (llvm::is_contained(kernelStack, &ast)) {
    reporter.error(call.call->range, "kernel `" + name + "` calls itself")
        .expected("a kernel that can be inlined")
        .note(ast.name.range, "`" + name + "` is defined here");
    return false;
  }
  if (kernelStack.size() >= maxCallDepth || scopes.size() >= maxInstances) {
    builder.exhaust("too many kernel calls, or too deep inside each other");
    return false;
  }
  std::vector<Formal> params = formals(ast.arguments);
  std::vector<Formal> outputs = formals(ast.outputs);
  unsigned before = reporter.errorCount();
  if (params.size() != call.call->args.size())
    reporter
        .error(call.call->range,
               "wrong number of arguments for kernel `" + name + "`")
        .expected(countOf(params.size(), "argument", "arguments") + ": " +
                  nameList(params))
        .found(countOf(call.call->args.size(), "argument", "arguments"))
        .note(ast.name.range, "`" + name + "` is defined here");
  if (outputs.size() != call.results.size())
    reporter
        .error(call.range, "wrong number of results of kernel `" + name + "`")
        .expected(countOf(outputs.size(), "result", "results") + ": " +
                  nameList(outputs))
        .found(countOf(call.results.size(), "name", "names"))
        .note(ast.name.range, "`" + name + "` is defined here");
  if (reporter.errorCount() != before)
    return false;

  scopes.push_back(std::make_unique<Scope>());
  Scope &callee = *scopes.back();
  callee.ast = &ast;
  callee.parent = &scope;
  callee.prefix = scope.prefix + name.str() + ".";
  kernelStack.push_back(&ast);
  if (bindArguments(scope, callee, call) && bindResults(scope, callee, call)) {
    reporter.inlinedAt.emplace_back(call.call->range,
                                    ("`" + name + "` is called here").str());
    declareBody(callee);
    elaborate(callee);
    reporter.inlinedAt.pop_back();
  }
  kernelStack.pop_back();
  return reporter.errorCount() == before;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

bool KernelAnalyzer::dimKnown(Scope &callee, const ast::Expr *dim) {
  llvm::SmallVector<const ast::NameExpr *> names;
  collectSizeNames(dim, names);
  return llvm::all_of(names, [&](const ast::NameExpr *name) {
    return callee.sizes.count(name->name) != 0;
  });
}

/// Makes `dim` equal `actual` by giving a value to the one size in it that has
/// none; false when that is not possible (yet).
bool KernelAnalyzer::unifyDim(Scope &callee, const ast::Expr *dim,
                              const Poly &actual) {
  if (auto *name = llvm::dyn_cast<ast::NameExpr>(dim)) {
    callee.sizes[name->name] = actual;
    return true;
  }
  auto *binary = llvm::dyn_cast<ast::BinaryExpr>(dim);
  if (!binary)
    return false;
  bool left = dimKnown(callee, binary->lhs);
  if (left == dimKnown(callee, binary->rhs))
    return false;
  const ast::Expr *open = left ? binary->rhs : binary->lhs;
  Poly known = dimPoly(callee, left ? binary->lhs : binary->rhs);
  if (known.invalid)
    return false;
  switch (binary->op) {
  case ast::BinaryOp::Add:
    return unifyDim(callee, open, actual - known);
  case ast::BinaryOp::Sub:
    return unifyDim(callee, open, left ? known - actual : actual + known);
  case ast::BinaryOp::Mul: {
    Poly quotient = polys.floorDiv(actual, known);
    return quotient * known == actual && unifyDim(callee, open, quotient);
  }
  case ast::BinaryOp::Div: {
    if (!left) // any dividend from q*d to q*d + d - 1 would do
      return false;
    // H/G where the caller has H/G, a divisor of H, or H itself.
    if (actual == known)
      return unifyDim(callee, open, Poly(1));
    if (actual.terms.size() == 1 && actual.terms.begin()->second == 1 &&
        actual.terms.begin()->first.size() == 1) {
      const Atom atom = polys.atom(actual.terms.begin()->first[0]);
      if (atom.kind == Atom::Kind::FloorDiv && atom.dividend == known)
        return unifyDim(callee, open, atom.divisor);
    }
    Poly quotient = polys.floorDiv(known, actual);
    return quotient * actual == known && unifyDim(callee, open, quotient);
  }
  default:
    return false;
  }
}

/// Finds the sizes of the callee from the shapes in `given` (arguments, then
/// results; null where the caller has no shape), then checks all of them.
bool KernelAnalyzer::unifySizes(Scope &caller, Scope &callee, CallInfo &call,
                                llvm::ArrayRef<TensorInfo *> given) {
  std::vector<Formal> list = formals(callee.ast->arguments);
  size_t argumentCount = list.size();
  for (const Formal &formal : formals(callee.ast->outputs))
    list.push_back(formal);

  llvm::SmallVector<const ast::NameExpr *> names;
  for (const Formal &formal : list)
    for (const ast::Expr *dim : formal.type->dims)
      collectSizeNames(dim, names);
  for (const ast::NameExpr *name : names)
    if (callee.declared.try_emplace(name->name, name->range).second)
      callee.sizeNames.push_back(name->name);

  bool progress = true;
  while (progress) {
    progress = false;
    // Plain names first: a compound dim rarely says its size uniquely.
    for (bool plain : {true, false}) {
      for (size_t i = 0; i < list.size() && !(progress && !plain); ++i) {
        if (!given[i])
          continue;
        for (size_t d = 0; d < list[i].type->dims.size(); ++d) {
          const ast::Expr *dim = list[i].type->dims[d];
          if (llvm::isa<ast::NameExpr>(dim) == plain &&
              !dimKnown(callee, dim) &&
              unifyDim(callee, dim, given[i]->dims[d].poly))
            progress = true;
        }
      }
    }
  }

  bool good = true;
  for (const ast::NameExpr *name : names)
    if (!callee.sizes.count(name->name)) {
      reporter
          .error(call.call->range, "size `" + name->name + "` of kernel `" +
                                       callee.ast->name.text +
                                       "` is not known from this call")
          .expected("an argument whose shape tells it")
          .note(name->range, "`" + name->name + "` stands here");
      return false;
    }
  for (size_t i = 0; i < list.size(); ++i) {
    if (!given[i])
      continue;
    for (size_t d = 0; d < list[i].type->dims.size(); ++d) {
      Poly want = dimPoly(callee, list[i].type->dims[d]);
      const Dim &have = given[i]->dims[d];
      if (want.invalid || have.poly.invalid || want == have.poly)
        continue;
      bool argument = i < argumentCount;
      llvm::SMRange place = argument ? call.call->args[i]->range
                                     : call.results[i - argumentCount].range;
      reporter
          .error(place, "the shape does not fit `" + list[i].name.text +
                            "` of kernel `" + callee.ast->name.text + "`")
          .expected("size `" + polys.str(want) + "` in dim " +
                    std::to_string(d))
          .found("size `" + polys.str(have.poly) + "`")
          .note(have.from, "this dim")
          .note(list[i].type->dims[d]->range, "and this one must be equal");
      good = false;
    }
  }
  return good;
}

//===----------------------------------------------------------------------===//
// Arguments and results
//===----------------------------------------------------------------------===//

void KernelAnalyzer::bindBatch(Scope &caller, Scope &callee,
                               llvm::ArrayRef<View *> callerViews) {
  std::vector<Formal> params = formals(callee.ast->arguments);
  for (Scope::Batch &batch : callee.batch) {
    for (size_t i = 0; i < params.size() && batch.root < 0; ++i) {
      if (!callerViews[i])
        continue;
      for (size_t d = 0; d < params[i].type->dims.size(); ++d) {
        auto *name = llvm::dyn_cast<ast::NameExpr>(params[i].type->dims[d]);
        const View::Slot &slot = callerViews[i]->slots[d];
        if (name && name->name == batch.name && slot.batch >= 0 &&
            slot.divisor == Poly(1))
          batch.root = caller.batch[slot.batch].root;
      }
    }
  }
  auto rank = [&](unsigned b) {
    int root = callee.batch[b].root;
    return std::pair(root < 0 ? INT_MAX : root, b);
  };
  llvm::sort(callee.batchOrder,
             [&](unsigned a, unsigned b) { return rank(a) < rank(b); });
}

/// A scalar parameter: a number of the caller.
bool KernelAnalyzer::bindNumber(Scope &caller, Scope &callee,
                                const ast::Ident &param, const ast::Type &type,
                                const ast::Expr *text) {
  Env env;
  env.place = Env::Place::CallArgument;
  env.scope = &caller;
  const Expr *value = resolve(text, env);
  std::string what = "argument `" + param.text.str() + "`";
  Type wanted = typeOf(type.dtype);
  bool fits = wanted == Type::Int    ? wantInt(value, text, what)
              : wanted == Type::Bool ? wantBool(value, text, what)
                                     : wantNumber(value, text, what);
  if (fits)
    callee.scalars[param.text] =
        wanted == Type::Real ? builder.toReal(value) : value;
  return fits;
}

/// The caller's tensor for a parameter; null after a report.
View *KernelAnalyzer::tensorArgument(Scope &caller, llvm::StringRef kernelName,
                                     const ast::Ident &param,
                                     const ast::Type &type,
                                     const ast::Expr *text) {
  auto *name = llvm::dyn_cast<ast::NameExpr>(text);
  View *view = name ? lookup(&caller, name->name) : nullptr;
  std::string formal =
      ("`" + param.text + "` of kernel `" + kernelName + "`").str();
  if (!view || !view->info) {
    if (text->kind != ast::ExprKind::Error && !view)
      reporter
          .error(text->range, "argument " + formal + " wants a whole tensor")
          .expected("the name of an argument, a result, a state or a local")
          .found(name ? "`" + name->name.str() + "`, which is no tensor"
                      : std::string("an expression"))
          .hint("define a local for it with an equation")
          .note(param.range, "`" + param.text + "` is this");
    return nullptr;
  }
  if (view->info->dims.size() != type.dims.size()) {
    reporter
        .error(text->range,
               "`" + view->name + "` has another rank than " + formal)
        .expected(countOf(type.dims.size(), "dim", "dims"))
        .found(countOf(view->info->dims.size(), "dim", "dims") +
               ", batch dims included")
        .note(param.range, "`" + param.text + "` is this")
        .note(view->decl, "`" + view->name + "` is this");
    return nullptr;
  }
  Type have = typeOf(view->info->tensor->dtype), want = typeOf(type.dtype);
  if (have == want)
    return view;
  reporter
      .error(text->range,
             "`" + view->name + "` has another type than " + formal)
      .expected(describe(want))
      .found(describe(have));
  return nullptr;
}

/// Where the caller declares the results: their shapes may tell sizes, too.
bool KernelAnalyzer::checkResultRanks(Scope &caller, Scope &callee,
                                      CallInfo &call,
                                      std::vector<TensorInfo *> &given) {
  bool good = true;
  for (auto [i, output] : llvm::enumerate(formals(callee.ast->outputs))) {
    View *view = lookup(&caller, call.results[i].text);
    given.push_back(nullptr);
    if (!view || !view->info || view->call != &call)
      continue;
    if (view->info->dims.size() == output.type->dims.size()) {
      given.back() = view->info;
      continue;
    }
    reporter
        .error(call.results[i].range, "`" + view->name +
                                          "` has another rank than result `" +
                                          output.name.text + "` of kernel `" +
                                          callee.ast->name.text + "`")
        .expected(countOf(output.type->dims.size(), "dim", "dims"))
        .found(countOf(view->info->dims.size(), "dim", "dims") +
               ", batch dims included")
        .note(output.name.range, "`" + output.name.text + "` is this")
        .note(view->decl, "`" + view->name + "` is this");
    good = false;
  }
  return good;
}

bool KernelAnalyzer::bindArguments(Scope &caller, Scope &callee,
                                   CallInfo &call) {
  std::vector<Formal> params = formals(callee.ast->arguments);
  std::vector<TensorInfo *> given;
  std::vector<View *> views;
  bool good = true;
  for (size_t i = 0; i < params.size(); ++i) {
    const ast::Expr *text = call.call->args[i];
    auto *name = llvm::dyn_cast<ast::NameExpr>(text);
    View *view = name ? lookup(&caller, name->name) : nullptr;
    bool isScalar = view && view->info && view->info->dims.empty();
    given.push_back(nullptr);
    views.push_back(nullptr);
    if (params[i].type->dims.empty() && !isScalar) {
      good &= bindNumber(caller, callee, params[i].name, *params[i].type, text);
      continue;
    }
    views.back() = tensorArgument(caller, callee.ast->name.text, params[i].name,
                                  *params[i].type, text);
    if (views.back())
      given.back() = views.back()->info;
    else
      good = false;
  }
  if (!good || !checkResultRanks(caller, callee, call, given) ||
      !unifySizes(caller, callee, call, given))
    return false;

  declareBatch(callee);
  bindBatch(caller, callee, views);
  for (size_t i = 0; i < params.size(); ++i) {
    if (!claim(callee, params[i].name))
      good = false;
    else if (given[i]) {
      View *view = newView(callee, params[i].name, Tensor::Role::Argument);
      view->info = given[i];
      viewFromDims(callee, *view, *params[i].type);
    }
  }
  return good;
}

bool KernelAnalyzer::bindResults(Scope &caller, Scope &callee, CallInfo &call) {
  std::vector<Formal> outputs = formals(callee.ast->outputs);
  bool good = true;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Formal &output = outputs[i];
    View *result = lookup(&caller, call.results[i].text);
    if (!result || result->call != &call) {
      good = false; // reported when the calls were collected
      continue;
    }
    if (!result->info) {
      result->info =
          newTensor(caller.prefix + result->name.str(), Tensor::Role::Local,
                    output.type->dtype, result->decl);
      for (const ast::Expr *expr : output.type->dims) {
        Dim dim;
        dim.poly = dimPoly(callee, expr);
        dim.known = true;
        dim.from = expr->range;
        result->info->dims.push_back(dim);
      }
      viewFromShape(caller, *result);
    } else if (typeOf(result->info->tensor->dtype) !=
               typeOf(output.type->dtype)) {
      reporter
          .error(call.results[i].range, "`" + result->name +
                                            "` has another type than result `" +
                                            output.name.text + "` of kernel `" +
                                            callee.ast->name.text + "`")
          .expected(describe(typeOf(output.type->dtype)))
          .found(describe(typeOf(result->info->tensor->dtype)));
      good = false;
    }
    if (!claim(callee, output.name)) {
      good = false;
      continue;
    }
    View *view = newView(callee, output.name, Tensor::Role::Output);
    view->info = result->info;
    viewFromDims(callee, *view, *output.type);
  }
  return good;
}
