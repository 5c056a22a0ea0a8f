//===- RondoAttrs.td - Attributes of the rondo dialect -----*- tablegen -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_ATTRS
#define RONDO_ATTRS

include "dialects/Rondo/IR/RondoDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Combiner : I32EnumAttr<"Combiner", "how a reduction combines its terms", [
  I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Prod", 1, "prod">,
  I32EnumAttrCase<"Max", 2, "max">, I32EnumAttrCase<"Min", 3, "min">,
  I32EnumAttrCase<"Any", 4, "any">, I32EnumAttrCase<"All", 5, "all">
]> {
  let cppNamespace = "::rondo";
}

def Normaliser : I32EnumAttr<"Normaliser", "what an attention divides its scores by", [
  I32EnumAttrCase<"Softmax", 0, "softmax">, I32EnumAttrCase<"Sum", 1, "sum">,
  I32EnumAttrCase<"None", 2, "none">
]> {
  let cppNamespace = "::rondo";
}

def Role : I32EnumAttr<"Role", "what a tensor is to the caller of a kernel", [
  I32EnumAttrCase<"Argument", 0, "argument">,
  I32EnumAttrCase<"Initial", 1, "initial">,
  I32EnumAttrCase<"Result", 2, "result">,
  I32EnumAttrCase<"Final", 3, "final">
]> {
  let cppNamespace = "::rondo";
}

def TensorSpecAttr : AttrDef<RondoDialect, "TensorSpec"> {
  let mnemonic = "tensor";
  let summary = "One tensor at the border of a kernel";
  let description = [{
    Name, role, element type in memory, and shape: one expression per dim over
    the kernel's sizes (symbols of the map, in the order of the kernel's
    `sizes`). `initial` arguments are optional: a caller may leave them out.

    ```mlir
    #rondo.tensor<"k", argument, bf16, ()[B, T, H, G, K] -> (B, T, H floordiv G, K)>
    // Returned as [B, H, T], stored as [B, T, H].
    #rondo.tensor<"o", result, bf16, ()[B, T, H, G, K] -> (B, T, H), order = [0, 2, 1]>
    ```
  }];
  let parameters = (ins StringRefParameter<"name as the user wrote it">:$name,
                        EnumParameter<Role>:$role,
                        "::mlir::Type":$elementType,
                        "::mlir::AffineMap":$shape,
                        OptionalArrayRefParameter<"int64_t">:$order);
  let assemblyFormat = [{
    `<` $name `,` $role `,` $elementType `,` $shape
    (`,` `order` `=` `[` $order^ `]`)? `>`
  }];
  let extraClassDeclaration = [{
    /// Dim of the returned tensor that is dim `d` in memory.
    unsigned getReturnedDim(unsigned d) const {
      return getOrder().empty() ? d : getOrder()[d];
    }
  }];
}

#endif // RONDO_ATTRS
