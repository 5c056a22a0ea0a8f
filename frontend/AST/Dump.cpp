//===- Dump.cpp - The syntax tree as text ---------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/AST/AST.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace rondo::frontend::ast;

namespace {

/// Line and column of places that mostly come in order: a file of one very
/// long line is dumped in linear time.
class Cursor {
public:
  explicit Cursor(const llvm::SourceMgr &sources) : sources(sources) {}

  void moveTo(llvm::SMLoc loc) {
    const char *target = loc.getPointer();
    if (!at || target < at)
      restart(loc);
    for (; at && at != target; ++at) {
      if (*at == '\n') {
        ++line;
        column = 1;
      } else if ((*at & 0xc0) != 0x80) {
        ++column;
      }
    }
  }

  unsigned line = 1, column = 1;

private:
  void restart(llvm::SMLoc loc) {
    unsigned id = sources.FindBufferContainingLoc(loc);
    at = id ? sources.getMemoryBuffer(id)->getBufferStart() : nullptr;
    if (at && llvm::StringRef(at).starts_with("\xef\xbb\xbf"))
      at += 3;
    line = column = 1;
  }

  const llvm::SourceMgr &sources;
  const char *at = nullptr;
};

class Dumper {
public:
  Dumper(const llvm::SourceMgr &sources, llvm::raw_ostream &os)
      : cursor(sources), os(os) {}

  void file(const File &file);

private:
  /// Starts the line of a node.
  llvm::raw_ostream &head(llvm::StringRef what, llvm::SMLoc loc) {
    cursor.moveTo(loc);
    pad() << what << " <" << cursor.line << ":" << cursor.column << ">";
    return os;
  }
  /// Very deep trees stop moving to the right: the text stays in proportion to
  /// the tree.
  llvm::raw_ostream &pad() { return os.indent(std::min(indent, 100u)); }
  void names(llvm::ArrayRef<Ident> list) {
    llvm::interleave(
        list, os, [&](const Ident &name) { os << name.text; }, ", ");
  }
  void list(llvm::StringRef label, llvm::ArrayRef<const Expr *> exprs) {
    if (exprs.empty())
      return;
    pad() << label << "\n";
    Indented in(*this);
    for (const Expr *e : exprs)
      expr(e);
  }
  void labelled(llvm::StringRef label, const Expr *e) {
    if (e)
      list(label, e);
  }
  void dim(const Expr *e, bool nested);
  void type(const Type &type);
  void group(llvm::StringRef what, const Group &group);
  void kernel(const Kernel &kernel);
  void item(const Item &item);
  void expr(const Expr *e);
  void reduce(const ReduceExpr &reduce);

  struct Indented {
    explicit Indented(Dumper &dumper) : dumper(dumper) { dumper.indent += 2; }
    ~Indented() { dumper.indent -= 2; }
    Dumper &dumper;
  };

  Cursor cursor;
  llvm::raw_ostream &os;
  unsigned indent = 0;
};

} // namespace

void Dumper::file(const File &file) {
  os << "file" << (file.broken ? " broken" : "") << "\n";
  Indented in(*this);
  for (const Const *node : file.consts) {
    head("const", node->range.Start) << " " << node->name.text << "\n";
    Indented in(*this);
    expr(node->value);
  }
  for (const Fn *node : file.fns) {
    head("fn", node->range.Start) << " " << node->name.text << "(";
    names(node->params);
    os << ")\n";
    Indented in(*this);
    expr(node->value);
  }
  for (const Kernel *node : file.kernels)
    kernel(*node);
}

/// A dim on one line, as it could be written.
void Dumper::dim(const Expr *e, bool nested) {
  if (auto *number = llvm::dyn_cast<NumberExpr>(e)) {
    os << number->text;
  } else if (auto *name = llvm::dyn_cast<NameExpr>(e)) {
    os << name->name;
  } else if (auto *binary = llvm::dyn_cast<BinaryExpr>(e)) {
    os << (nested ? "(" : "");
    dim(binary->lhs, true);
    os << " " << spelling(binary->op) << " ";
    dim(binary->rhs, true);
    os << (nested ? ")" : "");
  } else {
    os << "<error>";
  }
}

void Dumper::type(const Type &type) {
  os << spelling(type.dtype);
  if (type.dtype != DType::None && type.dims.empty())
    return;
  os << "[";
  llvm::interleave(type.dims, os, [&](const Expr *e) { dim(e, false); }, ", ");
  os << "]";
}

void Dumper::group(llvm::StringRef what, const Group &group) {
  head(what, group.names.front().loc()) << " ";
  names(group.names);
  os << ": ";
  type(group.type);
  os << "\n";
}

void Dumper::kernel(const Kernel &kernel) {
  head("kernel", kernel.range.Start)
      << " " << kernel.name.text << (kernel.broken ? " broken" : "") << "\n";
  Indented in(*this);
  for (const Group &arguments : kernel.arguments)
    group("argument", arguments);
  for (const Group &outputs : kernel.outputs)
    group("result", outputs);
  for (const Item *node : kernel.items)
    item(*node);
}

void Dumper::item(const Item &item) {
  if (auto *batch = llvm::dyn_cast<BatchItem>(&item)) {
    head("batch", item.loc()) << " ";
    names(batch->names);
    os << "\n";
  } else if (auto *let = llvm::dyn_cast<LetItem>(&item)) {
    head("let", item.loc()) << " " << let->name.text << "\n";
    Indented in(*this);
    expr(let->value);
  } else if (auto *state = llvm::dyn_cast<StateItem>(&item)) {
    head("state", item.loc()) << " ";
    names(state->names);
    os << ": ";
    type(state->type);
    if (!state->along.empty()) {
      os << " along ";
      names(state->along);
    }
    os << "\n";
    Indented in(*this);
    labelled("initial", state->initial);
  } else if (auto *local = llvm::dyn_cast<LocalItem>(&item)) {
    head("local", item.loc()) << " ";
    names(local->names);
    os << ": ";
    type(local->type);
    os << "\n";
  } else if (auto *equation = llvm::dyn_cast<EquationItem>(&item)) {
    head("equation", item.loc()) << " " << equation->name.text << "\n";
    Indented in(*this);
    list("at", equation->subscripts);
    labelled("value", equation->value);
  } else if (auto *call = llvm::dyn_cast<CallItem>(&item)) {
    head("call", item.loc()) << " ";
    names(call->results);
    os << "\n";
    Indented in(*this);
    expr(call->call);
  }
}

void Dumper::reduce(const ReduceExpr &reduce) {
  head("reduce", reduce.range.Start) << " " << spelling(reduce.op) << "\n";
  Indented in(*this);
  for (const ReduceIndex &index : reduce.indices) {
    head("index", index.name.loc()) << " " << index.name.text << "\n";
    Indented in(*this);
    labelled("from", index.lower);
    labelled("to", index.upper);
  }
  labelled("where", reduce.filter);
  labelled("of", reduce.body);
}

void Dumper::expr(const Expr *e) {
  llvm::SMLoc start = e->range.Start;
  switch (e->kind) {
  case ExprKind::Error:
    head("error", start) << "\n";
    return;
  case ExprKind::Number:
    head("number", start) << " " << llvm::cast<NumberExpr>(e)->text << "\n";
    return;
  case ExprKind::Name:
    head("name", start) << " " << llvm::cast<NameExpr>(e)->name << "\n";
    return;
  case ExprKind::Reduce:
    reduce(*llvm::cast<ReduceExpr>(e));
    return;
  default:
    break;
  }

  // What is left prints a line and its operands below.
  llvm::SmallVector<const Expr *, 4> operands;
  if (auto *access = llvm::dyn_cast<AccessExpr>(e)) {
    head("access", start) << " " << access->name.text << "\n";
    operands.append(access->subscripts.begin(), access->subscripts.end());
  } else if (auto *call = llvm::dyn_cast<CallExpr>(e)) {
    head("call", start) << " " << call->callee.text << "\n";
    operands.append(call->args.begin(), call->args.end());
  } else if (auto *unary = llvm::dyn_cast<UnaryExpr>(e)) {
    head("unary", start) << " " << spelling(unary->op) << "\n";
    operands = {unary->operand};
  } else if (auto *binary = llvm::dyn_cast<BinaryExpr>(e)) {
    head("binary", start) << " " << spelling(binary->op) << "\n";
    operands = {binary->lhs, binary->rhs};
  } else if (auto *choice = llvm::dyn_cast<IfExpr>(e)) {
    head("if", start) << "\n";
    operands = {choice->condition, choice->thenValue, choice->elseValue};
  } else if (auto *grad = llvm::dyn_cast<GradExpr>(e)) {
    head("grad", start) << "\n";
    operands = {grad->value, grad->access};
  }
  Indented in(*this);
  for (const Expr *operand : operands)
    expr(operand);
}

void rondo::frontend::ast::dump(const File &file,
                                const llvm::SourceMgr &sources,
                                llvm::raw_ostream &os) {
  Dumper(sources, os).file(file);
}
