rondo.kernel @unknown sizes ["T"] bound [-1] batch []
    inputs [#rondo.tensor<"h.initial", initial, f32, ()[T] -> ()>]
    outputs [#rondo.tensor<"h.final", final, f32, ()[T] -> ()>] {
^bb0(%given: tensor<f32>):
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %T = rondo.size "T"
  %declared = rondo.equation "h.declared" () -> tensor<f32> {
    rondo.yield %zero : f32
  }
  %h0 = rondo.initial %given else %declared : tensor<f32>, tensor<f32>
  %h:2 = rondo.recurrence along(%T) reversed [false] members ["h"] initial(%h0) batch 0
      : (index, tensor<f32>) -> (tensor<?xf32>, tensor<f32>) {
  ^bb0(%t: index, %past: tensor<?xf32>):
    %before = arith.subi %t, %c1 : index
    %next = rondo.equation "h" () -> tensor<f32> {
      %0 = rondo.read %past[%before] else %h0[] : tensor<?xf32>, tensor<f32> -> f32
      %1 = math.atan %0 : f32
      %2 = rondo.grad %1 wrt %0 : f32
      rondo.yield %2 : f32
    }
    rondo.yield %next : tensor<f32>
  }
  rondo.return %h#1 : tensor<f32>
}
