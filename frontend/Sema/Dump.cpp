//===- Dump.cpp - Prints a resolved kernel --------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Sema/Sema.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace rondo::frontend;
using namespace rondo::frontend::model;

namespace {

class Dumper {
public:
  Dumper(const Kernel &kernel, llvm::raw_ostream &os)
      : kernel(kernel), os(os) {}
  void run();

private:
  std::string name(const Index *index);
  void header(llvm::StringRef role, const Tensor &tensor);
  void equation(const Equation &equation);
  void print(const Expr *e);
  void printApply(const Expr *e);
  void printBound(const Expr *e);
  template <typename List> void list(const List &items) {
    bool first = true;
    for (const Expr *item : items) {
      os << (first ? "" : ", ");
      first = false;
      print(item);
    }
  }

  const Kernel &kernel;
  llvm::raw_ostream &os;
  llvm::DenseMap<const Index *, std::string> names;
  llvm::StringMap<unsigned> counts;
};

} // namespace

static const char *nameOf(DType dtype) {
  static const char *const names[] = {"io",  "f16", "bf16", "f32",
                                      "f64", "i32", "i64",  "bool"};
  return names[unsigned(dtype)];
}

static const char *nameOf(Op op) {
  static const char *const names[] = {
      "+",     "-",     "*",       "/",        "div",    "mod",   "pow",  "-",
      "abs",   "max",   "min",     "==",       "!=",     "<",     "<=",   ">",
      ">=",    "and",   "or",      "not",      "select", "real",  "exp",  "log",
      "log1p", "expm1", "sqrt",    "rsqrt",    "sign",   "floor", "ceil", "sin",
      "cos",   "tanh",  "sigmoid", "softplus", "erf"};
  return names[unsigned(op)];
}

static const char *nameOf(Reduction reduction) {
  static const char *const names[] = {"sum", "prod", "max",      "min",
                                      "any", "all",  "logsumexp"};
  return names[unsigned(reduction)];
}

/// The same name for the same index, another one for another index.
std::string Dumper::name(const Index *index) {
  auto [it, isNew] = names.try_emplace(index);
  if (isNew) {
    unsigned count = counts[index->name]++;
    it->second =
        count ? index->name + "." + std::to_string(count) : index->name;
  }
  return it->second;
}

static bool isInfix(Op op) {
  switch (op) {
  case Op::Add:
  case Op::Sub:
  case Op::Mul:
  case Op::Div:
  case Op::Mod:
  case Op::Eq:
  case Op::Ne:
  case Op::Lt:
  case Op::Le:
  case Op::Gt:
  case Op::Ge:
  case Op::And:
  case Op::Or:
    return true;
  default:
    return false;
  }
}

void Dumper::printApply(const Expr *e) {
  if (isInfix(e->op)) {
    os << "(";
    print(e->args[0]);
    os << " " << nameOf(e->op) << " ";
    print(e->args[1]);
    os << ")";
    return;
  }
  os << nameOf(e->op) << "(";
  list(e->args);
  os << ")";
}

void Dumper::printBound(const Expr *e) {
  os << "[";
  for (size_t i = 0; i < e->indices.size(); ++i) {
    const Index *index = e->indices[i];
    os << (i ? ", " : "") << name(index);
    if (i < e->at.size())
      os << " at " << name(e->at[i]);
    os << " in ";
    if (index->lower)
      print(index->lower);
    else
      os << "0";
    os << "..";
    print(index->upper);
  }
  if (e->filter) {
    os << " | ";
    print(e->filter);
  }
  os << "] ";
}

void Dumper::print(const Expr *e) {
  if (!e) {
    os << "<none>";
    return;
  }
  switch (e->kind) {
  case Expr::Kind::RealConst: {
    llvm::SmallString<32> shortest;
    llvm::raw_svector_ostream(shortest) << llvm::format("%.9g", e->real);
    os << shortest;
    if (shortest.str().find_first_of(".einf") == llvm::StringRef::npos)
      os << ".0";
    return;
  }
  case Expr::Kind::IntConst:
    if (e->type == Type::Bool)
      os << (e->integer ? "true" : "false");
    else
      os << e->integer;
    return;
  case Expr::Kind::Size:
    os << e->name;
    return;
  case Expr::Kind::Index:
    os << name(e->index);
    return;
  case Expr::Kind::Read:
    os << e->tensor->name;
    if (!e->args.empty()) {
      os << (e->isGather() ? "@[" : "[");
      list(e->args);
      os << "]";
    }
    return;
  case Expr::Kind::Apply:
    printApply(e);
    return;
  case Expr::Kind::Reduce:
  case Expr::Kind::Softmax:
    os << "("
       << (e->kind == Expr::Kind::Reduce ? nameOf(e->reduction) : "softmax");
    printBound(e);
    print(e->args[0]);
    os << ")";
    return;
  case Expr::Kind::Grad:
    os << "grad(";
    list(e->args);
    os << ")";
    return;
  }
}

void Dumper::header(llvm::StringRef role, const Tensor &tensor) {
  os << "  " << role << " " << tensor.name << ": " << nameOf(tensor.dtype)
     << "[";
  list(tensor.shape);
  os << "]";
  if (tensor.role == Tensor::Role::State) {
    os << " along " << tensor.alongBegin << ".."
       << tensor.alongBegin + tensor.alongCount << " initial[";
    for (size_t i = 0; i < tensor.initialIndices.size(); ++i)
      os << (i ? ", " : "") << name(tensor.initialIndices[i]);
    os << "] = ";
    print(tensor.initial);
  }
  os << "\n";
}

void Dumper::equation(const Equation &equation) {
  os << "    " << equation.target->name << "[";
  for (size_t i = 0; i < equation.indices.size(); ++i)
    os << (i ? ", " : "") << name(equation.indices[i]);
  os << "] = ";
  print(equation.value);
  os << "\n";
}

void Dumper::run() {
  os << "kernel " << kernel.name << "\n  sizes";
  for (const Kernel::SizeInfo &size : kernel.sizes) {
    os << " " << size.name;
    if (size.bound)
      os << "=" << *size.bound;
  }
  os << "\n  batch";
  for (const std::string &batch : kernel.batch)
    os << " " << batch;
  os << "\n";
  for (const Tensor *tensor : kernel.arguments)
    header("argument", *tensor);
  for (const Tensor *tensor : kernel.outputs)
    header("output", *tensor);
  for (auto &tensor : kernel.tensorPool)
    if (tensor->role == Tensor::Role::Local)
      header("local", *tensor);
  for (const Tensor *tensor : kernel.states) {
    names.clear();
    counts.clear();
    header("state", *tensor);
  }
  for (const Component &component : kernel.components) {
    if (!component.recurrence)
      os << "  equation\n";
    else
      os << "  recurrence";
    for (unsigned a = 0; a < component.alongCount; ++a)
      os << (component.reversed[a] ? " backward" : " forward");
    if (component.recurrence)
      os << "\n";
    for (size_t i = 0; i < component.equations.size(); ++i) {
      names.clear();
      counts.clear();
      if (component.recurrence) {
        os << "    along";
        for (unsigned position : component.alongPosition[i])
          os << " " << position;
        os << ":\n";
      }
      equation(*component.equations[i]);
    }
  }
}

void rondo::frontend::dump(const Kernel &kernel, llvm::raw_ostream &os) {
  Dumper(kernel, os).run();
}
