//===- Output.cpp - The files that a compilation writes -------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Driver.h"
#include "compiler/Driver/TemporaryFolder.h"
#include "passes/GPU/Capabilities.h"
#include "passes/GPU/Passes.h"
#include "rondo/abi.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace rondo;
using namespace rondo::driver;
using llvm::StringRef;

//===----------------------------------------------------------------------===//
// What the program's text says about a kernel
//===----------------------------------------------------------------------===//

static int32_t abiDType(frontend::model::DType dtype) {
  using frontend::model::DType;
  switch (dtype) {
  case DType::F16:
    return RONDO_F16;
  case DType::BF16:
    return RONDO_BF16;
  case DType::F64:
    return RONDO_F64;
  default:
    return RONDO_F32;
  }
}

/// The lines of comment that stand directly above `position`.
static std::string commentAbove(StringRef text, size_t position) {
  llvm::SmallVector<StringRef> lines;
  StringRef before = text.take_front(position);
  before = before.take_front(before.rfind('\n') + 1);
  while (!before.empty()) {
    before = before.drop_back(); // its line break
    size_t start = before.rfind('\n') + 1;
    StringRef line = before.substr(start).trim();
    if (!line.consume_front("//"))
      break;
    lines.push_back(line.trim());
    before = before.take_front(start);
  }
  return llvm::join(llvm::reverse(lines), "\n");
}

/// A kernel's first line: everything up to its brace, on one line.
static std::string firstLine(StringRef text) {
  std::string line;
  for (StringRef part : llvm::split(text.take_front(text.find('{')), '\n')) {
    StringRef code = part.take_front(part.find("//")).trim();
    if (code.empty())
      continue;
    if (!line.empty())
      line += ' ';
    line += code;
  }
  return line;
}

llvm::Expected<llvm::SmallVector<KernelSignature, 1>>
driver::describeKernels(Compiler &compiler) {
  auto kernels = getKernelSignatures(compiler.getModule());
  if (!kernels)
    return kernels.takeError();
  const frontend::ast::File *ast = compiler.getAst();
  if (!ast)
    return kernels;
  llvm::SourceMgr &sources = compiler.getSources();
  StringRef text =
      sources.getMemoryBuffer(sources.getMainFileID())->getBuffer();
  for (KernelSignature &kernel : *kernels) {
    kernel.ioDtype = abiDType(compiler.getOptions().io);
    kernel.accumulationDtype =
        kernel.ioDtype == RONDO_F64 ? RONDO_F64 : RONDO_F32;
    for (const frontend::ast::Kernel *node : ast->kernels) {
      if (node->name.text != kernel.kernel)
        continue;
      size_t position = node->range.Start.getPointer() - text.data();
      kernel.text = firstLine(text.substr(position));
      kernel.description = commentAbove(text, position);
    }
    if (llvm::Error error = kernel.complete())
      return error;
  }
  return kernels;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

llvm::Error
driver::writeFile(StringRef path,
                  llvm::function_ref<void(llvm::raw_ostream &)> print) {
  llvm::Error error =
      llvm::writeToOutput(path, [&](llvm::raw_ostream &os) -> llvm::Error {
        print(os);
        return llvm::Error::success();
      });
  if (error)
    return llvm::createStringError(
        path + ": cannot be written: " + llvm::toString(std::move(error)));
  return llvm::Error::success();
}

static Failure environmentFailure(llvm::Error error) {
  llvm::errs() << "error: " << llvm::toString(std::move(error)) << "\n";
  return Failure::Environment;
}

static EmitOptions emitOptions(Compiler &compiler) {
  EmitOptions options;
  options.processEnds = compiler.getOptions().processEnds;
  options.sourceName =
      (compiler.getStem() + (compiler.isIR() ? ".mlir" : ".rondo")).str();
  return options;
}

static llvm::SmallVector<Variant, 2> variantsOf(Compiler &compiler) {
  llvm::SmallVector<Variant, 2> variants;
  for (VariantModule &variant : compiler.getVariants())
    variants.push_back({variant.target, variant.module.get()});
  return variants;
}

/// Calls `write` with a file name; what it wrote goes to standard output when
/// `path` is `-`. The name ends up in the file, so it does not vary.
static llvm::Error
throughFile(StringRef path, StringRef name,
            llvm::function_ref<llvm::Error(StringRef path)> write) {
  if (path != "-")
    return write(path);
  TemporaryFolder folder;
  if (!folder.create())
    return llvm::createStringError("no temporary folder can be made");
  std::string file = folder.file(name);
  if (llvm::Error error = write(file))
    return error;
  auto content = llvm::MemoryBuffer::getFile(file, /*IsText=*/false);
  if (std::error_code error = content.getError())
    return llvm::createStringError(
        error, file + ": cannot be read: " + error.message());
  return writeFile(
      "-", [&](llvm::raw_ostream &os) { os << (*content)->getBuffer(); });
}

static llvm::SmallVector<DeviceVariant, 2> devicesOf(Compiler &compiler) {
  llvm::SmallVector<DeviceVariant, 2> devices;
  for (DeviceModule &device : compiler.getDeviceModules()) {
    const gpu::Chip &chip = *gpu::findChip(device.chip);
    devices.push_back({device.chip, gpu::getFeatures(chip), chip.number,
                       chip.exact, device.module.get()});
  }
  return devices;
}

using EmitFunction = llvm::Error (*)(llvm::ArrayRef<KernelSignature>,
                                     llvm::ArrayRef<Variant>,
                                     const EmitOptions &, StringRef,
                                     EmitTimings *);

static Failure emitBinary(Compiler &compiler, StringRef path, StringRef name,
                          EmitFunction emit) {
  auto kernels = describeKernels(compiler);
  if (!kernels)
    return compiler.fail(Failure::Program, llvm::toString(kernels.takeError()));
  if (llvm::Error error = checkExports(*kernels))
    return compiler.fail(Failure::Program, llvm::toString(std::move(error)));
  EmitOptions options = emitOptions(compiler);
  DeviceCode device;
  if (!compiler.getDeviceModules().empty()) {
    mlir::TimingScope scope = compiler.time("device code");
    auto code = emitDeviceCode(devicesOf(compiler),
                               gpu::getKernelNames(compiler.getModule()));
    if (!code)
      return compiler.fail(Failure::Internal, llvm::toString(code.takeError()));
    device = std::move(*code);
    options.device = &device;
  }
  mlir::TimingScope scope = compiler.time("emit");
  if (llvm::Error error = throughFile(path, name, [&](StringRef file) {
        return emit(*kernels, variantsOf(compiler), options, file, nullptr);
      }))
    return environmentFailure(std::move(error));
  return Failure::None;
}

Failure driver::emitLibraryFile(Compiler &compiler, StringRef path) {
  return emitBinary(compiler, path, ("lib" + compiler.getStem() + ".so").str(),
                    emitLibrary);
}

Failure driver::emitObjectFile(Compiler &compiler, StringRef path) {
  return emitBinary(compiler, path, (compiler.getStem() + ".o").str(),
                    emitObject);
}

Failure driver::emitLLVMFile(Compiler &compiler, StringRef path) {
  auto kernels = describeKernels(compiler);
  if (!kernels)
    return compiler.fail(Failure::Program, llvm::toString(kernels.takeError()));
  std::string text;
  for (const DeviceVariant &device : devicesOf(compiler)) {
    auto code = emitPTX(device, /*asLLVM=*/true);
    if (!code)
      return compiler.fail(Failure::Internal, llvm::toString(code.takeError()));
    text += "; ----- " + device.chip + " -----\n" + *code;
  }
  for (const Variant &variant : variantsOf(compiler)) {
    auto code = emitText(*kernels, variant, TextKind::OptimizedLLVM,
                         emitOptions(compiler));
    if (!code)
      return compiler.fail(Failure::Internal, llvm::toString(code.takeError()));
    text += "; ----- " + variant.target.name + " -----\n" + *code;
  }
  if (llvm::Error error =
          writeFile(path, [&](llvm::raw_ostream &os) { os << text; }))
    return environmentFailure(std::move(error));
  return Failure::None;
}

Failure driver::emitPTXFile(Compiler &compiler, StringRef path) {
  std::string text;
  for (const DeviceVariant &device : devicesOf(compiler)) {
    auto code = emitPTX(device);
    if (!code)
      return compiler.fail(Failure::Internal, llvm::toString(code.takeError()));
    text += *code;
  }
  if (llvm::Error error =
          writeFile(path, [&](llvm::raw_ostream &os) { os << text; }))
    return environmentFailure(std::move(error));
  return Failure::None;
}

Failure driver::emitHeaderFile(Compiler &compiler, StringRef path) {
  auto kernels = describeKernels(compiler);
  if (!kernels)
    return compiler.fail(Failure::Program, llvm::toString(kernels.takeError()));
  std::string text = emitHeader(*kernels, emitOptions(compiler));
  if (llvm::Error error =
          writeFile(path, [&](llvm::raw_ostream &os) { os << text; }))
    return environmentFailure(std::move(error));
  return Failure::None;
}
