//===- Lexer.cpp - From text to tokens ------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Parser/Lexer.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ConvertUTF.h"

using namespace rondo::frontend;
using llvm::Twine;

bool rondo::frontend::isIdentCharacter(char c) {
  return llvm::isAlnum(c) || c == '_';
}

/// Decodes the character at the front of `text`; 0 and length 1 when it is not
/// valid UTF-8.
static uint32_t decode(llvm::StringRef text, unsigned &length) {
  const auto *bytes = reinterpret_cast<const llvm::UTF8 *>(text.bytes_begin());
  const auto *end = reinterpret_cast<const llvm::UTF8 *>(text.bytes_end());
  length = 1;
  if (*bytes < 0x80)
    return *bytes;
  if (!llvm::isLegalUTF8Sequence(bytes, end))
    return 0;
  length = llvm::getNumBytesForUTF8(*bytes);
  llvm::UTF32 codePoint = 0, *target = &codePoint;
  llvm::ConvertUTF8toUTF32(&bytes, bytes + length, &target, target + 1,
                           llvm::strictConversion);
  return codePoint;
}

/// Whether a character outside ASCII is a letter for all that a reader cares:
/// Latin, Greek, Cyrillic and everything else up to the general punctuation,
/// subscripts and superscripts, letter-like symbols, and the other scripts.
static bool isForeignLetter(uint32_t c) {
  return (c >= 0xaa && c < 0x2000 && c != 0xab && c != 0xac && c != 0xad &&
          c != 0xb0 && c != 0xb1 && c != 0xb7 && c != 0xbb && c != 0xd7 &&
          c != 0xf7) ||
         (c >= 0x2070 && c < 0x20a0) || (c >= 0x2100 && c < 0x2150) ||
         (c >= 0x2c00 && c < 0x2e00) || (c >= 0x3040 && c < 0xd800) ||
         (c >= 0x1d400 && c < 0x1d800);
}

/// The ASCII name of a Greek letter that papers like, or "".
static llvm::StringRef greekName(uint32_t c) {
  switch (c) {
  case 0x3b1:
    return "alpha";
  case 0x3b2:
    return "beta";
  case 0x3b3:
    return "gamma";
  case 0x3b4:
  case 0x394:
    return "delta";
  case 0x3b5:
    return "eps";
  case 0x3b7:
    return "eta";
  case 0x3b8:
    return "theta";
  case 0x3bb:
    return "lambda";
  case 0x3bc:
    return "mu";
  case 0x3c0:
    return "pi";
  case 0x3c3:
    return "sigma";
  case 0x3c4:
    return "tau";
  case 0x3c6:
    return "phi";
  case 0x3c9:
    return "omega";
  default:
    return "";
  }
}

Lexer::Lexer(llvm::StringRef buffer, Diagnostics &diags)
    : at(buffer.begin()), end(buffer.end()), diags(diags) {
  if (buffer.starts_with("\xef\xbb\xbf")) // byte order mark
    at += 3;
}

llvm::SMRange Lexer::rangeOf(const char *first, const char *last) const {
  return {llvm::SMLoc::getFromPointer(first),
          llvm::SMLoc::getFromPointer(last)};
}

//===----------------------------------------------------------------------===//
// Between tokens
//===----------------------------------------------------------------------===//

/// Reports and skips a character that has no place in a file at all: bytes that
/// are not UTF-8 (a run of them at once) and control characters. Returns false
/// when the character is an ordinary one.
bool Lexer::skipBadCharacter() {
  unsigned char byte = *at;
  if (byte < 0x80) {
    if ((byte >= 0x20 && byte != 0x7f) || byte == '\t' || byte == '\n' ||
        byte == '\r')
      return false;
    const char *first = at;
    while (at != end && *at == *first)
      ++at;
    std::string code = "\\x" + llvm::utohexstr(byte, false, 2);
    diags.error(rangeOf(first, at), "control character " + code)
        .expected("text; of control characters only tabs and line ends")
        .found(byte == 0 ? "a NUL byte" : code);
    return true;
  }
  unsigned length;
  if (decode(rest(), length))
    return false;
  const char *first = at;
  while (at != end && (unsigned char)*at >= 0x80 && !decode(rest(), length))
    ++at;
  diags
      .error(rangeOf(first, at), "byte \\x" + llvm::utohexstr(byte, false, 2) +
                                     " is not valid UTF-8")
      .expected("text in UTF-8")
      .found(Twine(at - first) +
             (at - first == 1 ? " invalid byte" : " invalid bytes"));
  return true;
}

void Lexer::skipLineComment() {
  while (at != end && *at != '\n' && *at != '\r') {
    if (skipBadCharacter())
      continue;
    unsigned length;
    decode(rest(), length);
    at += length;
  }
}

void Lexer::skipBlockComment() {
  const char *first = at;
  at += 2;
  diags.error(rangeOf(first, at), "a comment is written with `//`")
      .expected("`//`")
      .found("`/*`")
      .hint("write `//` before each line of the comment");
  size_t close = rest().find("*/");
  llvm::StringRef skipped = rest().substr(0, close);
  if (skipped.contains('\n'))
    lineStart = true;
  at = close == llvm::StringRef::npos ? end : at + close + 2;
}

void Lexer::skipBlanks() {
  while (at != end) {
    char c = *at;
    if (c == '\n' || c == '\r') {
      lineStart = true;
      ++at;
    } else if (c == ' ' || c == '\t') {
      ++at;
    } else if (c == '/' && peek() == '/') {
      skipLineComment();
    } else if (c == '/' && peek() == '*') {
      skipBlockComment();
    } else if (c == ';') {
      diags.error(rangeOf(at, at + 1), "`;` is not used")
          .expected("the end of the line")
          .found("`;`")
          .hint("an item ends at the end of its line");
      lineStart = true;
      ++at;
    } else if (c == '#') {
      diags.error(rangeOf(at, at + 1), "unexpected `#`")
          .expected("`//` for a comment")
          .found("`#`")
          .hint("a comment starts with `//`");
      skipLineComment();
    } else if (!skipBadCharacter()) {
      return;
    }
  }
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

Token Lexer::make(Tok kind, unsigned length) {
  Token token;
  token.kind = kind;
  token.startsLine = lineStart;
  token.text = llvm::StringRef(at, length);
  at += length;
  lineStart = false;
  return token;
}

Token Lexer::lex() {
  while (true) {
    skipBlanks();
    if (at == end)
      return make(Tok::Eof, 0);
    if (atIdentStart())
      return identifier();
    if (llvm::isDigit(*at) || (*at == '.' && llvm::isDigit(peek())))
      return number();
    Token token;
    if (foreignOperator(token) || mappedOperator(token))
      return token;
    token = punctuation();
    if (token.kind != Tok::Eof)
      return token;
    unsigned length;
    uint32_t c = decode(rest(), length);
    std::string code = "U+" + llvm::utohexstr(c, false, 4);
    Report report = diags.error(rangeOf(at, at + length),
                                "unexpected character `" +
                                    Twine(llvm::StringRef(at, length)) + "`" +
                                    (c < 0x80 ? "" : " (" + code + ")"));
    report.expected("a name, a number, an operator or a bracket").found(code);
    if (c == 0xa0 || c == 0x3000 || (c >= 0x2000 && c <= 0x200d))
      report.hint("this is a blank that is not ASCII: write an ordinary one");
    else if (c == 0x2211 || c == 0x220f)
      report.hint("write a sum as `sum[i] ..`, a product as `prod[i] ..`");
    else if (c == '\\')
      report.hint("a line that ends with a binary operator goes on by itself");
    at += length;
  }
}

Token Lexer::punctuation() {
  char next = peek();
  switch (*at) {
  case '(':
    return make(Tok::LParen, 1);
  case ')':
    return make(Tok::RParen, 1);
  case '[':
    return make(Tok::LBracket, 1);
  case ']':
    return make(Tok::RBracket, 1);
  case '{':
    return make(Tok::LBrace, 1);
  case '}':
    return make(Tok::RBrace, 1);
  case ',':
    return make(Tok::Comma, 1);
  case ':':
    return make(Tok::Colon, 1);
  case '|':
    return make(Tok::Bar, 1);
  case '+':
    return make(Tok::Plus, 1);
  case '*':
    return make(Tok::Star, 1);
  case '/':
    return make(Tok::Slash, 1);
  case '^':
    return make(Tok::Caret, 1);
  case '=':
    return next == '=' ? make(Tok::EqEq, 2) : make(Tok::Equal, 1);
  case '<':
    return next == '=' ? make(Tok::LessEq, 2) : make(Tok::Less, 1);
  case '>':
    return next == '=' ? make(Tok::GreaterEq, 2) : make(Tok::Greater, 1);
  case '-':
    return next == '>' ? make(Tok::Arrow, 2) : make(Tok::Minus, 1);
  case '!':
    if (next == '=')
      return make(Tok::NotEq, 2);
    break;
  case '.':
    if (next == '.')
      return make(Tok::DotDot, 2);
    break;
  default:
    break;
  }
  return Token();
}

/// Operators of other languages: reported, then taken for what they mean.
bool Lexer::foreignOperator(Token &token) {
  struct Foreign {
    llvm::StringLiteral text;
    Tok meaning;
    llvm::StringLiteral ours;
  };
  static constexpr Foreign table[] = {
      {"&&", Tok::KwAnd, "and"}, {"||", Tok::KwOr, "or"},
      {"**", Tok::Caret, "^"},   {"%", Tok::KwMod, "mod"},
      {":=", Tok::Equal, "="},   {"<>", Tok::NotEq, "!="},
      {"!", Tok::KwNot, "not"},  {"&", Tok::KwAnd, "and"},
  };
  for (const Foreign &foreign : table) {
    if (!rest().starts_with(foreign.text) || rest().starts_with("!="))
      continue;
    token = make(foreign.meaning, foreign.text.size());
    diags.error(token.range(), "`" + foreign.text + "` is not an operator")
        .expected("`" + foreign.ours + "`")
        .found("`" + foreign.text + "`")
        .hint("write `" + foreign.ours + "`");
    return true;
  }
  return false;
}

/// Mathematical signs outside ASCII, in the same way.
bool Lexer::mappedOperator(Token &token) {
  unsigned length;
  uint32_t c = decode(rest(), length);
  auto take = [&](Tok meaning, llvm::StringRef ours) {
    token = make(meaning, length);
    diags.error(token.range(), "`" + token.text + "` is not an operator")
        .expected("`" + ours + "`")
        .found("`" + token.text + "` (U+" + llvm::utohexstr(c, false, 4) + ")")
        .hint("write `" + ours + "`");
    return true;
  };
  switch (c) {
  case 0x2264:
    return take(Tok::LessEq, "<=");
  case 0x2265:
    return take(Tok::GreaterEq, ">=");
  case 0x2260:
    return take(Tok::NotEq, "!=");
  case 0x2212:
  case 0x2013:
  case 0x2014:
    return take(Tok::Minus, "-");
  case 0xd7:
  case 0xb7:
  case 0x22c5:
  case 0x2217:
    return take(Tok::Star, "*");
  case 0xf7:
    return take(Tok::Slash, "/");
  case 0x2192:
    return take(Tok::Arrow, "->");
  case 0x2227:
    return take(Tok::KwAnd, "and");
  case 0x2228:
    return take(Tok::KwOr, "or");
  case 0xac:
    return take(Tok::KwNot, "not");
  case 0x2026:
    return take(Tok::DotDot, "..");
  default:
    return false;
  }
}

bool Lexer::atIdentStart() const {
  if ((unsigned char)*at < 0x80)
    return llvm::isAlpha(*at) || *at == '_';
  unsigned length;
  return isForeignLetter(decode(rest(), length));
}

Token Lexer::identifier() {
  const char *stop = at, *foreign = nullptr;
  unsigned foreignLength = 0;
  while (stop != end) {
    unsigned length;
    uint32_t c = decode({stop, size_t(end - stop)}, length);
    if (c < 0x80 ? !isIdentCharacter(*stop) : !isForeignLetter(c))
      break;
    if (c >= 0x80 && !foreign) {
      foreign = stop;
      foreignLength = length;
    }
    stop += length;
  }
  Token token = make(Tok::Ident, stop - at);
  if (foreign) {
    uint32_t c = decode({foreign, foreignLength}, foreignLength);
    Report report = diags.error(
        rangeOf(foreign, foreign + foreignLength),
        "`" + Twine(llvm::StringRef(foreign, foreignLength)) + "` (U+" +
            llvm::utohexstr(c, false, 4) + ") cannot be part of a name");
    report.expected("names of ASCII letters, digits and `_`")
        .found("`" + token.text.take_front(60) + "`");
    if (!greekName(c).empty())
      report.hint("write `" + greekName(c) + "`");
    return token;
  }
  token.kind = llvm::StringSwitch<Tok>(token.text)
                   .Case("if", Tok::KwIf)
                   .Case("then", Tok::KwThen)
                   .Case("else", Tok::KwElse)
                   .Case("and", Tok::KwAnd)
                   .Case("or", Tok::KwOr)
                   .Case("not", Tok::KwNot)
                   .Case("mod", Tok::KwMod)
                   .Default(Tok::Ident);
  return token;
}

/// digits [ "." digits ] [ ("e" | "E") [ "+" | "-" ] digits ]; `0..4` is
/// a number, a range sign and a number.
Token Lexer::number() {
  const char *stop = at;
  auto digits = [&] {
    const char *first = stop;
    while (stop != end && llvm::isDigit(*stop))
      ++stop;
    return stop != first;
  };
  auto is = [&](char c) { return stop != end && *stop == c; };
  std::string problem, hint;
  if (!digits()) {
    problem = "a number starts with a digit";
    hint = "write `0.` before the digits";
  }
  if (is('.') && !(stop + 1 != end && stop[1] == '.')) {
    ++stop;
    if (!digits() && problem.empty()) {
      problem = "a number has digits after its point";
      hint =
          "write `" + std::string(at, std::min<size_t>(stop - at, 60)) + "0`";
    }
  }
  if (is('e') || is('E')) {
    ++stop;
    if (is('+') || is('-'))
      ++stop;
    if (!digits() && problem.empty()) {
      problem = "the exponent of the number has no digits";
      hint = "write an exponent as in `1e-5`";
    }
  }
  // Whatever sticks to the number is part of the mistake.
  const char *body = stop;
  while (stop != end && (isIdentCharacter(*stop) ||
                         (*stop == '.' && stop + 1 != end &&
                          llvm::isDigit(stop[1]) && stop[-1] != '.')))
    ++stop;
  if (stop != body && problem.empty()) {
    problem = "malformed number";
    llvm::StringRef rest(body, stop - body);
    llvm::StringRef first(at, body - at);
    if (rest.contains('.'))
      hint = "a number has one point at most";
    else if (rest[0] == 'f' && rest.size() == 1)
      hint =
          "numbers have no suffix: write `" + first.take_front(60).str() + "`";
    else if (first == "0" || llvm::isDigit(rest[0]) || rest[0] == '_')
      hint = "numbers are decimal, without `_`, as in `1000` or `1e-5`";
    else
      hint = "write `" + first.take_front(60).str() + " * " +
             rest.take_front(60).str() + "` for a product";
  }
  Token token = make(Tok::Number, stop - at);
  if (!problem.empty()) {
    token.malformed = true;
    diags.error(token.range(), problem)
        .expected("a number such as `2`, `0.5` or `1e-5`")
        .found("`" + token.text.take_front(60) + "`")
        .hint(hint);
  }
  return token;
}
