// h[b, t] = a * h[b, t-1] + x[b, t]; y = h, for sizes B and T.
//   tensors: a [], x [B, T], h.initial [B], y [B, T], h.final [B]
//   strides: x 0 1, h.initial 2, y 3 4, h.final 5

func.func private @ema() attributes {
  rondo.form = "sequential",
  rondo.signature = {
    sizes = ["B", "T"], bound = array<i64: -1, -1>, batch = ["B"], time = "T",
    text = "kernel ema(a: f32, x: [B, T]) -> (y: [B, T])",
    description = "Exponential moving average.",
    source = "ema.rondo:1:1",
    inputs = [
      #rondo.tensor<"a", argument, f32, ()[B, T] -> ()>,
      #rondo.tensor<"x", argument, f32, ()[B, T] -> (B, T)>,
      #rondo.tensor<"h.initial", initial, f32, ()[B, T] -> (B)>],
    outputs = [
      #rondo.tensor<"y", result, f32, ()[B, T] -> (B, T)>,
      #rondo.tensor<"h.final", final, f32, ()[B, T] -> (B)>]
  }
}

llvm.func @ema_worker_bytes_entry(%sizes: !llvm.ptr) -> i64 {
  %0 = llvm.mlir.constant(128 : i64) : i64
  llvm.return %0 : i64
}

llvm.func @load_pointer(%base: !llvm.ptr, %i: i64) -> !llvm.ptr {
  %0 = llvm.getelementptr %base[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %1 = llvm.load %0 : !llvm.ptr -> !llvm.ptr
  llvm.return %1 : !llvm.ptr
}

// &data[i][p * strides[s]]
llvm.func @row(%frame: !llvm.ptr, %i: i64, %s: i64, %p: i64) -> !llvm.ptr {
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %c2 = llvm.mlir.constant(2 : i64) : i64
  %data = llvm.call @load_pointer(%frame, %c1) : (!llvm.ptr, i64) -> !llvm.ptr
  %base = llvm.call @load_pointer(%data, %i) : (!llvm.ptr, i64) -> !llvm.ptr
  %strides = llvm.call @load_pointer(%frame, %c2) : (!llvm.ptr, i64) -> !llvm.ptr
  %0 = llvm.getelementptr %strides[%s] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %stride = llvm.load %0 : !llvm.ptr -> i64
  %offset = llvm.mul %p, %stride : i64
  %1 = llvm.getelementptr %base[%offset] : (!llvm.ptr, i64) -> !llvm.ptr, f32
  llvm.return %1 : !llvm.ptr
}

llvm.func @is_given(%frame: !llvm.ptr, %i: i64) -> i1 {
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %null = llvm.mlir.zero : !llvm.ptr
  %data = llvm.call @load_pointer(%frame, %c1) : (!llvm.ptr, i64) -> !llvm.ptr
  %base = llvm.call @load_pointer(%data, %i) : (!llvm.ptr, i64) -> !llvm.ptr
  %0 = llvm.icmp "ne" %base, %null : !llvm.ptr
  llvm.return %0 : i1
}

llvm.func @ema_body(%frame: !llvm.ptr) {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %c2 = llvm.mlir.constant(2 : i64) : i64
  %c3 = llvm.mlir.constant(3 : i64) : i64
  %c4 = llvm.mlir.constant(4 : i64) : i64
  %c5 = llvm.mlir.constant(5 : i64) : i64
  %zero = llvm.mlir.constant(0.0 : f32) : f32
  %sizes = llvm.call @load_pointer(%frame, %c0) : (!llvm.ptr, i64) -> !llvm.ptr
  %0 = llvm.getelementptr %sizes[1] : (!llvm.ptr) -> !llvm.ptr, i64
  %T = llvm.load %0 : !llvm.ptr -> i64
  %1 = llvm.getelementptr %frame[4] : (!llvm.ptr) -> !llvm.ptr, i64
  %begin = llvm.load %1 : !llvm.ptr -> i64
  %2 = llvm.getelementptr %frame[5] : (!llvm.ptr) -> !llvm.ptr, i64
  %end = llvm.load %2 : !llvm.ptr -> i64
  %3 = llvm.call @row(%frame, %c0, %c0, %c0) : (!llvm.ptr, i64, i64, i64) -> !llvm.ptr
  %a = llvm.load %3 : !llvm.ptr -> f32
  %hasInitial = llvm.call @is_given(%frame, %c2) : (!llvm.ptr, i64) -> i1
  %hasFinal = llvm.call @is_given(%frame, %c4) : (!llvm.ptr, i64) -> i1
  llvm.br ^points(%begin : i64)
^points(%p: i64):
  %4 = llvm.icmp "slt" %p, %end : i64
  llvm.cond_br %4, ^point, ^done
^point:
  %x = llvm.call @row(%frame, %c1, %c0, %p) : (!llvm.ptr, i64, i64, i64) -> !llvm.ptr
  %y = llvm.call @row(%frame, %c3, %c3, %p) : (!llvm.ptr, i64, i64, i64) -> !llvm.ptr
  llvm.cond_br %hasInitial, ^initial, ^steps(%c0, %zero : i64, f32)
^initial:
  %5 = llvm.call @row(%frame, %c2, %c2, %p) : (!llvm.ptr, i64, i64, i64) -> !llvm.ptr
  %h0 = llvm.load %5 : !llvm.ptr -> f32
  llvm.br ^steps(%c0, %h0 : i64, f32)
^steps(%t: i64, %h: f32):
  %6 = llvm.icmp "slt" %t, %T : i64
  llvm.cond_br %6, ^step, ^end
^step:
  %7 = llvm.getelementptr %x[%t] : (!llvm.ptr, i64) -> !llvm.ptr, f32
  %8 = llvm.load %7 : !llvm.ptr -> f32
  %9 = llvm.fmul %a, %h : f32
  %10 = llvm.fadd %9, %8 : f32
  %11 = llvm.getelementptr %y[%t] : (!llvm.ptr, i64) -> !llvm.ptr, f32
  llvm.store %10, %11 : f32, !llvm.ptr
  %12 = llvm.add %t, %c1 : i64
  llvm.br ^steps(%12, %10 : i64, f32)
^end:
  %13 = llvm.add %p, %c1 : i64
  llvm.cond_br %hasFinal, ^final, ^points(%13 : i64)
^final:
  %14 = llvm.call @row(%frame, %c4, %c5, %p) : (!llvm.ptr, i64, i64, i64) -> !llvm.ptr
  llvm.store %h, %14 : f32, !llvm.ptr
  llvm.br ^points(%13 : i64)
^done:
  llvm.return
}
