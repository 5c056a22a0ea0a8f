//===- ParseExpr.cpp - Expressions ----------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Precedence, from loosest to tightest:
//   if   or   and   not   == != < <= > >=   + -   * / mod   unary -   ^
// A reduction is a primary whose body is a whole `* / mod` term.
//
//===----------------------------------------------------------------------===//

#include "frontend/Parser/ParserImpl.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Error.h"

using namespace rondo::frontend;
using llvm::StringRef;

namespace {
enum Precedence { Or = 1, And, Not, Compare, Sum, Product, Negation };
} // namespace

std::optional<ast::ReduceOp> rondo::frontend::reduceOp(StringRef word) {
  return llvm::StringSwitch<std::optional<ast::ReduceOp>>(word)
      .Case("sum", ast::ReduceOp::Sum)
      .Case("prod", ast::ReduceOp::Prod)
      .Case("max", ast::ReduceOp::Max)
      .Case("min", ast::ReduceOp::Min)
      .Case("any", ast::ReduceOp::Any)
      .Case("all", ast::ReduceOp::All)
      .Case("softmax", ast::ReduceOp::Softmax)
      .Case("logsumexp", ast::ReduceOp::LogSumExp)
      .Default(std::nullopt);
}

//===----------------------------------------------------------------------===//
// Limits
//===----------------------------------------------------------------------===//

Parser::Nest::Nest(Parser &parser) : parser(parser) {
  fine = ++parser.nesting <= maxNesting;
  if (!fine)
    parser.diags
        .error(parser.tok.range(), "the expression is nested too deeply")
        .expected("at most " + llvm::Twine(maxNesting) + " levels")
        .found("one more at " + parser.describe())
        .hint("define the inner part by an equation of its own");
}

bool Parser::setDepth(ast::Expr &expr,
                      llvm::ArrayRef<const ast::Expr *> operands) {
  unsigned depth = 0;
  for (const ast::Expr *operand : operands)
    depth = std::max(depth, operand->depth);
  expr.depth = depth + 1;
  if (expr.depth <= ast::maxExprDepth)
    return true;
  diags.error(expr.loc, "the expression is too long")
      .expected("at most " + llvm::Twine(ast::maxExprDepth) +
                " operators in one chain")
      .found("a longer one")
      .hint("define parts of it by equations of their own");
  return false;
}

const ast::Expr *Parser::errorExpr(llvm::SMLoc start) {
  return file.create<ast::ErrorExpr>(since(start));
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

const ast::Expr *Parser::parseExpr() {
  if (at(Tok::KwIf))
    return parseIf();
  return parseBinary(Or);
}

/// if condition then value else value
const ast::Expr *Parser::parseIf() {
  Nest nest(*this);
  if (!nest)
    return nullptr;
  llvm::SMLoc start = tok.loc();
  llvm::SMRange word = tok.range();
  advance();
  ++conditions;
  const ast::Expr *condition = parseExpr();
  --conditions;
  if (!condition)
    return nullptr;
  if (!accept(Tok::KwThen)) {
    unexpected("an operator or `then`").note(word, "to match this `if`");
    return nullptr;
  }
  const ast::Expr *thenValue = parseExpr();
  if (!thenValue)
    return nullptr;
  if (!accept(Tok::KwElse)) {
    unexpected("an operator or `else`")
        .hint("an `if` is a value, so it needs both: "
              "`if c then a else b`")
        .note(word, "to match this `if`");
    return nullptr;
  }
  const ast::Expr *elseValue = parseExpr();
  if (!elseValue)
    return nullptr;
  return finish(
      file.create<ast::IfExpr>(since(start), condition, thenValue, elseValue),
      {condition, thenValue, elseValue});
}

std::optional<ast::BinaryOp> Parser::binaryOperator(int &precedence) {
  auto is = [&](int p, ast::BinaryOp op) {
    precedence = p;
    return op;
  };
  switch (tok.kind) {
  case Tok::KwOr:
    return is(Or, ast::BinaryOp::Or);
  case Tok::KwAnd:
    return is(And, ast::BinaryOp::And);
  case Tok::EqEq:
    return is(Compare, ast::BinaryOp::Eq);
  case Tok::NotEq:
    return is(Compare, ast::BinaryOp::Ne);
  case Tok::Less:
    return is(Compare, ast::BinaryOp::Lt);
  case Tok::LessEq:
    return is(Compare, ast::BinaryOp::Le);
  case Tok::Greater:
    return is(Compare, ast::BinaryOp::Gt);
  case Tok::GreaterEq:
    return is(Compare, ast::BinaryOp::Ge);
  case Tok::Plus:
    return is(Sum, ast::BinaryOp::Add);
  case Tok::Minus:
    return is(Sum, ast::BinaryOp::Sub);
  case Tok::Star:
    return is(Product, ast::BinaryOp::Mul);
  case Tok::Slash:
    return is(Product, ast::BinaryOp::Div);
  case Tok::KwMod:
    return is(Product, ast::BinaryOp::Mod);
  case Tok::Equal:
    // In brackets and conditions nothing is defined.
    if (brackets.empty() && !conditions)
      return std::nullopt;
    return is(Compare, ast::BinaryOp::Eq);
  default:
    return std::nullopt;
  }
}

const ast::Expr *Parser::parseBinary(int minPrecedence) {
  llvm::SMLoc start = tok.loc();
  const ast::Expr *lhs = parsePrefix(minPrecedence);
  if (!lhs)
    return nullptr;
  int precedence, previous = 0;
  while (std::optional<ast::BinaryOp> op = binaryOperator(precedence)) {
    if (precedence < minPrecedence)
      break;
    llvm::SMRange opRange = tok.range();
    if (at(Tok::Equal))
      diags.error(opRange, "`=` defines and does not compare")
          .expected("`==`")
          .found("`=`")
          .hint("write `==`");
    if (precedence == Compare && previous == Compare)
      diags.error(opRange, "comparisons cannot be chained")
          .expected("`and`, `or` or the end of the expression")
          .found(describe())
          .hint("write `a < b and b < c`");
    advance();
    const ast::Expr *rhs = parseBinary(precedence + 1);
    if (!rhs)
      return nullptr;
    lhs = finish(
        file.create<ast::BinaryExpr>(since(start), *op, opRange, lhs, rhs),
        {lhs, rhs});
    if (!lhs)
      return nullptr;
    previous = precedence;
  }
  return lhs;
}

/// What can stand where an operand of the given precedence is wanted.
const ast::Expr *Parser::parsePrefix(int minPrecedence) {
  if (at(Tok::KwIf)) {
    diags.error(tok.range(), "`if` as an operand needs parentheses")
        .expected("an operand")
        .found("`if`")
        .hint("write `(if c then a else b)`");
    return parseIf();
  }
  if (!at(Tok::KwNot))
    return parseUnary();

  Nest nest(*this);
  if (!nest)
    return nullptr;
  llvm::SMLoc start = tok.loc();
  if (minPrecedence > Not)
    diags.error(tok.range(), "`not` as an operand needs parentheses")
        .expected("an operand")
        .found("`not`")
        .hint("write `(not ..)`");
  advance();
  const ast::Expr *operand = parseBinary(Not);
  if (!operand)
    return nullptr;
  return finish(
      file.create<ast::UnaryExpr>(since(start), ast::UnaryOp::Not, operand),
      {operand});
}

const ast::Expr *Parser::parseUnary() {
  if (!at(Tok::Minus) && !at(Tok::Plus))
    return parsePower();
  Nest nest(*this);
  if (!nest)
    return nullptr;
  llvm::SMLoc start = tok.loc();
  bool negates = at(Tok::Minus);
  if (!negates)
    diags.error(tok.range(), "`+` has no operand on its left")
        .expected("an expression")
        .found("`+`")
        .hint("leave `+` out");
  advance();
  const ast::Expr *operand = parseUnary();
  if (!operand || !negates)
    return operand;
  return finish(
      file.create<ast::UnaryExpr>(since(start), ast::UnaryOp::Neg, operand),
      {operand});
}

/// primary [ "^" unary ]
const ast::Expr *Parser::parsePower() {
  llvm::SMLoc start = tok.loc();
  const ast::Expr *base = parsePrimary();
  if (!base || !at(Tok::Caret))
    return base;
  Nest nest(*this);
  if (!nest)
    return nullptr;
  llvm::SMRange opRange = tok.range();
  advance();
  const ast::Expr *exponent = parseUnary();
  if (!exponent)
    return nullptr;
  return finish(file.create<ast::BinaryExpr>(since(start), ast::BinaryOp::Pow,
                                             opRange, base, exponent),
                {base, exponent});
}

//===----------------------------------------------------------------------===//
// Primaries
//===----------------------------------------------------------------------===//

const ast::Expr *Parser::parsePrimary() {
  switch (tok.kind) {
  case Tok::Number:
    return parseNumber();
  case Tok::Ident:
    return parseNamed();
  case Tok::LParen:
    return parseParens();
  default: {
    Report report = unexpected("an expression");
    if (at(Tok::LBracket))
      report.hint("brackets follow a name: `x[t]`; use `(` to group");
    else if (at(Tok::Star) && last.is(Tok::Star))
      report.hint("a power is written `^`");
    return nullptr;
  }
  }
}

const ast::Expr *Parser::parseNumber() {
  auto *number = file.create<ast::NumberExpr>(tok.range());
  number->text = tok.text;
  number->isInteger = llvm::all_of(tok.text, llvm::isDigit);
  Token token = tok;
  advance();
  if (token.malformed)
    return number;
  constexpr size_t longest = 400; // digits; keeps the conversion cheap
  StringRef problem, hint;
  if (token.text.size() > longest) {
    problem = "the number is too long";
  } else if (number->isInteger &&
             token.text.getAsInteger(10, number->integer)) {
    problem = "the integer is too large";
    hint = "write a real number, such as `1e20`";
  } else {
    llvm::APFloat value(llvm::APFloat::IEEEdouble());
    auto status =
        value.convertFromString(token.text, llvm::APFloat::rmNearestTiesToEven);
    if (!status)
      llvm::consumeError(status.takeError());
    else if (*status & llvm::APFloat::opOverflow)
      problem = "the number is too large";
    else if ((*status & llvm::APFloat::opUnderflow) && value.isZero())
      problem = "the number is too small";
    number->value = value.convertToDouble();
    hint = problem == "the number is too large" ? "infinity is written `inf`"
                                                : "zero is written `0`";
  }
  if (!problem.empty())
    diags.error(token.range(), problem)
        .expected("an integer below 2^63 or a number that f64 can hold")
        .found(quoted(token.range()))
        .hint(hint);
  return number;
}

const ast::Expr *Parser::parseParens() {
  Nest nest(*this);
  if (!nest)
    return nullptr;
  open(Tok::LParen);
  const ast::Expr *inner = parseExpr();
  if (!inner)
    return nullptr;
  if (at(Tok::Comma)) {
    unexpected("an operator or `)`")
        .hint("tuples are not part of the language")
        .note(brackets.back().range(), "to match this `(`");
    return nullptr;
  }
  return close(Tok::RParen, "an operator") ? inner : nullptr;
}

/// A name, or what starts with one: an access, a call, a reduction, `grad`.
const ast::Expr *Parser::parseNamed() {
  ast::Ident name{tok.text, tok.range()};
  std::optional<ast::ReduceOp> reduction = reduceOp(name.text);
  advance();
  if (at(Tok::LBracket))
    return reduction ? parseReduce(name, *reduction) : parseAccess(name);
  bool called = at(Tok::LParen);
  bool alsoFunction = name.text == "max" || name.text == "min";
  if (reduction && !(called && alsoFunction))
    return misuseOfReduction(name);
  if (name.text == "grad") {
    if (called)
      return parseGrad(name);
    unexpected("`(`").hint("write `grad(loss[t], W[t-1, i, j])`");
    return nullptr;
  }
  if (called)
    return parseArguments(name);
  return file.create<ast::NameExpr>(name.range, name.text);
}

/// The word of a reduction without its brackets.
const ast::Expr *Parser::misuseOfReduction(ast::Ident word) {
  unexpected("`[` and the indices of `" + word.text + "`")
      .hint(word.text == "max" || word.text == "min"
                ? "write `" + word.text.str() + "[i] x[i]` or `" +
                      word.text.str() + "(a, b)`"
                : "write `" + word.text.str() + "[i] x[i]`");
  return nullptr;
}

/// Expressions with commas between them up to `closer`, which is not consumed.
bool Parser::parseExprList(Tok closer,
                           llvm::SmallVectorImpl<const ast::Expr *> &list) {
  while (!at(closer)) {
    const ast::Expr *expr = parseExpr();
    if (!expr)
      return false;
    list.push_back(expr);
    if (!accept(Tok::Comma))
      break;
  }
  return true;
}

/// The brackets of an access.
const ast::Expr *Parser::parseAccess(ast::Ident name) {
  Nest nest(*this);
  if (!nest)
    return nullptr;
  llvm::SmallVector<const ast::Expr *> subscripts;
  open(Tok::LBracket);
  if (!parseExprList(Tok::RBracket, subscripts))
    return nullptr;
  if (at(Tok::Bar) || at(Tok::Colon) || at(Tok::DotDot)) {
    unexpected("an operator, `,` or `]`")
        .hint(at(Tok::Bar)
                  ? "only a reduction has a filter: `sum[i | i < n] ..`"
                  : "a tensor is read at one point, `x[t-1]`; slices are "
                    "written by indices");
    return nullptr;
  }
  if (!close(Tok::RBracket, "an operator, `,`"))
    return nullptr;
  auto *access = file.create<ast::AccessExpr>(since(name.loc()), name);
  access->subscripts = file.copy(llvm::ArrayRef(subscripts));
  if (subscripts.empty()) {
    diags.error(access->range, "no index between the brackets")
        .expected("an index")
        .found("`[]`")
        .hint("a scalar is read without brackets: `" +
              name.text.take_front(60) + "`");
    return nullptr;
  }
  if (at(Tok::LBracket)) {
    unexpected("an operator")
        .hint("all indices stand in one pair of brackets: `x[i, j]`");
    return nullptr;
  }
  return finish(access, subscripts);
}

/// The parentheses of a call.
const ast::Expr *Parser::parseArguments(ast::Ident callee) {
  Nest nest(*this);
  if (!nest)
    return nullptr;
  llvm::SmallVector<const ast::Expr *> args;
  open(Tok::LParen);
  if (!parseExprList(Tok::RParen, args) ||
      !close(Tok::RParen, "an operator, `,`"))
    return nullptr;
  auto *call = file.create<ast::CallExpr>(since(callee.loc()), callee);
  call->args = file.copy(llvm::ArrayRef(args));
  return finish(call, args);
}

/// grad(expr, access)
const ast::Expr *Parser::parseGrad(ast::Ident word) {
  const ast::Expr *call = parseArguments(word);
  if (!call)
    return nullptr;
  llvm::ArrayRef<const ast::Expr *> args =
      llvm::cast<ast::CallExpr>(call)->args;
  if (args.size() != 2) {
    diags.error(call->range, "`grad` has two arguments")
        .expected("an expression and an access")
        .found(llvm::Twine(args.size()) +
               (args.size() == 1 ? " argument" : " arguments"))
        .hint("write `grad(loss[t], W[t-1, i, j])`");
    return nullptr;
  }
  auto *access = llvm::dyn_cast<ast::AccessExpr>(args[1]);
  if (!access) {
    diags.error(args[1]->range, "a derivative is taken by an access")
        .expected("an access such as `W[t-1, i, j]`")
        .found(quoted(args[1]->range))
        .hint("write `grad(loss[t], W[t-1, i, j])`");
    return nullptr;
  }
  return finish(file.create<ast::GradExpr>(call->range, args[0], access), args);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// i | i in lower..upper
bool Parser::parseReduceIndex(
    llvm::SmallVectorImpl<ast::ReduceIndex> &indices) {
  ast::ReduceIndex index;
  std::optional<ast::Ident> name = parseName("the name of an index");
  if (!name)
    return false;
  index.name = *name;
  if (at(Tok::Ident) && tok.text == "in") {
    advance();
    index.lower = parseBinary(Sum);
    if (!index.lower)
      return false;
    if (!accept(Tok::DotDot)) {
      unexpected("an operator or `..`")
          .hint("a range is written `0..4`; it ends before 4");
      return false;
    }
    index.upper = parseBinary(Sum);
    if (!index.upper)
      return false;
  }
  indices.push_back(index);
  if (at(Tok::Comma) || at(Tok::Bar) || at(Tok::RBracket))
    return true;
  Report report = unexpected(index.lower ? "an operator, `,`, `|` or `]`"
                                         : "`in`, `,`, `|` or `]`");
  if (at(Tok::Equal) || at(Tok::Colon))
    report.hint("a range is written `" + name->text.take_front(60) +
                " in 0..4`");
  else if (index.lower ? at(Tok::KwIf) : !atItemEnd())
    report.hint("a condition stands after `|`: `sum[i | i < n] ..`");
  report.note(brackets.back().range(), "to match this `[`");
  return false;
}

/// word "[" index { "," index } [ "|" filter ] "]" body
const ast::Expr *Parser::parseReduce(ast::Ident word, ast::ReduceOp op) {
  Nest nest(*this);
  if (!nest)
    return nullptr;
  llvm::SmallVector<ast::ReduceIndex> indices;
  llvm::SmallVector<const ast::Expr *> operands;
  open(Tok::LBracket);
  do {
    if (!parseReduceIndex(indices))
      return nullptr;
    if (indices.back().lower)
      operands.append({indices.back().lower, indices.back().upper});
  } while (accept(Tok::Comma));
  const ast::Expr *filter = nullptr;
  if (accept(Tok::Bar)) {
    filter = parseExpr();
    if (!filter)
      return nullptr;
    operands.push_back(filter);
    if (at(Tok::Comma)) {
      unexpected("an operator or `]`")
          .hint("conditions are joined with `and`")
          .note(brackets.back().range(), "to match this `[`");
      return nullptr;
    }
  }
  if (!close(Tok::RBracket, filter ? "an operator" : "`,`, `|`"))
    return nullptr;
  if (atItemEnd() || at(Tok::RParen) || at(Tok::RBracket) || at(Tok::Comma)) {
    unexpected("the term that `" + word.text + "` takes, to its right");
    return nullptr;
  }
  const ast::Expr *body = parseBinary(Product);
  if (!body)
    return nullptr;
  operands.push_back(body);
  auto *reduce =
      file.create<ast::ReduceExpr>(since(word.loc()), op, word.range);
  reduce->indices = file.copy(llvm::ArrayRef(indices));
  reduce->filter = filter;
  reduce->body = body;
  return finish(reduce, operands);
}
