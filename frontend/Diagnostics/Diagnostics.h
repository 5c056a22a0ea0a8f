//===- Diagnostics.h - Errors in the user's text ----------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One engine for every stage that speaks about source text. A report reads
//
//   gla.rondo:6:19: error: unknown name `keys`
//     o[t, j] = sum[i] keys[t, i] * S[t, i, j]
//                      ^~~~
//     expected: an argument, a local, a state, an index, a size or a constant
//     found: `keys`
//     hint: did you mean `key`?
//   gla.rondo:1:12: note: `key` is declared here
//   ...
//
// and is written like this:
//
//   diags.error(range, "unknown name `keys`")
//       .expected("an argument, ...").found("`keys`").hint("did you mean ...")
//       .note(other, "`key` is declared here");
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_DIAGNOSTICS_DIAGNOSTICS_H
#define RONDO_FRONTEND_DIAGNOSTICS_DIAGNOSTICS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/SMLoc.h"
#include <string>
#include <utility>
#include <vector>

namespace llvm {
class raw_ostream;
class SourceMgr;
} // namespace llvm

namespace rondo::frontend {

enum class Severity { Error, Warning, Note };

/// One report. An invalid range (no location) prints no line.
struct Diagnostic {
  Severity severity = Severity::Error;
  llvm::SMRange range;
  std::string message;
  std::string expected, found, hint; // empty: not printed
  std::vector<std::pair<llvm::SMRange, std::string>> notes;
};

class Diagnostics;

/// Collects the parts of one report and files it when it goes out of scope (at
/// the end of the statement).
class Report {
public:
  Report(Diagnostics &engine, Severity severity, llvm::SMRange range,
         const llvm::Twine &message);
  Report(Report &&other);
  Report(const Report &) = delete;
  Report &operator=(const Report &) = delete;
  ~Report();

  Report &expected(const llvm::Twine &text);
  Report &found(const llvm::Twine &text);
  Report &hint(const llvm::Twine &text);
  Report &note(llvm::SMRange range, const llvm::Twine &text);
  Report &note(llvm::SMLoc loc, const llvm::Twine &text);

private:
  Diagnostics *engine;
  Diagnostic diagnostic;
};

class Diagnostics {
public:
  /// After `limit` errors one line says so and the rest are only counted.
  Diagnostics(const llvm::SourceMgr &sources, llvm::raw_ostream &os,
              unsigned limit = 20);

  Report error(llvm::SMRange range, const llvm::Twine &message);
  Report error(llvm::SMLoc loc, const llvm::Twine &message);
  Report warning(llvm::SMRange range, const llvm::Twine &message);

  void report(const Diagnostic &diagnostic);

  unsigned errorCount() const { return errors; }
  bool hasErrors() const { return errors != 0; }
  /// Past the limit: nothing more will be printed, so a stage may stop.
  bool full() const { return errors > limit; }

  /// Line and column, both from 1. A column is a character, not a byte; a byte
  /// that is not UTF-8 counts as one.
  std::pair<unsigned, unsigned> position(llvm::SMLoc loc) const;
  /// "file:line:column", for messages that name a second place.
  std::string place(llvm::SMLoc loc) const;

  const llvm::SourceMgr &sourceMgr() const { return sources; }

private:
  void print(Severity severity, llvm::SMRange range, llvm::StringRef message);

  const llvm::SourceMgr &sources;
  llvm::raw_ostream &os;
  unsigned limit;
  unsigned errors = 0;
};

/// The nearest of `candidates` by edit distance if it is near enough to be what
/// was meant, else "". A word that differs only in case is always near enough.
llvm::StringRef nearest(llvm::StringRef word,
                        llvm::ArrayRef<llvm::StringRef> candidates);

} // namespace rondo::frontend

#endif // RONDO_FRONTEND_DIAGNOSTICS_DIAGNOSTICS_H
