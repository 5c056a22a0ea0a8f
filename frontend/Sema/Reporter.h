//===- Reporter.h - Collects, removes doubles, sorts ------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inlined text is looked at once per use and would be reported as often. All
// reports of one run are kept here, doubles are dropped, and the rest is handed
// on in the order of the text.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_SEMA_REPORTER_H
#define RONDO_FRONTEND_SEMA_REPORTER_H

#include "frontend/Diagnostics/Diagnostics.h"
#include <set>

namespace rondo::frontend::sema {

class Reporter;

/// One report under construction; filed at the end of the statement.
class Error {
public:
  Error(Reporter &reporter, Severity severity, llvm::SMRange range,
        const llvm::Twine &message)
      : reporter(reporter) {
    d.severity = severity;
    d.range = range;
    d.message = message.str();
  }
  Error(const Error &) = delete;
  Error &operator=(const Error &) = delete;
  ~Error();

  Error &expected(const llvm::Twine &text) {
    d.expected = text.str();
    return *this;
  }
  Error &found(const llvm::Twine &text) {
    d.found = text.str();
    return *this;
  }
  Error &hint(const llvm::Twine &text) {
    d.hint = text.str();
    return *this;
  }
  Error &note(llvm::SMRange range, const llvm::Twine &text) {
    if (range.isValid())
      d.notes.emplace_back(range, text.str());
    return *this;
  }

private:
  Reporter &reporter;
  Diagnostic d;
};

class Reporter {
public:
  Error error(llvm::SMRange range, const llvm::Twine &message) {
    return Error(*this, Severity::Error, range, message);
  }
  Error warning(llvm::SMRange range, const llvm::Twine &message) {
    return Error(*this, Severity::Warning, range, message);
  }
  void file(Diagnostic diagnostic);
  /// Doubles included: it grows whenever something is found wrong.
  unsigned errorCount() const { return errors; }
  /// Enough was found; looking further would only cost time.
  bool full() const { return reports.size() >= 200; }
  void flush(Diagnostics &diags);

  /// Where inlined text was asked for, outermost first; every report made
  /// meanwhile gets it as notes.
  std::vector<std::pair<llvm::SMRange, std::string>> inlinedAt;

private:
  std::vector<Diagnostic> reports;
  std::set<std::pair<const char *, std::string>> seen;
  unsigned errors = 0;
};

inline Error::~Error() { reporter.file(std::move(d)); }

} // namespace rondo::frontend::sema

#endif // RONDO_FRONTEND_SEMA_REPORTER_H
