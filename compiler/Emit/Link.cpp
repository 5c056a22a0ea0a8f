//===- Link.cpp - From objects to a library -------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Link.h"

#include "runtime/src/ArtifactObject.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ObjCopy/CommonConfig.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ELF/ELFConfig.h"
#include "llvm/ObjCopy/ELF/ELFObjcopy.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include <link.h>
#include <mutex>

#ifdef RONDO_HAVE_LLD
#include "lld/Common/Driver.h"
#include "llvm/Plugins/PassPlugin.h"
LLD_HAS_DRIVER(elf)

/// LLD's optimiser at link time, which nothing here needs, was built with Polly,
/// which is in no archive.
llvm::PassPluginLibraryInfo getPollyPluginInfo() { return {}; }
#endif

using namespace rondo;
using llvm::createStringError;

llvm::StringRef rondo::getSupportObject(bool device) {
  return llvm::StringRef(
      reinterpret_cast<const char *>(device ? rondo_artifact_device_object
                                            : rondo_artifact_object),
      device ? rondo_artifact_device_object_size : rondo_artifact_object_size);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

namespace {

/// A folder that only this user can read, removed with everything in it.
class PrivateFolder {
public:
  ~PrivateFolder() {
    if (!path.empty())
      llvm::sys::fs::remove_directories(path);
  }

  llvm::Error create() {
    if (std::error_code code =
            llvm::sys::fs::createUniqueDirectory("rondo", path)) {
      path.clear();
      return createStringError(code, "can't create a temporary folder: " +
                                         code.message());
    }
    return llvm::Error::success();
  }

  std::string getPath(const llvm::Twine &name) const {
    llvm::SmallString<128> file(path);
    llvm::sys::path::append(file, name);
    return file.str().str();
  }

  llvm::Error write(const llvm::Twine &name, llvm::StringRef content) {
    return llvm::writeToOutput(getPath(name), [&](llvm::raw_ostream &os) {
      os << content;
      return llvm::Error::success();
    });
  }

private:
  llvm::SmallString<128> path;
};

} // namespace

/// Writes the objects into the folder and appends their paths to `arguments`.
static llvm::Error writeObjects(PrivateFolder &folder,
                                llvm::ArrayRef<llvm::StringRef> objects,
                                llvm::SmallVectorImpl<std::string> &arguments) {
  for (auto [i, object] : llvm::enumerate(objects)) {
    std::string name = llvm::utostr(i) + ".o";
    if (llvm::Error error = folder.write(name, object))
      return error;
    arguments.push_back(folder.getPath(name));
  }
  return llvm::Error::success();
}

/// The files of libm and libc: those that this process runs with, which are
/// there whether or not a C compiler is installed.
static llvm::SmallVector<std::string, 2> findSystemLibraries() {
  llvm::SmallVector<std::string, 2> paths;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *data) {
        llvm::StringRef name = llvm::sys::path::filename(info->dlpi_name);
        if (name == "libm.so.6" || name == "libc.so.6")
          static_cast<llvm::SmallVectorImpl<std::string> *>(data)->push_back(
              info->dlpi_name);
        return 0;
      },
      &paths);
  return paths;
}

//===----------------------------------------------------------------------===//
// Running the linker
//===----------------------------------------------------------------------===//

#ifdef RONDO_HAVE_LLD
/// LLD keeps its state in globals, so one thread at a time. Returns false if it
/// can't run in this process any more.
static bool runInProcess(llvm::ArrayRef<std::string> arguments, int &status,
                         std::string &messages) {
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable)
    return false;
  llvm::SmallVector<const char *> pointers{"ld.lld"};
  for (const std::string &argument : arguments)
    pointers.push_back(argument.c_str());
  llvm::raw_string_ostream stream(messages);
  lld::Result result =
      lld::lldMain(pointers, stream, stream, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  status = result.retCode;
  return usable;
}
#endif

/// Runs an installed linker with the arguments of ld.
static llvm::Error spawnLinker(llvm::ArrayRef<std::string> arguments,
                               PrivateFolder &folder) {
  llvm::SmallVector<std::string> command;
  for (llvm::StringRef name : {"ld.lld-22", "ld.lld"})
    if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName(name)) {
      command = {*path};
      llvm::append_range(command, arguments);
      break;
    }
  if (command.empty()) {
    llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName("cc");
    if (!path)
      return createStringError("no linker: neither ld.lld nor cc is installed");
    command = {*path, "-shared", "-nostdlib"};
    for (const std::string &argument : arguments) {
      // -o and its file are cc's own too; the rest is for the linker alone.
      if (argument == "--threads=1")
        continue;
      command.push_back("-Xlinker");
      command.push_back(argument);
    }
  }
  llvm::SmallVector<llvm::StringRef> words(command.begin(), command.end());
  std::string output = folder.getPath("messages"), problem;
  std::optional<llvm::StringRef> redirects[] = {std::nullopt, output, output};
  int status = llvm::sys::ExecuteAndWait(command[0], words, std::nullopt,
                                         redirects, 0, 0, &problem);
  if (status == 0)
    return llvm::Error::success();
  if (auto text = llvm::MemoryBuffer::getFile(output))
    problem += (*text)->getBuffer();
  return createStringError("linking with " + command[0] +
                           " failed: " + llvm::StringRef(problem).rtrim());
}

static llvm::Error runLinker(llvm::ArrayRef<std::string> arguments,
                             PrivateFolder &folder) {
#ifdef RONDO_HAVE_LLD
  int status = 0;
  std::string messages;
  if (runInProcess(arguments, status, messages)) {
    if (status == 0)
      return llvm::Error::success();
    return createStringError("linking failed: " +
                             llvm::StringRef(messages).rtrim());
  }
#endif
  return spawnLinker(arguments, folder);
}

//===----------------------------------------------------------------------===//
// Interface
//===----------------------------------------------------------------------===//

llvm::Error rondo::linkLibrary(llvm::ArrayRef<llvm::StringRef> objects,
                               const LinkOptions &options,
                               llvm::StringRef outputPath) {
  // The path may live in an option, which LLD resets.
  std::string output = outputPath.str();
  PrivateFolder folder;
  if (llvm::Error error = folder.create())
    return error;
  std::string script = "{\n  global:\n";
  for (const std::string &symbol : options.exports)
    script += "    " + symbol + ";\n";
  script += "  local: *;\n};\n";
  if (llvm::Error error = folder.write("exports", script))
    return error;

  llvm::SmallVector<std::string> arguments{
      "-shared",
      "--threads=1",
      "-o",
      output,
      "-soname",
      llvm::sys::path::filename(output).str(),
      "--gc-sections",
      "--build-id=none",
      "--hash-style=gnu",
      "--version-script=" + folder.getPath("exports"),
      "-z",
      "now",
      "-z",
      "relro",
      "-z",
      "noexecstack"};
  if (!options.keepSymbols)
    arguments.push_back("--strip-all");
  if (llvm::Error error = writeObjects(folder, objects, arguments))
    return error;
  // Named after the objects: recorded as needed only if a symbol is used.
  llvm::SmallVector<std::string, 2> libraries = findSystemLibraries();
  if (libraries.size() == 2) {
    arguments.push_back("--as-needed");
    llvm::append_range(arguments, libraries);
    arguments.append({"-z", "defs"});
  }
  return runLinker(arguments, folder);
}

llvm::Error rondo::linkObject(llvm::ArrayRef<llvm::StringRef> objects,
                              const LinkOptions &options,
                              llvm::StringRef outputPath) {
  std::string output = outputPath.str();
  PrivateFolder folder;
  if (llvm::Error error = folder.create())
    return error;
  std::string joined = folder.getPath("joined");
  llvm::SmallVector<std::string> arguments{"-r", "--threads=1", "-o", joined};
  if (llvm::Error error = writeObjects(folder, objects, arguments))
    return error;
  if (llvm::Error error = runLinker(arguments, folder))
    return error;

  auto buffer = llvm::MemoryBuffer::getFile(joined);
  if (!buffer)
    return createStringError(buffer.getError(), "can't read the joined object");
  auto object = llvm::object::ObjectFile::createELFObjectFile(**buffer);
  if (!object)
    return object.takeError();
  llvm::objcopy::ConfigManager config;
  for (const std::string &symbol : options.exports)
    if (llvm::Error error = config.Common.SymbolsToKeepGlobal.addMatcher(
            llvm::objcopy::NameOrPattern::create(
                symbol, llvm::objcopy::MatchStyle::Literal,
                [](llvm::Error error) { return error; })))
      return error;
  if (!options.keepSymbols)
    config.Common.DiscardMode = llvm::objcopy::DiscardType::All;
  return llvm::writeToOutput(output, [&](llvm::raw_ostream &os) {
    return llvm::objcopy::elf::executeObjcopyOnBinary(
        config.Common, config.ELF,
        *llvm::cast<llvm::object::ELFObjectFileBase>(object->get()), os);
  });
}
