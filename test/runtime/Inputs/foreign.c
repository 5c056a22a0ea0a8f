//===- foreign.c - A library that Rondo did not write ---------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

int foreign_function(void);
int foreign_function(void) { return 0; }
