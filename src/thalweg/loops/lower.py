"""From a kernel Function to its nest of loops, by demand.

The value of a node at an index is an expression: pointwise ops apply to the values of their
operands at the same index, moves ask their operand at another index, so a chain of any length
becomes one expression and a broadcast, transpose or slice never touches memory. Reductions of a
kernel share their axes and become the registers of its inner loops.
"""

from collections.abc import Sequence

from thalweg.base.errors import ArgumentError, explain
from thalweg.ir.dim import is_known_equal
from thalweg.ir.function import Function
from thalweg.ir.leaves import constant, parameter
from thalweg.ir.node import Node
from thalweg.ir.types import Shape, Size
from thalweg.loops.nest import (
    Affine,
    Apply,
    Load,
    Nest,
    Number,
    Position,
    Reduction,
    Register,
    Store,
    Value,
)
from thalweg.passes.fuse import CONTRACTIONS, MOVES, REDUCTIONS, is_unit_reshape, strides_of


def linear(index: Sequence[Affine], shape: Shape) -> Affine:
    """The row-major position of an index."""
    position = Affine()
    for each, stride in zip(index, strides_of(shape), strict=True):
        position = position + each * stride
    return position


def lower(function: Function) -> Nest:
    """The nest of a kernel. Raises ArgumentError for a Function that is not one kernel."""
    return _Lowering(function).nest()


class _Lowering:
    def __init__(self, function: Function):
        self.function = function
        self.inputs = {node: number for number, node in enumerate(function.parameters)}
        self.known: dict[tuple, Value] = {}
        self.reductions: list[Reduction] = []
        self.inner: tuple[tuple[str, Size], ...] = ()
        self.inner_axes: tuple[int, ...] | None = None
        self.registers: dict[Node, Register] = {}
        shape = function.results[0].shape
        for result in function.results:
            if len(result.shape) != len(shape) or not all(map(is_known_equal, result.shape, shape)):
                raise ArgumentError(
                    explain(function.name, "results of one shape", f"{result.type} and {shape}")
                )
        self.outer = tuple((f"i{axis}", size) for axis, size in enumerate(shape))
        self.index = tuple(Affine.axis(name) for name, _ in self.outer)

    def nest(self) -> Nest:
        stores = []
        for number, result in enumerate(self.function.results):
            value = self.value(result, self.index)
            position = linear(self.index, result.shape)
            stores.append(Store(number, position, value, result.dtype))
        return Nest(
            name=self.function.name,
            inputs=self.function.parameter_types,
            outputs=self.function.result_types,
            outer=self.outer,
            inner=self.inner,
            reductions=tuple(self.reductions),
            stores=tuple(stores),
        )

    def value(self, node: Node, index: tuple[Affine, ...]) -> Value:
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

    def _needs(self, node: Node, index: tuple[Affine, ...]) -> list[tuple]:
        if node in self.inputs or node.op is constant:
            return []
        name = node.op.name
        if name in REDUCTIONS:
            self._at_result(node, index)
            if node in self.registers:
                return []
            return [(node.args[0], self._inner_index(node, index))]
        if name in CONTRACTIONS:
            self._at_result(node, index)
            if node in self.registers:
                return []
            at = self._dot_index(node) if name == "dot" else self._conv_index(node)
            return list(zip(node.args, at, strict=True))
        if name in MOVES:
            if not node.args:
                return []
            moved = self._moved(node, index)
            return [] if moved is None else [(node.args[0], moved)]
        return [(arg, index) for arg in node.args]

    def _inner_index(self, node: Node, index: tuple[Affine, ...]) -> tuple[Affine, ...]:
        """The index of a reduction's operand: inner axes where it reduces, else the outer ones."""
        if "window" in node.attributes:
            return self._window_index(node)
        axes = node.attributes["axes"]
        operand = node.args[0].shape
        if self.inner_axes is None:
            self.inner_axes = axes
            self.inner = tuple((f"k{axis}", operand[axis]) for axis in axes)
        outer = iter(index)
        inner = iter(Affine.axis(name) for name, _ in self.inner)
        return tuple(next(inner) if axis in axes else next(outer) for axis in range(len(operand)))

    def _at_result(self, node: Node, index: tuple[Affine, ...]) -> None:
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

    def _window_index(self, node: Node) -> tuple[Affine, ...]:
        """The index of an unpadded window's element: the window's place, and the place inside."""
        attrs = node.attributes
        if self.inner_axes is None:
            self.inner_axes = tuple(
                axis for axis, width in enumerate(attrs["window"]) if width != 1
            )
            self.inner = tuple((f"k{axis}", attrs["window"][axis]) for axis in self.inner_axes)
        inside = dict(
            zip(self.inner_axes, (Affine.axis(name) for name, _ in self.inner), strict=True)
        )
        return tuple(
            place * stride + inside[axis] * dilation if axis in inside else place * stride
            for axis, (place, stride, dilation) in enumerate(
                zip(self.index, attrs["strides"], attrs["window_dilation"], strict=True)
            )
        )

    def _dot_index(self, node: Node) -> tuple[tuple[Affine, ...], tuple[Affine, ...]]:
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
            places = dict(zip(contract, summed, strict=True)) | dict(
                zip(batch, shared, strict=True)
            )
            found.append(
                tuple(
                    places[axis] if axis in places else next(outer)
                    for axis in range(operand.type.rank)
                )
            )
        return found[0], found[1]

    def _conv_index(self, node: Node) -> tuple[tuple[Affine, ...], tuple[Affine, ...]]:
        """The indices of the input and the kernel of an unpadded convolution of one group."""
        kernel = node.args[1]
        attrs = node.attributes
        *spatial, channels = self._sum_over(kernel.shape[:-1])
        first, *places, feature = self.index
        taken = tuple(
            place * stride + offset * dilation
            for place, offset, stride, dilation in zip(
                places, spatial, attrs["strides"], attrs["kernel_dilation"], strict=True
            )
        )
        return (first, *taken, channels), (*spatial, channels, feature)

    def _moved(self, node: Node, index: tuple[Affine, ...]) -> tuple[Affine, ...] | None:
        """The index at which a move asks its operand; None where it asks for a position."""
        name, attrs = node.op.name, node.attributes
        if name in ("barrier", "stop_gradient", "alias"):
            return index
        if name == "broadcast":
            return tuple(index[axis] for axis in attrs["axes"])
        if name == "transpose":
            moved = [Affine()] * len(index)
            for position, axis in enumerate(attrs["axes"]):
                moved[axis] = index[position]
            return tuple(moved)
        if name == "slice":
            return tuple(
                each * step + start
                for each, start, step in zip(index, attrs["start"], attrs["stride"], strict=True)
            )
        if name == "reverse":
            return tuple(
                each * -1 + (size - 1) if axis in attrs["axes"] else each
                for axis, (each, size) in enumerate(zip(index, node.shape, strict=True))
            )
        source = node.args[0].shape
        if is_unit_reshape(source, node.shape):
            rest = iter([each for each, size in zip(index, node.shape, strict=True) if size != 1])
            return tuple(Affine() if size == 1 else next(rest) for size in source)
        if node.args[0] in self.inputs:
            return None
        raise ArgumentError(explain(self.function.name, "reshapes of its inputs only", f"{node!r}"))

    def _make(self, node: Node, index: tuple[Affine, ...], values: list[Value]) -> Value:
        if node in self.inputs:
            return Load(self.inputs[node], linear(index, node.shape), node.dtype)
        if node.op is constant:
            return Number(node.attrs[0])
        if node.op is parameter:
            raise ArgumentError(explain(self.function.name, "its own parameters", repr(node)))
        name = node.op.name
        if name in CONTRACTIONS:
            if node not in self.registers:
                product = Apply("multiply", tuple(values), (), node.dtype)
                self.registers[node] = Register(len(self.reductions), node.dtype)
                self.reductions.append(Reduction("add", 0, product, node.dtype))
            return self.registers[node]
        if name in REDUCTIONS:
            if node not in self.registers:
                op, identity = REDUCTIONS[name]
                self.registers[node] = Register(len(self.reductions), node.dtype)
                self.reductions.append(Reduction(op, identity, values[0], node.dtype))
            return self.registers[node]
        if name == "iota":
            return Position(index[node.attributes["axis"]], node.dtype)
        if name == "size":
            return Position(Affine((), node.attributes["dim"]), node.dtype)
        if name in MOVES:
            if values:
                return values[0]
            source = node.args[0]
            return Load(self.inputs[source], linear(index, node.shape), node.dtype)
        attrs = tuple(node.attributes.items())
        return Apply(name, tuple(values), attrs, node.dtype)
