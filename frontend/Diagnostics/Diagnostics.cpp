//===- Diagnostics.cpp - Errors in the user's text ------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/Diagnostics/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/Unicode.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>

using namespace rondo::frontend;

//===----------------------------------------------------------------------===//
// Characters
//===----------------------------------------------------------------------===//

/// The length in bytes of the character that starts at `text`, and whether it
/// is valid UTF-8; an invalid byte is a character of its own.
static unsigned characterLength(llvm::StringRef text, bool &valid) {
  const auto *begin = reinterpret_cast<const llvm::UTF8 *>(text.bytes_begin());
  const auto *end = reinterpret_cast<const llvm::UTF8 *>(text.bytes_end());
  unsigned length = llvm::getNumBytesForUTF8(*begin);
  valid = *begin < 0x80 ||
          (length <= text.size() && llvm::isLegalUTF8Sequence(begin, end));
  return valid ? length : 1;
}

/// One character as a terminal can show it: tabs as blanks up to the next
/// multiple of four, bytes that are not UTF-8 and characters that cannot be
/// printed as escapes. Returns the columns it takes.
static unsigned appendShown(llvm::StringRef character, bool valid,
                            unsigned column, std::string &out) {
  if (character == "\t") {
    unsigned width = 4 - column % 4;
    out.append(width, ' ');
    return width;
  }
  unsigned char byte = character[0];
  if (valid && byte >= 0x20 && byte < 0x7f) {
    out += byte;
    return 1;
  }
  size_t before = out.size();
  if (!valid || byte < 0x20 || byte == 0x7f) {
    out += "\\x" + llvm::utohexstr(byte, /*LowerCase=*/false, /*Width=*/2);
    return out.size() - before;
  }
  int width = llvm::sys::unicode::columnWidthUTF8(character);
  if (width > 0) {
    out += character;
    return width;
  }
  llvm::raw_string_ostream escape(out);
  const auto *bytes = reinterpret_cast<const llvm::UTF8 *>(character.data());
  llvm::UTF32 codePoint = 0, *target = &codePoint;
  llvm::ConvertUTF8toUTF32(&bytes, bytes + character.size(), &target,
                           target + 1, llvm::strictConversion);
  escape << "<U+" << llvm::utohexstr(codePoint, false, 4) << ">";
  return out.size() - before;
}

/// `text` with everything that cannot be printed escaped.
static std::string printable(llvm::StringRef text) {
  std::string out;
  while (!text.empty()) {
    bool valid;
    unsigned length = characterLength(text, valid);
    appendShown(text.take_front(length), valid, 0, out);
    text = text.drop_front(length);
  }
  return out;
}

//===----------------------------------------------------------------------===//
// The shown line
//===----------------------------------------------------------------------===//

namespace {
/// A source line and the mark below it.
struct Excerpt {
  std::string line, marks;
};
} // namespace

/// How many bytes of a line are shown before and after the place.
static constexpr size_t shownBefore = 60, shownAfter = 80;

/// The line around `place`, cut to a window when it is long, with `^` at
/// `place` and `~` up to `end`.
static Excerpt excerpt(llvm::StringRef buffer, const char *place,
                       const char *end) {
  auto isBreak = [](char c) { return c == '\n' || c == '\r'; };
  auto isContinuation = [](char c) { return (c & 0xc0) == 0x80; };
  const char *first = place, *last = place;
  bool cutFront = false, cutBack = false;
  while (first != buffer.begin() && !isBreak(first[-1])) {
    if (size_t(place - first) >= shownBefore && !isContinuation(*first)) {
      cutFront = true;
      break;
    }
    --first;
  }
  while (last != buffer.end() && !isBreak(*last)) {
    if (size_t(last - place) >= shownAfter && !isContinuation(*last)) {
      cutBack = true;
      break;
    }
    ++last;
  }

  Excerpt result;
  unsigned column = 0;
  if (cutFront) {
    result.line = "... ";
    result.marks = "    ";
    column = 4;
  }
  llvm::StringRef rest(first, last - first);
  bool marked = false;
  while (!rest.empty()) {
    bool valid;
    unsigned length = characterLength(rest, valid);
    unsigned width =
        appendShown(rest.take_front(length), valid, column, result.line);
    const char *at = rest.data();
    if (at >= place && (at < end || !marked)) {
      result.marks.append(width, '~');
      if (!marked)
        result.marks[column] = '^';
      marked = true;
    } else if (!marked) {
      result.marks.append(width, ' ');
    }
    column += width;
    rest = rest.drop_front(length);
  }
  if (cutBack)
    result.line += " ...";
  if (!marked)
    result.marks += '^';
  return result;
}

//===----------------------------------------------------------------------===//
// Report
//===----------------------------------------------------------------------===//

Report::Report(Diagnostics &engine, Severity severity, llvm::SMRange range,
               const llvm::Twine &message)
    : engine(&engine) {
  diagnostic.severity = severity;
  diagnostic.range = range;
  diagnostic.message = message.str();
}

Report::Report(Report &&other)
    : engine(other.engine), diagnostic(std::move(other.diagnostic)) {
  other.engine = nullptr;
}

Report::~Report() {
  if (engine)
    engine->report(diagnostic);
}

Report &Report::expected(const llvm::Twine &text) {
  diagnostic.expected = text.str();
  return *this;
}

Report &Report::found(const llvm::Twine &text) {
  diagnostic.found = text.str();
  return *this;
}

Report &Report::hint(const llvm::Twine &text) {
  diagnostic.hint = text.str();
  return *this;
}

Report &Report::note(llvm::SMRange range, const llvm::Twine &text) {
  diagnostic.notes.emplace_back(range, text.str());
  return *this;
}

Report &Report::note(llvm::SMLoc loc, const llvm::Twine &text) {
  return note(llvm::SMRange(loc, loc), text);
}

//===----------------------------------------------------------------------===//
// Diagnostics
//===----------------------------------------------------------------------===//

Diagnostics::Diagnostics(const llvm::SourceMgr &sources, llvm::raw_ostream &os,
                         unsigned limit)
    : sources(sources), os(os), limit(limit) {}

Report Diagnostics::error(llvm::SMRange range, const llvm::Twine &message) {
  return Report(*this, Severity::Error, range, message);
}

Report Diagnostics::error(llvm::SMLoc loc, const llvm::Twine &message) {
  return error(llvm::SMRange(loc, loc), message);
}

Report Diagnostics::warning(llvm::SMRange range, const llvm::Twine &message) {
  return Report(*this, Severity::Warning, range, message);
}

std::pair<unsigned, unsigned> Diagnostics::position(llvm::SMLoc loc) const {
  unsigned id = sources.FindBufferContainingLoc(loc);
  if (!id)
    return {0, 0};
  const char *start = sources.getMemoryBuffer(id)->getBufferStart();
  const char *lineStart = loc.getPointer();
  while (lineStart != start && lineStart[-1] != '\n')
    --lineStart;
  llvm::StringRef before(lineStart, loc.getPointer() - lineStart);
  if (lineStart == start)
    before.consume_front("\xef\xbb\xbf"); // a byte order mark has no column
  unsigned column = 1;
  while (!before.empty()) {
    bool valid;
    before = before.drop_front(characterLength(before, valid));
    ++column;
  }
  return {sources.FindLineNumber(loc, id), column};
}

std::string Diagnostics::place(llvm::SMLoc loc) const {
  unsigned id = sources.FindBufferContainingLoc(loc);
  if (!id)
    return "<unknown>";
  auto [line, column] = position(loc);
  llvm::StringRef file = sources.getMemoryBuffer(id)->getBufferIdentifier();
  return (printable(file) + ":" + llvm::Twine(line) + ":" + llvm::Twine(column))
      .str();
}

void Diagnostics::print(Severity severity, llvm::SMRange range,
                        llvm::StringRef message) {
  static constexpr llvm::StringRef names[] = {"error", "warning", "note"};
  unsigned id =
      range.isValid() ? sources.FindBufferContainingLoc(range.Start) : 0;
  if (id)
    os << place(range.Start) << ": ";
  os << names[unsigned(severity)] << ": " << printable(message) << "\n";
  if (!id)
    return;
  Excerpt shown = excerpt(sources.getMemoryBuffer(id)->getBuffer(),
                          range.Start.getPointer(), range.End.getPointer());
  os << "  " << shown.line << "\n  " << shown.marks << "\n";
}

void Diagnostics::report(const Diagnostic &diagnostic) {
  bool isError = diagnostic.severity == Severity::Error;
  if (isError && ++errors > limit) {
    if (errors == limit + 1)
      os << "error: too many errors, the rest is not shown\n";
    return;
  }
  if (!isError && errors >= limit)
    return;
  print(diagnostic.severity, diagnostic.range, diagnostic.message);
  if (!diagnostic.expected.empty())
    os << "  expected: " << printable(diagnostic.expected) << "\n";
  if (!diagnostic.found.empty())
    os << "  found: " << printable(diagnostic.found) << "\n";
  if (!diagnostic.hint.empty())
    os << "  hint: " << printable(diagnostic.hint) << "\n";
  for (const auto &[range, text] : diagnostic.notes)
    print(Severity::Note, range, text);
}

llvm::StringRef
rondo::frontend::nearest(llvm::StringRef word,
                         llvm::ArrayRef<llvm::StringRef> candidates) {
  for (llvm::StringRef candidate : candidates)
    if (candidate != word && candidate.equals_insensitive(word))
      return candidate;
  // Of two letters or fewer everything is near everything, and a very long
  // word is no typo.
  if (word.size() < 3 || word.size() > 64)
    return "";
  unsigned allowed = std::max<size_t>(1, word.size() / 3);
  llvm::StringRef best;
  for (llvm::StringRef candidate : candidates) {
    if (candidate == word || candidate.size() > word.size() + allowed)
      continue;
    unsigned distance =
        word.edit_distance(candidate, /*AllowReplacements=*/true, allowed);
    if (distance > allowed)
      continue;
    best = candidate;
    if (distance == 1)
      break;
    allowed = distance - 1;
  }
  return best;
}
