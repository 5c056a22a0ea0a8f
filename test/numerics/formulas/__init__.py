#===- __init__.py - Formulas of the example programs -----------------------===#
#
# Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===------------------------------------------------------------------------===#
"""Importing this package registers the formulas."""

from . import attention, linear, local, memory, nonlinear, page, tiers
