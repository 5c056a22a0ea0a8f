//===- Lexer.h - From text to tokens ----------------------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Line breaks are no tokens here: a token knows whether it is the first of its
// line, and the parser, which knows the open brackets, decides whether an item
// ends there. Characters that are not part of the language are reported here,
// and where it is clear what was meant (`&&`, `**`, `%`) that token is given.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_PARSER_LEXER_H
#define RONDO_FRONTEND_PARSER_LEXER_H

#include "frontend/Diagnostics/Diagnostics.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/SMLoc.h"
#include <cstdint>

namespace rondo::frontend {

enum class Tok : uint8_t {
  Eof,
  Newline, // made by the parser where an item ends
  Ident,
  Number,
  LParen,
  RParen,
  LBracket,
  RBracket,
  LBrace,
  RBrace,
  Comma,
  Colon,
  Equal,
  Arrow,
  DotDot,
  Bar,
  EqEq,
  NotEq,
  Less,
  LessEq,
  Greater,
  GreaterEq,
  Plus,
  Minus,
  Star,
  Slash,
  Caret,
  KwIf,
  KwThen,
  KwElse,
  KwAnd,
  KwOr,
  KwNot,
  KwMod,
};

struct Token {
  Tok kind = Tok::Eof;
  bool startsLine = false; // the first token of its line
  /// Number: a report was made, `value` is meaningless.
  bool malformed = false;
  llvm::StringRef text; // in the buffer; empty for Eof

  llvm::SMLoc loc() const { return llvm::SMLoc::getFromPointer(text.begin()); }
  llvm::SMLoc end() const { return llvm::SMLoc::getFromPointer(text.end()); }
  llvm::SMRange range() const { return {loc(), end()}; }
  bool is(Tok k) const { return kind == k; }
};

class Lexer {
public:
  /// `buffer` must be followed by a NUL, as the buffers of a SourceMgr are.
  Lexer(llvm::StringRef buffer, Diagnostics &diags);

  /// The next token; Eof for ever at the end.
  Token lex();

private:
  void skipBlanks();
  void skipLineComment();
  void skipBlockComment();
  bool skipBadCharacter();
  Token make(Tok kind, unsigned length);
  Token punctuation();
  Token identifier();
  Token number();
  bool mappedOperator(Token &token);
  bool foreignOperator(Token &token);
  bool atIdentStart() const;
  llvm::StringRef rest() const { return {at, size_t(end - at)}; }
  char peek(unsigned ahead = 1) const {
    return size_t(end - at) > ahead ? at[ahead] : '\0';
  }
  llvm::SMRange rangeOf(const char *first, const char *last) const;

  const char *at, *end;
  Diagnostics &diags;
  bool lineStart = true;
};

/// Whether the character can be part of a name.
bool isIdentCharacter(char c);

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_PARSER_LEXER_H
