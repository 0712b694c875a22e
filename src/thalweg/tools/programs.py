"""Random well-typed programs over the whole vocabulary, for the fuzzer and for tests of tools.

    random_function(seed, size=12, dtypes=DTYPES)      the same Function for the same arguments

A program grows from a few parameters by makers, each of which adds one operation to what is there.
A maker asks for operands of the type it needs and gets some value of the program, moved into that
type by casts, reshapes, pads and broadcasts (`Growth.of_type`). Three makers are general: `sampled`
takes an op, its attributes and the neighbourhood of its operands from the op's own samples, so that
an op which is declared tomorrow is covered tomorrow; `redundant` plants the left side of a rewrite
rule; `pointwise` asks each op which element types it infers. The others draw attributes at large.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby

import numpy as np

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ThalwegError
from thalweg.base.table import Absent
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build, free_sizes, inline
from thalweg.ir.leaves import full, items, literal, parameter
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Sample, vocabulary
from thalweg.ir.parse import parse_type
from thalweg.ir.rewrite import Rule
from thalweg.ir.types import (
    COMPLEX,
    DTYPES,
    INTEGERS,
    NUMERIC,
    REAL,
    DType,
    Shape,
    TensorType,
    as_dtype,
    bool_,
    int32,
    int64,
    tensor_type,
    uint32,
)
from thalweg.ir.walk import postorder
from thalweg.ops import control, index, mark, movement, sort, window
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv, dot
from thalweg.ops.elementwise import abs as abs_op
from thalweg.ops.elementwise import (
    add,
    bitcast,
    cast,
    complex_of,
    equal,
    less,
    logical_and,
    logical_not,
    multiply,
    remainder,
    sin,
    tanh,
)
from thalweg.ops.random import fold_in, random_bits, split_key
from thalweg.passes import algebra, numerics
from thalweg.passes import movement as movement_rules
from thalweg.transforms.gradient import vjp

MOST_ELEMENTS = 300
"""Larger values are not made: a program should run in microseconds."""

SIZES = (0, 1, 1, 2, 2, 3, 3, 4, 5, 7)
RULE_TABLES = (algebra.rules, movement_rules.rules, numerics.finite, numerics.approximate)

UNSAMPLED = frozenset({"check", "callback", "barrier", "stop_gradient", "searchsorted"})
"""Ops that reach the host, marks that a maker of their own places more sparingly, and what has a
meaning only for a sequence in order, which its own maker sees to."""

TAME_FAMILIES = frozenset({"linalg", "composite", "fft", "random", "control"})
"""Families whose operands stay near the samples: elsewhere they are singular or meaningless."""

# Where an op of one or two operands is finite, as a function of any finite x.
DOMAINS: dict[str, Callable[[Node], Node]] = {
    **dict.fromkeys(
        ("sqrt", "rsqrt", "cbrt", "log", "log2", "log10", "lgamma", "digamma"),
        lambda x: add(abs_op(x), full(0.25, x.dtype, x.shape)),
    ),
    "log1p": abs_op,
    "acosh": lambda x: add(abs_op(x), full(1.25, x.dtype, x.shape)),
    **dict.fromkeys(
        ("asin", "acos", "atanh", "erfinv"),
        lambda x: multiply(tanh(x), full(0.75, x.dtype, x.shape)),
    ),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh", "tan"), tanh),
    "power": lambda x: add(abs_op(tanh(x)), full(0.5, x.dtype, x.shape)),
}


class Growth:
    """A program that is being grown: the values so far, and the dice."""

    def __init__(
        self,
        random: np.random.Generator,
        inputs: Sequence[Node],
        dtypes: Sequence[DType],
        depth: int = 0,
    ):
        self.random = random
        self.pool: list[Node] = list(inputs)
        self.dtypes = tuple(dtypes)
        self.depth = depth

    @property
    def names(self) -> set[str]:
        """The sizes that have names in the program's parameters."""
        return {name for node in self.pool if node.op is parameter
                for name in free_sizes(node.type)}  # fmt: skip

    # Dice ---------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.random.random() < probability)

    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1."""
        return int(self.random.integers(0, max(limit, 1)))

    def between(self, low: int, high: int) -> int:
        """A number from low to high, both included."""
        return int(self.random.integers(low, high + 1))

    def choose(self, values: Sequence):
        """One of the values."""
        return values[self.below(len(values))]

    def subset(self, values: Sequence) -> tuple:
        """Some of the values, in order."""
        return tuple(value for value in values if self.chance(0.5))

    def shape(self, most_axes: int = 3) -> tuple[int, ...]:
        """A small shape, now and then with an axis of no elements."""
        return tuple(self.choose(SIZES) for _ in range(self.between(0, most_axes)))

    def dtype(self, among: Sequence[DType] = DTYPES) -> DType:
        """One of the program's element types that is also among the given ones."""
        both = [dtype for dtype in self.dtypes if dtype in among]
        return self.choose(both or list(among))

    # Values -------------------------------------------------------------------------------------

    def pick(self, fits: Callable[[TensorType], bool] = lambda type: True) -> Node | None:
        """A value of the program, rather a late one."""
        fitting = [node for node in self.pool if fits(node.type)]
        if not fitting:
            return None
        return fitting[int(len(fitting) * np.sqrt(self.random.random()))]

    def static(self, least_axes: int = 0) -> Node:
        """A value whose sizes are numbers, with at least so many axes."""
        found = self.pick(lambda type: type.is_static and type.rank >= least_axes)
        if found is not None:
            return found
        sizes = tuple(self.between(1, 4) for _ in range(max(least_axes, 1)))
        return self.of_type(tensor_type(self.dtype(), sizes))

    def numbers(self, least_axes: int = 0, among: Sequence[DType] = NUMERIC) -> Node:
        """A value with static sizes and an element type among the given ones."""
        x = self.static(least_axes)
        return x if x.dtype in among else cast(x, dtype=self.dtype(among))

    def of_type(self, type: TensorType) -> Node:
        """Some value of the program, moved into a type."""
        same = [node for node in self.pool if node.type is type]
        if same and self.chance(0.7):
            return self.choose(same)
        source = self.pick()
        if source is None or self.chance(0.1):
            return self.constant(type)
        node = source if source.dtype is type.dtype else cast(source, dtype=type.dtype)
        if node.type is type:
            return node
        if not node.type.is_static or not type.is_static:
            return self._spread(node, type)
        if node.type.size != type.size:
            flat = movement.reshape(node, shape=(node.type.size,))
            node = movement.pad(
                flat, self.constant(tensor_type(type.dtype, ())), low=(0,),
                high=(type.size - flat.type.size,), interior=(0,),
            )  # fmt: skip
        return node if node.type is type else movement.reshape(node, shape=type.shape)

    def _spread(self, node: Node, type: TensorType) -> Node:
        """One number of a value everywhere in a type, for sizes that have names."""
        if node.dtype is bool_:
            node = vocabulary["any"](node, axes=tuple(range(node.type.rank)))
        elif node.type.rank:
            node = sum_op(node, axes=tuple(range(node.type.rank)))
        return broadcast(node, shape=type.shape, axes=()) if type.rank else node

    def constant(self, type: TensorType) -> Node:
        """A constant of a type: one number everywhere, or a small array."""
        if type.is_static and type.size <= 12 and self.chance(0.4):
            return literal(random_values(self.random, type.dtype, type.shape))
        number = self.choose((0, 1, 2, -1, 0.5, -0.0, 3))
        if type.dtype.kind in ("bool", "uint"):
            number = abs(int(number))
        elif type.dtype.is_integer:
            number = int(number)
        return full(number, type.dtype, type.shape)

    def tame(self, node: Node) -> Node:
        """A value held within a few units, where its element type has signs and fractions."""
        if node.dtype.is_float:
            return self.choose((tanh, sin))(node)
        return node

    def small_function(self, types: Sequence[TensorType], results: Sequence[TensorType]):
        """A random Function of parameters of these types with results of those, held small."""

        def body(*inner: Node) -> list[Node]:
            growth = Growth(self.random, inner, self.dtypes, self.depth + 1)
            growth.grow(self.between(1, 3))
            return [growth.tame(growth.of_type(type)) for type in results]

        return build(f"body_{self.below(1000)}", types, body)

    def grow(self, size: int) -> None:
        """Add about `size` operations; a maker whose draw does not fit adds nothing."""
        makers = [maker for maker, depth, _ in MAKERS if self.depth <= depth]
        weights = np.array([weight for _, depth, weight in MAKERS if self.depth <= depth], float)
        for _ in range(size):
            maker = makers[int(self.random.choice(len(makers), p=weights / weights.sum()))]
            try:
                made = maker(self)
            except ThalwegError:
                continue
            for node in items(made) if isinstance(made, Node) else ():
                if not node.type.is_static or node.type.size <= MOST_ELEMENTS:
                    self.pool.append(node)


def random_values(random: np.random.Generator, dtype: DType, shape: tuple) -> np.ndarray:
    """Small numbers of an element type; quarters for floats, so that some are equal."""
    drawn = random.integers(0 if dtype.kind == "uint" else -8, 9, shape)
    if dtype.kind == "bool":
        return np.asarray(drawn > 0)
    if dtype.is_integer:
        return np.asarray(drawn).astype(dtype.numpy)
    parts = np.asarray(drawn / 4 + 0.0)
    if dtype.is_complex:
        parts = parts + 0.25j * random.integers(-8, 9, shape)
    return np.asarray(parts).astype(dtype.numpy)


def random_function(
    seed: int, size: int = 12, dtypes: Sequence[DType] = DTYPES, name: str = "program"
) -> Function:
    """A program of about `size` operations that draws its parameters from `dtypes`.

    Some programs have a named leading size `b` in some of their parameters.
    """
    random = np.random.default_rng(seed)
    growth = Growth(random, (), dtypes)
    lead = named("b") if growth.chance(0.2) else None
    types = []
    for _ in range(growth.between(1, 3)):
        shape: Shape = growth.shape()
        if lead is not None and growth.chance(0.6):
            shape = (lead, *shape[:2])
        types.append(tensor_type(growth.choose(growth.dtypes), shape))

    def body(*inner: Node) -> list[Node]:
        growth.pool = list(inner)
        growth.grow(size)
        used = {arg for node in postorder(growth.pool) for arg in node.args}
        ends = [node for node in growth.pool if node not in used and node.op is not parameter]
        return (ends or growth.pool)[-4:]

    return build(name, types, body)


# General makers -----------------------------------------------------------------------------------


@cache
def _pointwise_types() -> dict[Op, tuple[tuple[DType, ...], ...]]:
    """For each pointwise op without attributes, the element types of operands that it accepts."""
    found: dict[Op, tuple[tuple[DType, ...], ...]] = {}
    for op in vocabulary.values():
        if op.family != "pointwise" or op.attributes or op.arity is None:
            continue
        rows = []
        for dtype in DTYPES:
            for first in (dtype, bool_):
                row = (first, *[dtype] * (op.arity - 1))
                try:
                    op.infer(*(tensor_type(each, (3,)) for each in row))
                except ThalwegError:
                    continue
                rows.append(row)
        found[op] = tuple(dict.fromkeys(rows))
    return found


def make_pointwise(growth: Growth) -> Node | None:
    """Any op on single elements, for the most part where it is finite."""
    op = growth.choose(list(_pointwise_types()))
    rows = _pointwise_types()[op]
    fitting = [row for row in rows if row[-1] in growth.dtypes] or rows
    row = growth.choose(fitting)
    x = growth.pick()
    shape = x.shape if x is not None else growth.shape()
    args: list[Node] = []
    for dtype in row:
        if x is not None and dtype is x.dtype and growth.chance(0.6):
            args.append(x)
        else:
            args.append(growth.of_type(tensor_type(dtype, shape)))
    if op.name in DOMAINS and row[0].is_float and growth.chance(0.8):
        args[0] = DOMAINS[op.name](args[0])
    return op(*args)


@cache
def small_samples() -> dict[Op, tuple[Sample, ...]]:
    """For each op, its samples whose operands are small."""
    return {
        op: tuple(
            sample
            for sample in op.samples()
            if all(np.size(arg) <= MOST_ELEMENTS for arg in sample.args)
        )
        for op in vocabulary.values()
        if not isinstance(op.samples, Absent) and op.name not in UNSAMPLED
    }


@cache
def _samples_in(dtypes: tuple[DType, ...]) -> dict[Op, tuple[Sample, ...]]:
    """The samples whose floats and complex numbers are of the given types, where there are any."""
    found = {}
    for op, samples in small_samples().items():
        types = [{as_dtype(np.asarray(arg).dtype) for arg in sample.args} for sample in samples]
        fitting = tuple(
            sample
            for sample, own in zip(samples, types, strict=True)
            if all(dtype in dtypes for dtype in own if dtype.is_inexact)
        )
        if fitting:
            found[op] = fitting
    return found


def make_sampled(growth: Growth) -> Node:
    """Any op, as one of its samples has it, with values of the program mixed into its operands."""
    fitting = _samples_in(growth.dtypes)
    family = growth.choose(sorted({op.family for op in fitting}))
    op = growth.choose([op for op in fitting if op.family == family])
    sample = growth.choose(fitting[op])
    is_tame = family in TAME_FAMILIES
    args = []
    for array in sample.args:
        type = tensor_type(as_dtype(array.dtype), array.shape)
        if not is_tame and growth.chance(0.5):
            args.append(growth.of_type(type))
        elif type.dtype.is_float and growth.chance(0.7):
            nearby = multiply(sin(growth.of_type(type)), full(1 / 16, type.dtype, type.shape))
            args.append(add(literal(array), nearby))
        else:
            args.append(literal(array))
    return op(*args, **sample.attrs)


@cache
def _rules() -> tuple[Rule, ...]:
    return tuple(rule for table in RULE_TABLES for rule in table if rule.samples)


def make_redundant(growth: Growth) -> Node | None:
    """The left side of a rewrite rule, for passes to find."""
    rule = growth.choose(_rules())
    fitting = []
    for texts, attrs in rule.samples:
        types = tuple(map(parse_type, texts))
        is_known = free_sizes((types, tuple(attrs.values()))) <= growth.names
        if is_known and all(each.dtype in growth.dtypes for each in types if each.dtype.is_inexact):
            fitting.append((types, attrs))
    if not fitting:
        return None
    types, attrs = growth.choose(fitting)
    nodes = [growth.of_type(type) for type in types]
    left = next(rule.equation(*nodes, **attrs))
    return None if "alias" in {node.op.name for node in postorder([left])} else left


# Movement -----------------------------------------------------------------------------------------


def make_reshape(growth: Growth) -> Node:
    x = growth.static()
    size = x.type.size
    shape: list[int] = []
    while size > 1 and growth.chance(0.8):
        factor = growth.choose([each for each in range(1, size + 1) if size % each == 0])
        shape.append(factor)
        size //= factor
    return movement.reshape(x, shape=(*shape, size))


def make_transpose(growth: Growth) -> Node:
    x = growth.pick(lambda type: type.rank >= 2) or growth.static(2)
    return movement.transpose(x, axes=tuple(map(int, growth.random.permutation(x.type.rank))))


def make_slice(growth: Growth) -> Node:
    x = growth.static(1)
    start = tuple(growth.between(0, size) for size in x.shape)
    limit = tuple(growth.between(low, size) for low, size in zip(start, x.shape, strict=True))
    stride = tuple(growth.choose((1, 1, 2, 3)) for _ in x.shape)
    return movement.slice(x, start=start, limit=limit, stride=stride)


def make_pad(growth: Growth) -> Node:
    x = growth.static(1)
    interior = tuple(growth.choose((0, 0, 1, 2)) for _ in x.shape)
    low = tuple(growth.between(-2, 2) for _ in x.shape)
    high = tuple(growth.between(-2, 2) for _ in x.shape)
    value = growth.of_type(tensor_type(x.dtype, ()))
    return movement.pad(x, value, low=low, high=high, interior=interior)


def make_concatenate(growth: Growth) -> Node:
    x = growth.static(1)
    axis = growth.below(x.type.rank)
    parts = [x]
    for _ in range(growth.between(0, 2)):
        shape = (*x.shape[:axis], growth.choose(SIZES), *x.shape[axis + 1 :])
        parts.append(growth.of_type(tensor_type(x.dtype, shape)))
    return movement.concatenate(*(parts if growth.chance(0.5) else parts[::-1]), axis=axis)


def make_reverse(growth: Growth) -> Node:
    x = growth.pick(lambda type: type.rank >= 1) or growth.static(1)
    return movement.reverse(x, axes=growth.subset(range(x.type.rank)))


def make_broadcast(growth: Growth) -> Node | None:
    x = growth.pick()
    if x is None:
        return None
    rank = x.type.rank + growth.between(0, 2)
    axes = sorted(map(int, growth.random.permutation(rank)[: x.type.rank]))
    shape: list = [growth.choose(SIZES) for _ in range(rank)]
    for size, axis in zip(x.shape, axes, strict=True):
        shape[axis] = size
    return broadcast(x, shape=tuple(shape), axes=tuple(axes))


def make_position(growth: Growth) -> Node:
    if growth.chance(0.2):
        node = growth.pick(lambda type: type.rank >= 1)
        dim = node.shape[0] if node is not None else 3
        return movement.size(dim=dim, dtype=growth.dtype(NUMERIC))
    shape = growth.shape() or (3,)
    axis = growth.below(len(shape))
    return movement.iota(dtype=growth.dtype(NUMERIC), shape=shape, axis=axis)


def make_cast(growth: Growth) -> Node | None:
    x = growth.pick()
    if x is None:
        return None
    if growth.chance(0.1) and x.dtype is not bool_:
        same = [each for each in NUMERIC if each.itemsize == x.dtype.itemsize]
        return bitcast(x, dtype=growth.choose(same))
    others = [each for each in DTYPES if not each.is_inexact or each in growth.dtypes]
    return cast(x, dtype=growth.choose(others))


def make_mark(growth: Growth) -> Node | None:
    x = growth.pick()
    marks = (mark.barrier, mark.barrier, mark.stop_gradient)
    return None if x is None else growth.choose(marks)(x)


# Reductions, contractions, windows ----------------------------------------------------------------


def make_reduction(growth: Growth) -> Node | None:
    op = vocabulary[growth.choose(("sum", "product", "max", "min", "any", "all"))]
    x = growth.pick(lambda type: type.rank >= 1) or growth.static(1)
    if op.name in ("any", "all"):
        x = cast(x, dtype=bool_)
    elif x.dtype is bool_:
        x = cast(x, dtype=growth.dtype(NUMERIC))
    return op(x, axes=growth.subset(range(x.type.rank)))


def make_running(growth: Growth) -> Node:
    names = ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "argmax", "argmin")
    op = vocabulary[growth.choose(names)]
    x = growth.pick(lambda type: type.rank >= 1) or growth.static(1)
    axis = growth.below(x.type.rank)
    if op.name.startswith("arg"):
        return op(x, axis=axis, dtype=growth.choose((int32, int64)))
    return op(x, axis=axis, reverse=growth.chance(0.5))


def make_recurrence(growth: Growth) -> Node:
    b = growth.numbers(1, tuple(dtype for dtype in DTYPES if dtype.is_inexact))
    a = growth.tame(growth.of_type(b.type))
    axis = growth.below(b.type.rank)
    return vocabulary["linear_recurrence"](a, b, axis=axis, reverse=growth.chance(0.5))


def make_dot(growth: Growth) -> Node:
    x = growth.numbers(0)
    axes = list(map(int, growth.random.permutation(x.type.rank)))
    stack, axes = axes[: growth.below(2)], axes[growth.below(2) :]
    axes = [axis for axis in axes if axis not in stack]
    summed = axes[: growth.below(3)]
    shared = [*stack, *summed]
    order = list(map(int, growth.random.permutation(len(shared) + growth.between(0, 1))))
    sizes = [x.shape[shared[i]] if i < len(shared) else growth.choose(SIZES) for i in order]
    y = growth.of_type(tensor_type(x.dtype, tuple(sizes)))
    other = [order.index(i) for i in range(len(shared))]
    return dot(
        x, y,
        contract=(tuple(summed), tuple(other[len(stack) :])),
        batch=(tuple(stack), tuple(other[: len(stack)])),
    )  # fmt: skip


def make_conv(growth: Growth) -> Node:
    spatial = growth.between(1, 2)
    groups = growth.choose((1, 1, 2))
    depth, outputs = growth.between(1, 2), groups * growth.between(1, 2)
    dtype = growth.dtype(tuple(each for each in NUMERIC if each.itemsize > 1))
    is_batch = growth.chance(0.5)
    count = groups * growth.between(1, 2) if is_batch else growth.between(0, 2)
    channels = depth if is_batch else depth * groups
    sizes = tuple(growth.between(2, 4) for _ in range(spatial))
    kernel_sizes = tuple(growth.between(1, 2) for _ in range(spatial))
    x = growth.of_type(tensor_type(dtype, (count, *sizes, channels)))
    kernel = growth.of_type(tensor_type(dtype, (*kernel_sizes, depth, outputs)))

    def few() -> tuple[int, ...]:
        return tuple(growth.choose((1, 1, 2, 3)) for _ in range(spatial))

    return conv(
        x, kernel, strides=few(),
        padding=tuple((growth.between(-1, 2), growth.between(0, 2)) for _ in range(spatial)),
        input_dilation=few(), kernel_dilation=few(),
        feature_groups=1 if is_batch else groups, batch_groups=groups if is_batch else 1,
    )  # fmt: skip


def _window_attributes(growth: Growth, rank: int) -> dict:
    def few(*sizes: int) -> tuple[int, ...]:
        return tuple(growth.choose(sizes) for _ in range(rank))

    return {
        "window": few(1, 1, 2, 3),
        "strides": few(1, 1, 2, 3),
        "padding": tuple((growth.between(-1, 2), growth.between(0, 2)) for _ in range(rank)),
        "input_dilation": few(1, 1, 1, 2),
        "window_dilation": few(1, 1, 1, 2),
    }


def make_window(growth: Growth) -> Node:
    x = growth.numbers(1, REAL)
    attrs = _window_attributes(growth, x.type.rank)
    op = growth.choose((window.window_sum, window.window_max, window.window_min))
    if op is window.window_sum or growth.chance(0.6):
        return op(x, **attrs)
    direction = growth.choose(("max", "min"))
    if growth.chance(0.5):
        y = growth.of_type(tensor_type(growth.dtype(NUMERIC), x.shape))
        return window.window_pick(x, y, **attrs, direction=direction)
    taken = window.window_sum(x, **attrs).type
    return window.window_scatter(x, growth.of_type(taken), **attrs, direction=direction)


# Places and order ---------------------------------------------------------------------------------


def _index(growth: Growth, shape: tuple[int, ...], extent: int, dtype: DType) -> Node:
    """Integers of a shape, mostly below an extent."""
    node = growth.of_type(tensor_type(dtype, shape))
    if extent and growth.chance(0.8):
        limit = min(extent, 100)
        node = remainder(node, full(limit, dtype, shape))
    return node


def _places(growth: Growth, x: Node) -> tuple[list[Node], dict]:
    rank = x.type.rank
    batch = growth.choose((0, 0, 1)) if rank > 1 else 0
    axes = growth.subset(range(batch, rank)) or (growth.between(batch, rank - 1),)
    shape = (*x.shape[:batch], *growth.shape(1))
    dtype = growth.dtype(INTEGERS)
    indices = [_index(growth, shape, x.shape[axis], dtype) for axis in axes]
    return indices, {"axes": axes, "batch": batch}


def make_gather(growth: Growth) -> Node:
    x = growth.static(1)
    indices, attrs = _places(growth, x)
    return index.gather(x, *indices, **attrs)


def make_scatter(growth: Growth) -> Node:
    mode = growth.choose(("set", "add", "multiply", "min", "max"))
    x = growth.static(1) if mode == "set" else growth.numbers(1, REAL)
    indices, attrs = _places(growth, x)
    updates = growth.of_type(index.gather(x, *indices, **attrs).type)
    return index.scatter(x, updates, *indices, **attrs, mode=mode)


def make_dynamic(growth: Growth) -> Node:
    x = growth.static(1)
    dtype = growth.choose((int32, int64))
    starts = [_index(growth, (), size, dtype) for size in x.shape]
    sizes = tuple(growth.between(0, size) for size in x.shape)
    if growth.chance(0.5):
        return index.dynamic_slice(x, *starts, sizes=sizes)
    updates = growth.of_type(tensor_type(x.dtype, sizes))
    return index.dynamic_update_slice(x, updates, *starts)


def make_order(growth: Growth) -> Node:
    x = growth.static(1)
    if growth.chance(0.5):
        count = growth.between(1, 3)
        operands = [x]
        axis = growth.below(x.type.rank)
        for _ in range(count - 1):
            if growth.chance(0.3):
                dtype = growth.choose((int32, int64))
                operands.append(movement.iota(dtype=dtype, shape=x.shape, axis=axis))
            else:
                operands.append(growth.of_type(tensor_type(growth.dtype(), x.shape)))
        return sort.sort(
            *operands, axis=axis, keys=growth.between(1, count), descending=growth.chance(0.5)
        )
    if x.dtype.is_complex:
        x = cast(x, dtype=growth.dtype(REAL))
    if growth.chance(0.5):
        return sort.top_k(x, k=growth.between(0, x.shape[-1]))
    sequence = items(sort.sort(x, axis=x.type.rank - 1))[0]
    values = growth.of_type(tensor_type(x.dtype, (*x.shape[:-1], growth.choose(SIZES))))
    side = growth.choose(("left", "right"))
    return sort.searchsorted(sequence, values, side=side)


def make_random(growth: Growth) -> Node:
    key = growth.of_type(tensor_type(uint32, growth.choose(((2,), (3, 2)))))
    width = growth.choose((8, 16, 32, 64))
    return growth.choose((
        lambda: random_bits(key, shape=growth.shape(2), width=width),
        lambda: split_key(key, count=growth.between(0, 3)),
        lambda: fold_in(key, growth.of_type(tensor_type(uint32, key.shape[:-1]))),
    ))()  # fmt: skip


# Control ------------------------------------------------------------------------------------------


def _operands(growth: Growth, count: int) -> list[Node]:
    found = [growth.pick() for _ in range(count)]
    return [node for node in found if node is not None]


def make_call(growth: Growth) -> Node:
    args = _operands(growth, growth.between(1, 3))
    types = [arg.type for arg in args]
    results = [growth.choose(types) for _ in range(growth.between(1, 2))]
    function = growth.small_function(types, results)
    if growth.chance(0.3):
        gradient = _gradient_of(function)
        return control.custom_call(*args, function=function, gradient=gradient)
    return growth.choose((control.call, control.checkpoint))(*args, function=function)


def _gradient_of(function: Function) -> Function:
    """The derivative of a Function as a custom one is given: of arguments, results, cotangents."""
    pulled = vjp(function)
    count = len(function.parameters)
    types = [*function.parameter_types, *function.result_types, *pulled.parameter_types[count:]]

    def body(*values: Node) -> list[Node]:
        rest = values[count + len(function.results) :]
        return inline(pulled, [*values[:count], *rest])

    return build("slope", types, body)


def make_switch(growth: Growth) -> Node:
    args = _operands(growth, growth.between(1, 2))
    types = [arg.type for arg in args]
    results = [growth.choose(types) for _ in range(growth.between(1, 2))]
    count = growth.between(1, 3)
    branches = tuple(growth.small_function(types, results) for _ in range(count))
    which = growth.of_type(tensor_type(int32, ()))
    return control.switch(which, *args, branches=branches)


def make_while(growth: Growth) -> Node:
    args = _operands(growth, growth.between(1, 3))
    start = growth.constant(tensor_type(int32, ()))
    types = [tensor_type(int32, ()), tensor_type(int32, ()), *(arg.type for arg in args)]
    body = growth.small_function(types, types[2:])
    held = [growth.chance(0.3) for _ in args]
    tested = [place for place, arg in enumerate(args) if arg.dtype.is_integer]
    tested = tested if growth.chance(0.3) else []

    def goes_on(limit: Node, count: Node, *state: Node) -> Node:
        test = less(count, limit)
        for place in tested:
            near = less(state[place], full(5, state[place].dtype, state[place].shape))
            axes = tuple(range(near.type.rank))
            test = logical_and(test, vocabulary["any"](near, axes=axes))
        return test

    def step(limit: Node, count: Node, *state: Node) -> list[Node]:
        found = inline(body, (limit, count, *state))
        after = [
            _of_same_type(growth, state, place) if is_held else found[place]
            for place, is_held in enumerate(held)
        ]
        return [add(count, full(1, int32)), *after]

    return control.while_(
        full(growth.between(0, 4), int32), start, *args,
        condition=build("goes_on", types, goes_on),
        body=build("step", types, step), constants=1,
    )  # fmt: skip


def _of_same_type(growth: Growth, state: Sequence[Node], place: int) -> Node:
    """One of the values of a loop's state with the type of another, which it replaces."""
    return growth.choose([each for each in state if each.type is state[place].type])


def make_scan(growth: Growth) -> Node:
    fixed = _operands(growth, growth.between(0, 1))
    carry = _operands(growth, growth.between(0, 2))
    length = growth.between(0, 3)
    xs = []
    for _ in range(growth.between(0 if carry else 1, 2)):
        slice_type = tensor_type(growth.dtype(), growth.shape(2))
        xs.append(growth.of_type(slice_type.with_shape((length, *slice_type.shape))))
    slices = [x.type.with_shape(x.shape[1:]) for x in xs]
    carries = [each.type for each in carry]
    types = [*(each.type for each in fixed), *carries, *slices]
    outputs = [growth.choose(types) for _ in range(growth.between(0 if carries else 1, 2))]
    inner = growth.small_function(types, [*carries, *outputs])
    held = [growth.chance(0.3) for _ in inner.results]

    def step(*given: Node) -> list[Node]:
        found = inline(inner, given)
        return [
            growth.choose([each for each in (*given, value) if each.type is value.type])
            if is_held else value
            for value, is_held in zip(found, held, strict=True)
        ]  # fmt: skip

    return control.scan(
        *fixed, *carry, *xs, body=build("step", types, step),
        constants=len(fixed), carries=len(carry), length=length, reverse=growth.chance(0.5),
    )  # fmt: skip


COMPLEX_OPS = (
    "add", "subtract", "multiply", "divide", "power", "sign", "sqrt", "rsqrt", "exp", "expm1",
    "log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos",
    "atan", "asinh", "acosh", "atanh", "conj", "abs", "real", "imag", "equal", "isfinite",
)  # fmt: skip


def make_complex(growth: Growth) -> Node | None:
    """Mathematics of complex numbers where it is smooth: above the real line, off one and zero."""
    dtype = growth.dtype(COMPLEX)
    if dtype not in growth.dtypes:
        return None
    x = growth.pick()
    type = tensor_type(dtype.real, growth.shape() if x is None else x.shape)
    made = None
    for _ in range(growth.between(1, 3)):
        op = vocabulary[growth.choose(COMPLEX_OPS)]
        args: list[Node] = [] if made is None or not made.dtype.is_complex else [made]
        while len(args) < (op.arity or 1):
            re, im = (tanh(growth.of_type(type)) for _ in range(2))
            args.append(complex_of(re, add(abs_op(im), full(0.25, type.dtype, type.shape))))
        made = op(*args)
    return made


def make_choice(growth: Growth) -> Node | None:
    """A select by a comparison: where derivatives meet branches."""
    x = growth.pick(lambda type: type.dtype in REAL)
    if x is None:
        return None
    y = growth.of_type(x.type)
    test = growth.choose((less, equal))(x, y)
    if growth.chance(0.3):
        test = logical_not(test)
    return vocabulary["select"](test, growth.of_type(x.type), y)


# The makers, the depth of inner Functions down to which each is used, and how often it is drawn.
MAKERS: tuple[tuple[Callable[[Growth], Node | None], int, int], ...] = (
    (make_pointwise, 9, 12),
    (make_sampled, 9, 7),
    (make_redundant, 9, 6),
    (make_choice, 9, 1),
    (make_complex, 9, 3),
    (make_reshape, 9, 2),
    (make_transpose, 9, 2),
    (make_slice, 9, 2),
    (make_pad, 9, 2),
    (make_concatenate, 9, 1),
    (make_reverse, 9, 1),
    (make_broadcast, 9, 2),
    (make_position, 9, 1),
    (make_cast, 9, 2),
    (make_mark, 9, 1),
    (make_reduction, 9, 3),
    (make_running, 9, 2),
    (make_recurrence, 9, 1),
    (make_dot, 9, 3),
    (make_conv, 9, 2),
    (make_window, 9, 2),
    (make_gather, 9, 2),
    (make_scatter, 9, 2),
    (make_dynamic, 9, 1),
    (make_order, 9, 2),
    (make_random, 9, 1),
    (make_call, 1, 1),
    (make_switch, 1, 1),
    (make_while, 1, 1),
    (make_scan, 1, 2),
)


def ops_used(function: Function) -> list[str]:
    """The names of the ops of a Function and of its inner Functions, each once, sorted."""
    names: list[str] = []
    for node in function.order():
        names.append(node.op.name)
        for value in node.attrs:
            inner = value if isinstance(value, tuple) else (value,)
            for each in inner:
                if isinstance(each, Function):
                    names += ops_used(each)
    return [name for name, _ in groupby(sorted(names))]
