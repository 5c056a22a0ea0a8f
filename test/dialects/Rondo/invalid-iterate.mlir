// RUN: rondo-opt %s --split-input-file --verify-diagnostics

rondo.kernel @iterate_c1 sizes ["B"] bound [-1] batch ["B"]
    inputs []
    outputs [] {
  %B = rondo.size "B"
  %c = arith.constant 1.0 : f32
  %guess = rondo.equation "guess" (%b < %B) -> tensor<?xf32> {
    rondo.yield %c : f32
  }
  // expected-error@+1 {{expects one block argument per guess, of its type, in the body, and none in the other region}}
  %x:2 = rondo.iterate from(%guess) bound 3 tolerance 1.0
      : (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xi64>) {
  ^bb0(%now: tensor<?xf64>):
    %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf32> {
      rondo.yield %c : f32
    }
    rondo.yield %guess, %residual : tensor<?xf32>, tensor<?xf32>
  } otherwise {
    rondo.yield %guess : tensor<?xf32>
  }
  rondo.return
}

// -----

rondo.kernel @iterate_c2 sizes ["B"] bound [-1] batch ["B"]
    inputs []
    outputs [] {
  %B = rondo.size "B"
  %c = arith.constant 1.0 : f32
  %guess = rondo.equation "guess" (%b < %B) -> tensor<?xf32> {
    rondo.yield %c : f32
  }
  // expected-error@+1 {{expects the body to end in a rondo.yield of 2 tensors}}
  %x:2 = rondo.iterate from(%guess) bound 3 tolerance 1.0
      : (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xi64>) {
  ^bb0(%now: tensor<?xf32>):
    %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf32> {
      rondo.yield %c : f32
    }
    rondo.yield %residual : tensor<?xf32>
  } otherwise {
    rondo.yield %guess : tensor<?xf32>
  }
  rondo.return
}

// -----

rondo.kernel @iterate_c3 sizes ["B"] bound [-1] batch ["B"]
    inputs []
    outputs [] {
  %B = rondo.size "B"
  %c = arith.constant 1.0 : f32
  %guess = rondo.equation "guess" (%b < %B) -> tensor<?xf32> {
    rondo.yield %c : f32
  }
  // expected-error@+1 {{expects a result per guess and the count, 2 results, found 1}}
  %x:1 = rondo.iterate from(%guess) bound 3 tolerance 1.0
      : (tensor<?xf32>) -> (tensor<?xf32>) {
  ^bb0(%now: tensor<?xf32>):
    %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf32> {
      rondo.yield %c : f32
    }
    rondo.yield %guess, %residual : tensor<?xf32>, tensor<?xf32>
  } otherwise {
    rondo.yield %guess : tensor<?xf32>
  }
  rondo.return
}

// -----

rondo.kernel @iterate_c3_type sizes ["B"] bound [-1] batch ["B"]
    inputs []
    outputs [] {
  %B = rondo.size "B"
  %c = arith.constant 1.0 : f32
  %guess = rondo.equation "guess" (%b < %B) -> tensor<?xf32> {
    rondo.yield %c : f32
  }
  // expected-error@+1 {{expects a result of the type of its guess, 'tensor<?xf32>', found 'tensor<?xf64>'}}
  %x:2 = rondo.iterate from(%guess) bound 3 tolerance 1.0
      : (tensor<?xf32>) -> (tensor<?xf64>, tensor<?xi64>) {
  ^bb0(%now: tensor<?xf32>):
    %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf32> {
      rondo.yield %c : f32
    }
    rondo.yield %guess, %residual : tensor<?xf32>, tensor<?xf32>
  } otherwise {
    rondo.yield %guess : tensor<?xf32>
  }
  rondo.return
}

// -----

rondo.kernel @iterate_c3_count sizes ["B"] bound [-1] batch ["B"]
    inputs []
    outputs [] {
  %B = rondo.size "B"
  %c = arith.constant 1.0 : f32
  %guess = rondo.equation "guess" (%b < %B) -> tensor<?xf32> {
    rondo.yield %c : f32
  }
  // expected-error@+1 {{expects the count to be a tensor of i64 of rank 1, found 'tensor<?xf32>'}}
  %x:2 = rondo.iterate from(%guess) bound 3 tolerance 1.0
      : (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  ^bb0(%now: tensor<?xf32>):
    %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf32> {
      rondo.yield %c : f32
    }
    rondo.yield %guess, %residual : tensor<?xf32>, tensor<?xf32>
  } otherwise {
    rondo.yield %guess : tensor<?xf32>
  }
  rondo.return
}

// -----

rondo.kernel @iterate_c4 sizes ["B"] bound [-1] batch ["B"]
    inputs []
    outputs [] {
  %B = rondo.size "B"
  %c = arith.constant 1.0 : f32
  %guess = rondo.equation "guess" (%b < %B) -> tensor<?xf32> {
    rondo.yield %c : f32
  }
  // expected-error@+1 {{expects a bound of at least 1, found 0}}
  %x:2 = rondo.iterate from(%guess) bound 0 tolerance 1.0
      : (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xi64>) {
  ^bb0(%now: tensor<?xf32>):
    %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf32> {
      rondo.yield %c : f32
    }
    rondo.yield %guess, %residual : tensor<?xf32>, tensor<?xf32>
  } otherwise {
    rondo.yield %guess : tensor<?xf32>
  }
  rondo.return
}

// -----

rondo.kernel @iterate_c4_tolerance sizes ["B"] bound [-1] batch ["B"]
    inputs []
    outputs [] {
  %B = rondo.size "B"
  %c = arith.constant 1.0 : f32
  %guess = rondo.equation "guess" (%b < %B) -> tensor<?xf32> {
    rondo.yield %c : f32
  }
  // expected-error@+1 {{expects a tolerance that is not negative}}
  %x:2 = rondo.iterate from(%guess) bound 3 tolerance -1.0
      : (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xi64>) {
  ^bb0(%now: tensor<?xf32>):
    %residual = rondo.equation "residual" (%b < %B) -> tensor<?xf32> {
      rondo.yield %c : f32
    }
    rondo.yield %guess, %residual : tensor<?xf32>, tensor<?xf32>
  } otherwise {
    rondo.yield %guess : tensor<?xf32>
  }
  rondo.return
}
