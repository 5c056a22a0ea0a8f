//===- ParserImpl.h - The parser, inside -----------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Recursive descent with one token of lookahead.
//
// Errors: a function that cannot go on reports once and returns null (or
// false); its callers return too, up to the item, which skips to where the next
// item can start. Mistakes whose meaning is clear are reported and parsing goes
// on as if the text were right.
//
// Line ends: `advance` gives a Newline token where a line break ends an item,
// and swallows every other line break.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_PARSER_PARSERIMPL_H
#define RONDO_FRONTEND_PARSER_PARSERIMPL_H

#include "frontend/Parser/Lexer.h"
#include "frontend/Parser/Parser.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace rondo::frontend {

class Parser {
public:
  Parser(llvm::StringRef buffer, Diagnostics &diags, ast::File &file);
  void parseFile();

private:
  // Tokens (Parser.cpp).
  void advance();
  bool breaksLine(const Token &next) const;
  bool looksLikeItem(const Token &token) const;
  bool at(Tok kind) const { return tok.kind == kind; }
  bool accept(Tok kind);
  void open(Tok kind);
  bool close(Tok kind, llvm::StringRef before);
  std::string hintOfProduct() const;
  bool expectLineEnd();
  bool atItemEnd() const {
    return at(Tok::Newline) || at(Tok::RBrace) || at(Tok::Eof);
  }
  /// The current token is a name that is followed by another word on its line.
  bool atWordPair() const {
    return at(Tok::Ident) && pending.is(Tok::Ident) && !pending.startsLine;
  }
  llvm::SMRange since(llvm::SMLoc start) const { return {start, last.end()}; }

  // Errors (Parser.cpp).
  Report unexpected(const llvm::Twine &expected);
  std::string describe() const;
  void recover();

  // The file and its parts (Parser.cpp).
  void parseTopLevel();
  void parseConst();
  void parseFn();
  void parseKernel();
  bool parseKernelHeader(ast::Kernel &kernel);
  bool skipToBody();
  void parseBody(ast::Kernel &kernel);
  bool parseGroups(llvm::ArrayRef<ast::Group> &groups);
  void rejectReserved();

  // Items and types (ParseItems.cpp). A parser of items appends what it could
  // make of the text, and returns false when the rest must be skipped.
  using Items = llvm::SmallVectorImpl<const ast::Item *>;
  bool parseItem(Items &items);
  bool parseBatch(Items &items);
  bool parseLet(Items &items);
  bool parseState(Items &items);
  bool parseLocal(Items &items);
  bool parseDefinition(Items &items);
  bool parseEquation(ast::Ident name, Items &items);
  bool parseCall(ast::Ident first, Items &items);
  bool expectDefines();
  bool expectColon(const ast::Ident &name);
  std::optional<ast::Ident> parseName(llvm::StringRef what);
  bool parseNames(llvm::StringRef what, llvm::ArrayRef<ast::Ident> &names);
  bool parseType(ast::Type &type);
  bool parseDims(ast::Type &type);
  const ast::Expr *checkDim(const ast::Expr *dim);

  // Expressions (ParseExpr.cpp).
  const ast::Expr *parseExpr();
  const ast::Expr *parseIf();
  const ast::Expr *parseBinary(int minPrecedence);
  const ast::Expr *parsePrefix(int minPrecedence);
  const ast::Expr *parseUnary();
  const ast::Expr *parsePower();
  const ast::Expr *parsePrimary();
  const ast::Expr *parseNumber();
  const ast::Expr *parseParens();
  const ast::Expr *parseNamed();
  const ast::Expr *parseAccess(ast::Ident name);
  const ast::Expr *parseArguments(ast::Ident callee);
  const ast::Expr *parseGrad(ast::Ident word);
  const ast::Expr *parseReduce(ast::Ident word, ast::ReduceOp op);
  bool parseReduceIndex(llvm::SmallVectorImpl<ast::ReduceIndex> &indices);
  const ast::Expr *misuseOfReduction(ast::Ident word);
  bool parseExprList(Tok closer,
                     llvm::SmallVectorImpl<const ast::Expr *> &list);
  std::optional<ast::BinaryOp> binaryOperator(int &precedence);
  /// Sets the depth of a finished node from its operands; null (after a report)
  /// when it is too deep.
  template <typename Node>
  const ast::Expr *finish(Node *node,
                          llvm::ArrayRef<const ast::Expr *> operands) {
    return setDepth(*node, operands) ? node : nullptr;
  }
  bool setDepth(ast::Expr &expr, llvm::ArrayRef<const ast::Expr *> operands);
  const ast::Expr *errorExpr(llvm::SMLoc start);

  /// One level of nesting; false when there are too many.
  class Nest {
  public:
    explicit Nest(Parser &parser);
    ~Nest() { --parser.nesting; }
    explicit operator bool() const { return fine; }

  private:
    Parser &parser;
    bool fine;
  };

  Lexer lexer;
  Diagnostics &diags;
  ast::File &file;
  Token tok;     // the current token, possibly a Newline
  Token last;    // the last one consumed, never a Newline
  Token pending; // the next one, never a Newline
  /// The open ( and [.
  llvm::SmallVector<Token, 16> brackets;
  unsigned nesting = 0;
  /// Inside `if .. then`: `=` there can only mean `==`.
  unsigned conditions = 0;
};

/// The text of a range in backquotes, cut when it is long or has several lines.
std::string quoted(llvm::SMRange range);

/// The reduction that a word names.
std::optional<ast::ReduceOp> reduceOp(llvm::StringRef word);

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_PARSER_PARSERIMPL_H
