//===- ParseItems.cpp - Items of a kernel, names and types ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Parser/ParserImpl.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace rondo::frontend;
using llvm::StringRef;

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// Words that cannot name anything: reductions (they are followed by `[` as an
/// access is), `grad` and the constants.
static bool isReserved(StringRef word) {
  return reduceOp(word) || word == "grad" || word == "inf" || word == "pi" ||
         word == "true" || word == "false";
}

static bool isOperatorWord(Tok kind) {
  return kind >= Tok::KwIf && kind <= Tok::KwMod;
}

std::optional<ast::Ident> Parser::parseName(StringRef what) {
  if (!at(Tok::Ident)) {
    Report report = unexpected(what);
    if (isOperatorWord(tok.kind))
      report.hint("`" + tok.text + "` is a word of the language");
    return std::nullopt;
  }
  if (isReserved(tok.text))
    diags.error(tok.range(), "`" + tok.text + "` cannot be used as a name")
        .expected(what)
        .found("`" + tok.text + "`, a word of the language");
  ast::Ident name{tok.text, tok.range()};
  advance();
  return name;
}

bool Parser::parseNames(StringRef what, llvm::ArrayRef<ast::Ident> &names) {
  llvm::SmallVector<ast::Ident> list;
  do {
    std::optional<ast::Ident> name = parseName(what);
    if (!name)
      return false;
    list.push_back(*name);
  } while (accept(Tok::Comma));
  names = file.copy(llvm::ArrayRef(list));
  return true;
}

/// The `=` of a definition.
bool Parser::expectDefines() {
  if (at(Tok::EqEq)) {
    diags.error(tok.range(), "`==` compares and does not define")
        .expected("`=`")
        .found("`==`")
        .hint("write `=`");
    advance();
    return true;
  }
  if (accept(Tok::Equal))
    return true;
  Report report = unexpected("`=`");
  if (pending.is(Tok::Equal) && pending.loc() == tok.end())
    report.hint("a tensor is defined once, by `=`; a running value is a state: "
                "`S[t] = S[t-1] " +
                tok.text + " ..`");
  return false;
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static std::optional<ast::DType> dtypeOf(StringRef word) {
  return llvm::StringSwitch<std::optional<ast::DType>>(word)
      .Case("f16", ast::DType::F16)
      .Case("bf16", ast::DType::BF16)
      .Case("f32", ast::DType::F32)
      .Case("f64", ast::DType::F64)
      .Case("i32", ast::DType::I32)
      .Case("i64", ast::DType::I64)
      .Case("bool", ast::DType::Bool)
      .Default(std::nullopt);
}

/// The dtype that a name from another language means.
static StringRef dtypeMeant(StringRef word) {
  StringRef known = llvm::StringSwitch<StringRef>(word.lower())
                        .Cases({"float", "float32", "fp32", "real"}, "f32")
                        .Cases({"double", "float64", "fp64"}, "f64")
                        .Cases({"half", "float16", "fp16"}, "f16")
                        .Cases({"bfloat16", "bfloat"}, "bf16")
                        .Cases({"int", "int32", "int32_t"}, "i32")
                        .Cases({"long", "int64", "int64_t", "index"}, "i64")
                        .Cases({"boolean", "i1"}, "bool")
                        .Default("");
  if (!known.empty())
    return known;
  return nearest(word, {"f16", "bf16", "f32", "f64", "i32", "i64", "bool"});
}

/// [ dtype ] "[" [ dims ] "]" | dtype
bool Parser::parseType(ast::Type &type) {
  llvm::SMLoc start = tok.loc();
  if (at(Tok::Ident)) {
    if (std::optional<ast::DType> dtype = dtypeOf(tok.text)) {
      type.dtype = *dtype;
    } else {
      StringRef meant = dtypeMeant(tok.text);
      Report report = diags.error(
          tok.range(), "unknown dtype `" + tok.text.take_front(60) + "`");
      report.expected("f16, bf16, f32, f64, i32, i64, bool or `[` and dims")
          .found(describe());
      if (!meant.empty())
        report.hint("did you mean `" + meant + "`?");
      else
        report.hint("dims stand in brackets: `[" + tok.text.take_front(60) +
                    "]`");
    }
    advance();
  } else if (!at(Tok::LBracket)) {
    unexpected("a type").hint(
        "a type is a list of dims such as `[B, T]`, a dtype, or both: "
        "`i32[B, T]`");
    return false;
  }
  if (at(Tok::LBracket) && !parseDims(type))
    return false;
  type.range = since(start);
  return true;
}

bool Parser::parseDims(ast::Type &type) {
  llvm::SmallVector<const ast::Expr *> dims;
  open(Tok::LBracket);
  while (!at(Tok::RBracket)) {
    const ast::Expr *dim = parseExpr();
    if (!dim)
      return false;
    dims.push_back(checkDim(dim));
    if (!accept(Tok::Comma))
      break;
  }
  type.dims = file.copy(llvm::ArrayRef(dims));
  return close(Tok::RBracket, "an operator, `,`");
}

/// The first part of an expression that has no place in a dim, or null.
static const ast::Expr *notInDim(const ast::Expr *dim) {
  if (auto *number = llvm::dyn_cast<ast::NumberExpr>(dim))
    return number->isInteger ? nullptr : dim;
  if (llvm::isa<ast::NameExpr, ast::ErrorExpr>(dim))
    return nullptr;
  auto *binary = llvm::dyn_cast<ast::BinaryExpr>(dim);
  if (!binary)
    return dim;
  switch (binary->op) {
  case ast::BinaryOp::Add:
  case ast::BinaryOp::Sub:
  case ast::BinaryOp::Mul:
  case ast::BinaryOp::Div:
    break;
  default:
    return dim;
  }
  if (const ast::Expr *part = notInDim(binary->lhs))
    return part;
  return notInDim(binary->rhs);
}

const ast::Expr *Parser::checkDim(const ast::Expr *dim) {
  const ast::Expr *part = notInDim(dim);
  if (!part)
    return dim;
  diags.error(part->range, "this cannot be a dim")
      .expected("an integer, the name of a size, or `+ - * /` of them")
      .found(quoted(part->range));
  return errorExpr(dim->range.Start);
}

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

/// What people write in other languages for an item, or a slip of the pen.
static StringRef itemMeant(StringRef word) {
  StringRef known = llvm::StringSwitch<StringRef>(word)
                        .Cases({"var", "val", "const", "set", "auto"}, "let")
                        .Cases({"tensor", "temp", "tmp"}, "local")
                        .Default("");
  return known.empty() ? nearest(word, {"batch", "let", "state", "local"})
                       : known;
}

bool Parser::parseItem(Items &items) {
  if (!at(Tok::Ident)) {
    unexpected("an item: `batch`, `let`, `state`, `local` or an equation");
    return false;
  }
  // A name is a tensor of that name where an equation or a call goes on.
  bool defines = pending.is(Tok::LBracket) || pending.is(Tok::Equal) ||
                 pending.is(Tok::Comma) || pending.is(Tok::EqEq);
  if (defines)
    return parseDefinition(items);
  if (tok.text == "batch")
    return parseBatch(items);
  if (tok.text == "let")
    return parseLet(items);
  if (tok.text == "state")
    return parseState(items);
  if (tok.text == "local")
    return parseLocal(items);
  if (tok.text == "param" || tok.text == "repeat") {
    rejectReserved();
    return false;
  }
  if (!atWordPair())
    return parseDefinition(items);

  Report report = diags.error(tok.range(),
                              "unknown item `" + tok.text.take_front(60) + "`");
  report.expected("`batch`, `let`, `state`, `local` or an equation")
      .found(describe());
  if (tok.text == "const" || tok.text == "fn")
    report.hint("`" + tok.text + "` stands outside of kernels");
  else if (StringRef meant = itemMeant(tok.text); !meant.empty())
    report.hint("did you mean `" + meant + "`?");
  return false;
}

/// batch B, H
bool Parser::parseBatch(Items &items) {
  auto *item = file.create<ast::BatchItem>();
  llvm::SMLoc start = tok.loc();
  advance();
  if (!parseNames("the name of a size", item->names))
    return false;
  item->range = since(start);
  items.push_back(item);
  return true;
}

/// let NAME = expr
bool Parser::parseLet(Items &items) {
  auto *item = file.create<ast::LetItem>();
  llvm::SMLoc start = tok.loc();
  advance();
  std::optional<ast::Ident> name = parseName("the name of a scalar");
  if (!name)
    return false;
  item->name = *name;
  if (at(Tok::LBracket)) {
    unexpected("`=`").hint("a `let` is a scalar; an equation needs no `let`");
  } else if (expectDefines()) {
    item->value = parseExpr();
  }
  bool fine = item->value;
  if (!fine)
    item->value = errorExpr(start);
  item->range = since(start);
  items.push_back(item);
  return fine;
}

/// The `:` between the names and the type of a declaration.
bool Parser::expectColon(const ast::Ident &name) {
  if (accept(Tok::Colon))
    return true;
  Report report = unexpected("`:` and a type");
  if (at(Tok::LBracket))
    report.hint("write `" + name.text.take_front(60) + ": [..]`");
  return false;
}

/// state NAMES: type [= expr] [along NAMES]
bool Parser::parseState(Items &items) {
  auto *item = file.create<ast::StateItem>();
  llvm::SMLoc start = tok.loc();
  advance();
  if (!parseNames("the name of a state", item->names) ||
      !expectColon(item->names.back()) || !parseType(item->type))
    return false;
  bool fine = true;
  if (accept(Tok::Equal)) {
    item->initial = parseExpr();
    fine = item->initial;
    if (!fine)
      item->initial = errorExpr(start);
  }
  if (fine && at(Tok::Ident) && tok.text == "along") {
    advance();
    fine = parseNames("the name of a size", item->along);
    if (fine && at(Tok::Equal)) {
      unexpected("the end of the line")
          .hint("the initial value stands before `along`: `state h: [D] = h0 "
                "along T`");
      fine = false;
    }
  }
  item->range = since(start);
  items.push_back(item);
  return fine;
}

/// local NAMES: type
bool Parser::parseLocal(Items &items) {
  auto *item = file.create<ast::LocalItem>();
  llvm::SMLoc start = tok.loc();
  advance();
  if (!parseNames("the name of a local tensor", item->names) ||
      !expectColon(item->names.back()) || !parseType(item->type))
    return false;
  item->range = since(start);
  items.push_back(item);
  if (!at(Tok::Equal))
    return true;
  unexpected("the end of the line")
      .hint("a local is defined by an equation on a line of its own");
  return false;
}

/// An equation or a call: both start with a name.
bool Parser::parseDefinition(Items &items) {
  std::optional<ast::Ident> name = parseName("the name of a tensor");
  if (!name)
    return false;
  return at(Tok::Comma) ? parseCall(*name, items) : parseEquation(*name, items);
}

/// NAME [ "[" subscripts "]" ] = expr
bool Parser::parseEquation(ast::Ident name, Items &items) {
  auto *item = file.create<ast::EquationItem>();
  item->name = name;
  llvm::SmallVector<const ast::Expr *> subscripts;
  bool fine = true;
  if (at(Tok::LBracket)) {
    Token opened = tok;
    open(Tok::LBracket);
    fine = parseExprList(Tok::RBracket, subscripts) &&
           close(Tok::RBracket, "an operator, `,`");
    if (fine && subscripts.empty())
      diags.error({opened.loc(), last.end()}, "no index between the brackets")
          .expected("an index")
          .found("`[]`")
          .hint("a scalar is defined without brackets: `" +
                name.text.take_front(60) + " = ..`");
  }
  item->lhsRange = since(name.loc());
  item->subscripts = file.copy(llvm::ArrayRef(subscripts));
  if (fine && at(Tok::LParen)) {
    unexpected("`[` or `=`")
        .hint("indices stand in brackets: `" + name.text.take_front(60) +
              "[..]`");
    fine = false;
  } else if (fine && at(Tok::Comma)) {
    unexpected("`=`").hint("the results of a kernel call are whole tensors: "
                           "`a, b = f(x)`");
    fine = false;
  } else if (fine && at(Tok::Colon)) {
    unexpected("`=`").hint("a declaration starts with `state` or `local`");
    fine = false;
  } else if (fine && subscripts.empty() && !at(Tok::Equal) && !at(Tok::EqEq) &&
             item->lhsRange.End == name.range.End) {
    Report report = unexpected("`[` or `=`");
    if (pending.is(Tok::Equal) && pending.loc() == tok.end())
      report.hint("a tensor is defined once, by `=`");
    fine = false;
  }
  item->value = fine && expectDefines() ? parseExpr() : nullptr;
  fine = item->value;
  if (!fine)
    item->value = errorExpr(name.loc());
  item->range = since(name.loc());
  items.push_back(item);
  return fine;
}

/// a, b = f(x, y)
bool Parser::parseCall(ast::Ident first, Items &items) {
  auto *item = file.create<ast::CallItem>();
  llvm::SmallVector<ast::Ident> results = {first};
  while (accept(Tok::Comma)) {
    std::optional<ast::Ident> name = parseName("the name of a tensor");
    if (!name)
      return false;
    results.push_back(*name);
  }
  if (at(Tok::LBracket)) {
    unexpected("`,` or `=`")
        .hint("the results of a kernel call are whole tensors, and an equation "
              "defines one: `a, b = f(x)` or `a[t] = ..`");
    return false;
  }
  item->results = file.copy(llvm::ArrayRef(results));
  if (!expectDefines())
    return false;
  const ast::Expr *value = parseExpr();
  if (!value)
    return false;
  item->call = llvm::dyn_cast<ast::CallExpr>(value);
  if (!item->call) {
    diags.error(value->range, "only a kernel call has several results")
        .expected("a call such as `f(x, y)`")
        .found(quoted(value->range))
        .hint("write one equation for each tensor");
    return true;
  }
  item->range = since(first.loc());
  items.push_back(item);
  return true;
}
