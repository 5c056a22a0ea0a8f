// The scalar operations of arith and math in bodies.
// RUN: rondo-eval %s | FileCheck %s

// Real numbers: a = 2.25, b = -1.5.
// CHECK-LABEL: @reals
// CHECK-NEXT: addf: [] 0.75{{$}}
// CHECK-NEXT: subf: [] 3.75{{$}}
// CHECK-NEXT: mulf: [] -3.375{{$}}
// CHECK-NEXT: divf: [] -1.5{{$}}
// CHECK-NEXT: remf: [] 0.75{{$}}
// CHECK-NEXT: negf: [] -2.25{{$}}
// CHECK-NEXT: maximumf: [] 2.25{{$}}
// CHECK-NEXT: minimumf: [] -1.5{{$}}
// CHECK-NEXT: maximumf_nan: [] nan{{$}}
// CHECK-NEXT: minimumf_nan: [] nan{{$}}
// CHECK-NEXT: maxnumf_nan: [] 2.25{{$}}
// CHECK-NEXT: select: [] 2.25{{$}}
// CHECK-NEXT: sitofp: [] 3{{$}}
// CHECK-NEXT: uitofp: [] 1{{$}}
// CHECK-NEXT: sitofp_i1: [] -1{{$}}
// CHECK-NEXT: absf: [] 1.5{{$}}
// CHECK-NEXT: floor: [] -2{{$}}
// CHECK-NEXT: ceil: [] -1{{$}}
// CHECK-NEXT: sqrt: [] 1.5{{$}}
// CHECK-NEXT: rsqrt: [] 0.6666666667{{$}}
// CHECK-NEXT: exp: [] 9.487735836{{$}}
// CHECK-NEXT: log: [] 0.8109302162{{$}}
// CHECK-NEXT: log1p: [] 1.178654996{{$}}
// CHECK-NEXT: expm1: [] 8.487735836{{$}}
// CHECK-NEXT: sin: [] 0.7780731969{{$}}
// CHECK-NEXT: cos: [] -0.6281736227{{$}}
// CHECK-NEXT: tanh: [] 0.9780261147{{$}}
// CHECK-NEXT: erf: [] 0.9985372834{{$}}
// CHECK-NEXT: powf: [] 0.2962962963{{$}}
// CHECK-NEXT: fpowi: [] -3.375{{$}}
// CHECK-NEXT: copysign: [] -2.25{{$}}
// CHECK-NEXT: fma: [] -1.125{{$}}
rondo.kernel @reals sizes [] bound [] batch [] inputs []
    outputs [#rondo.tensor<"addf", result, f64, () -> ()>,
             #rondo.tensor<"subf", result, f64, () -> ()>,
             #rondo.tensor<"mulf", result, f64, () -> ()>,
             #rondo.tensor<"divf", result, f64, () -> ()>,
             #rondo.tensor<"remf", result, f64, () -> ()>,
             #rondo.tensor<"negf", result, f64, () -> ()>,
             #rondo.tensor<"maximumf", result, f64, () -> ()>,
             #rondo.tensor<"minimumf", result, f64, () -> ()>,
             #rondo.tensor<"maximumf_nan", result, f64, () -> ()>,
             #rondo.tensor<"minimumf_nan", result, f64, () -> ()>,
             #rondo.tensor<"maxnumf_nan", result, f64, () -> ()>,
             #rondo.tensor<"select", result, f64, () -> ()>,
             #rondo.tensor<"sitofp", result, f64, () -> ()>,
             #rondo.tensor<"uitofp", result, f64, () -> ()>,
             #rondo.tensor<"sitofp_i1", result, f64, () -> ()>,
             #rondo.tensor<"absf", result, f64, () -> ()>,
             #rondo.tensor<"floor", result, f64, () -> ()>,
             #rondo.tensor<"ceil", result, f64, () -> ()>,
             #rondo.tensor<"sqrt", result, f64, () -> ()>,
             #rondo.tensor<"rsqrt", result, f64, () -> ()>,
             #rondo.tensor<"exp", result, f64, () -> ()>,
             #rondo.tensor<"log", result, f64, () -> ()>,
             #rondo.tensor<"log1p", result, f64, () -> ()>,
             #rondo.tensor<"expm1", result, f64, () -> ()>,
             #rondo.tensor<"sin", result, f64, () -> ()>,
             #rondo.tensor<"cos", result, f64, () -> ()>,
             #rondo.tensor<"tanh", result, f64, () -> ()>,
             #rondo.tensor<"erf", result, f64, () -> ()>,
             #rondo.tensor<"powf", result, f64, () -> ()>,
             #rondo.tensor<"fpowi", result, f64, () -> ()>,
             #rondo.tensor<"copysign", result, f64, () -> ()>,
             #rondo.tensor<"fma", result, f64, () -> ()>] {
  %a = arith.constant 2.25 : f64
  %b = arith.constant -1.5 : f64
  %nan = arith.constant 0x7FF8000000000000 : f64
  %i = arith.constant 3 : i64
  %true = arith.constant true
  %addf = rondo.equation "addf" () -> tensor<f64> {
    %0 = arith.addf %a, %b : f64
    rondo.yield %0 : f64
  }
  %subf = rondo.equation "subf" () -> tensor<f64> {
    %0 = arith.subf %a, %b : f64
    rondo.yield %0 : f64
  }
  %mulf = rondo.equation "mulf" () -> tensor<f64> {
    %0 = arith.mulf %a, %b : f64
    rondo.yield %0 : f64
  }
  %divf = rondo.equation "divf" () -> tensor<f64> {
    %0 = arith.divf %a, %b : f64
    rondo.yield %0 : f64
  }
  %remf = rondo.equation "remf" () -> tensor<f64> {
    %0 = arith.remf %a, %b : f64
    rondo.yield %0 : f64
  }
  %negf = rondo.equation "negf" () -> tensor<f64> {
    %0 = arith.negf %a : f64
    rondo.yield %0 : f64
  }
  %maximumf = rondo.equation "maximumf" () -> tensor<f64> {
    %0 = arith.maximumf %a, %b : f64
    rondo.yield %0 : f64
  }
  %minimumf = rondo.equation "minimumf" () -> tensor<f64> {
    %0 = arith.minimumf %a, %b : f64
    rondo.yield %0 : f64
  }
  %maximumf_nan = rondo.equation "maximumf_nan" () -> tensor<f64> {
    %0 = arith.maximumf %a, %nan : f64
    rondo.yield %0 : f64
  }
  %minimumf_nan = rondo.equation "minimumf_nan" () -> tensor<f64> {
    %0 = arith.minimumf %nan, %a : f64
    rondo.yield %0 : f64
  }
  %maxnumf_nan = rondo.equation "maxnumf_nan" () -> tensor<f64> {
    %0 = arith.maxnumf %a, %nan : f64
    rondo.yield %0 : f64
  }
  %select = rondo.equation "select" () -> tensor<f64> {
    %0 = arith.select %true, %a, %b : f64
    rondo.yield %0 : f64
  }
  %sitofp = rondo.equation "sitofp" () -> tensor<f64> {
    %0 = arith.sitofp %i : i64 to f64
    rondo.yield %0 : f64
  }
  %uitofp = rondo.equation "uitofp" () -> tensor<f64> {
    %0 = arith.uitofp %true : i1 to f64
    rondo.yield %0 : f64
  }
  %sitofp_i1 = rondo.equation "sitofp_i1" () -> tensor<f64> {
    %0 = arith.sitofp %true : i1 to f64
    rondo.yield %0 : f64
  }
  %absf = rondo.equation "absf" () -> tensor<f64> {
    %0 = math.absf %b : f64
    rondo.yield %0 : f64
  }
  %floor = rondo.equation "floor" () -> tensor<f64> {
    %0 = math.floor %b : f64
    rondo.yield %0 : f64
  }
  %ceil = rondo.equation "ceil" () -> tensor<f64> {
    %0 = math.ceil %b : f64
    rondo.yield %0 : f64
  }
  %sqrt = rondo.equation "sqrt" () -> tensor<f64> {
    %0 = math.sqrt %a : f64
    rondo.yield %0 : f64
  }
  %rsqrt = rondo.equation "rsqrt" () -> tensor<f64> {
    %0 = math.rsqrt %a : f64
    rondo.yield %0 : f64
  }
  %exp = rondo.equation "exp" () -> tensor<f64> {
    %0 = math.exp %a : f64
    rondo.yield %0 : f64
  }
  %log = rondo.equation "log" () -> tensor<f64> {
    %0 = math.log %a : f64
    rondo.yield %0 : f64
  }
  %log1p = rondo.equation "log1p" () -> tensor<f64> {
    %0 = math.log1p %a : f64
    rondo.yield %0 : f64
  }
  %expm1 = rondo.equation "expm1" () -> tensor<f64> {
    %0 = math.expm1 %a : f64
    rondo.yield %0 : f64
  }
  %sin = rondo.equation "sin" () -> tensor<f64> {
    %0 = math.sin %a : f64
    rondo.yield %0 : f64
  }
  %cos = rondo.equation "cos" () -> tensor<f64> {
    %0 = math.cos %a : f64
    rondo.yield %0 : f64
  }
  %tanh = rondo.equation "tanh" () -> tensor<f64> {
    %0 = math.tanh %a : f64
    rondo.yield %0 : f64
  }
  %erf = rondo.equation "erf" () -> tensor<f64> {
    %0 = math.erf %a : f64
    rondo.yield %0 : f64
  }
  %powf = rondo.equation "powf" () -> tensor<f64> {
    %0 = math.powf %a, %b : f64
    rondo.yield %0 : f64
  }
  %fpowi = rondo.equation "fpowi" () -> tensor<f64> {
    %0 = math.fpowi %b, %i : f64, i64
    rondo.yield %0 : f64
  }
  %copysign = rondo.equation "copysign" () -> tensor<f64> {
    %0 = math.copysign %a, %b : f64
    rondo.yield %0 : f64
  }
  %fma = rondo.equation "fma" () -> tensor<f64> {
    %0 = math.fma %a, %b, %a : f64
    rondo.yield %0 : f64
  }
  rondo.return %addf, %subf, %mulf, %divf, %remf, %negf, %maximumf, %minimumf, %maximumf_nan, %minimumf_nan, %maxnumf_nan, %select, %sitofp, %uitofp, %sitofp_i1, %absf, %floor, %ceil, %sqrt, %rsqrt, %exp, %log, %log1p, %expm1, %sin, %cos, %tanh, %erf, %powf, %fpowi, %copysign, %fma
      : tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>
}
