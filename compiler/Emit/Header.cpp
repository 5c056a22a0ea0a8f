//===- Header.cpp - The C header of a library -----------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Emit.h"

#include "rondo/abi.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace rondo;

static const char abiText[] =
#include "compiler/Emit/AbiText.inc"
    ;

static llvm::StringRef getCType(int32_t dtype) {
  switch (dtype) {
  case RONDO_F16:
  case RONDO_BF16:
    return "uint16_t";
  case RONDO_F32:
    return "float";
  case RONDO_F64:
    return "double";
  case RONDO_I32:
    return "int32_t";
  case RONDO_I64:
    return "int64_t";
  default:
    return "uint8_t";
  }
}

static llvm::StringRef getDtypeName(int32_t dtype) {
  switch (dtype) {
  case RONDO_F16:
    return "f16";
  case RONDO_BF16:
    return "bf16";
  case RONDO_F32:
    return "f32";
  case RONDO_F64:
    return "f64";
  case RONDO_I32:
    return "i32";
  case RONDO_I64:
    return "i64";
  default:
    return "bool";
  }
}

/// Text from the program as comment lines. A `\` at the end of a line would
/// take the next line into the comment.
static void printComment(llvm::raw_ostream &os, llvm::StringRef prefix,
                         llvm::StringRef text) {
  llvm::SmallVector<llvm::StringRef> lines;
  text.split(lines, '\n');
  for (llvm::StringRef line : lines) {
    line = line.rtrim();
    os << prefix << (line.empty() ? "" : " ") << line
       << (line.ends_with("\\") ? "." : "") << '\n';
  }
}

static std::string oneLine(llvm::StringRef text) {
  std::string line = text.str();
  for (char &c : line)
    if (c == '\n' || c == '\r' || c == '\\')
      c = ' ';
  return line;
}

//===----------------------------------------------------------------------===//
// The argument struct
//===----------------------------------------------------------------------===//

namespace {
/// A field, or a line of comment when the declaration is empty.
struct Field {
  std::string declaration, comment;
};
} // namespace

static void addTensor(const TensorSignature &tensor,
                      llvm::SmallVectorImpl<Field> &fields) {
  std::string type = getCType(tensor.dtype).str();
  std::string comment =
      tensor.shapeText + " " + getDtypeName(tensor.dtype).str();
  std::string plainName = tensor.fieldName;
  if (plainName != tensor.name)
    comment = tensor.name + ": " + comment;
  if (tensor.isValue())
    comment = "scalar " + getDtypeName(tensor.dtype).str();
  if (!tensor.description.empty())
    comment += "; " + oneLine(tensor.description);
  if (tensor.isValue()) {
    fields.push_back({type + " " + plainName + ";", comment});
    return;
  }
  fields.push_back(
      {(tensor.isReadOnly() ? "const " : "") + type + " *" + plainName + ";",
       comment});
  if (tensor.getRank() > 0)
    fields.push_back({"const int64_t *" + plainName + "_strides;",
                      "[" + llvm::utostr(tensor.getRank()) + "]"});
}

static llvm::SmallVector<Field> getFields(const KernelSignature &kernel) {
  llvm::SmallVector<Field> fields;
  if (!kernel.sizes.empty())
    fields.push_back({"", "Sizes."});
  for (const SizeSignature &size : kernel.sizes)
    fields.push_back(
        {"int64_t " + size.fieldName + ";",
         size.bound < 0 ? "" : "must be " + llvm::itostr(size.bound)});
  bool isBackward = kernel.entry == "backward";
  const char *const titles[] = {
      isBackward ? "Arguments, and gradients of results." : "Arguments.",
      isBackward ? "Initial values of states. NULL: as the program declares "
                   "them. Gradients of final\n  // values. NULL: 0."
                 : "Initial values of states. NULL: as the program declares "
                   "them.",
      isBackward ? "Gradients of arguments." : "Results.",
      isBackward ? "Gradients of initial values. NULL: not wanted."
                 : "Final values of states. NULL: not wanted."};
  int32_t role = -1;
  for (const TensorSignature &tensor : kernel.tensors) {
    if (tensor.role != role)
      fields.push_back({"", titles[tensor.role]});
    role = tensor.role;
    addTensor(tensor, fields);
  }
  if (kernel.timeSize >= 0) {
    fields.push_back(
        {"", "Several sequences one after the other. Zero: none."});
    fields.push_back({"rondo_packed packed;", ""});
  }
  return fields;
}

static void printArgs(llvm::raw_ostream &os, const KernelSignature &kernel) {
  llvm::SmallVector<Field> fields = getFields(kernel);
  size_t width = 0;
  for (const Field &field : fields)
    if (!field.comment.empty() && field.declaration.size() < 40)
      width = std::max(width, field.declaration.size());
  os << "/// Strides count elements, one per dim; NULL means packed, row-major "
        "(the last\n/// dim innermost). Sizes and strides are those of the "
        "caller's memory.\n";
  os << "typedef struct " << kernel.name << "_args {\n";
  for (const Field &field : fields) {
    if (field.declaration.empty()) {
      os << "  // " << field.comment << '\n';
      continue;
    }
    os << "  " << field.declaration;
    if (!field.comment.empty()) {
      if (field.declaration.size() < width)
        os.indent(width - field.declaration.size());
      os << " ///< " << field.comment;
    }
    os << '\n';
  }
  os << "} " << kernel.name << "_args;\n\n";
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

static const char entriesFormat[] =
    R"(/// Runs the kernel. `workspace` has `workspace_size` bytes, at least what
/// {0}_workspace_size says, aligned to RONDO_WORKSPACE_ALIGNMENT; the caller
/// owns it, and its content means nothing before and after. NULL: taken from
/// the context's allocator for the length of the call. `ctx` may be NULL. All
/// arguments are checked first: on any error but RONDO_ERROR_INDEX_OUT_OF_RANGE
/// and RONDO_ERROR_BAD_CONTEXT nothing has been written, and the context's error
/// buffer says what was expected. May be called by several threads at once with
/// distinct workspaces and results.
rondo_status {3}(const {0}_args *args, void *workspace,
{4}size_t workspace_size, const rondo_context *ctx);

/// Bytes of workspace that a call with these arguments and this context needs.
/// It looks at sizes, strides and the context's number of workers; pointers to
/// data may be NULL.
rondo_status {0}_workspace_size(const {0}_args *args, const rondo_context *ctx,
                                size_t *out_bytes);

/// The same for tensors described by DLPack, [count], in this order:
{1}/// NULL in place of an optional one means that it is not given.{2}
rondo_status {0}_call(DLTensor *const *tensors, int32_t count, void *workspace,
                      size_t workspace_size, const rondo_context *ctx);
rondo_status {0}_call_workspace_size(DLTensor *const *tensors, int32_t count,
                                     const rondo_context *ctx,
                                     size_t *out_bytes);

/// For the target cuda: waits for the context's stream, then tells whether the
/// last call with this workspace met an index out of range. For the target cpu
/// the call itself tells it, and this returns RONDO_OK.
rondo_status {0}_check(const void *workspace, const rondo_context *ctx);

)";

static std::string getTensorOrder(const KernelSignature &kernel) {
  std::string lines, line = "///  ";
  for (auto [i, tensor] : llvm::enumerate(kernel.tensors)) {
    std::string word =
        " " + tensor.name + (i + 1 < kernel.tensors.size() ? "," : ".");
    if (line.size() + word.size() > 80) {
      lines += line + "\n";
      line = "///  ";
    }
    line += word;
  }
  return lines + line + "\n";
}

static void printKernel(llvm::raw_ostream &os, const KernelSignature &kernel) {
  os << "//===" << std::string(70, '-') << "===//\n// " << kernel.name
     << "\n//===" << std::string(70, '-') << "===//\n\n";
  if (!kernel.description.empty()) {
    printComment(os, "//", kernel.description);
    os << "//\n";
  }
  if (!kernel.text.empty())
    printComment(os, "//  ", kernel.text);
  std::string batch;
  for (int32_t size : kernel.batch)
    batch += (batch.empty() ? "" : ", ") + kernel.sizes[size].name;
  if (!kernel.source.empty())
    os << "// Defined at " << kernel.source << ".\n";
  if (!kernel.form.empty())
    os << "// Computed in the form: " << kernel.form << ".\n";
  if (!batch.empty())
    os << "// Points of [" << batch
       << "] are independent and may run in parallel.\n";
  os << '\n';
  printArgs(os, kernel);
  std::string run = kernel.getRunName();
  os << llvm::formatv(
      entriesFormat, kernel.name, getTensorOrder(kernel),
      kernel.timeSize < 0
          ? ""
          : " One more\n/// tensor at the end, of type i32 or i64, is "
            "cu_seqlens (see rondo_packed).",
      run, std::string(run.size() + 14, ' '));
}

static const char callText[] = R"(//
// A call: fill in a <kernel>_args that was zero before, ask
// <kernel>_workspace_size for the size of the scratch memory, run
// <kernel>_forward (<kernel>_step, <kernel>_backward: the function itself). The
// result is RONDO_OK or says what is wrong; nothing is kept between calls.
)";

static const char sharedText[] = R"(//
// First come the declarations that all such headers share (<rondo/abi.h>); the
// kernels are at the end of the file.
)";

std::string rondo::emitHeader(llvm::ArrayRef<KernelSignature> kernels,
                              const EmitOptions &options) {
  llvm::StringRef file = options.sourceName;
  file = file.substr(file.rfind('/') + 1);
  std::string guard = "RONDO_GENERATED_";
  for (char c : file.substr(0, file.rfind('.')))
    guard += llvm::isAlnum(c) ? llvm::toUpper(c) : '_';
  guard += "_H";

  std::string text;
  llvm::raw_string_ostream os(text);
  os << "// The kernels of " << (file.empty() ? "a program" : oneLine(file))
     << ". Written by " << getCompilerVersion() << ": don't edit.\n//\n";
  for (const KernelSignature &kernel : kernels)
    printComment(os, "//  ",
                 kernel.text.empty() ? llvm::StringRef(kernel.name)
                                     : llvm::StringRef(kernel.text));
  os << callText;
  if (options.standaloneHeader)
    os << sharedText;
  os << "\n#ifndef " << guard << "\n#define " << guard << "\n\n";
  if (options.standaloneHeader)
    os << llvm::StringRef(abiText).trim() << "\n\n";
  else
    os << "#include <rondo/abi.h>\n\n";
  os << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  for (const KernelSignature &kernel : kernels)
    printKernel(os, kernel);
  os << "#ifdef __cplusplus\n} // extern \"C\"\n#endif\n\n#endif // " << guard
     << "\n";
  return text;
}
