// Reductions: every combiner, on nothing, with a filter, with values that are not
// finite, over real numbers, integers and conditions.
// RUN: rondo-eval %s | FileCheck %s

// Real numbers.
// CHECK-LABEL: @sum
// CHECK-NEXT: y: [] 7.5{{$}}
rondo.kernel @sum sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[1.0, 2.0, 4.5]> : tensor<3xf32>}} {
^bb0(%x: tensor<?xf32>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () sum (%n = %c0 to %N) -> tensor<f32> {
    %0 = rondo.read %x[%n] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<f32>
}

// Products.
// CHECK-LABEL: @prod
// CHECK-NEXT: y: [] -3{{$}}
rondo.kernel @prod sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[2.0, -3.0, 0.5]> : tensor<3xf32>}} {
^bb0(%x: tensor<?xf32>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () prod (%n = %c0 to %N) -> tensor<f32> {
    %0 = rondo.read %x[%n] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<f32>
}

// The greatest.
// CHECK-LABEL: @max
// CHECK-NEXT: y: [] -1{{$}}
rondo.kernel @max sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[-2.0, -1.0, -3.0]> : tensor<3xf32>}} {
^bb0(%x: tensor<?xf32>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () max (%n = %c0 to %N) -> tensor<f32> {
    %0 = rondo.read %x[%n] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<f32>
}

// The least.
// CHECK-LABEL: @min
// CHECK-NEXT: y: [] 1{{$}}
rondo.kernel @min sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[2.0, 1.0, 3.0]> : tensor<3xf32>}} {
^bb0(%x: tensor<?xf32>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () min (%n = %c0 to %N) -> tensor<f32> {
    %0 = rondo.read %x[%n] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<f32>
}

// NaN goes through a maximum.
// CHECK-LABEL: @max_nan
// CHECK-NEXT: y: [] nan{{$}}
rondo.kernel @max_nan sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[1.0, 0x7FC00000, 3.0]> : tensor<3xf32>}} {
^bb0(%x: tensor<?xf32>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () max (%n = %c0 to %N) -> tensor<f32> {
    %0 = rondo.read %x[%n] : tensor<?xf32> -> f32
    rondo.yield %0 : f32
  }
  rondo.return %y : tensor<f32>
}

// A value whose filter is false has no effect, infinite or not.
// CHECK-LABEL: @filtered
// CHECK-NEXT: y: [] 5{{$}}
rondo.kernel @filtered sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, f32, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, f32, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[0x7F800000, 2.0, 3.0]> : tensor<3xf32>}} {
^bb0(%x: tensor<?xf32>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () sum (%n = %c0 to %N) -> tensor<f32> {
    %0 = rondo.read %x[%n] : tensor<?xf32> -> f32
    %1 = arith.cmpi sge, %n, %c1 : index
    rondo.yield %0 where %1 : f32
  }
  rondo.return %y : tensor<f32>
}

// Integers.
// CHECK-LABEL: @sum_integers
// CHECK-NEXT: y: [] -1{{$}}
rondo.kernel @sum_integers sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, i64, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, i64, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[5, -7, 1]> : tensor<3xi64>}} {
^bb0(%x: tensor<?xi64>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () sum (%n = %c0 to %N) -> tensor<i64> {
    %0 = rondo.read %x[%n] : tensor<?xi64> -> index
    rondo.yield %0 : index
  }
  rondo.return %y : tensor<i64>
}

// Products of integers.
// CHECK-LABEL: @prod_integers
// CHECK-NEXT: y: [] -70{{$}}
rondo.kernel @prod_integers sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, i64, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, i64, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[5, -7, 2]> : tensor<3xi64>}} {
^bb0(%x: tensor<?xi64>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () prod (%n = %c0 to %N) -> tensor<i64> {
    %0 = rondo.read %x[%n] : tensor<?xi64> -> index
    rondo.yield %0 : index
  }
  rondo.return %y : tensor<i64>
}

// The greatest integer.
// CHECK-LABEL: @max_integers
// CHECK-NEXT: y: [] -5{{$}}
rondo.kernel @max_integers sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, i64, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, i64, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[-5, -7]> : tensor<2xi64>}} {
^bb0(%x: tensor<?xi64>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () max (%n = %c0 to %N) -> tensor<i64> {
    %0 = rondo.read %x[%n] : tensor<?xi64> -> index
    rondo.yield %0 : index
  }
  rondo.return %y : tensor<i64>
}

// The least integer.
// CHECK-LABEL: @min_integers
// CHECK-NEXT: y: [] -7{{$}}
rondo.kernel @min_integers sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, i64, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, i64, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[-5, -7]> : tensor<2xi64>}} {
^bb0(%x: tensor<?xi64>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () min (%n = %c0 to %N) -> tensor<i64> {
    %0 = rondo.read %x[%n] : tensor<?xi64> -> index
    rondo.yield %0 : index
  }
  rondo.return %y : tensor<i64>
}

// One true condition is enough.
// CHECK-LABEL: @any
// CHECK-NEXT: y: [] 1{{$}}
rondo.kernel @any sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, i1, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, i1, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[false, true, false]> : tensor<3xi1>}} {
^bb0(%x: tensor<?xi1>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () any (%n = %c0 to %N) -> tensor<i1> {
    %0 = rondo.read %x[%n] : tensor<?xi1> -> i1
    rondo.yield %0 : i1
  }
  rondo.return %y : tensor<i1>
}

// One false condition is enough.
// CHECK-LABEL: @all
// CHECK-NEXT: y: [] 0{{$}}
rondo.kernel @all sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, i1, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, i1, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[true, true, false]> : tensor<3xi1>}} {
^bb0(%x: tensor<?xi1>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () all (%n = %c0 to %N) -> tensor<i1> {
    %0 = rondo.read %x[%n] : tensor<?xi1> -> i1
    rondo.yield %0 : i1
  }
  rondo.return %y : tensor<i1>
}

// Only the filtered ones count.
// CHECK-LABEL: @any_none
// CHECK-NEXT: y: [] 0{{$}}
rondo.kernel @any_none sizes ["N"] bound [-1] batch []
    inputs [#rondo.tensor<"x", argument, i1, ()[N] -> (N)>]
    outputs [#rondo.tensor<"y", result, i1, ()[N] -> ()>]
    attributes {rondo.test_inputs = {x = dense<[true, false, false]> : tensor<3xi1>}} {
^bb0(%x: tensor<?xi1>):
  %N = rondo.size "N"
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = rondo.equation "y" () any (%n = %c0 to %N) -> tensor<i1> {
    %0 = rondo.read %x[%n] : tensor<?xi1> -> i1
    %1 = arith.cmpi sge, %n, %c1 : index
    rondo.yield %0 where %1 : i1
  }
  rondo.return %y : tensor<i1>
}
