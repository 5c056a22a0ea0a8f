//===- Parser.cpp - Tokens, errors and the parts of a file ----------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Parser/Parser.h"
#include "frontend/Parser/ParserImpl.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace rondo::frontend;
using llvm::StringRef;
using llvm::Twine;

std::unique_ptr<ast::File>
rondo::frontend::parse(const llvm::SourceMgr &sources, unsigned bufferId,
                       Diagnostics &diags) {
  const llvm::MemoryBuffer *buffer = sources.getMemoryBuffer(bufferId);
  auto file = std::make_unique<ast::File>();
  file->name = buffer->getBufferIdentifier();
  unsigned errorsBefore = diags.errorCount();
  Parser(buffer->getBuffer(), diags, *file).parseFile();
  file->broken = diags.errorCount() != errorsBefore;
  return file;
}

Parser::Parser(StringRef buffer, Diagnostics &diags, ast::File &file)
    : lexer(buffer, diags), diags(diags), file(file) {
  last.text = buffer.take_front(0);
  tok.kind = Tok::Newline;
  tok.text = last.text;
  pending = lexer.lex();
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

void Parser::advance() {
  if (!at(Tok::Newline)) {
    last = tok;
    if (pending.startsLine && breaksLine(pending)) {
      tok = Token();
      tok.kind = Tok::Newline;
      tok.text = StringRef(last.text.end(), 0);
      return;
    }
  }
  tok = pending;
  pending = lexer.lex();
}

/// A line that ends with one of these goes on.
static bool leavesOpen(Tok kind) {
  switch (kind) {
  case Tok::Ident:
  case Tok::Number:
  case Tok::RParen:
  case Tok::RBracket:
  case Tok::RBrace:
  case Tok::DotDot:
  case Tok::Newline:
  case Tok::Eof:
    return false;
  default:
    return true;
  }
}

/// A line that starts with one of these continues the line before it.
static bool continuesLine(Tok kind) {
  switch (kind) {
  case Tok::EqEq:
  case Tok::NotEq:
  case Tok::Less:
  case Tok::LessEq:
  case Tok::Greater:
  case Tok::GreaterEq:
  case Tok::Plus:
  case Tok::Minus:
  case Tok::Star:
  case Tok::Slash:
  case Tok::Caret:
  case Tok::KwThen:
  case Tok::KwElse:
  case Tok::KwAnd:
  case Tok::KwOr:
  case Tok::KwMod:
  case Tok::Arrow:
  case Tok::LBrace:
    return true;
  default:
    return false;
  }
}

/// Whether the line break between the current token and `next` ends an item.
bool Parser::breaksLine(const Token &next) const {
  if (next.is(Tok::Eof) || next.is(Tok::RBrace))
    return false; // these end an item by themselves
  // A line such as `S[t, i] = ..` or `state S: ..` starts an item even where
  // a bracket is still open: nothing in brackets reads like that. This keeps
  // a forgotten bracket from swallowing the rest of the file.
  if (!(at(Tok::Comma) && brackets.empty()) && looksLikeItem(next))
    return true;
  return brackets.empty() && !leavesOpen(tok.kind) && !continuesLine(next.kind);
}

/// Whether `token`, the first of its line, starts an item or a part of the
/// file, judged by its line alone.
bool Parser::looksLikeItem(const Token &token) const {
  if (!token.is(Tok::Ident))
    return false;
  const char *p = token.text.end(); // the buffer ends with a NUL
  auto skipBlanks = [&] {
    while (*p == ' ' || *p == '\t')
      ++p;
  };
  skipBlanks();
  if (*p == '[') {
    int depth = 0;
    do {
      depth += *p == '[' ? 1 : *p == ']' ? -1 : 0;
      ++p;
    } while (depth && *p != '\0' && *p != '\n' && *p != '\r');
    if (depth)
      return false;
    skipBlanks();
  }
  if (*p == '=')
    return p[1] != '=' && p[1] != '>';
  static constexpr StringRef keywords[] = {"batch", "let",    "state", "local",
                                           "const", "kernel", "fn"};
  if (!llvm::is_contained(keywords, token.text) || p == token.text.end())
    return false;
  const char *word = p;
  while (isIdentCharacter(*p))
    ++p;
  static constexpr StringRef operators[] = {"and",  "or", "mod",  "then",
                                            "else", "in", "along"};
  StringRef second(word, p - word);
  return !second.empty() && !llvm::isDigit(second[0]) &&
         !llvm::is_contained(operators, second);
}

bool Parser::accept(Tok kind) {
  if (!at(kind))
    return false;
  advance();
  return true;
}

/// Consumes an opening bracket, which must be the current token.
void Parser::open(Tok kind) {
  assert(at(kind));
  (void)kind;
  brackets.push_back(tok);
  advance();
}

/// Consumes the bracket that closes the innermost open one; `before` is what
/// else could stand in its place.
bool Parser::close(Tok kind, StringRef before) {
  if (at(kind)) {
    brackets.pop_back();
    advance();
    return true;
  }
  Token opened = brackets.back();
  StringRef closer = kind == Tok::RParen ? ")" : "]";
  Report report = unexpected(before + " or `" + closer + "`");
  if (before.starts_with("an operator") &&
      (at(Tok::Ident) || at(Tok::Number) || at(Tok::LParen)))
    report.hint(hintOfProduct());
  report.note(opened.range(), "to match this `" + opened.text + "`");
  return false;
}

/// Where an operand follows another. Behind a bracket it may be what another
/// language reduces: `mean[i] x[i]`.
std::string Parser::hintOfProduct() const {
  StringRef before(tok.text.data() - 1, 1);
  while (before == " ")
    before = StringRef(before.data() - 1, 1);
  return before == "]" ? "a product is written with `*`; reductions are sum, "
                         "prod, max, min, any, all, softmax and logsumexp"
                       : "a product is written with `*`";
}

bool Parser::expectLineEnd() {
  if (atItemEnd())
    return true;
  Report report = unexpected("an operator or the end of the line");
  if (at(Tok::RParen) || at(Tok::RBracket))
    report.hint("no bracket is open here: leave `" + tok.text + "` out");
  else if (at(Tok::Equal))
    report.hint("`=` defines, `==` compares");
  else if (atWordPair())
    report.hint("start a new item on a new line");
  else if (at(Tok::Ident) || at(Tok::Number) || at(Tok::LParen))
    report.hint(hintOfProduct() + ", and a new item starts on a new line");
  return false;
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

std::string rondo::frontend::quoted(llvm::SMRange range) {
  StringRef text(range.Start.getPointer(),
                 range.End.getPointer() - range.Start.getPointer());
  StringRef shown = text.take_front(60).take_until(
      [](char c) { return c == '\n' || c == '\r'; });
  return ("`" + shown + (shown.size() < text.size() ? "..`" : "`")).str();
}

std::string Parser::describe() const {
  if (at(Tok::Eof))
    return "the end of the file";
  if (at(Tok::Newline))
    return "the end of the line";
  return quoted(tok.range());
}

Report Parser::unexpected(const Twine &expected) {
  std::string found = describe();
  StringRef what = found;
  what.consume_front("the ");
  Report report = diags.error(tok.range(), "unexpected " + what);
  report.expected(expected).found(found);
  return report;
}

/// Skips to the end of the current item: a line end outside the brackets that
/// are open, a line that is clearly a new item, or the end of the block.
void Parser::recover() {
  unsigned braces = 0;
  while (!at(Tok::Eof)) {
    if (!braces && (at(Tok::Newline) || at(Tok::RBrace)))
      break;
    if (at(Tok::LParen) || at(Tok::LBracket))
      brackets.push_back(tok);
    else if ((at(Tok::RParen) || at(Tok::RBracket)) && !brackets.empty())
      brackets.pop_back();
    else if (at(Tok::LBrace))
      ++braces;
    else if (at(Tok::RBrace))
      --braces;
    advance();
  }
  brackets.clear();
  nesting = 0;
  conditions = 0;
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

void Parser::parseFile() {
  while (!at(Tok::Eof) && !diags.full()) {
    if (accept(Tok::Newline))
      continue;
    parseTopLevel();
  }
}

void Parser::parseTopLevel() {
  if (at(Tok::Ident)) {
    if (tok.text == "const")
      return parseConst();
    if (tok.text == "fn")
      return parseFn();
    if (tok.text == "kernel")
      return parseKernel();
    if (tok.text == "param" || tok.text == "repeat") {
      rejectReserved();
      return recover();
    }
  }
  Report report = unexpected("`const`, `fn` or `kernel`");
  if (at(Tok::RBrace)) {
    report.hint("no `{` is open here: leave `}` out");
    return advance();
  }
  StringRef meant = nearest(tok.text, {"const", "fn", "kernel"});
  if (tok.text == "def" || tok.text == "func" || tok.text == "function")
    report.hint("a scalar function is written `fn f(x) = ..`, a model "
                "`kernel f(x: [..]) -> (y: [..]) { .. }`");
  else if (!meant.empty())
    report.hint("did you mean `" + meant + "`?");
  else if (at(Tok::Ident))
    report.hint("equations and declarations stand inside a kernel: "
                "`kernel f(x: [..]) -> (y: [..]) { .. }`");
  recover();
}

/// `param` and `repeat` are for whole models, which this version of the
/// language does not have.
void Parser::rejectReserved() {
  diags
      .error(tok.range(),
             "`" + tok.text + "` is reserved for a later version of Rondo")
      .expected("a part of version 0 of the language")
      .found(describe())
      .hint(tok.text == "param"
                ? "declare weights as arguments of the kernel"
                : "write one kernel per layer and call it once for each layer");
}

/// const NAME = expr
void Parser::parseConst() {
  llvm::SMLoc start = tok.loc();
  advance();
  auto *node = file.create<ast::Const>();
  std::optional<ast::Ident> name = parseName("the name of a constant");
  if (!name)
    return recover();
  node->name = *name;
  node->value = expectDefines() ? parseExpr() : nullptr;
  if (!node->value)
    node->value = errorExpr(start);
  node->range = since(start);
  file.consts.push_back(node);
  if (llvm::isa<ast::ErrorExpr>(node->value) || !expectLineEnd())
    recover();
}

/// fn NAME(a, b) = expr
void Parser::parseFn() {
  llvm::SMLoc start = tok.loc();
  advance();
  auto *node = file.create<ast::Fn>();
  std::optional<ast::Ident> name = parseName("the name of a function");
  if (!name)
    return recover();
  node->name = *name;
  bool fine = at(Tok::LParen);
  if (!fine) {
    unexpected("`(` and the parameters").hint("write `fn f(x) = x * x`");
  } else {
    open(Tok::LParen);
    fine = parseNames("the name of a parameter", node->params);
    if (fine && at(Tok::Colon)) {
      unexpected("`,` or `)`")
          .hint("parameters of a function are scalars and have no type");
      fine = false;
    }
    fine = fine && close(Tok::RParen, "`,`") && expectDefines();
  }
  node->value = fine ? parseExpr() : nullptr;
  if (!node->value)
    node->value = errorExpr(start);
  node->range = since(start);
  file.fns.push_back(node);
  if (llvm::isa<ast::ErrorExpr>(node->value) || !expectLineEnd())
    recover();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// kernel NAME([args]) -> (results) { items }
void Parser::parseKernel() {
  llvm::SMLoc start = tok.loc();
  unsigned errorsBefore = diags.errorCount();
  advance();
  auto *kernel = file.create<ast::Kernel>();
  kernel->range = since(start);
  if (parseKernelHeader(*kernel) || skipToBody())
    parseBody(*kernel);
  kernel->range = since(start);
  kernel->broken = diags.errorCount() != errorsBefore;
  if (!kernel->name.text.empty())
    file.kernels.push_back(kernel);
}

bool Parser::parseKernelHeader(ast::Kernel &kernel) {
  std::optional<ast::Ident> name = parseName("the name of a kernel");
  if (!name)
    return false;
  kernel.name = *name;
  if (!at(Tok::LParen)) {
    unexpected("`(` and the arguments");
    return false;
  }
  if (!parseGroups(kernel.arguments))
    return false;
  if (!accept(Tok::Arrow)) {
    Report report = unexpected("`->` and the results");
    report.hint("write `kernel f(x: [T]) -> (y: [T]) { .. }`");
    if (!at(Tok::LParen))
      return false;
  }
  if (!at(Tok::LParen)) {
    unexpected("`(` and the results")
        .hint("results are named: write `-> (y: [T])`");
    return false;
  }
  if (pending.is(Tok::RParen)) {
    diags.error(pending.range(), "a kernel needs a result")
        .expected("a result such as `y: [T]`")
        .found("`)`");
    open(Tok::LParen);
    close(Tok::RParen, "");
  } else if (!parseGroups(kernel.outputs)) {
    return false;
  }
  if (at(Tok::LBrace))
    return true;
  unexpected("`{` and the items of the kernel");
  return false;
}

/// After an error in a header: skips to where the items start. False when there
/// are none.
bool Parser::skipToBody() {
  brackets.clear();
  while (!at(Tok::LBrace) && !at(Tok::RBrace)) {
    if (at(Tok::Eof))
      return false;
    if (at(Tok::Newline) && looksLikeItem(pending))
      return pending.text != "kernel" && pending.text != "fn" &&
             pending.text != "const";
    advance();
  }
  return true;
}

void Parser::parseBody(ast::Kernel &kernel) {
  Token opened = tok;
  accept(Tok::LBrace);
  llvm::SmallVector<const ast::Item *> items;
  while (!diags.full()) {
    if (accept(Tok::Newline))
      continue;
    if (accept(Tok::RBrace))
      break;
    if (at(Tok::Eof) || (atWordPair() && tok.text == "kernel")) {
      Report report = unexpected("an item or `}`");
      if (opened.is(Tok::LBrace))
        report.note(opened.range(), "to match this `{`");
      break;
    }
    if (!parseItem(items) || !expectLineEnd())
      recover();
  }
  kernel.items = file.copy(llvm::ArrayRef(items));
}

/// "(" [ group { "," group } ] ")", group = names ":" type
bool Parser::parseGroups(llvm::ArrayRef<ast::Group> &groups) {
  llvm::SmallVector<ast::Group> list;
  open(Tok::LParen);
  while (!at(Tok::RParen)) {
    ast::Group group;
    if (!parseNames("the name of a tensor", group.names))
      return false;
    if (!accept(Tok::Colon)) {
      unexpected("`,` or `:` and a type")
          .hint("write `" + group.names.back().text.take_front(60) +
                ": [..]`, or `: f32` for a scalar");
      return false;
    }
    if (!parseType(group.type))
      return false;
    list.push_back(group);
    if (!accept(Tok::Comma))
      break;
  }
  if (!at(Tok::RParen)) {
    Report report = unexpected("`,` or `)`");
    if (at(Tok::Equal))
      report.hint("arguments have no default values");
    report.note(brackets.back().range(), "to match this `(`");
    return false;
  }
  groups = file.copy(llvm::ArrayRef(list));
  return close(Tok::RParen, "`,`");
}
