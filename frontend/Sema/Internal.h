//===- Internal.h - What the parts of Sema share ----------------*- C++ -*-===//
//
// Part of Rondo, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One `KernelAnalyzer` makes one model::Kernel. A kernel call puts an instance
// of the called kernel (a `Scope`) into the same model: its arguments are the
// caller's tensors, its equations become equations of the model.
//
// Order of work: declare names (Declare.cpp), resolve equations and calls as
// soon as the shapes that they need are known (Equations.cpp, Resolve.cpp,
// Calls.cpp), infer ranges and shapes (Shapes.cpp), then find the order of
// computation and check states (Dependences.cpp).
//
// Names: an index hides a constant and a tensor that has indices of its own;
// it may not have the name of a size. On the left, where a state has its time,
// the name of a size, let, constant or scalar is that value: one single point.
// In a kernel one name is one thing: sizes, arguments, results, locals, states
// and lets share one set of names, and they hide constants of the file. The
// body of a function sees its parameters, the indices of its own reductions and
// constants, nothing of the kernel.
//
//===----------------------------------------------------------------------===//

#ifndef RONDO_FRONTEND_SEMA_INTERNAL_H
#define RONDO_FRONTEND_SEMA_INTERNAL_H

#include "frontend/Sema/Builder.h"
#include "frontend/Sema/Poly.h"
#include "frontend/Sema/Reporter.h"
#include "frontend/Sema/Sema.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

namespace rondo::frontend::sema {

using model::Expr;
using model::Index;
using model::Tensor;

struct EqInfo;
struct Scope;
struct TensorInfo;

/// An index alone as a subscript.
struct Use {
  const Index *index;
  TensorInfo *tensor;
  unsigned dim;
  llvm::SMRange range;
};

/// One dim of a tensor in memory, in sizes of the outermost kernel.
struct Dim {
  Poly poly;
  bool known = false;
  llvm::SMRange from; // what says so
};

/// What is known of a tensor of the model.
struct TensorInfo {
  Tensor *tensor = nullptr;
  std::vector<Dim> dims; // in layout order
  EqInfo *eq = nullptr;  // what defines it; null for arguments
  llvm::SMRange decl;
  bool shapeKnown() const {
    for (const Dim &dim : dims)
      if (!dim.known)
        return false;
    return true;
  }
};

struct CallInfo;

/// A tensor as one kernel instance sees it.
struct View {
  llvm::StringRef name;
  TensorInfo *info = nullptr; // null until the call that makes it is inlined
  Tensor::Role role = Tensor::Role::Local;
  llvm::SMRange decl;
  /// Per dim in memory: the batch dim of the scope that stands there (-1:
  /// none), and by what it is divided (H/G).
  struct Slot {
    int batch = -1;
    Poly divisor = Poly(1);
  };
  std::vector<Slot> slots;
  /// Positions in memory of the dims that are written as subscripts.
  std::vector<unsigned> subscripts;
  bool implicit = false; // a local that no declaration names
  /// States: the dims over which it runs (the first subscripts).
  const ast::StateItem *state = nullptr;
  unsigned alongCount = 0;
  std::vector<const ast::EquationItem *> items;
  const CallInfo *call = nullptr;
};

/// Part of the definition of a tensor: everywhere, or (boundary equations)
/// where along dim `a` is at guard[a].
struct Piece {
  std::vector<const Expr *> guard; // one per along dim; null: everywhere
  const Expr *value = nullptr;     // null after an error
  const ast::EquationItem *item = nullptr;
  bool general = true;
};

/// Everything that defines one tensor.
struct EqInfo {
  Scope *scope = nullptr;
  View *target = nullptr;
  model::Equation *eq = nullptr;
  std::vector<const Index *> batch; // per batch dim of the scope; may be null
  std::vector<Piece> pieces;
  bool resolved = false, failed = false;
  unsigned alongCount() const { return target->alongCount; }
};

struct CallInfo {
  const ast::CallExpr *call = nullptr;
  llvm::SmallVector<ast::Ident, 2> results;
  llvm::SMRange range;
  bool done = false;
};

/// One instance of a kernel.
struct Scope {
  const ast::Kernel *ast = nullptr;
  Scope *parent = nullptr;
  std::string prefix; // "" or "callee."
  llvm::StringMap<Poly> sizes;
  std::vector<llvm::StringRef> sizeNames;
  struct Batch {
    llvm::StringRef name;
    llvm::SMRange range;
    Poly extent;
    int root = -1; // which batch dim of the outermost kernel
  };
  std::vector<Batch> batch;
  /// Order in which batch dims stand in front of locals and states.
  std::vector<unsigned> batchOrder;
  llvm::StringMap<const ast::LetItem *> lets;
  llvm::StringMap<View *> views;
  llvm::StringMap<llvm::SMRange> declared; // every name of the kernel
  /// Scalar arguments of a call that are expressions of the caller.
  llvm::StringMap<const Expr *> scalars;
  std::vector<std::unique_ptr<View>> viewPool; // in order of appearance
  std::vector<std::unique_ptr<EqInfo>> equations;
  std::vector<std::unique_ptr<CallInfo>> calls;
  /// The first equation of each name.
  llvm::StringMap<const ast::EquationItem *> firstItem;
  std::vector<Use> uses;
  /// Subscripts that are no index alone, x[t-1]; in the time of a state or not.
  struct Shift {
    const Expr *subscript;
    bool isTime;
    Use use; // without an index
  };
  std::vector<Shift> shifts;
};

/// What is known of an index.
struct IndexInfo {
  Index *index = nullptr;
  bool onLeft = false, batch = false, explicitRange = false;
  const Index *sameAs = nullptr; // softmax: the index at which it stands
  Dim range;
  llvm::SMRange decl;
  const EqInfo *eq = nullptr; // where it is bound
  unsigned position = 0;      // on the left: its place in the layout
};

/// What names mean at one place of the text.
struct Env {
  enum class Place { Equation, Const, Let, Initial, CallArgument };
  Place place = Place::Equation;
  Scope *scope = nullptr;
  EqInfo *eq = nullptr;
  const std::vector<const Index *> *batch = nullptr;
  llvm::SmallVector<std::pair<llvm::StringRef, const Index *>, 8> indices;
  /// Inside the body of a function: its parameters.
  const llvm::StringMap<const Expr *> *params = nullptr;
  unsigned inSubscript = 0;
  bool inBound = false; // inside the range of a reduction
};

/// A compile-time number.
struct ConstValue {
  enum class State { New, Busy, Good, Bad } state = State::New;
  bool isInt = false;
  int64_t integer = 0;
  double real = 0;
};

/// The file's names, shared by all kernels.
struct FileContext {
  const ast::File &file;
  Reporter &reporter;
  const SemaOptions &options;
  llvm::StringMap<const ast::Const *> consts;
  llvm::StringMap<const ast::Fn *> fns;
  llvm::StringMap<const ast::Kernel *> kernels;
  llvm::StringMap<ConstValue> constValues;
};

struct Access;
struct Graph;
struct Recurrence;

class KernelAnalyzer {
public:
  KernelAnalyzer(FileContext &file, model::Kernel &kernel)
      : file(file), reporter(file.reporter), kernel(kernel),
        builder(kernel, file.reporter), bounds(polys) {}

  /// The whole kernel; false when something is wrong.
  bool run(const ast::Kernel &ast);
  /// The value of a constant; null (after a report) when it has none.
  const ConstValue *constant(llvm::StringRef name);

private:
  // Declare.cpp
  bool declareRoot(Scope &scope);
  bool declareBody(Scope &scope);
  void declareSizes(Scope &scope);
  void declareBatch(Scope &scope);
  void declareArguments(Scope &scope);
  void declareStatesAndLocals(Scope &scope);
  void declareState(Scope &scope, const ast::StateItem &item);
  void declareLocal(Scope &scope, const ast::LocalItem &item);
  void groupEquations(Scope &scope);
  void groupCall(Scope &scope, const ast::CallExpr *call,
                 llvm::ArrayRef<ast::Ident> results, llvm::SMRange range);
  void checkDefined(Scope &scope);
  bool claim(Scope &scope, const ast::Ident &name);
  View *newView(Scope &scope, const ast::Ident &name, Tensor::Role role);
  TensorInfo *newTensor(const std::string &name, Tensor::Role role,
                        ast::DType dtype, llvm::SMRange decl);
  void prependBatch(Scope &scope, View &view, bool addDims);
  void viewFromDims(Scope &scope, View &view, const ast::Type &type);
  void viewFromShape(Scope &scope, View &view);
  View::Slot slotOf(Scope &scope, const ast::Expr *dim);
  void finishView(View &view);
  unsigned alongCountOf(Scope &scope, const View &view);

  // Dims.cpp
  Poly dimPoly(Scope &scope, const ast::Expr *dim);
  Poly namedDim(Scope &scope, const ast::NameExpr *dim);
  Poly computedDim(Scope &scope, const ast::BinaryExpr *dim);
  const Expr *polyExpr(const Poly &poly);
  void collectSizeNames(const ast::Expr *dim,
                        llvm::SmallVectorImpl<const ast::NameExpr *> &out);

  // Equations.cpp
  void elaborate(Scope &scope);
  bool ready(Scope &scope, const ast::Expr *expr);
  bool ready(Scope &scope, const ast::Expr *expr,
             llvm::SmallVectorImpl<llvm::StringRef> &lets);
  void resolveEquation(EqInfo &eq);
  void makeLeftSide(EqInfo &eq, Env &env, const ast::EquationItem &item);
  void resolvePiece(EqInfo &eq, const ast::EquationItem &item, bool general);
  bool isBoundary(EqInfo &eq, const ast::EquationItem &item);
  bool isBoundarySubscript(Scope &scope, const ast::Expr *subscript);
  void resolveInitial(EqInfo &eq);
  const Expr *initialFromArgument(EqInfo &eq, View &view, llvm::SMRange range);
  void checkLets(Scope &scope);

  // Resolve.cpp
  const Expr *resolve(const ast::Expr *expr, Env &env);
  const Expr *resolveInner(const ast::Expr *expr, Env &env);
  const Expr *resolveName(const ast::NameExpr *expr, Env &env);
  const Expr *resolveAccess(const ast::AccessExpr *expr, Env &env);
  const Expr *resolveUnary(const ast::UnaryExpr *expr, Env &env);
  const Expr *resolveBinary(const ast::BinaryExpr *expr, Env &env);
  /// The integer itself; null (after a report) where it may leave 64 bits.
  const Expr *checkMagnitude(const Expr *expr, llvm::SMRange range,
                             const Env &env);
  bool checkMagnitude(double value, llvm::SMRange range);
  double magnitude(const Expr *expr);
  const Expr *resolveIf(const ast::IfExpr *expr, Env &env);
  const Expr *resolveReduce(const ast::ReduceExpr *expr, Env &env);
  const Expr *resolveSoftmax(const ast::ReduceExpr *expr, Env &env);
  const Expr *resolveGrad(const ast::GradExpr *expr, Env &env);
  const Expr *resolveCall(const ast::CallExpr *expr, Env &env);
  const Expr *resolveFn(const ast::Fn &fn, const ast::CallExpr *expr,
                        llvm::ArrayRef<const Expr *> args, Env &env);
  const Expr *resolveBuiltin(const ast::CallExpr *expr,
                             llvm::ArrayRef<const Expr *> args, Env &env);
  const Expr *resolveSize(const Poly &poly, llvm::SMLoc loc);
  const Expr *resolveCompare(const ast::BinaryExpr *expr, const Expr *lhs,
                             const Expr *rhs);
  const Expr *resolveIntegerOp(model::Op op, llvm::StringRef name,
                               const Expr *a, const Expr *b,
                               const ast::Expr *aText, const ast::Expr *bText,
                               llvm::SMRange range);
  /// Reports unless `value` (the meaning of `text`) has the type; null passes.
  bool wantNumber(const Expr *value, const ast::Expr *text,
                  llvm::StringRef forWhat);
  bool wantBool(const Expr *value, const ast::Expr *text,
                llvm::StringRef forWhat);
  bool wantInt(const Expr *value, const ast::Expr *text,
               llvm::StringRef forWhat);
  void notATensor(const ast::AccessExpr *expr, Env &env);
  void wrongRank(View &view, size_t found, llvm::SMRange range);
  void needsIndices(View &view, llvm::SMRange range);
  void unknownFunction(const ast::CallExpr *expr, Env &env);
  bool bindReduction(const ast::ReduceExpr *expr, Env &env,
                     std::vector<const Index *> &out);
  const Expr *resolveLet(const ast::LetItem &let, llvm::SMRange use, Env &env);
  const Expr *readTensor(View &view, llvm::ArrayRef<const Expr *> subscripts,
                         llvm::SMRange range, Env &env);
  const Expr *condition(const ast::Expr *expr, llvm::StringRef forWhat,
                        Env &env);
  const Expr *bound(const ast::Expr *expr, Env &env);
  Index *bindIndex(const ast::ReduceIndex &index, Env &env);
  void unknownName(llvm::StringRef name, llvm::SMRange range, Env &env);
  void collectNames(Env &env, llvm::SmallVectorImpl<llvm::StringRef> &out);
  View *lookup(Scope *scope, llvm::StringRef name);
  bool looksBool(Scope &scope, const ast::Expr *expr, unsigned depth = 0);
  const Expr *coerce(const Expr *value, model::DType dtype,
                     const ast::EquationItem &item);

  // Calls.cpp
  bool inlineCall(Scope &scope, CallInfo &call);
  bool bindArguments(Scope &caller, Scope &callee, CallInfo &call);
  bool bindNumber(Scope &caller, Scope &callee, const ast::Ident &param,
                  const ast::Type &type, const ast::Expr *text);
  View *tensorArgument(Scope &caller, llvm::StringRef kernelName,
                       const ast::Ident &param, const ast::Type &type,
                       const ast::Expr *text);
  bool checkResultRanks(Scope &caller, Scope &callee, CallInfo &call,
                        std::vector<TensorInfo *> &given);
  bool unifySizes(Scope &caller, Scope &callee, CallInfo &call,
                  llvm::ArrayRef<TensorInfo *> given);
  bool unifyDim(Scope &callee, const ast::Expr *dim, const Poly &actual);
  bool dimKnown(Scope &callee, const ast::Expr *dim);
  bool bindResults(Scope &caller, Scope &callee, CallInfo &call);
  void bindBatch(Scope &caller, Scope &callee,
                 llvm::ArrayRef<View *> callerViews);

  // Shapes.cpp
  void inferShapes(Scope &scope);
  bool inferDimsFromReaders(Scope &scope, bool states);
  const Index *shiftedIndex(const Expr *subscript, bool anyForm);
  bool inferFromShifts(Scope &scope);
  void checkShapes();
  void checkRanges();
  void finishShapes();
  IndexInfo &infoOf(const Index *index);
  const Index *canonical(const Index *index);
  Index *newIndex(llvm::StringRef name, llvm::SMRange decl, const EqInfo *eq);
  void checkUse(const Use &use);

  // Dependences.cpp and Recurrences.cpp
  void orderEquations();
  void finishComponent(Graph &graph, llvm::ArrayRef<unsigned> members);
  void finishSingle(EqInfo &eq);
  void finishRecurrence(Graph &graph, llvm::ArrayRef<unsigned> members);
  void reportNoState(Graph &graph, llvm::ArrayRef<unsigned> members);
  void reportSameTime(Graph &graph, llvm::ArrayRef<const Access *> cycle);
  bool matchAlong(Graph &graph, Recurrence &rec);
  std::vector<unsigned> matchThrough(Graph &graph, Recurrence &rec,
                                     const Access &access, bool toTarget);
  std::vector<unsigned> matchByLength(Graph &graph, Recurrence &rec,
                                      unsigned member);
  bool findDistances(Graph &graph, Recurrence &rec);
  /// Earlier: the distance is at least 1.
  enum class Side { Same, Earlier, Later, EarlierOrSame, LaterOrSame, Unknown };
  Side provenSide(const Access &access, unsigned a, bool mayBeZero);
  Side sideOf(const Access &access, unsigned a, bool mayBeZero);
  void reportDistance(Graph &graph, Recurrence &rec, const Access &access,
                      unsigned a);
  void reportBothWays(Graph &graph, const Access &access, const Access &first,
                      bool later);
  bool decideDirections(Graph &graph, Recurrence &rec);
  bool checkStatelessCycles(Graph &graph, Recurrence &rec);
  bool orderSameTime(Graph &graph, Recurrence &rec);
  void collectFacts(const Access &access);
  void addFact(const Expr *condition, bool truth);
  void finishEquation(EqInfo &eq, bool reversed);
  bool finishBoundary(EqInfo &eq, const Piece &piece, bool reversed);
  const Expr *
  substitute(const Expr *expr,
             llvm::DenseMap<const Index *, const Index *> &replacement,
             llvm::DenseMap<const Expr *, const Expr *> &done);
  void warnUnused(Scope &scope);

  FileContext &file;
  Reporter &reporter;
  model::Kernel &kernel;
  Builder builder;
  PolyContext polys;
  Bounds bounds;
  std::vector<std::unique_ptr<Scope>> scopes;
  std::vector<std::unique_ptr<TensorInfo>> tensors; // in order of appearance
  llvm::DenseMap<const Tensor *, TensorInfo *> infoOfTensor;
  llvm::DenseMap<const Expr *, double> magnitudes;
  std::vector<std::unique_ptr<IndexInfo>> indexInfos;
  llvm::DenseMap<const Index *, IndexInfo *> infoOfIndex;
  llvm::StringMap<unsigned> usedNames;
  std::vector<llvm::StringRef> fnStack, letStack;
  std::vector<const ast::Kernel *> kernelStack;
  unsigned depth = 0;
  size_t resolveCount = 0;
  unsigned errorsAtStart = 0;
};

/// "an integer", "a real", "a condition".
llvm::StringRef describe(model::Type type);
/// Is it a function of the language?
bool isBuiltin(llvm::StringRef name);
/// "2 indices", "1 index".
std::string countOf(size_t n, llvm::StringRef one, llvm::StringRef many);

/// A read in `expr` of something that is not an argument; null if there is
/// none.
const model::Expr *readBesidesArguments(const model::Expr *expr);

} // namespace rondo::frontend::sema

#endif // RONDO_FRONTEND_SEMA_INTERNAL_H
