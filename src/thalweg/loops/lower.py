"""From a kernel Function to its nest of loops, by demand.

The value of a node at an index is an expression: pointwise ops apply to the values of their
operands at the same index, moves ask their operand at another index, so a chain of any length
becomes one expression and a broadcast, pad, gather or slice never touches memory. Reductions of a
kernel share their axes and become the registers of its inner loops.
"""

from collections.abc import Sequence
from dataclasses import replace

from thalweg.base.errors import ArgumentError, explain
from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.ir.function import Function
from thalweg.ir.leaves import constant, parameter
from thalweg.ir.node import Node
from thalweg.ir.types import Size, bfloat16, float16
from thalweg.loops import places
from thalweg.loops.nest import Nest, Reduction, Store, Update
from thalweg.loops.places import Index, linear
from thalweg.loops.values import (
    Affine,
    Apply,
    Bound,
    Choice,
    Load,
    Number,
    Position,
    Register,
    Value,
    number,
)
from thalweg.ops.reduce import highest, lowest
from thalweg.passes.families import (
    CONTRACTIONS,
    MOVES,
    PLACED,
    REDUCTIONS,
    RUNNING,
    SCATTERS,
)

COMPARISONS = frozenset(
    ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
)  # fmt: skip
"""Ops that tell a value from its neighbour, which in 16 bits it may be once it is stored."""

BITWISE = frozenset({"bitcast", "nextafter"})
"""Ops of a value's own bits: they are told its element type."""


def lower(function: Function) -> Nest:
    """The nest of a kernel. Raises ArgumentError for a Function that is not one kernel."""
    return _Lowering(function).nest()


class _Lowering:
    def __init__(self, function: Function):
        self.function = function
        self.inputs = {node: number for number, node in enumerate(function.parameters)}
        self.known: dict[tuple[Node, Index], Value] = {}
        self.data = places.Data(self.known)
        self.reductions: list[Reduction] = []
        self.inner: tuple[tuple[str, Size], ...] = ()
        self.inner_axes: tuple[int, ...] | None = None
        self.where: tuple[Bound, ...] = ()
        self.registers: dict[Node, Register] = {}
        # The group of a convolution's output.
        self.group = Affine()
        shape = function.results[0].shape
        for result in function.results:
            if len(result.shape) != len(shape) or not all(map(is_known_equal, result.shape, shape)):
                raise ArgumentError(
                    explain(function.name, "results of one shape", f"{result.type} and {shape}")
                )
        self.outer = tuple((f"i{axis}", size) for axis, size in enumerate(shape))
        self.index = tuple(Affine.axis(name) for name, _ in self.outer)
        self.is_running = False
        for node in function.order():
            if node.op.name in RUNNING:
                self._run_along(node)
            elif node.op.name == "conv":
                self._split_groups(node)

    def _run_along(self, node: Node) -> None:
        """Make the axis of a running result the inner one."""
        if self.is_running:
            return
        self.is_running = True
        axis, size = node.attributes["axis"], node.shape[node.attributes["axis"]]
        self.outer = tuple(each for each in self.outer if each[0] != f"i{axis}")
        self.inner = ((f"k{axis}", size),)
        step = Affine.axis(f"k{axis}")
        if node.attributes["reverse"]:
            step = step * -1 + (size - 1)
        self.index = (*self.index[:axis], step, *self.index[axis + 1 :])

    def _split_groups(self, node: Node) -> None:
        """Give groups of outputs an axis of their own beside that of the outputs of a group."""
        groups = node.attributes["feature_groups"] * node.attributes["batch_groups"]
        name, outputs = self.outer[-1]
        if is_known_equal(groups, 1) or len(self.outer) != node.type.rank:
            return
        width = outputs // groups
        if is_known_equal(width, 1):
            self.group = Affine.axis(name)
            return
        self.outer = (*self.outer[:-1], (f"{name}g", groups), (name, width))
        self.group = Affine.axis(f"{name}g")
        self.index = (*self.index[:-1], self.group * width + Affine.axis(name))

    def nest(self) -> Nest:
        last = self.function.results[0]
        if last.op.name in SCATTERS:
            return self._scattering(last)
        stores = []
        for serial, result in enumerate(self.function.results):
            value = self.value(result, self.index)
            stores.append(Store(serial, linear(self.index, result.shape), value, result.dtype))
        return self._nest(stores)

    def _nest(self, stores: Sequence[Store], update: Update | None = None) -> Nest:
        return Nest(
            name=self.function.name,
            inputs=self.function.parameter_types,
            outputs=self.function.result_types,
            outer=self.outer,
            inner=self.inner,
            reductions=tuple(self.reductions),
            stores=tuple(stores),
            lets=tuple(self.data.lets.values()),
            where=self.where,
            is_running=self.is_running,
            update=update,
        )

    def _scattering(self, node: Node) -> Nest:
        """Stores of the first operand, then every update in order."""
        x, updates, *given = node.args
        axes, batch = node.attributes["axes"], node.attributes["batch"]
        left = [axis for axis in range(batch, x.type.rank) if axis not in axes]
        self.inner = tuple((f"k{axis}", size) for axis, size in enumerate(given[0].shape[batch:]))
        at = (*self.index[:batch], *(Affine.axis(name) for name, _ in self.inner))
        store = Store(0, linear(self.index, x.shape), self.value(x, self.index), x.dtype)
        value = self.value(updates, (*at, *(self.index[axis] for axis in left)))
        place = list(self.index)
        bounds = []
        for axis, each in zip(axes, given, strict=True):
            place[axis] = self.data.let(self.value(each, at))
            bounds.append(Bound(place[axis], x.shape[axis]))
        update = Update(
            buffer=0,
            position=linear(place, x.shape),
            op=places.COMBINED[node.attributes["mode"]],
            value=value,
            dtype=x.dtype,
            bounds=tuple(bounds),
            row=place[axes[0]],
            axes=tuple(self.outer[axis][0] for axis in left),
        )
        return replace(self._nest([store], update), rows=(self.outer[axes[0]][0], 1))

    def value(self, node: Node, index: Index) -> Value:
        """The expression of a node at an index; iterative, for chains may be long."""
        pending = [(node, index)]
        while pending:
            each, at = pending[-1]
            if (each, at) in self.known:
                pending.pop()
                continue
            needed = self._needs(each, at)
            missing = [need for need in needed if need not in self.known]
            if missing:
                pending.extend(missing)
                continue
            self.known[each, at] = self._make(each, at, [self.known[need] for need in needed])
            pending.pop()
        return self.known[node, index]

    def _needs(self, node: Node, index: Index) -> list[tuple[Node, Index]]:
        if node in self.inputs or node.op is constant:
            return []
        name = node.op.name
        if name in REDUCTIONS or name in CONTRACTIONS or name in RUNNING:
            self._at_result(node, index)
            return [] if node in self.registers else self._operands(node, index)
        if name in PLACED:
            return places.needs(node, index, self.data)
        if name in MOVES:
            if not node.args:
                return []
            moved = self._moved(node, index)
            return [] if moved is None else [(node.args[0], moved)]
        return [(arg, index) for arg in node.args]

    def _operands(self, node: Node, index: Index) -> list[tuple[Node, Index]]:
        """What a reduction, contraction or running result asks for in each step."""
        name = node.op.name
        if name in RUNNING:
            return [(arg, index) for arg in node.args]
        if name == "dot":
            return list(zip(node.args, self._dot_index(node), strict=True))
        if name == "conv":
            return list(zip(node.args, self._conv_index(node), strict=True))
        if "window" in node.attributes:
            return [(node.args[0], self._window_index(node))]
        return [(node.args[0], self._inner_index(node, index))]

    def _inner_index(self, node: Node, index: Index) -> Index:
        """The index of a reduction's operand: inner axes where it reduces, else the outer ones."""
        axes = node.attributes["axes"]
        operand = node.args[0].shape
        if self.inner_axes is None:
            self.inner_axes = axes
            self.inner = tuple((f"k{axis}", operand[axis]) for axis in axes)
        outer = iter(index)
        inner = iter(Affine.axis(name) for name, _ in self.inner)
        return tuple(next(inner) if axis in axes else next(outer) for axis in range(len(operand)))

    def _at_result(self, node: Node, index: Index) -> None:
        if index != self.index:
            raise ArgumentError(
                explain(
                    self.function.name,
                    "reductions at the index of the result",
                    f"{node!r} at another",
                )
            )

    def _sum_over(self, extents: Sequence[Size]) -> list[Affine]:
        """New inner axes of these extents."""
        self.inner = tuple((f"k{axis}", size) for axis, size in enumerate(extents))
        return [Affine.axis(name) for name, _ in self.inner]

    def _window_index(self, node: Node) -> Index:
        """The index of a window's element: the window's place, and the place inside."""
        attrs = node.attributes
        if self.inner_axes is None:
            self.inner_axes = tuple(
                axis for axis, width in enumerate(attrs["window"]) if width != 1
            )
            self.inner = tuple((f"k{axis}", attrs["window"][axis]) for axis in self.inner_axes)
        inside = dict(
            zip(self.inner_axes, (Affine.axis(name) for name, _ in self.inner), strict=True)
        )
        index = tuple(
            place * stride + inside.get(axis, Affine()) * dilation + -low
            for axis, (place, stride, dilation, (low, _)) in enumerate(
                zip(
                    self.index,
                    attrs["strides"],
                    attrs["window_dilation"],
                    attrs["padding"],
                    strict=True,
                )
            )
        )
        self.where = _inside(index, node.args[0].shape, attrs["padding"])
        return index

    def _dot_index(self, node: Node) -> tuple[Index, Index]:
        """The indices of both operands: batch axes first in the result, then lhs, then rhs."""
        lhs, rhs = node.args
        attrs = node.attributes
        summed = self._sum_over([lhs.shape[axis] for axis in attrs["contract"][0]])
        outer = iter(self.index)
        shared = [next(outer) for _ in attrs["batch"][0]]
        found = []
        for operand, contract, batch in zip(
            (lhs, rhs), attrs["contract"], attrs["batch"], strict=True
        ):
            taken = dict(zip(contract, summed, strict=True)) | dict(zip(batch, shared, strict=True))
            found.append(
                tuple(
                    taken[axis] if axis in taken else next(outer)
                    for axis in range(operand.type.rank)
                )
            )
        return found[0], found[1]

    def _conv_index(self, node: Node) -> tuple[Index, Index]:
        """The indices of the input and the kernel of a convolution."""
        x, kernel = node.args
        attrs = node.attributes
        *spatial, channel = self._sum_over(kernel.shape[:-1])
        first, *at, feature = self.index
        taken = tuple(
            place * stride + offset * dilation + -low
            for place, offset, stride, dilation, (low, _) in zip(
                at,
                spatial,
                attrs["strides"],
                attrs["kernel_dilation"],
                attrs["padding"],
                strict=True,
            )
        )
        self.where = _inside(taken, x.shape[1:-1], attrs["padding"])
        weights = (*spatial, channel, feature)
        if not is_known_equal(attrs["feature_groups"], 1):
            channel = self.group * kernel.shape[-2] + channel
        if not is_known_equal(attrs["batch_groups"], 1):
            first = self.group * node.shape[0] + first
        return (first, *taken, channel), weights

    def _moved(self, node: Node, index: Index) -> Index | None:
        """The index at which a move asks its operand; None where it asks for a position."""
        moved = places.moved(node, index)
        if moved is not None:
            return moved
        if node.args[0] in self.inputs:
            return None
        raise ArgumentError(explain(self.function.name, "reshapes of its inputs only", f"{node!r}"))

    def _make(self, node: Node, index: Index, values: list[Value]) -> Value:
        if node in self.inputs:
            return Load(self.inputs[node], linear(index, node.shape), node.dtype)
        if node.op is constant:
            return Number(node.attrs[0])
        if node.op is parameter:
            raise ArgumentError(explain(self.function.name, "its own parameters", repr(node)))
        name = node.op.name
        if name in CONTRACTIONS or name in REDUCTIONS or name in RUNNING:
            if node not in self.registers:
                self.registers[node] = Register(len(self.reductions), node.dtype)
                self.reductions.append(self._reduction(node, values))
            return self.registers[node]
        if name in PLACED:
            return places.placed(node, index, values, self.data)
        if name == "iota":
            return Position(index[node.attributes["axis"]], node.dtype)
        if name == "size":
            return Position(Affine((), node.attributes["dim"]), node.dtype)
        if name in MOVES:
            if values:
                return values[0]
            source = node.args[0]
            return Load(self.inputs[source], linear(index, node.shape), node.dtype)
        if name in COMPARISONS or name in BITWISE:
            values = [_rounded(value, arg) for value, arg in zip(values, node.args, strict=True)]
        if name in ("real", "imag") and isinstance(values[0], Apply) and values[0].op == "complex":
            return values[0].args[name == "imag"]
        attrs = tuple(node.attributes.items())
        if name in BITWISE:
            attrs = (*attrs, ("source", node.args[0].dtype))
        return Apply(name, tuple(values), attrs, node.dtype)

    def _reduction(self, node: Node, values: list[Value]) -> Reduction:
        name, dtype = node.op.name, node.dtype
        if name in CONTRACTIONS:
            lhs, rhs = (_cast(each, arg, node) for each, arg in zip(values, node.args, strict=True))
            if self.where:
                lhs = Choice(self.where, lhs, number(0, dtype), dtype)
            return Reduction("add", 0, Apply("multiply", (lhs, rhs), (), dtype), dtype)
        op, identity = (REDUCTIONS | RUNNING)[name]
        (value,) = values
        if self.where:
            outside = {"lowest": lowest, "highest": highest}.get(identity)
            least = outside(dtype.numpy) if outside else identity
            value = Choice(self.where, value, number(least, dtype), dtype)
        return Reduction(op, identity, value, dtype)


def _rounded(value: Value, operand: Node) -> Value:
    """A 16-bit float with the bits that it has in memory, where it may be compared with itself."""
    if isinstance(value, Load | Number) or operand.dtype not in (float16, bfloat16):
        return value
    return Apply("cast", (value,), (("dtype", operand.dtype),), operand.dtype)


def _cast(value: Value, operand: Node, result: Node) -> Value:
    """An operand of a product in the element type of the result."""
    if operand.dtype is result.dtype:
        return value
    return Apply("cast", (value,), (("dtype", result.dtype),), result.dtype)


def _inside(
    index: Sequence[Affine], shape: Sequence[Size], padding: Sequence[tuple[Size, Size]]
) -> tuple[Bound, ...]:
    """Where an index that may reach into padding is inside."""
    return tuple(
        Bound(at, size)
        for at, size, (low, high) in zip(index, shape, padding, strict=True)
        if not (is_known_at_least(-low, 0) and is_known_at_least(-high, 0))
    )
