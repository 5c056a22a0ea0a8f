//===- Sizes.c - Arithmetic on sizes --------------------------------------===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Size expressions are postfix code. They are read from the back, where each
// operand's place is known once the one to its right has been read. The host
// library uses this file too.
//
//===----------------------------------------------------------------------===//

#include "Support.h"

int64_t rondo_dtype_size(rondo_dtype dtype) {
  static const int8_t sizes[] = {0, 2, 2, 4, 8, 4, 8, 1};
  return (uint32_t)dtype < 8 ? sizes[dtype] : 0;
}

/// a op b.
static rondo_eval apply(int64_t op, int64_t a, int64_t b, int64_t *outValue) {
  bool overflow = false;
  switch (op) {
  case RONDO_SIZE_ADD:
    overflow = __builtin_add_overflow(a, b, outValue);
    break;
  case RONDO_SIZE_SUB:
    overflow = __builtin_sub_overflow(a, b, outValue);
    break;
  case RONDO_SIZE_MUL:
    overflow = __builtin_mul_overflow(a, b, outValue);
    break;
  case RONDO_SIZE_CEIL_DIV:
    if (b <= 0)
      return RONDO_EVAL_NOT_DIVIDED;
    *outValue = a / b + (a % b > 0);
    break;
  default:
    if (b <= 0 || a % b != 0)
      return RONDO_EVAL_NOT_DIVIDED;
    *outValue = a / b;
    break;
  }
  return overflow ? RONDO_EVAL_OVERFLOW : RONDO_EVAL_OK;
}

/// Evaluates the operand that ends before ops[*end] and moves *end to its
/// start. `unknowns` counts the unknown sizes in it. The whole operand is read
/// even after an error.
static rondo_eval evalBack(const rondo_size_op *ops, int64_t *end,
                           const int64_t *sizes, int64_t *unknowns,
                           int64_t *outValue) {
  const rondo_size_op *op = &ops[--*end];
  *outValue = 0;
  if (op->op == RONDO_SIZE_CONST) {
    *outValue = op->value;
    return RONDO_EVAL_OK;
  }
  if (op->op == RONDO_SIZE_NAME) {
    *outValue = sizes[op->value];
    if (*outValue != RONDO_UNKNOWN)
      return RONDO_EVAL_OK;
    ++*unknowns;
    return RONDO_EVAL_UNKNOWN;
  }
  int64_t a, b;
  rondo_eval right = evalBack(ops, end, sizes, unknowns, &b);
  rondo_eval left = evalBack(ops, end, sizes, unknowns, &a);
  if (left != RONDO_EVAL_OK)
    return left;
  if (right != RONDO_EVAL_OK)
    return right;
  return apply(op->op, a, b, outValue);
}

rondo_eval rondo_size_eval(const rondo_size_expr *expr, const int64_t *sizes,
                           int64_t *out_value) {
  int64_t end = expr->num_ops, unknowns = 0;
  return evalBack(expr->ops, &end, sizes, &unknowns, out_value);
}

int64_t rondo_size_plain(const rondo_size_expr *expr) {
  return expr->num_ops == 1 && expr->ops[0].op == RONDO_SIZE_NAME
             ? expr->ops[0].value
             : -1;
}

bool rondo_size_uses(const rondo_size_expr *expr, int64_t size) {
  for (int64_t i = 0; i < expr->num_ops; ++i)
    if (expr->ops[i].op == RONDO_SIZE_NAME && expr->ops[i].value == size)
      return true;
  return false;
}

/// x such that x op b = target (unknown on the left) or a op x = target.
static rondo_eval invert(int64_t op, bool unknownLeft, int64_t known,
                         int64_t target, int64_t *outValue) {
  switch (op) {
  case RONDO_SIZE_ADD:
    return apply(RONDO_SIZE_SUB, target, known, outValue);
  case RONDO_SIZE_SUB:
    return unknownLeft ? apply(RONDO_SIZE_ADD, target, known, outValue)
                       : apply(RONDO_SIZE_SUB, known, target, outValue);
  case RONDO_SIZE_MUL:
    if (known == 0)
      return target == 0 ? RONDO_EVAL_UNKNOWN : RONDO_EVAL_NOT_DIVIDED;
    if (known == -1)
      return apply(RONDO_SIZE_SUB, 0, target, outValue);
    *outValue = target / known;
    return target % known == 0 ? RONDO_EVAL_OK : RONDO_EVAL_NOT_DIVIDED;
  default:
    if (unknownLeft)
      return apply(RONDO_SIZE_MUL, target, known, outValue);
    // known / x = target. Any x does for 0 / x = 0; 1 is the harmless one.
    if (known == 0 && target == 0) {
      *outValue = 1;
      return RONDO_EVAL_OK;
    }
    return apply(RONDO_SIZE_DIV, known, target, outValue);
  }
}

rondo_eval rondo_size_solve(const rondo_size_expr *expr, const int64_t *sizes,
                            int64_t target, int64_t *out_size,
                            int64_t *out_value) {
  int64_t unknowns = 0, end = expr->num_ops, value;
  evalBack(expr->ops, &end, sizes, &unknowns, &value);
  if (unknowns != 1)
    return RONDO_EVAL_UNKNOWN;
  // Walk down to the unknown, undoing one operator at a time.
  end = expr->num_ops;
  for (;;) {
    const rondo_size_op *op = &expr->ops[end - 1];
    if (op->op == RONDO_SIZE_NAME) {
      *out_size = op->value;
      *out_value = target;
      return target < 0 ? RONDO_EVAL_NOT_DIVIDED : RONDO_EVAL_OK;
    }
    int64_t split = end - 1, inRight = 0, known;
    rondo_eval result = evalBack(expr->ops, &split, sizes, &inRight, &known);
    int64_t begin = split, inLeft = 0;
    if (inRight)
      result = evalBack(expr->ops, &begin, sizes, &inLeft, &known);
    if (result == RONDO_EVAL_OK)
      result = invert(op->op, /*unknownLeft=*/!inRight, known, target, &target);
    if (result != RONDO_EVAL_OK)
      return result;
    end = inRight ? end - 1 : split;
  }
}
