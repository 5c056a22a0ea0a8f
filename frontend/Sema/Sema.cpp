//===- Sema.cpp - Semantic analysis ---------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Sema.h"
#include "frontend/Sema/Internal.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace rondo::frontend;
using namespace rondo::frontend::sema;

//===----------------------------------------------------------------------===//
// One kernel
//===----------------------------------------------------------------------===//

/// Arguments that no equation reads: most often a slip.
void KernelAnalyzer::warnUnused(Scope &scope) {
  llvm::DenseMap<const Tensor *, bool> read;
  for (auto &expr : kernel.exprs)
    if (expr->kind == Expr::Kind::Read)
      read[expr->tensor] = true;
  for (auto &view : scope.viewPool)
    if (view->role == Tensor::Role::Argument && !read.count(view->info->tensor))
      reporter.warning(view->decl,
                       "argument `" + view->name + "` is never used");
}

bool KernelAnalyzer::run(const ast::Kernel &ast) {
  errorsAtStart = reporter.errorCount();
  kernel.name = ast.name.text.str();
  kernel.loc = ast.name.loc();
  builder.current = ast.name.range;
  for (auto &[name, value] : file.options.dims)
    bounds.boundSizes[name] = value;
  scopes.push_back(std::make_unique<Scope>());
  Scope &root = *scopes.back();
  root.ast = &ast;
  kernelStack.push_back(&ast);
  declareRoot(root);
  elaborate(root);
  checkShapes();
  finishShapes();
  if (!builder.exhausted())
    orderEquations();
  checkRanges();
  if (reporter.errorCount() != errorsAtStart)
    return false;
  for (auto &equation : kernel.equationPool)
    if (!equation->value) { // nothing may pass that lowering cannot take
      if (ast.broken || file.file.broken)
        return false; // reported by the parser
      reporter.error(ast.name.range,
                     "kernel `" + ast.name.text + "` could not be analysed");
      return false;
    }
  warnUnused(root);
  return true;
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

namespace {

/// Enters the names of the file; one name is one thing.
class FileNames {
public:
  FileNames(FileContext &context) : context(context) {}

  void enter() {
    for (const ast::Const *constant : context.file.consts)
      if (claim(constant->name, "constant"))
        context.consts[constant->name.text] = constant;
    for (const ast::Fn *fn : context.file.fns) {
      for (size_t i = 0; i < fn->params.size(); ++i)
        for (size_t k = 0; k < i; ++k)
          if (fn->params[i].text == fn->params[k].text)
            context.reporter
                .error(fn->params[i].range,
                       "parameter `" + fn->params[i].text + "` stands twice")
                .note(fn->params[k].range, "first here");
      if (claim(fn->name, "function"))
        context.fns[fn->name.text] = fn;
    }
    for (const ast::Kernel *kernel : context.file.kernels)
      if (claim(kernel->name, "kernel"))
        context.kernels[kernel->name.text] = kernel;
  }

private:
  bool claim(const ast::Ident &name, llvm::StringRef kind) {
    if (name.text.empty())
      return false;
    if (name.text == "pi" || name.text == "inf" || name.text == "true" ||
        name.text == "false")
      return false; // refused by the parser
    if (isBuiltin(name.text)) {
      context.reporter
          .error(name.range, kind + " `" + name.text +
                                 "` has the name of a built-in "
                                 "function")
          .hint("give it another name");
      return false;
    }
    auto [it, isNew] = seen.try_emplace(name.text, name.range);
    if (!isNew)
      context.reporter.error(name.range, "`" + name.text + "` is defined twice")
          .note(it->second, "first defined here");
    return isNew;
  }

  FileContext &context;
  llvm::StringMap<llvm::SMRange> seen;
};

/// Functions that call themselves, used or not. (Names and types inside a
/// function are checked where it is called.)
class Recursion {
public:
  Recursion(FileContext &context) : context(context) {}

  void check() {
    for (const ast::Fn *fn : context.file.fns)
      visit(fn);
  }

private:
  struct Call {
    const ast::Fn *callee;
    llvm::SMRange range;
  };

  std::vector<Call> callsOf(const ast::Fn *fn) {
    std::vector<Call> calls;
    std::vector<const ast::Expr *> work = {fn->value};
    while (!work.empty()) {
      const ast::Expr *e = work.back();
      work.pop_back();
      if (!e)
        continue;
      if (auto *call = llvm::dyn_cast<ast::CallExpr>(e)) {
        if (const ast::Fn *callee = context.fns.lookup(call->callee.text))
          calls.push_back({callee, call->range});
        work.insert(work.end(), call->args.begin(), call->args.end());
      } else if (auto *access = llvm::dyn_cast<ast::AccessExpr>(e)) {
        work.insert(work.end(), access->subscripts.begin(),
                    access->subscripts.end());
      } else if (auto *unary = llvm::dyn_cast<ast::UnaryExpr>(e)) {
        work.push_back(unary->operand);
      } else if (auto *binary = llvm::dyn_cast<ast::BinaryExpr>(e)) {
        work.insert(work.end(), {binary->lhs, binary->rhs});
      } else if (auto *branch = llvm::dyn_cast<ast::IfExpr>(e)) {
        work.insert(work.end(),
                    {branch->condition, branch->thenValue, branch->elseValue});
      } else if (auto *reduce = llvm::dyn_cast<ast::ReduceExpr>(e)) {
        work.insert(work.end(), {reduce->filter, reduce->body});
      } else if (auto *grad = llvm::dyn_cast<ast::GradExpr>(e)) {
        work.insert(work.end(), {grad->value, grad->access});
      }
    }
    return calls;
  }

  void visit(const ast::Fn *start) {
    if (done.count(start))
      return;
    struct Frame {
      const ast::Fn *fn;
      std::vector<Call> calls;
      size_t next = 0;
    };
    std::vector<Frame> stack;
    auto enter = [&](const ast::Fn *fn) {
      done[fn] = false;
      stack.push_back({fn, callsOf(fn)});
    };
    enter(start);
    while (!stack.empty()) {
      Frame &frame = stack.back();
      if (frame.next == frame.calls.size()) {
        done[frame.fn] = true;
        stack.pop_back();
        continue;
      }
      Call call = frame.calls[frame.next++];
      auto it = done.find(call.callee);
      if (it == done.end()) {
        enter(call.callee);
      } else if (!it->second) {
        context.reporter
            .error(call.callee->name.range,
                   "function `" + call.callee->name.text + "` calls itself")
            .expected("a function that can be inlined")
            .note(call.range, "called here");
      }
    }
  }

  FileContext &context;
  llvm::DenseMap<const ast::Fn *, bool> done; // false while on the stack
};

} // namespace

/// Sizes given to the compile command: known to some kernel, and possible.
static void checkDims(FileContext &context,
                      llvm::ArrayRef<const ast::Kernel *> kernels) {
  llvm::SmallVector<llvm::StringRef> sizes;
  std::vector<const ast::Expr *> work;
  for (const ast::Kernel *kernel : kernels) {
    if (kernel->broken)
      return; // the size may stand in what could not be parsed
    for (const ast::Group &group : kernel->arguments)
      work.insert(work.end(), group.type.dims.begin(), group.type.dims.end());
    for (const ast::Group &group : kernel->outputs)
      work.insert(work.end(), group.type.dims.begin(), group.type.dims.end());
    for (const ast::Item *item : kernel->items) {
      if (auto *state = llvm::dyn_cast<ast::StateItem>(item))
        work.insert(work.end(), state->type.dims.begin(),
                    state->type.dims.end());
      if (auto *local = llvm::dyn_cast<ast::LocalItem>(item))
        work.insert(work.end(), local->type.dims.begin(),
                    local->type.dims.end());
    }
  }
  while (!work.empty()) {
    const ast::Expr *dim = work.back();
    work.pop_back();
    if (auto *name = llvm::dyn_cast<ast::NameExpr>(dim)) {
      if (!context.consts.count(name->name) &&
          !llvm::is_contained(sizes, name->name))
        sizes.push_back(name->name);
    } else if (auto *binary = llvm::dyn_cast<ast::BinaryExpr>(dim)) {
      work.insert(work.end(), {binary->lhs, binary->rhs});
    }
  }
  for (auto &[name, value] : context.options.dims) {
    if (!llvm::is_contained(sizes, llvm::StringRef(name))) {
      auto &&error = context.reporter.error(
          llvm::SMRange(), "--dims names a size that no kernel has: `" +
                               llvm::Twine(name) + "`");
      llvm::StringRef near = nearest(name, sizes);
      if (!near.empty())
        error.hint("did you mean `" + near + "`?");
    } else if (value < 0) {
      context.reporter
          .error(llvm::SMRange(), "--dims gives size `" + llvm::Twine(name) +
                                      "` a negative "
                                      "value")
          .expected("at least 0")
          .found(llvm::Twine(value));
    }
  }
}

std::vector<std::unique_ptr<model::Kernel>>
rondo::frontend::analyze(const ast::File &file, Diagnostics &diags,
                         const SemaOptions &options) {
  std::vector<std::unique_ptr<model::Kernel>> result;
  Reporter reporter;
  FileContext context{file, reporter, options, {}, {}, {}, {}};
  FileNames(context).enter();
  Recursion(context).check();
  {
    model::Kernel scratch;
    KernelAnalyzer analyzer(context, scratch);
    for (const ast::Const *constant : file.consts)
      if (context.consts.lookup(constant->name.text) == constant)
        analyzer.constant(constant->name.text);
  }
  std::vector<const ast::Kernel *> kernels;
  llvm::SmallVector<llvm::StringRef> names;
  for (const ast::Kernel *kernel : file.kernels) {
    names.push_back(kernel->name.text);
    if (options.kernel.empty() || kernel->name.text == options.kernel)
      kernels.push_back(kernel);
  }
  if (kernels.empty() && !options.kernel.empty()) {
    auto &&error = reporter.error(llvm::SMRange(), "no kernel is named `" +
                                                       options.kernel + "`");
    error.expected(names.empty() ? "a kernel in the file"
                                 : "one of: " + llvm::join(names, ", "));
    llvm::StringRef near = nearest(options.kernel, names);
    if (!near.empty())
      error.hint("did you mean `" + near + "`?");
  }
  checkDims(context, kernels);
  for (const ast::Kernel *kernel : kernels) {
    if (reporter.full())
      break;
    auto model = std::make_unique<model::Kernel>();
    KernelAnalyzer analyzer(context, *model);
    if (analyzer.run(*kernel))
      result.push_back(std::move(model));
  }
  bool good = reporter.errorCount() == 0 && !file.broken;
  reporter.flush(diags);
  if (!good)
    result.clear();
  return result;
}
