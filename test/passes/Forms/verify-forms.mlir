// RUN: rondo-opt %s --split-input-file --rondo-verify-forms --verify-diagnostics

func.func @scalars_may_stay(%i: index, %n: index, %x: f32) -> f32 {
  %0 = rondo.mod %i, %n
  %1 = rondo.sigmoid %x : f32
  %2 = rondo.softplus %1 : f32
  return %2 : f32
}

// -----

// expected-error@+1 {{'rondo.kernel' op is not allowed after the forms}}
rondo.kernel @kernel_left sizes [] bound [] batch [] inputs [] outputs [] {
  rondo.return
}

// -----

func.func @tensor_left(%x: tensor<4xf32>, %i: index) -> f32 {
  // expected-error@+1 {{works on tensors, which the forms do not leave}}
  %0 = tensor.extract %x[%i] : tensor<4xf32>
  return %0 : f32
}

// -----

func.func @allocates() {
  // expected-error@+1 {{is not among the operations on memory that the forms leave}}
  %0 = memref.alloc() : memref<4xf32>
  return
}

// -----

// expected-error@+1 {{expects argument 1, 'x', to be a memref of rank 1 of 'bf16' with dynamic sizes, no offset and innermost stride 1, found 'memref<?xf32>'}}
func.func @wrong_element(%T: index, %x: memref<?xf32>, %workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
    attributes {rondo.faults = [], rondo.form = "sequential", rondo.signature = {
      sizes = ["T"], outputs = [], inputs = [#rondo.tensor<"x", argument, bf16, ()[T] -> (T)>]}} {
  return
}

// -----

// expected-error@+1 {{expects a function 'no_bytes_worker_bytes' from sizes to bytes}}
func.func @no_bytes(%workspace: memref<?xi8>, %begin: index, %end: index, %fault: memref<2xi64>)
    attributes {rondo.faults = [], rondo.form = "sequential", rondo.signature = {sizes = [], inputs = [], outputs = []}} {
  return
}
