//===- AST.h - The syntax tree of a Rondo file ------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the parser hands to semantic analysis: the text as a tree, nothing
// resolved. Nodes live in the arena of their `File` and are never destroyed one
// by one; names point into the source buffer, so the `llvm::SourceMgr` must
// outlive the tree.
//
// Guarantee for recursive passes: no expression is deeper than
// `maxExprDepth`; the parser refuses deeper ones. (Inlining lets, constants and
// functions can build deeper trees; whoever inlines must keep its own limit.)
//
// After a syntax error the tree is partial: an expression that could not be
// parsed is an `ErrorExpr`, and the kernel that holds the error is `broken`.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_AST_AST_H
#define RONDO_FRONTEND_AST_AST_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/Casting.h"
#include "llvm/Support/SMLoc.h"
#include <cstdint>
#include <memory>
#include <vector>

namespace llvm {
class raw_ostream;
class SourceMgr;
} // namespace llvm

namespace rondo::frontend::ast {

/// The deepest expression tree that the parser builds. A node without operands
/// has depth 1.
inline constexpr unsigned maxExprDepth = 1000;

/// An identifier where it stands.
struct Ident {
  llvm::StringRef text;
  llvm::SMRange range;
  llvm::SMLoc loc() const { return range.Start; }
};

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

enum class ExprKind {
  Error,  // could not be parsed; an error was reported
  Number, // 2, 0.5, 1e-5
  Name,   // x; also inf, pi, true and false, which are not resolved here
  Access, // x[e1, e2]
  Call,   // f(e1, e2): a built-in function, a user function or a kernel
  Unary,
  Binary,
  If,
  Reduce,
  Grad,
};

/// `range` covers the whole text of the expression, parentheses around it
/// excluded; `loc` is where an error about it should point: the operator of a
/// Binary, the start of anything else.
struct Expr {
  const ExprKind kind;
  unsigned depth = 1;
  llvm::SMRange range;
  llvm::SMLoc loc;

protected:
  Expr(ExprKind kind, llvm::SMRange range)
      : kind(kind), range(range), loc(range.Start) {}
};

struct ErrorExpr : Expr {
  explicit ErrorExpr(llvm::SMRange range) : Expr(ExprKind::Error, range) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Error; }
};

struct NumberExpr : Expr {
  llvm::StringRef text;
  double value = 0;
  /// Written without point and exponent; `integer` is then its exact value.
  bool isInteger = false;
  int64_t integer = 0;

  explicit NumberExpr(llvm::SMRange range) : Expr(ExprKind::Number, range) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Number; }
};

struct NameExpr : Expr {
  llvm::StringRef name;

  NameExpr(llvm::SMRange range, llvm::StringRef name)
      : Expr(ExprKind::Name, range), name(name) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Name; }
};

struct AccessExpr : Expr {
  Ident name;
  llvm::ArrayRef<const Expr *> subscripts; // never empty

  AccessExpr(llvm::SMRange range, Ident name)
      : Expr(ExprKind::Access, range), name(name) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Access; }
};

struct CallExpr : Expr {
  Ident callee;
  llvm::ArrayRef<const Expr *> args; // may be empty

  CallExpr(llvm::SMRange range, Ident callee)
      : Expr(ExprKind::Call, range), callee(callee) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Call; }
};

enum class UnaryOp { Neg, Not };

struct UnaryExpr : Expr {
  UnaryOp op;
  const Expr *operand;

  UnaryExpr(llvm::SMRange range, UnaryOp op, const Expr *operand)
      : Expr(ExprKind::Unary, range), op(op), operand(operand) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Unary; }
};

enum class BinaryOp {
  Or,
  And, // loosest
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge, // not chained: `a < b < c` is refused
  Add,
  Sub,
  Mul,
  Div,
  Mod,
  Pow, // to the right
};

struct BinaryExpr : Expr {
  BinaryOp op;
  llvm::SMRange opRange;
  const Expr *lhs, *rhs;

  BinaryExpr(llvm::SMRange range, BinaryOp op, llvm::SMRange opRange,
             const Expr *lhs, const Expr *rhs)
      : Expr(ExprKind::Binary, range), op(op), opRange(opRange), lhs(lhs),
        rhs(rhs) {
    loc = opRange.Start;
  }
  static bool classof(const Expr *e) { return e->kind == ExprKind::Binary; }
};

struct IfExpr : Expr {
  const Expr *condition, *thenValue, *elseValue;

  IfExpr(llvm::SMRange range, const Expr *condition, const Expr *thenValue,
         const Expr *elseValue)
      : Expr(ExprKind::If, range), condition(condition), thenValue(thenValue),
        elseValue(elseValue) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::If; }
};

enum class ReduceOp { Sum, Prod, Max, Min, Any, All, Softmax, LogSumExp };

/// `i` or `i in lower..upper`.
struct ReduceIndex {
  Ident name;
  const Expr *lower = nullptr; // both null when no range is written
  const Expr *upper = nullptr;
};

struct ReduceExpr : Expr {
  ReduceOp op;
  llvm::SMRange opRange;               // the word, e.g. `sum`
  llvm::ArrayRef<ReduceIndex> indices; // never empty
  const Expr *filter = nullptr;        // null when there is none
  const Expr *body = nullptr;

  ReduceExpr(llvm::SMRange range, ReduceOp op, llvm::SMRange opRange)
      : Expr(ExprKind::Reduce, range), op(op), opRange(opRange) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Reduce; }
};

/// grad(value, access).
struct GradExpr : Expr {
  const Expr *value;
  const AccessExpr *access;

  GradExpr(llvm::SMRange range, const Expr *value, const AccessExpr *access)
      : Expr(ExprKind::Grad, range), value(value), access(access) {}
  static bool classof(const Expr *e) { return e->kind == ExprKind::Grad; }
};

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// `None`: no dtype is written, the io dtype is meant.
enum class DType { None, F16, BF16, F32, F64, I32, I64, Bool };

/// `[B, T, H/G]`, `i32[B, T]`, `[]` or a bare dtype. A dim is a tree of integer
/// Numbers, Names and + - * / alone (or an ErrorExpr).
struct Type {
  DType dtype = DType::None;
  llvm::ArrayRef<const Expr *> dims; // empty: a scalar
  llvm::SMRange range;
};

//===----------------------------------------------------------------------===//
// Items of a kernel, in the order of the text
//===----------------------------------------------------------------------===//

enum class ItemKind { Batch, Let, State, Local, Equation, Call };

struct Item {
  const ItemKind kind;
  llvm::SMRange range;
  llvm::SMLoc loc() const { return range.Start; }

protected:
  explicit Item(ItemKind kind) : kind(kind) {}
};

/// batch B, H
struct BatchItem : Item {
  llvm::ArrayRef<Ident> names;
  BatchItem() : Item(ItemKind::Batch) {}
  static bool classof(const Item *i) { return i->kind == ItemKind::Batch; }
};

/// let scale = 1 / sqrt(K)
struct LetItem : Item {
  Ident name;
  const Expr *value = nullptr;
  LetItem() : Item(ItemKind::Let) {}
  static bool classof(const Item *i) { return i->kind == ItemKind::Let; }
};

/// state S, R: [K, V] = S0 along Y, X
struct StateItem : Item {
  llvm::ArrayRef<Ident> names;
  Type type;
  const Expr *initial = nullptr; // null when there is none
  llvm::ArrayRef<Ident> along;   // empty when there is none
  StateItem() : Item(ItemKind::State) {}
  static bool classof(const Item *i) { return i->kind == ItemKind::State; }
};

/// local x, y: [T, D]
struct LocalItem : Item {
  llvm::ArrayRef<Ident> names;
  Type type;
  LocalItem() : Item(ItemKind::Local) {}
  static bool classof(const Item *i) { return i->kind == ItemKind::Local; }
};

/// S[t, i] = value, or S = value. A subscript is any expression: in
/// a boundary equation such as `S[0, i] = ..` some are not indices.
///
/// An equation without subscripts whose value is a CallExpr of a kernel is
/// a kernel call with one result; only semantic analysis can tell.
struct EquationItem : Item {
  Ident name;
  llvm::ArrayRef<const Expr *> subscripts; // may be empty
  llvm::SMRange lhsRange;                  // `S[t, i]`
  const Expr *value = nullptr;
  EquationItem() : Item(ItemKind::Equation) {}
  static bool classof(const Item *i) { return i->kind == ItemKind::Equation; }
};

/// a, b = f(x, y): a kernel call with at least two results. The arguments
/// may be any expression here; that they are names of tensors is for semantic
/// analysis to check.
struct CallItem : Item {
  llvm::ArrayRef<Ident> results;
  const CallExpr *call = nullptr;
  CallItem() : Item(ItemKind::Call) {}
  static bool classof(const Item *i) { return i->kind == ItemKind::Call; }
};

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

/// const EPS = 1e-6
struct Const {
  Ident name;
  const Expr *value = nullptr;
  llvm::SMRange range;
};

/// fn sq(x) = x * x
struct Fn {
  Ident name;
  llvm::ArrayRef<Ident> params; // never empty unless the file is broken
  const Expr *value = nullptr;
  llvm::SMRange range;
};

/// q, k: [B, T, H, K]
struct Group {
  llvm::ArrayRef<Ident> names;
  Type type;
};

struct Kernel {
  Ident name;
  llvm::ArrayRef<Group> arguments, outputs;
  llvm::ArrayRef<const Item *> items;
  llvm::SMRange range;
  /// A syntax error was reported inside: items may be missing.
  bool broken = false;
};

/// One parsed file; owns everything reachable from it. Every node is trivially
/// destructible, so giving the arena back frees the tree without recursion.
struct File {
  llvm::StringRef name; // as in diagnostics
  std::vector<const Const *> consts;
  std::vector<const Fn *> fns;
  std::vector<const Kernel *> kernels;
  /// A syntax error was reported somewhere in the file.
  bool broken = false;

  /// Allocates a node. `Node` must be trivially destructible.
  template <typename Node, typename... Args> Node *create(Args &&...args) {
    static_assert(std::is_trivially_destructible_v<Node>);
    return new (arena.Allocate<Node>()) Node(std::forward<Args>(args)...);
  }
  /// Copies a list into the arena.
  template <typename T> llvm::ArrayRef<T> copy(llvm::ArrayRef<T> list) {
    return list.copy(arena);
  }

private:
  llvm::BumpPtrAllocator arena;
};

/// As written: "sum", "<=", "-", "bf16" ("" for None).
llvm::StringRef spelling(ReduceOp op);
llvm::StringRef spelling(BinaryOp op);
llvm::StringRef spelling(UnaryOp op);
llvm::StringRef spelling(DType dtype);

/// Prints the tree as indented text, one node per line, each with its
/// line:column.
void dump(const File &file, const llvm::SourceMgr &sources,
          llvm::raw_ostream &os);

} // namespace rondo::frontend::ast

#endif // RONDO_FRONTEND_AST_AST_H
