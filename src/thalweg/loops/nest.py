"""The loop form of a kernel: one nest of loops, reductions inside it, stores at the end.

    nest       = "kernel" name "(" buffers ")" for*
    for        = "for" axis "in" extent mark*                    over the outer axes, then
                 register "=" identity                            for each reduction
                 "for" axis "in" extent                           over the inner axes:
                     register op= value
                 buffer[position] = value                         for each store
    value      = buffer[position] | number | op(value, ...) | position | register
    position   = an affine expression of the axes, counted in elements

Extents and strides are sizes, named or not. The nest says what is computed; the marks that
`schedule` writes on it say how: "vector" names the axis whose neighbours are the lanes of a vector
("x2": two vectors at once), "rows x8" an outer axis of which eight steps are computed together, so
that what they have in common is loaded once and kept in registers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.ir.dim import text as dim_text
from thalweg.ir.types import DType, Literal, Size, TensorType


@dataclass(frozen=True, slots=True)
class Affine:
    """`constant + sum(stride * axis)`, a position or an index."""

    terms: tuple[tuple[str, Size], ...] = ()
    constant: Size = 0

    @classmethod
    def axis(cls, name: str) -> "Affine":
        """One axis by itself."""
        return cls(((name, 1),))

    def __add__(self, other: "Affine | Size") -> "Affine":
        if not isinstance(other, Affine):
            return Affine(self.terms, self.constant + other)
        strides = dict(self.terms)
        for name, stride in other.terms:
            strides[name] = strides.get(name, 0) + stride
        kept = tuple((name, stride) for name, stride in strides.items() if stride != 0)
        return Affine(kept, self.constant + other.constant)

    def __mul__(self, factor: Size) -> "Affine":
        if factor == 0:
            return Affine()
        terms = tuple((name, stride * factor) for name, stride in self.terms)
        return Affine(terms, self.constant * factor)

    def stride(self, name: str) -> Size:
        """How far one step along an axis moves."""
        return dict(self.terms).get(name, 0)

    def __str__(self) -> str:
        parts = []
        for name, stride in self.terms:
            size = _size_text(stride)
            parts.append(name if size == "1" else f"{size}*{name}")
        if self.constant != 0 or not parts:
            parts.append(_size_text(self.constant))
        return " + ".join(parts)


def _size_text(size: Size) -> str:
    text = str(size) if isinstance(size, int) else dim_text(size)
    return text if text.lstrip("-").isalnum() else f"({text})"


@dataclass(frozen=True, slots=True)
class Load:
    """An element of an input buffer."""

    buffer: int
    position: Affine
    dtype: DType


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: Literal


@dataclass(frozen=True, slots=True)
class Apply:
    """A pointwise op of the vocabulary on values."""

    op: str
    args: tuple["Value", ...]
    attrs: tuple[tuple[str, Any], ...]
    dtype: DType


@dataclass(frozen=True, slots=True)
class Position:
    """An index as a number."""

    index: Affine
    dtype: DType


@dataclass(frozen=True, slots=True)
class Register:
    """The result of a reduction of this nest."""

    number: int
    dtype: DType


Value = Load | Number | Apply | Position | Register


@dataclass(frozen=True, slots=True)
class Reduction:
    """`register op= value` over the inner axes; `op` is a pointwise op with an identity."""

    op: str
    identity: Any
    value: Value
    dtype: DType


@dataclass(frozen=True, slots=True)
class Store:
    """An element of an output buffer."""

    buffer: int
    position: Affine
    value: Value
    dtype: DType


@dataclass(frozen=True, slots=True)
class Nest:
    """One kernel as loops; axes are (name, extent) from the outermost to the innermost."""

    name: str
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    outer: tuple[tuple[str, Size], ...]
    inner: tuple[tuple[str, Size], ...]
    reductions: tuple[Reduction, ...]
    stores: tuple[Store, ...]
    vector: str | None = None
    vectors: int = 1
    rows: tuple[str, int] | None = None

    def accesses(self) -> list[Affine]:
        """Every position that is read or written, and every index that is used as a number."""
        found: list[Affine] = []
        seen: set[int] = set()
        pending: list[Any] = [each.value for each in self.reductions]
        for store in self.stores:
            found.append(store.position)
            pending.append(store.value)
        while pending:
            value = pending.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Load):
                found.append(value.position)
            elif isinstance(value, Position):
                found.append(value.index)
            elif isinstance(value, Apply):
                pending.extend(value.args)
        return found

    def __str__(self) -> str:
        return show_nest(self)


def show_nest(nest: Nest) -> str:
    """A nest as text."""
    names = [f"in{i}: {type}" for i, type in enumerate(nest.inputs)]
    names += [f"out{i}: {type}" for i, type in enumerate(nest.outputs)]
    lines = [f"kernel {nest.name}({', '.join(names)})"]
    depth = 1

    def loops(axes: Sequence[tuple[str, Size]], mark: str) -> None:
        nonlocal depth
        for position, (axis, extent) in enumerate(axes):
            words = [f"for {axis} in {_size_text(extent)}"]
            if position == 0 and mark:
                words.append(mark)
            if axis == nest.vector:
                words.append(f"vector x{nest.vectors}" if nest.vectors > 1 else "vector")
            if nest.rows and axis == nest.rows[0]:
                words.append(f"rows x{nest.rows[1]}")
            lines.append("  " * depth + " ".join(words))
            depth += 1

    loops(nest.outer, "parallel")
    for number, reduction in enumerate(nest.reductions):
        lines.append("  " * depth + f"r{number} = {reduction.identity}")
    outside = depth
    loops(nest.inner, "")
    for number, reduction in enumerate(nest.reductions):
        lines.append(
            "  " * depth + f"r{number} = {reduction.op}(r{number}, {value_text(reduction.value)})"
        )
    depth = outside
    for store in nest.stores:
        lines.append(
            "  " * depth + f"out{store.buffer}[{store.position}] = {value_text(store.value)}"
        )
    return "\n".join(lines)


def value_text(value: Value) -> str:
    """A value as text."""
    if isinstance(value, Load):
        return f"in{value.buffer}[{value.position}]"
    if isinstance(value, Number):
        return str(value.value.scalar())
    if isinstance(value, Register):
        return f"r{value.number}"
    if isinstance(value, Position):
        return f"({value.index})"
    attrs = [f"{name}={each}" for name, each in value.attrs]
    return f"{value.op}({', '.join([*map(value_text, value.args), *attrs])})"
