"""Thalweg from nothing: a deep-learning framework and its compiler in under 300 lines.

One idea carries everything: a program is a small immutable graph of tensor operations; all else
builds such graphs, rewrites them or runs them. Each part names its home in `src/thalweg`.
"""

import ctypes
import functools
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64}
INTERNED: weakref.WeakValueDictionary = weakref.WeakValueDictionary()  # (op, args, attrs) -> Node


# 1. Node (ir/). Frozen and interned: one (op, args, attrs) is one object. So equality is `is`, a
# node is a cheap key, and a common subexpression exists once because it cannot exist twice.
class Type(NamedTuple):
    """What is known of a value before it is computed, written `f32[64,2]`."""

    shape: tuple[int, ...]
    dtype: str

    def __repr__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, eq=False, repr=False, slots=True, weakref_slot=True)
class Node:
    """One value: an op, the nodes it is computed from, and sorted (name, metadata) pairs."""

    op: "Op"
    args: tuple["Node", ...]
    attrs: tuple[tuple[str, object], ...]
    type: Type


# 2. Ops (ops/). Each is declared once and knows mathematics only; the machine comes in part 7.
# Positional is data, keyword is metadata. `infer` derives the type, or says what it wants instead.
class Op(NamedTuple):
    """One word of the vocabulary. Calling it makes a node: `add(x, y)`, `broadcast(x, size=3)`."""

    name: str
    evaluate: Callable[..., np.ndarray] | None  # (*arrays, **attrs) -> array: the definition
    gradient: Callable[..., tuple] | None  # (dy, y, *args, **attrs) -> a dx for each arg, or ()
    infer: Callable[..., Type | str] = lambda *x: x[0] if len({*x}) == 1 else "equal types"

    def __call__(self, *args: Node, **attrs: object) -> Node:
        types = [arg.type for arg in args]
        inferred = self.infer(*types, **attrs)
        if isinstance(inferred, str):
            raise TypeError(f"[{self.name}] wants {inferred}.\nReceived {types}, {attrs}.")
        node = Node(self, args, tuple(sorted(attrs.items())), inferred)
        return INTERNED.setdefault((self, args, repr(node.attrs)), node)  # repr: -0.0 is not 0.0


# fmt: off
def like(x: Node, value: float) -> Node:
    """A constant of x's type that holds `value` (rounded) everywhere."""
    return constant(value=float(DTYPES[x.type.dtype](value)), type=x.type)

parameter = Op("parameter", None, None, lambda name, type: type)  # its value comes from the caller
constant = Op("constant", lambda value, type: np.full(type.shape, value, DTYPES[type.dtype]), None,
              lambda value, type: type)
add = Op("add", np.add, lambda dy, y, a, b: (dy, dy))
multiply = Op("multiply", np.multiply, lambda dy, y, a, b: (multiply(b, dy), multiply(a, dy)))
negative = Op("negative", np.negative, lambda dy, y, x: (negative(dy),))
exp = Op("exp", np.exp, lambda dy, y, x: (multiply(y, dy),))
log = Op("log", np.log, lambda dy, y, x: (multiply(exp(negative(y)), dy),))  # 1 / x = exp(-log x)
greater = Op("greater", lambda a, b: np.greater(a, b).astype(a.dtype), lambda *_: ())  # flat
# Adjoint pairs are each other's gradient: what is copied forward is summed backward.
broadcast = Op("broadcast", lambda x, size: np.repeat(x[None], size, axis=0),
               lambda dy, y, x, size: (sum(dy),), lambda x, size: Type((size, *x.shape), x.dtype))
sum = Op("sum", lambda x: np.sum(x, 0), lambda dy, y, x: (broadcast(dy, size=x.type.shape[0]),),
         lambda x: Type(x.shape[1:], x.dtype) if x.shape else "an axis to sum over")
transpose = Op("transpose", np.transpose, lambda dy, y, x: (transpose(dy),),
               lambda x: Type(x.shape[::-1], x.dtype))
matmul = Op("matmul", np.matmul,
            lambda dy, y, a, b: (matmul(dy, transpose(b)), matmul(transpose(a), dy)),
            lambda a, b: Type((a.shape[0], b.shape[1]), a.dtype) if len(a.shape) == 2
            and (a.shape[1:], a.dtype) == (b.shape[:-1], b.dtype) else "(i, j) @ (j, k)")
# fmt: on


# 3. Function (ir/). A cut through the graph, from parameters to results: the unit of all below.
class Function(NamedTuple):
    """Its text, `name(x: type) { %0: type = op(x, attr=value) ... }`, is its fingerprint."""

    name: str
    parameters: tuple[Node, ...]
    results: tuple[Node, ...]

    def __repr__(self) -> str:
        names = {x: dict(x.attrs).get("name", f"%x{i}") for i, x in enumerate(self.parameters)}
        lines = [f"{self.name}({', '.join(f'{names[x]}: {x.type}' for x in self.parameters)}) {{"]
        for node in walk(self.results, self.parameters):
            if node.op is constant:
                names[node] = repr(dict(node.attrs)["value"])
            elif node not in names:
                names[node] = f"%{len(lines) - 1}"
                words = [names[arg] for arg in node.args] + [f"{k}={v}" for k, v in node.attrs]
                lines.append(f"  {names[node]}: {node.type} = {node.op.name}({', '.join(words)})")
        return "\n".join([*lines, f"  return {', '.join(names[node] for node in self.results)} }}"])


def walk(results: Sequence[Node], leaves: Collection[Node] = ()) -> list[Node]:
    """Every node once, arguments before users. A stack, not recursion: graphs grow deep."""
    order, stack = {}, [*reversed(results)]
    while stack:
        node = stack.pop()
        missing = [arg for arg in reversed(node.args) if arg not in order and node not in leaves]
        if missing:
            stack += [node, *missing]
        else:
            order[node] = None
    return list(order)


# 4. Evaluate (transforms/). Slow and obvious: the oracle for everything fast below.
def evaluate(function: Function, *arrays: np.ndarray) -> list[np.ndarray]:
    """The results of `function` on `arrays`, one NumPy call a node."""
    values = dict(zip(function.parameters, arrays, strict=True))
    for node in walk(function.results, function.parameters):
        if node not in values:
            values[node] = node.op.evaluate(*[values[arg] for arg in node.args], **dict(node.attrs))
    return [values[node] for node in function.results]


# 5. Gradient (transforms/). Reverse mode, from graph to graph. No tape: the graph is the tape.
def gradient(result: Node, *inputs: Node) -> list[Node]:
    """d sum(result) / d input for each input, as nodes: call it twice for second derivatives."""
    adjoints = {result: like(result, 1)}
    for node in reversed(walk([result])):
        if node in adjoints and node.args:
            parts = node.op.gradient(adjoints[node], node, *node.args, **dict(node.attrs))
            for arg, dx in zip(node.args, parts, strict=False):
                adjoints[arg] = add(adjoints[arg], dx) if arg in adjoints else dx
    return [adjoints.get(node, like(node, 0)) for node in inputs]


# 6. Rewrite (ir/, passes/). A rule is an equation: called with holes it is a pattern, with nodes a
# replacement, with parameters a test. These are exact, save the sign of zero; negatives cancel out.
RULES = {
    "multiply_one": lambda x: (multiply(x, like(x, 1)), x),
    "negative_twice": lambda x: (negative(negative(x)), x),
    "multiply_negative": lambda x, y: (multiply(x, negative(y)), negative(multiply(x, y))),
    "matmul_negative": lambda x, y: (matmul(x, negative(y)), negative(matmul(x, y))),
    "negative_matmul": lambda x, y: (matmul(negative(x), y), negative(matmul(x, y))),
    "sum_negative": lambda x: (sum(negative(x)), negative(sum(x))),
}


def apply(rule: Callable, node: Node) -> Node:
    """The right side if `node` is the left side, else `node`."""
    holes = [parameter(name=name, type=Type((2, 2), "f64")) for name in rule.__code__.co_varnames]
    found, pairs = {}, [(rule(*holes)[0], node)]
    while pairs:
        pattern, candidate = pairs.pop()
        if pattern.op is parameter:
            found[pattern] = candidate
        elif pattern.op is candidate.op:
            pairs += zip(pattern.args, candidate.args, strict=True)
        else:
            return node
    left, right = rule(*[found[hole] for hole in holes])
    return right if left is node else node  # one `is` compares types, attrs and repeated holes


def rewrite(function: Function, rules: dict[str, Callable]) -> Function:
    """Apply every rule everywhere, again and again until nothing changes."""
    new: dict[Node, Node] = {}
    for node in walk(function.results):
        new[node] = node.op(*[new[arg] for arg in node.args], **dict(node.attrs))
        for rule in rules.values():
            new[node] = apply(rule, new[node])
    after = function._replace(results=tuple(new[node] for node in function.results))
    return after if after == function else rewrite(after, rules)


# 7. Compile (passes/, loops/, backends/). Only here is a machine known. A kernel is a chain of
# pointwise ops in one loop: it reads each input once and stores no intermediate.
INSTRUCTIONS = {
    add: "\n  {y} = fadd {t} {0}, {1}",
    multiply: "\n  {y} = fmul {t} {0}, {1}",
    negative: "\n  {y} = fneg {t} {0}",
    exp: "\n  {y} = call {t} @llvm.exp.{dtype}({t} {0})",
    log: "\n  {y} = call {t} @llvm.log.{dtype}({t} {0})",
    greater: "\n  {y}b = fcmp ogt {t} {0}, {1}\n  {y} = uitofp i1 {y}b to {t}",
}
LOAD = "\n  {y}p = getelementptr {t}, ptr {y}s, i64 %i\n  {y} = load {t}, ptr {y}p"
kernel = Op("kernel", lambda *x, body: jit(body)(*x), None, lambda *_, body: body.results[0].type)


def fuse(function: Function) -> Function:
    """One kernel for each pointwise value that must exist whole; all between is recomputed."""
    order = walk(function.results)
    opaque = [node for node in order if node.op not in INSTRUCTIONS]
    whole = {*opaque, *function.results, *(arg for node in opaque for arg in node.args)}
    new: dict[Node, Node] = {}
    for node in order:
        new[node] = node.op(*[new[arg] for arg in node.args], **dict(node.attrs))
        if node.op in INSTRUCTIONS and node in whole:
            inputs = [x for x in walk(node.args, whole) if x in whole and x.op is not constant]
            body = Function("body", tuple(inputs), (node,))
            new[node] = kernel(*[new[x] for x in inputs], body=body)
    return function._replace(results=tuple(new[node] for node in function.results))


def emit(body: Function) -> str:
    """LLVM IR of a kernel: pointers to the inputs and to the result, and how many elements."""
    dtype = body.results[0].type.dtype
    t = {"f32": "float", "f64": "double"}[dtype]
    names = {x: f"%x{i}" for i, x in enumerate(body.parameters)}
    chain = "".join(LOAD.format(y=y, t=t) for y in names.values())
    for node in walk(body.results, body.parameters):
        if node.op is constant:  # in the bits of a double, LLVM's way to write any float exactly
            names[node] = "0x" + np.array(dict(node.attrs)["value"], ">f8").tobytes().hex()
        elif node not in names:
            names[node] = f"%y{len(names)}"
            args = [names[arg] for arg in node.args]
            chain += INSTRUCTIONS[node.op].format(*args, y=names[node], t=t, dtype=dtype)
    return f"""\
define void @kernel({"".join(f"ptr {names[x]}s, " for x in body.parameters)}ptr %out, i64 %size) {{
entry:
  %some = icmp ne i64 %size, 0
  br i1 %some, label %loop, label %done
loop:
  %i = phi i64 [0, %entry], [%next, %loop]{chain}
  %p = getelementptr {t}, ptr %out, i64 %i
  store {t} {names[body.results[0]]}, ptr %p
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %size
  br i1 %more, label %loop, label %done
done:
  ret void
}}"""


@functools.cache
def jit(body: Function) -> Callable[..., np.ndarray]:
    """`body` as machine code, behind a function of arrays; compiled once."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=3)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(emit(body)), machine)
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_size_t] * (len(body.parameters) + 2))
    native = signature(engine.get_function_address("kernel"))
    native.engine = engine  # machine code lives as long as its engine
    (shape, dtype) = body.results[0].type

    def call(*arrays: np.ndarray) -> np.ndarray:
        inputs = [np.ascontiguousarray(np.broadcast_to(x, shape), DTYPES[dtype]) for x in arrays]
        result = np.empty(shape, DTYPES[dtype])
        native(*[x.ctypes.data for x in [*inputs, result]], result.size)
        return result

    return call


# 8. Train (engine/). Forward pass, loss, gradient and update are one function, compiled as one.
def network(rows: int, hidden: int, rate: float, dtype: str = "f32") -> Function:
    """`step(x, t, w1, b1, w2) -> loss, w1, b1, w2`: logistic regression on a relu layer."""
    shapes = {"x": (rows, 2), "t": (rows, 1), "w1": (2, hidden), "b1": (hidden,), "w2": (hidden, 1)}
    x, t, w1, b1, w2 = [parameter(name=name, type=Type(shapes[name], dtype)) for name in shapes]
    z = add(matmul(x, w1), broadcast(b1, size=rows))  # (B, 2) @ (2, H) -> (B, H)
    h = multiply(z, greater(z, like(z, 0)))
    odds = exp(negative(multiply(t, matmul(h, w2))))  # (B, H) @ (H, 1) -> (B, 1)
    total = sum(sum(log(add(odds, like(odds, 1)))))
    loss = multiply(total, like(total, 1 / rows))
    down = [negative(multiply(like(dw, rate), dw)) for dw in gradient(loss, w1, b1, w2)]
    return Function("step", (x, t, w1, b1, w2), (loss, *map(add, (w1, b1, w2), down)))


def main(rows: int = 128, steps: int = 500) -> float:
    """Learn which points lie in a circle, showing every stage; returns the last loss."""
    step = network(rows, hidden=16, rate=0.5)
    simplified = rewrite(step, RULES)
    fused = fuse(simplified)
    body = max((dict(x.attrs).get("body") for x in walk(fused.results)), key=lambda f: len(repr(f)))
    print(step, simplified, body, emit(body), sep="\n\n")
    rng = np.random.default_rng(0)
    x, _, *weights = [rng.normal(size=node.type.shape).astype("f4") for node in step.parameters]
    t = np.sign(1 - np.hypot(x[:, :1], x[:, 1:]))
    for pair in zip(evaluate(fused, x, t, *weights), evaluate(step, x, t, *weights), strict=True):
        np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-6)
    for count in range(steps + 1):
        loss, *weights = evaluate(fused, x, t, *weights)
        if count % 100 == 0:
            print(f"step {count:4} loss {loss:.4f}")
    return float(loss)


if __name__ == "__main__":
    main()
