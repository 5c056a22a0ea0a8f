//===- OutlineKernels.cpp - Move the bodies of kernels to the device ------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "passes/Common/PackedSequences.h"
#include "passes/Common/Signature.h"
#include "passes/GPU/Passes.h"

namespace rondo::gpu {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "passes/GPU/Passes.h.inc"
} // namespace rondo::gpu

using namespace mlir;
using namespace rondo;

mlir::gpu::GPUModuleOp rondo::gpu::getOrCreateKernels(ModuleOp module) {
  if (auto kernels = module.lookupSymbol<mlir::gpu::GPUModuleOp>("kernels"))
    return kernels;
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  module->setAttr(mlir::gpu::GPUDialect::getContainerModuleAttrName(),
                  b.getUnitAttr());
  return mlir::gpu::GPUModuleOp::create(b, module.getLoc(), "kernels");
}

SmallVector<std::string> rondo::gpu::getKernelNames(ModuleOp module) {
  SmallVector<std::string> names;
  module.walk([&](mlir::gpu::GPUFuncOp func) {
    if (func.isKernel())
      names.push_back(func.getName().str());
  });
  return names;
}

namespace {

class Outliner {
public:
  Outliner(func::FuncOp func, const Signature &signature, int64_t threads)
      : func(func), signature(signature), threads(threads),
        packing(Packing::get(
            func->getAttrOfType<DictionaryAttr>("rondo.signature"))),
        b(func.getLoc(), func.getContext()) {}

  void run();

private:
  bool isValue(TensorSpecAttr spec) const {
    return spec.getRole() == Role::Argument &&
           spec.getShape().getNumResults() == 0;
  }
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  scf::ForOp findPoints();
  scf::ForOp findSharedLoop(scf::ForOp points);
  mlir::gpu::GPUFuncOp createKernel();
  void emitBody(mlir::gpu::GPUFuncOp kernel, Region &body);
  Value emitTensor(TensorSpecAttr spec, Value argument, Type type);
  void emitLaunch(mlir::gpu::GPUFuncOp kernel);

  func::FuncOp func;
  const Signature &signature;
  int64_t threads;
  Packing packing;
  ImplicitLocOpBuilder b;
  /// The loop whose steps several blocks share, or null.
  scf::ForOp shared;
};

} // namespace

//===----------------------------------------------------------------------===//
// What several blocks can share
//===----------------------------------------------------------------------===//

/// The loop over batch points.
scf::ForOp Outliner::findPoints() {
  Block &body = func.getBody().front();
  unsigned tail = signature.bounds.size() + signature.tensors.size();
  for (auto loop : body.getOps<scf::ForOp>())
    if (loop.getLowerBound() == body.getArgument(tail + 1) &&
        loop.getUpperBound() == body.getArgument(tail + 2))
      return loop;
  return nullptr;
}

/// Whether `op` changes nothing but a block's own slice of the workspace.
static bool writesSliceOnly(Operation *op, Value workspace) {
  auto isOwn = [&](Value memref) {
    while (Operation *def = memref.getDefiningOp()) {
      if (auto view = dyn_cast<memref::ViewOp>(def))
        return view.getSource() == workspace;
      if (!isa<ViewLikeOpInterface, memref::CastOp>(def))
        return false;
      memref = def->getOperand(0);
    }
    return false;
  };
  bool result = true;
  op->walk([&](Operation *inner) {
    if (auto store = dyn_cast<memref::StoreOp>(inner))
      result &= isOwn(store.getMemRef());
    else if (auto linalgOp = dyn_cast<linalg::LinalgOp>(inner))
      result &= llvm::all_of(linalgOp.getDpsInits(), isOwn);
    else if (auto copy = dyn_cast<memref::CopyOp>(inner))
      result &= isOwn(copy.getTarget());
    else
      result &= isMemoryEffectFree(inner) ||
                inner->hasTrait<OpTrait::HasRecursiveMemoryEffects>() ||
                isa<memref::LoadOp>(inner);
  });
  return result;
}

/// The last thing that is done for a batch point, if it is a loop whose steps
/// need nothing of one another and what is before it only fills the slice.
/// Every block does that, and then its part of the steps.
scf::ForOp Outliner::findSharedLoop(scf::ForOp points) {
  if (!points)
    return nullptr;
  Value workspace = func.getArgument(signature.bounds.size() +
                                     signature.tensors.size());
  scf::ForOp last;
  for (Operation &op : points.getBody()->without_terminator()) {
    if (auto loop = dyn_cast<scf::ForOp>(op);
        loop && loop->hasAttr("rondo.independent") && !last) {
      last = loop;
      continue;
    }
    if (last ? !isMemoryEffectFree(&op) : !writesSliceOnly(&op, workspace))
      return nullptr;
  }
  return last;
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

/// sizes, tensors (the value of a scalar argument), workspace, bytes of a
/// slice, begin, end, fault, boundaries of sequences, bytes of one.
mlir::gpu::GPUFuncOp Outliner::createKernel() {
  mlir::gpu::GPUModuleOp kernels =
      rondo::gpu::getOrCreateKernels(func->getParentOfType<ModuleOp>());
  Type index = b.getIndexType();
  unsigned numSizes = signature.bounds.size();
  SmallVector<Type> types(numSizes, index);
  // Pointers that nothing else refers to: 1, and is read only: 2.
  SmallVector<int64_t> uses(numSizes, 0);
  for (auto [spec, type] : llvm::zip(
           signature.tensors, func.getArgumentTypes().drop_front(numSizes))) {
    types.push_back(isValue(spec) ? cast<MemRefType>(type).getElementType()
                                  : type);
    bool state =
        spec.getRole() == Role::Initial || spec.getRole() == Role::Final;
    uses.push_back(isValue(spec) || state           ? 0
                   : spec.getRole() == Role::Result ? 1
                                                    : 3);
  }
  ArrayRef<Type> rest = func.getArgumentTypes().take_back(4);
  llvm::append_range(
      types, ArrayRef<Type>{rest[0], index, index, index, rest[3],
                            LLVM::LLVMPointerType::get(b.getContext()), index});
  llvm::append_range(uses, ArrayRef<int64_t>{1, 0, 0, 0, 0, 3, 0});
  b.setInsertionPointToEnd(kernels.getBody());
  auto kernel = mlir::gpu::GPUFuncOp::create(b, func.getSymName(),
                                             b.getFunctionType(types, {}));
  kernel->setAttr(mlir::gpu::GPUDialect::getKernelFuncAttrName(),
                  b.getUnitAttr());
  kernel.setKnownBlockSizeAttr(
      b.getDenseI32ArrayAttr({static_cast<int32_t>(threads), 1, 1}));
  kernel->setAttr("rondo.pointers", b.getDenseI64ArrayAttr(uses));
  return kernel;
}

/// A scalar argument in a variable of its own.
Value Outliner::emitTensor(TensorSpecAttr spec, Value argument, Type type) {
  if (!isValue(spec))
    return argument;
  auto memref = cast<MemRefType>(type);
  Value variable =
      memref::AllocaOp::create(b, MemRefType::get({}, memref.getElementType()));
  memref::StoreOp::create(b, argument, variable);
  if (variable.getType() != type)
    variable = memref::CastOp::create(b, type, variable);
  return variable;
}

void Outliner::emitBody(mlir::gpu::GPUFuncOp kernel, Region &body) {
  unsigned numSizes = signature.bounds.size();
  unsigned numTensors = signature.tensors.size();
  ValueRange args = kernel.getArguments();
  ValueRange rest = args.drop_front(numSizes + numTensors);
  Value workspace = rest[0], slice = rest[1], begin = rest[2], end = rest[3];

  b.setInsertionPointToStart(&kernel.getBody().front());
  IRMapping map;
  Block &old = body.front();
  for (unsigned i = 0; i < numTensors; ++i)
    map.map(old.getArgument(numSizes + i),
            emitTensor(signature.tensors[i], args[numSizes + i],
                       old.getArgument(numSizes + i).getType()));
  Value block = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::x);
  Value blocks = mlir::gpu::GridDimOp::create(b, mlir::gpu::Dimension::x);
  Value number = block, part, parts;
  if (shared) {
    part = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::y);
    parts = mlir::gpu::GridDimOp::create(b, mlir::gpu::Dimension::y);
    number = arith::AddIOp::create(
        b, arith::MulIOp::create(b, part, blocks), block);
  }
  Value offset = arith::MulIOp::create(b, number, slice);
  map.map(old.getArgument(numSizes + numTensors),
          memref::ViewOp::create(b, cast<MemRefType>(workspace.getType()),
                                 workspace, offset, ValueRange{slice}));
  Value first = arith::AddIOp::create(b, begin, block);
  auto points = scf::ForOp::create(b, first, end, blocks);
  mlir::gpu::ReturnOp::create(b);
  b.setInsertionPointToStart(points.getBody());

  Value point = points.getInductionVar();
  for (unsigned i = 0; i < numSizes; ++i)
    map.map(old.getArgument(i), args[i]);
  if (packing.timeSize >= 0 && signature.bounds[packing.timeSize] < 0) {
    SmallVector<Value> sizes(args.take_front(numSizes));
    for (auto [i, bound] : llvm::enumerate(signature.bounds))
      if (bound >= 0)
        sizes[i] = index(bound);
    unsigned count = args.size();
    Packing::Part part =
        packing.emitPart(b, sizes, args[count - 2], args[count - 1], point);
    point = part.point;
    map.map(old.getArgument(packing.timeSize), part.length);
    for (unsigned i = 0; i < numTensors; ++i)
      if (!isValue(signature.tensors[i]))
        map.map(old.getArgument(numSizes + i),
                packing.shiftToPart(b, signature.tensors[i], args[numSizes + i],
                                    part));
  }
  unsigned tail = numSizes + numTensors;
  map.map(old.getArgument(tail + 1), point);
  map.map(old.getArgument(tail + 2), end);
  map.map(old.getArgument(tail + 3), rest[4]);
  for (Operation &op : old.without_terminator()) {
    auto loop = dyn_cast<scf::ForOp>(op);
    if (!loop || loop.getLowerBound() != old.getArgument(tail + 1) ||
        loop.getUpperBound() != old.getArgument(tail + 2)) {
      b.clone(op, map);
      continue;
    }
    // The loop over batch points: this one.
    map.map(loop.getInductionVar(), point);
    for (Operation &inner : loop.getBody()->without_terminator()) {
      Operation *clone = b.clone(inner, map);
      if (&inner != shared)
        continue;
      auto steps = cast<scf::ForOp>(clone);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(steps);
      Value size = steps.getUpperBound();
      auto bound = [&](Value part) -> Value {
        return arith::DivUIOp::create(b, arith::MulIOp::create(b, size, part),
                                      parts);
      };
      steps.setLowerBound(bound(part));
      steps.setUpperBound(bound(arith::AddIOp::create(b, part, index(1))));
    }
  }
}

//===----------------------------------------------------------------------===//
// The host
//===----------------------------------------------------------------------===//

void Outliner::emitLaunch(mlir::gpu::GPUFuncOp kernel) {
  unsigned numSizes = signature.bounds.size();
  unsigned numTensors = signature.tensors.size();
  Region &body = func.getBody();
  while (!body.front().empty())
    body.front().back().erase();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Type index = b.getIndexType();
  for (Type type : {Type(pointer), index, Type(pointer), index})
    (void)func.insertArgument(func.getNumArguments(), type, {}, b.getLoc());
  func->setAttr("rondo.launches", b.getUnitAttr());

  b.setInsertionPointToStart(&body.front());
  SmallVector<Value> sizes(func.getArguments().take_front(numSizes));
  auto tail = func.getArguments().drop_front(numSizes + numTensors);
  Value begin = tail[1], end = tail[2], slices = tail[5];
  Value bytes =
      func::CallOp::create(b, (func.getSymName() + "_worker_bytes").str(),
                           TypeRange{index}, sizes)
          .getResult(0);
  bytes = arith::AddIOp::create(b, bytes, this->index(63));
  bytes = arith::AndIOp::create(b, bytes, this->index(-64));
  SmallVector<Value> operands(sizes);
  for (auto [spec, tensor] :
       llvm::zip(signature.tensors, func.getArguments().drop_front(numSizes)))
    operands.push_back(isValue(spec) ? Value(memref::LoadOp::create(b, tensor))
                                     : Value(tensor));
  llvm::append_range(operands, ValueRange{tail[0], bytes, begin, end, tail[3],
                                          tail[6], tail[7]});
  Value points = arith::SubIOp::create(b, end, begin);
  Value blocks = arith::MinSIOp::create(b, points, slices);
  Value one = this->index(1), parts = one;
  if (shared)
    parts = arith::DivUIOp::create(b, slices,
                                   arith::MaxSIOp::create(b, blocks, one));
  mlir::gpu::LaunchFuncOp::create(
      b, kernel, mlir::gpu::KernelDim3{blocks, parts, one},
      mlir::gpu::KernelDim3{this->index(threads), one, one},
      /*dynamicSharedMemorySize=*/Value(), operands);
  func::ReturnOp::create(b);
}

void Outliner::run() {
  shared = findSharedLoop(findPoints());
  if (shared)
    func->setAttr("rondo.independent", b.getUnitAttr());
  mlir::gpu::GPUFuncOp kernel = createKernel();
  emitBody(kernel, func.getBody());
  emitLaunch(kernel);
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// @rondo_copy, the last kernel of a module: copies a tensor of any strides.
/// Its arguments are those that runtime/src/CUDA/Launch.c gives it: to, from,
/// the number of elements, the bytes of one, and for every dim, innermost
/// first, its extent and the two strides.
static void createCopyKernel(ModuleOp module) {
  constexpr int rank = 16;
  mlir::gpu::GPUModuleOp kernels = rondo::gpu::getOrCreateKernels(module);
  ImplicitLocOpBuilder b(module.getLoc(), module.getContext());
  b.setInsertionPointToEnd(kernels.getBody());
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  SmallVector<Type> types(2, pointer);
  types.append(2 + 3 * rank, b.getIndexType());
  auto kernel = mlir::gpu::GPUFuncOp::create(b, "rondo_copy",
                                             b.getFunctionType(types, {}));
  kernel->setAttr(mlir::gpu::GPUDialect::getKernelFuncAttrName(),
                  b.getUnitAttr());
  kernel.setKnownBlockSizeAttr(b.getDenseI32ArrayAttr({256, 1, 1}));
  b.setInsertionPointToStart(&kernel.getBody().front());
  ValueRange args = kernel.getArguments();
  Value block = mlir::gpu::BlockIdOp::create(b, mlir::gpu::Dimension::x);
  Value blocks = mlir::gpu::GridDimOp::create(b, mlir::gpu::Dimension::x);
  Value thread = mlir::gpu::ThreadIdOp::create(b, mlir::gpu::Dimension::x);
  Value width = arith::ConstantIndexOp::create(b, 256);
  Value first =
      arith::AddIOp::create(b, arith::MulIOp::create(b, block, width), thread);
  Value step = arith::MulIOp::create(b, blocks, width);
  auto loop = scf::ForOp::create(b, first, args[2], step);
  mlir::gpu::ReturnOp::create(b);
  b.setInsertionPointToStart(loop.getBody());
  Value rest = loop.getInductionVar();
  Value to = arith::ConstantIndexOp::create(b, 0), from = to;
  for (int dim = 0; dim < rank; ++dim) {
    ValueRange numbers = args.slice(4 + 3 * dim, 3);
    Value here = arith::RemUIOp::create(b, rest, numbers[0]);
    rest = arith::DivUIOp::create(b, rest, numbers[0]);
    to = arith::AddIOp::create(b, to,
                               arith::MulIOp::create(b, here, numbers[1]));
    from = arith::AddIOp::create(b, from,
                                 arith::MulIOp::create(b, here, numbers[2]));
  }
  for (unsigned bytes : {1, 2, 4, 8}) {
    Value isSize =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, args[3],
                              arith::ConstantIndexOp::create(b, bytes));
    auto choice = scf::IfOp::create(b, isSize, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.thenBlock());
    Type type = b.getIntegerType(8 * bytes);
    auto address = [&](Value base, Value offset) -> Value {
      offset = arith::IndexCastOp::create(b, b.getI64Type(), offset);
      return LLVM::GEPOp::create(b, pointer, type, base,
                                 ArrayRef<LLVM::GEPArg>{offset});
    };
    Value value = LLVM::LoadOp::create(b, type, address(args[1], from));
    LLVM::StoreOp::create(b, value, address(args[0], to));
  }
}

namespace {
class OutlineKernels
    : public rondo::gpu::impl::OutlineKernelsBase<OutlineKernels> {
public:
  using OutlineKernelsBase::OutlineKernelsBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> funcs(getOperation().getOps<func::FuncOp>());
    bool any = false;
    for (func::FuncOp func : funcs) {
      FailureOr<std::optional<Signature>> signature = Signature::get(func);
      if (failed(signature))
        return signalPassFailure();
      if (!*signature || func.isExternal())
        continue;
      any = true;
      if (!func->hasAttr("rondo.launches"))
        Outliner(func, **signature, threads).run();
    }
    if (any)
      createCopyKernel(getOperation());
  }
};
} // namespace
