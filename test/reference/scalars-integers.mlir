// The integer operations and comparisons of arith in bodies.
// RUN: rondo-eval %s | FileCheck %s

// a = 7, b = -2, n = -7. Division by zero is 0.
// CHECK-LABEL: @integers
// CHECK-NEXT: addi: [] 5{{$}}
// CHECK-NEXT: subi: [] 9{{$}}
// CHECK-NEXT: muli: [] -14{{$}}
// CHECK-NEXT: divsi: [] -3{{$}}
// CHECK-NEXT: remsi: [] 1{{$}}
// CHECK-NEXT: floordivsi: [] -4{{$}}
// CHECK-NEXT: ceildivsi: [] -3{{$}}
// CHECK-NEXT: floordivsi_same_sign: [] 3{{$}}
// CHECK-NEXT: ceildivsi_same_sign: [] 4{{$}}
// CHECK-NEXT: floordivsi_zero: [] 0{{$}}
// CHECK-NEXT: maxsi: [] 7{{$}}
// CHECK-NEXT: minsi: [] -2{{$}}
// CHECK-NEXT: absi: [] 7{{$}}
// CHECK-NEXT: index_castui: [] 1{{$}}
// CHECK-NEXT: index_cast_i1: [] -1{{$}}
rondo.kernel @integers sizes [] bound [] batch [] inputs []
    outputs [#rondo.tensor<"addi", result, i64, () -> ()>,
             #rondo.tensor<"subi", result, i64, () -> ()>,
             #rondo.tensor<"muli", result, i64, () -> ()>,
             #rondo.tensor<"divsi", result, i64, () -> ()>,
             #rondo.tensor<"remsi", result, i64, () -> ()>,
             #rondo.tensor<"floordivsi", result, i64, () -> ()>,
             #rondo.tensor<"ceildivsi", result, i64, () -> ()>,
             #rondo.tensor<"floordivsi_same_sign", result, i64, () -> ()>,
             #rondo.tensor<"ceildivsi_same_sign", result, i64, () -> ()>,
             #rondo.tensor<"floordivsi_zero", result, i64, () -> ()>,
             #rondo.tensor<"maxsi", result, i64, () -> ()>,
             #rondo.tensor<"minsi", result, i64, () -> ()>,
             #rondo.tensor<"absi", result, i64, () -> ()>,
             #rondo.tensor<"index_castui", result, i64, () -> ()>,
             #rondo.tensor<"index_cast_i1", result, i64, () -> ()>] {
  %a = arith.constant 7 : index
  %b = arith.constant -2 : index
  %n = arith.constant -7 : index
  %zero = arith.constant 0 : index
  %true = arith.constant true
  %addi = rondo.equation "addi" () -> tensor<index> {
    %0 = arith.addi %a, %b : index
    rondo.yield %0 : index
  }
  %subi = rondo.equation "subi" () -> tensor<index> {
    %0 = arith.subi %a, %b : index
    rondo.yield %0 : index
  }
  %muli = rondo.equation "muli" () -> tensor<index> {
    %0 = arith.muli %a, %b : index
    rondo.yield %0 : index
  }
  %divsi = rondo.equation "divsi" () -> tensor<index> {
    %0 = arith.divsi %a, %b : index
    rondo.yield %0 : index
  }
  %remsi = rondo.equation "remsi" () -> tensor<index> {
    %0 = arith.remsi %a, %b : index
    rondo.yield %0 : index
  }
  %floordivsi = rondo.equation "floordivsi" () -> tensor<index> {
    %0 = arith.floordivsi %a, %b : index
    rondo.yield %0 : index
  }
  %ceildivsi = rondo.equation "ceildivsi" () -> tensor<index> {
    %0 = arith.ceildivsi %a, %b : index
    rondo.yield %0 : index
  }
  %floordivsi_same_sign = rondo.equation "floordivsi_same_sign" () -> tensor<index> {
    %0 = arith.floordivsi %n, %b : index
    rondo.yield %0 : index
  }
  %ceildivsi_same_sign = rondo.equation "ceildivsi_same_sign" () -> tensor<index> {
    %0 = arith.ceildivsi %n, %b : index
    rondo.yield %0 : index
  }
  %floordivsi_zero = rondo.equation "floordivsi_zero" () -> tensor<index> {
    %0 = arith.floordivsi %a, %zero : index
    rondo.yield %0 : index
  }
  %maxsi = rondo.equation "maxsi" () -> tensor<index> {
    %0 = arith.maxsi %a, %b : index
    rondo.yield %0 : index
  }
  %minsi = rondo.equation "minsi" () -> tensor<index> {
    %0 = arith.minsi %a, %b : index
    rondo.yield %0 : index
  }
  %absi = rondo.equation "absi" () -> tensor<index> {
    %0 = math.absi %n : index
    rondo.yield %0 : index
  }
  %index_castui = rondo.equation "index_castui" () -> tensor<index> {
    %0 = arith.index_castui %true : i1 to index
    rondo.yield %0 : index
  }
  %index_cast_i1 = rondo.equation "index_cast_i1" () -> tensor<index> {
    %0 = arith.index_cast %true : i1 to index
    rondo.yield %0 : index
  }
  rondo.return %addi, %subi, %muli, %divsi, %remsi, %floordivsi, %ceildivsi, %floordivsi_same_sign, %ceildivsi_same_sign, %floordivsi_zero, %maxsi, %minsi, %absi, %index_castui, %index_cast_i1
      : tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>, tensor<index>
}

// Comparisons; with NaN, only the unordered ones hold.
// CHECK-LABEL: @conditions
// CHECK-NEXT: slt: [] 1{{$}}
// CHECK-NEXT: ult: [] 0{{$}}
// CHECK-NEXT: eq: [] 0{{$}}
// CHECK-NEXT: ne: [] 1{{$}}
// CHECK-NEXT: sge: [] 1{{$}}
// CHECK-NEXT: olt: [] 0{{$}}
// CHECK-NEXT: ole: [] 1{{$}}
// CHECK-NEXT: oeq_nan: [] 0{{$}}
// CHECK-NEXT: une_nan: [] 1{{$}}
// CHECK-NEXT: ult_nan: [] 1{{$}}
// CHECK-NEXT: one_nan: [] 0{{$}}
// CHECK-NEXT: andi: [] 0{{$}}
// CHECK-NEXT: ori: [] 1{{$}}
// CHECK-NEXT: xori: [] 0{{$}}
rondo.kernel @conditions sizes [] bound [] batch [] inputs []
    outputs [#rondo.tensor<"slt", result, i1, () -> ()>,
             #rondo.tensor<"ult", result, i1, () -> ()>,
             #rondo.tensor<"eq", result, i1, () -> ()>,
             #rondo.tensor<"ne", result, i1, () -> ()>,
             #rondo.tensor<"sge", result, i1, () -> ()>,
             #rondo.tensor<"olt", result, i1, () -> ()>,
             #rondo.tensor<"ole", result, i1, () -> ()>,
             #rondo.tensor<"oeq_nan", result, i1, () -> ()>,
             #rondo.tensor<"une_nan", result, i1, () -> ()>,
             #rondo.tensor<"ult_nan", result, i1, () -> ()>,
             #rondo.tensor<"one_nan", result, i1, () -> ()>,
             #rondo.tensor<"andi", result, i1, () -> ()>,
             #rondo.tensor<"ori", result, i1, () -> ()>,
             #rondo.tensor<"xori", result, i1, () -> ()>] {
  %a = arith.constant 7 : index
  %b = arith.constant -2 : index
  %x = arith.constant 0.5 : f64
  %nan = arith.constant 0x7FF8000000000000 : f64
  %true = arith.constant true
  %false = arith.constant false
  %slt = rondo.equation "slt" () -> tensor<i1> {
    %0 = arith.cmpi slt, %b, %a : index
    rondo.yield %0 : i1
  }
  %ult = rondo.equation "ult" () -> tensor<i1> {
    %0 = arith.cmpi ult, %b, %a : index
    rondo.yield %0 : i1
  }
  %eq = rondo.equation "eq" () -> tensor<i1> {
    %0 = arith.cmpi eq, %a, %b : index
    rondo.yield %0 : i1
  }
  %ne = rondo.equation "ne" () -> tensor<i1> {
    %0 = arith.cmpi ne, %a, %b : index
    rondo.yield %0 : i1
  }
  %sge = rondo.equation "sge" () -> tensor<i1> {
    %0 = arith.cmpi sge, %a, %a : index
    rondo.yield %0 : i1
  }
  %olt = rondo.equation "olt" () -> tensor<i1> {
    %0 = arith.cmpf olt, %x, %x : f64
    rondo.yield %0 : i1
  }
  %ole = rondo.equation "ole" () -> tensor<i1> {
    %0 = arith.cmpf ole, %x, %x : f64
    rondo.yield %0 : i1
  }
  %oeq_nan = rondo.equation "oeq_nan" () -> tensor<i1> {
    %0 = arith.cmpf oeq, %nan, %nan : f64
    rondo.yield %0 : i1
  }
  %une_nan = rondo.equation "une_nan" () -> tensor<i1> {
    %0 = arith.cmpf une, %nan, %nan : f64
    rondo.yield %0 : i1
  }
  %ult_nan = rondo.equation "ult_nan" () -> tensor<i1> {
    %0 = arith.cmpf ult, %x, %nan : f64
    rondo.yield %0 : i1
  }
  %one_nan = rondo.equation "one_nan" () -> tensor<i1> {
    %0 = arith.cmpf one, %x, %nan : f64
    rondo.yield %0 : i1
  }
  %andi = rondo.equation "andi" () -> tensor<i1> {
    %0 = arith.andi %true, %false : i1
    rondo.yield %0 : i1
  }
  %ori = rondo.equation "ori" () -> tensor<i1> {
    %0 = arith.ori %true, %false : i1
    rondo.yield %0 : i1
  }
  %xori = rondo.equation "xori" () -> tensor<i1> {
    %0 = arith.xori %true, %true : i1
    rondo.yield %0 : i1
  }
  rondo.return %slt, %ult, %eq, %ne, %sge, %olt, %ole, %oeq_nan, %une_nan, %ult_nan, %one_nan, %andi, %ori, %xori
      : tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>, tensor<i1>
}
