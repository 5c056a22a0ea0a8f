//===- Tables.cpp - The constant tables of a library ----------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One LLVM struct type per struct of abi.h, with the same fields in the same
// order; the assertions below catch a change of abi.h.
//
//===----------------------------------------------------------------------===//

#include "compiler/Emit/Tables.h"

#include "compiler/Emit/Emit.h"
#include "mlir/IR/AffineExpr.h"
#include "rondo/abi.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

using namespace rondo;
using llvm::createStringError;

static_assert(RONDO_ABI_VERSION == 1u, "update the tables");
static_assert(sizeof(rondo_size_info) == 16 && sizeof(rondo_size_op) == 16 &&
                  sizeof(rondo_size_expr) == 24 &&
                  sizeof(rondo_tensor_info) == 80 &&
                  sizeof(rondo_fault_info) == 40 &&
                  sizeof(rondo_variant) == 24 &&
                  sizeof(rondo_kernel_info) == 208 &&
                  sizeof(rondo_device_image) == 40 &&
                  sizeof(rondo_device_code) == 40 &&
                  sizeof(rondo_library_info) == 40,
              "update the tables");

namespace {

class TableBuilder {
public:
  TableBuilder(llvm::Module &module)
      : module(module), context(module.getContext()), builder(context),
        pointer(llvm::PointerType::get(context, 0)),
        null(llvm::ConstantPointerNull::get(pointer)) {}

  llvm::Expected<llvm::Constant *>
  addKernel(const KernelSignature &kernel,
            llvm::ArrayRef<VariantSymbols> variants, size_t position,
            llvm::Constant *device);
  /// The device code of the library; NULL if there is none.
  llvm::Constant *deviceCode(const DeviceCode *code);
  void addQuery(llvm::ArrayRef<llvm::Constant *> kernels);

private:
  llvm::Constant *i32(int64_t value) {
    return llvm::ConstantInt::get(builder.getInt32Ty(), value, true);
  }
  llvm::Constant *i64(int64_t value) {
    return llvm::ConstantInt::get(builder.getInt64Ty(), value, true);
  }
  llvm::Constant *structure(llvm::ArrayRef<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }
  /// A constant in memory; equal ones are the same.
  llvm::Constant *global(llvm::Constant *value, const llvm::Twine &name);
  /// A zero-terminated string; NULL for an empty one if `optional`.
  llvm::Constant *string(llvm::StringRef text, bool optional = false);
  /// A table; NULL when it is empty.
  llvm::Constant *array(llvm::ArrayRef<llvm::Constant *> elements,
                        const llvm::Twine &name);
  llvm::Function *declare(llvm::StringRef name, llvm::Type *result,
                          llvm::ArrayRef<llvm::Type *> arguments);

  llvm::Error addSizeOps(mlir::AffineExpr expr, const KernelSignature &kernel,
                         llvm::SmallVectorImpl<llvm::Constant *> &ops);
  llvm::Expected<llvm::Constant *> sizeExpr(mlir::AffineExpr expr,
                                            const KernelSignature &kernel);
  llvm::Expected<llvm::Constant *> tensors(const KernelSignature &kernel);
  llvm::Expected<llvm::Constant *> faults(const KernelSignature &kernel);
  llvm::Expected<llvm::Constant *> batch(const KernelSignature &kernel);
  llvm::Constant *sizes(const KernelSignature &kernel);
  llvm::Constant *workerBytes(const KernelSignature &kernel,
                              llvm::ArrayRef<VariantSymbols> variants,
                              size_t position);
  /// An exported function that hands its table and its arguments to a function
  /// of the support code.
  llvm::Constant *entry(llvm::StringRef name, llvm::StringRef support,
                        llvm::Constant *info,
                        llvm::ArrayRef<llvm::Type *> arguments);

  llvm::Module &module;
  llvm::LLVMContext &context;
  llvm::IRBuilder<> builder;
  llvm::PointerType *pointer;
  llvm::Constant *null;
  llvm::DenseMap<llvm::Constant *, llvm::Constant *> globals;
};

} // namespace

llvm::Constant *TableBuilder::global(llvm::Constant *value,
                                     const llvm::Twine &name) {
  llvm::Constant *&variable = globals[value];
  if (!variable)
    variable = new llvm::GlobalVariable(
        module, value->getType(), /*isConstant=*/true,
        llvm::GlobalValue::PrivateLinkage, value, name);
  return variable;
}

llvm::Constant *TableBuilder::string(llvm::StringRef text, bool optional) {
  if (text.empty() && optional)
    return null;
  auto *variable = llvm::cast<llvm::GlobalVariable>(
      global(llvm::ConstantDataArray::getString(context, text), "text"));
  variable->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  variable->setAlignment(llvm::Align(1));
  return variable;
}

llvm::Constant *TableBuilder::array(llvm::ArrayRef<llvm::Constant *> elements,
                                    const llvm::Twine &name) {
  if (elements.empty())
    return null;
  return global(
      llvm::ConstantArray::get(
          llvm::ArrayType::get(elements.front()->getType(), elements.size()),
          elements),
      name);
}

llvm::Function *TableBuilder::declare(llvm::StringRef name, llvm::Type *result,
                                      llvm::ArrayRef<llvm::Type *> arguments) {
  if (llvm::Function *function = module.getFunction(name))
    return function;
  auto *function =
      llvm::Function::Create(llvm::FunctionType::get(result, arguments, false),
                             llvm::GlobalValue::ExternalLinkage, name, module);
  function->setVisibility(llvm::GlobalValue::HiddenVisibility);
  function->setDSOLocal(true);
  function->setDoesNotThrow();
  return function;
}

//===----------------------------------------------------------------------===//
// Sizes and shapes
//===----------------------------------------------------------------------===//

/// The operand b of a + b * -1, or null.
static mlir::AffineExpr getNegated(mlir::AffineExpr expr) {
  auto product = mlir::dyn_cast<mlir::AffineBinaryOpExpr>(expr);
  if (!product || product.getKind() != mlir::AffineExprKind::Mul)
    return nullptr;
  auto factor = mlir::dyn_cast<mlir::AffineConstantExpr>(product.getRHS());
  return factor && factor.getValue() == -1 ? product.getLHS() : nullptr;
}

llvm::Error
TableBuilder::addSizeOps(mlir::AffineExpr expr, const KernelSignature &kernel,
                         llvm::SmallVectorImpl<llvm::Constant *> &ops) {
  auto push = [&](int64_t op, int64_t value) {
    ops.push_back(structure({i64(op), i64(value)}));
    return llvm::Error::success();
  };
  if (auto constant = mlir::dyn_cast<mlir::AffineConstantExpr>(expr))
    return push(RONDO_SIZE_CONST, constant.getValue());
  if (auto symbol = mlir::dyn_cast<mlir::AffineSymbolExpr>(expr))
    return push(RONDO_SIZE_NAME, symbol.getPosition());

  auto unsupported = [&] {
    return createStringError("kernel '" + kernel.name +
                             "': a shape can't be told to callers: " +
                             printSizeExpr(expr, kernel.sizes));
  };
  auto binary = mlir::dyn_cast<mlir::AffineBinaryOpExpr>(expr);
  if (!binary)
    return unsupported();
  mlir::AffineExpr rhs = binary.getRHS();
  int64_t op;
  switch (binary.getKind()) {
  case mlir::AffineExprKind::Add:
    op = RONDO_SIZE_ADD;
    if (mlir::AffineExpr negated = getNegated(rhs)) {
      op = RONDO_SIZE_SUB;
      rhs = negated;
    }
    break;
  case mlir::AffineExprKind::Mul:
    op = RONDO_SIZE_MUL;
    break;
  case mlir::AffineExprKind::FloorDiv:
    op = RONDO_SIZE_DIV;
    break;
  case mlir::AffineExprKind::CeilDiv:
    op = RONDO_SIZE_CEIL_DIV;
    break;
  default:
    return unsupported();
  }
  if (llvm::Error error = addSizeOps(binary.getLHS(), kernel, ops))
    return error;
  if (llvm::Error error = addSizeOps(rhs, kernel, ops))
    return error;
  return push(op, 0);
}

llvm::Expected<llvm::Constant *>
TableBuilder::sizeExpr(mlir::AffineExpr expr, const KernelSignature &kernel) {
  llvm::SmallVector<llvm::Constant *> ops;
  if (llvm::Error error = addSizeOps(expr, kernel, ops))
    return error;
  return structure({string(printSizeExpr(expr, kernel.sizes)),
                    array(ops, "size_ops"), i64(ops.size())});
}

llvm::Constant *TableBuilder::sizes(const KernelSignature &kernel) {
  llvm::SmallVector<llvm::Constant *> rows;
  for (const SizeSignature &size : kernel.sizes)
    rows.push_back(structure({string(size.name), i64(size.bound)}));
  return array(rows, kernel.name + "_sizes");
}

llvm::Expected<llvm::Constant *>
TableBuilder::batch(const KernelSignature &kernel) {
  llvm::SmallVector<llvm::Constant *> rows;
  // There is a shape, so there is a context to make an expression in.
  mlir::MLIRContext *context = kernel.tensors.front().shape.getContext();
  llvm::SmallVector<mlir::AffineExpr> exprs;
  for (int32_t size : kernel.batch)
    exprs.push_back(mlir::getAffineSymbolExpr(size, context));
  if (kernel.channels >= 0)
    exprs.push_back(mlir::getAffineSymbolExpr(kernel.channels, context)
                        .ceilDiv(kernel.channelBlock));
  for (mlir::AffineExpr expr : exprs) {
    llvm::Expected<llvm::Constant *> row = sizeExpr(expr, kernel);
    if (!row)
      return row;
    rows.push_back(*row);
  }
  return array(rows, kernel.name + "_batch");
}

llvm::Expected<llvm::Constant *>
TableBuilder::tensors(const KernelSignature &kernel) {
  llvm::SmallVector<llvm::Constant *> rows;
  for (const TensorSignature &tensor : kernel.tensors) {
    llvm::SmallVector<llvm::Constant *> dims;
    for (mlir::AffineExpr expr : tensor.shape.getResults()) {
      llvm::Expected<llvm::Constant *> dim = sizeExpr(expr, kernel);
      if (!dim)
        return dim;
      dims.push_back(*dim);
    }
    rows.push_back(
        structure({string(tensor.name), string(tensor.shapeText),
                   string(tensor.description, /*optional=*/true),
                   array(dims, kernel.name + "_shape"), i32(tensor.role),
                   i32(tensor.dtype), i32(tensor.getRank()),
                   i32(tensor.isOptional() ? RONDO_TENSOR_OPTIONAL : 0),
                   i64(tensor.valueOffset), i64(tensor.stridesOffset),
                   i32(tensor.timeDim), i32(tensor.sequenceDim),
                   i32(tensor.partner), i32(0)}));
  }
  return array(rows, kernel.name + "_tensors");
}

llvm::Expected<llvm::Constant *>
TableBuilder::faults(const KernelSignature &kernel) {
  llvm::SmallVector<llvm::Constant *> rows;
  for (const FaultSignature &fault : kernel.faults) {
    llvm::Constant *extent = null;
    if (fault.extent) {
      llvm::Expected<llvm::Constant *> value = sizeExpr(fault.extent, kernel);
      if (!value)
        return value;
      extent = global(*value, kernel.name + "_extent");
    }
    rows.push_back(structure({string(fault.text), string(fault.tensor),
                              string(fault.location, /*optional=*/true), extent,
                              i64(fault.dim)}));
  }
  return array(rows, kernel.name + "_faults");
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// The scratch of a worker is enough for whichever variant runs. The largest as
/// unsigned numbers: a negative one says that 63 bits are not enough.
llvm::Constant *
TableBuilder::workerBytes(const KernelSignature &kernel,
                          llvm::ArrayRef<VariantSymbols> variants,
                          size_t position) {
  llvm::SmallVector<llvm::Function *> functions;
  for (const VariantSymbols &variant : variants)
    if (const std::string &symbol = variant.workerBytes[position];
        !symbol.empty())
      functions.push_back(declare(symbol, builder.getInt64Ty(), {pointer}));
  if (functions.size() <= 1)
    return functions.empty() ? null : functions.front();

  auto *function = llvm::Function::Create(
      functions.front()->getFunctionType(), llvm::GlobalValue::InternalLinkage,
      kernel.name + "_worker_bytes", module);
  function->setDoesNotThrow();
  builder.SetInsertPoint(llvm::BasicBlock::Create(context, "", function));
  llvm::Value *largest = nullptr;
  for (llvm::Function *callee : functions) {
    llvm::Value *bytes = builder.CreateCall(callee, {function->getArg(0)});
    largest = largest ? builder.CreateBinaryIntrinsic(llvm::Intrinsic::umax,
                                                      largest, bytes)
                      : bytes;
  }
  builder.CreateRet(largest);
  return function;
}

llvm::Constant *TableBuilder::entry(llvm::StringRef name,
                                    llvm::StringRef support,
                                    llvm::Constant *info,
                                    llvm::ArrayRef<llvm::Type *> arguments) {
  llvm::SmallVector<llvm::Type *> types{pointer};
  llvm::append_range(types, arguments);
  llvm::Function *callee = declare(support, builder.getInt32Ty(), types);
  auto *function = llvm::Function::Create(
      llvm::FunctionType::get(builder.getInt32Ty(), arguments, false),
      llvm::GlobalValue::ExternalLinkage, name, module);
  // The table names the entry of this library, whatever else is loaded.
  function->setVisibility(llvm::GlobalValue::ProtectedVisibility);
  function->setDSOLocal(true);
  builder.SetInsertPoint(llvm::BasicBlock::Create(context, "", function));
  llvm::SmallVector<llvm::Value *> values{info};
  for (llvm::Argument &argument : function->args())
    values.push_back(&argument);
  llvm::CallInst *call = builder.CreateCall(callee, values);
  call->setTailCall();
  builder.CreateRet(call);
  return function;
}

llvm::Expected<llvm::Constant *>
TableBuilder::addKernel(const KernelSignature &kernel,
                        llvm::ArrayRef<VariantSymbols> variants,
                        size_t position, llvm::Constant *device) {
  llvm::Expected<llvm::Constant *> tensorTable = tensors(kernel);
  if (!tensorTable)
    return tensorTable;
  llvm::Expected<llvm::Constant *> batchTable = batch(kernel);
  if (!batchTable)
    return batchTable;
  llvm::Expected<llvm::Constant *> faultTable = faults(kernel);
  if (!faultTable)
    return faultTable;
  llvm::SmallVector<llvm::Constant *> rows;
  for (const VariantSymbols &variant : variants)
    rows.push_back(structure(
        {string(variant.name), i64(variant.level),
         declare(variant.bodies[position], builder.getVoidTy(), {pointer})}));

  // The entries refer to the table, and the table to the entries.
  auto *info = new llvm::GlobalVariable(
      module, builder.getInt8Ty(), /*isConstant=*/true,
      llvm::GlobalValue::PrivateLinkage, nullptr, "forward_reference");
  llvm::Type *size = builder.getInt64Ty(), *count = builder.getInt32Ty();
  llvm::Constant *entries[] = {
      entry(kernel.getRunName(), "rondo_artifact_forward", info,
            {pointer, pointer, size, pointer}),
      entry(kernel.name + "_workspace_size", "rondo_artifact_workspace_size",
            info, {pointer, pointer, pointer}),
      entry(kernel.name + "_call", "rondo_artifact_call", info,
            {pointer, count, pointer, size, pointer}),
      entry(kernel.name + "_call_workspace_size",
            "rondo_artifact_call_workspace_size", info,
            {pointer, count, pointer, pointer}),
      entry(kernel.name + "_check", "rondo_artifact_check", info,
            {pointer, pointer})};

  llvm::Constant *table = structure({i32(sizeof(rondo_kernel_info)),
                                     i32(RONDO_ABI_VERSION),
                                     string(kernel.kernel),
                                     string(kernel.entry),
                                     string(device == null ? "cpu" : "cuda"),
                                     string(kernel.form),
                                     string(kernel.text),
                                     string(kernel.source),
                                     i32(kernel.ioDtype),
                                     i32(kernel.accumulationDtype),
                                     i32(kernel.sizes.size()),
                                     i32(kernel.tensors.size()),
                                     i32(kernel.batch.size() + (kernel.channels >= 0)),
                                     i32(kernel.faults.size()),
                                     i32(variants.size()),
                                     i32(kernel.flags),
                                     i32(kernel.timeSize),
                                     i32(kernel.sequenceSize),
                                     sizes(kernel),
                                     *tensorTable,
                                     *batchTable,
                                     *faultTable,
                                     array(rows, kernel.name + "_variants"),
                                     i64(kernel.argsSize),
                                     i64(kernel.packedOffset),
                                     workerBytes(kernel, variants, position),
                                     entries[0],
                                     entries[1],
                                     entries[2],
                                     entries[3],
                                     device,
                                     entries[4]});
  assert(module.getDataLayout().getTypeAllocSize(table->getType()) ==
             sizeof(rondo_kernel_info) &&
         "the table is laid out as the struct");
  llvm::Constant *result = global(table, kernel.name + "_info");
  info->replaceAllUsesWith(result);
  info->eraseFromParent();
  return result;
}

llvm::Constant *TableBuilder::deviceCode(const DeviceCode *code) {
  if (!code)
    return null;
  llvm::SmallVector<llvm::Constant *> images, names;
  for (const DeviceImage &image : code->images) {
    auto *data = llvm::cast<llvm::GlobalVariable>(global(
        llvm::ConstantDataArray::getString(context, image.data, image.isPTX),
        "image"));
    data->setAlignment(llvm::Align(64));
    images.push_back(structure(
        {string(image.name),
         i32(image.isPTX ? RONDO_IMAGE_PTX : RONDO_IMAGE_CUBIN),
         i32(image.capability), i32(image.exact), i32(0), data,
         i64(image.data.size() + image.isPTX)}));
  }
  for (const std::string &name : code->kernels)
    names.push_back(string(name));
  auto *slotsType = llvm::ArrayType::get(
      pointer, images.size() * (names.size() + 1));
  auto *slots = new llvm::GlobalVariable(
      module, slotsType, /*isConstant=*/false,
      llvm::GlobalValue::PrivateLinkage,
      llvm::ConstantAggregateZero::get(slotsType), "device_slots");
  return global(structure({array(images, "images"), i64(images.size()),
                           array(names, "device_kernels"), i64(names.size()),
                           slots}),
                "device_code");
}

void TableBuilder::addQuery(llvm::ArrayRef<llvm::Constant *> kernels) {
  llvm::Constant *library = global(
      structure({i32(sizeof(rondo_library_info)), i32(RONDO_ABI_VERSION),
                 string(getCompilerVersion()), string(LLVM_VERSION_STRING),
                 array(kernels, "kernels"), i64(kernels.size())}),
      "library");
  llvm::Function *callee =
      declare("rondo_artifact_query", pointer, {pointer, builder.getInt32Ty()});
  auto *function = llvm::Function::Create(
      llvm::FunctionType::get(pointer, {builder.getInt32Ty()}, false),
      llvm::GlobalValue::ExternalLinkage, RONDO_LIBRARY_QUERY_NAME, module);
  builder.SetInsertPoint(llvm::BasicBlock::Create(context, "", function));
  builder.CreateRet(builder.CreateCall(callee, {library, function->getArg(0)}));
}

llvm::Expected<std::unique_ptr<llvm::Module>>
rondo::buildTables(llvm::LLVMContext &context,
                   llvm::ArrayRef<KernelSignature> kernels,
                   llvm::ArrayRef<VariantSymbols> variants,
                   const DeviceCode *device) {
  auto module = std::make_unique<llvm::Module>("rondo.tables", context);
  module->setTargetTriple(llvm::Triple(getTargetTriple()));
  TableBuilder builder(*module);
  llvm::SmallVector<llvm::Constant *> tables;
  llvm::Constant *deviceTable = builder.deviceCode(device);
  for (auto [position, kernel] : llvm::enumerate(kernels)) {
    llvm::Expected<llvm::Constant *> table =
        builder.addKernel(kernel, variants, position, deviceTable);
    if (!table)
      return table.takeError();
    tables.push_back(*table);
  }
  builder.addQuery(tables);
  return module;
}

llvm::SmallVector<std::string>
rondo::getExportedSymbols(llvm::ArrayRef<KernelSignature> kernels) {
  llvm::SmallVector<std::string> symbols;
  for (const KernelSignature &kernel : kernels) {
    symbols.push_back(kernel.getRunName());
    for (llvm::StringRef suffix :
         {"_workspace_size", "_call", "_call_workspace_size", "_check"})
      symbols.push_back(kernel.name + suffix.str());
  }
  symbols.push_back(RONDO_LIBRARY_QUERY_NAME);
  return symbols;
}
