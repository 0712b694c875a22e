"""What a nest computes with: positions, and expressions of what stands there.

    value      = buffer[position] | number | op(value, ...) | position | register
               | value if bound and ... else value
    bound      = 0 <= index < size
    position, index = an affine expression of names, counted in elements

A name is an axis of the nest, or an index that is data: `let j0 = value` in the nest. Memory that
the first branch of a choice reads is read only where the bounds hold, so a choice is what keeps
padding, gathering and joining inside their operands.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.ir.dim import text as dim_text
from thalweg.ir.types import DType, Literal, Size


@dataclass(frozen=True, slots=True)
class Affine:
    """`constant + sum(stride * name)`, a position or an index."""

    terms: tuple[tuple[str, Size], ...] = ()
    constant: Size = 0

    @classmethod
    def axis(cls, name: str) -> "Affine":
        """One axis, or one index that is data, by itself."""
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
        """How far one step along a name moves."""
        return dict(self.terms).get(name, 0)

    def without(self, names: "dict[str, str] | set[str]") -> "Affine":
        """The same without the terms of some names."""
        terms = tuple((name, stride) for name, stride in self.terms if name not in names)
        return Affine(terms, self.constant)

    def __str__(self) -> str:
        parts = []
        for name, stride in self.terms:
            size = size_text(stride)
            parts.append(name if size == "1" else f"{size}*{name}")
        if self.constant != 0 or not parts:
            parts.append(size_text(self.constant))
        return " + ".join(parts)


def size_text(size: Size) -> str:
    """A size as a factor: an expression of named sizes in parentheses."""
    text = str(size) if isinstance(size, int) else dim_text(size)
    return text if text.lstrip("-").isalnum() else f"({text})"


@dataclass(frozen=True, slots=True)
class Bound:
    """`0 <= index < size`."""

    index: Affine
    size: Size

    def __str__(self) -> str:
        return f"0 <= {self.index} < {size_text(self.size)}"


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
    """A pointwise op on values."""

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


@dataclass(frozen=True, slots=True)
class Choice:
    """`inside` where every bound holds, else `outside`."""

    bounds: tuple[Bound, ...]
    inside: "Value"
    outside: "Value"
    dtype: DType


Value = Load | Number | Apply | Position | Register | Choice


NAMELESS: Mapping[int, str] = {}


def number(value: Any, dtype: DType) -> Number:
    """A constant of an element type."""
    return Number(Literal.from_numpy(value, dtype))


def parts(values: Sequence[Value]) -> Iterator[Value]:
    """Some values and all that they are made of, each object once."""
    seen: set[int] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        pending.extend(operands(value))


def operands(value: Value) -> tuple[Value, ...]:
    """What a value is made of directly."""
    if isinstance(value, Apply):
        return value.args
    return (value.inside, value.outside) if isinstance(value, Choice) else ()


def inside_out(values: Sequence[Value]) -> list[Value]:
    """Some values and all that they are made of, each object once, after its own operands."""
    order: list[Value] = []
    seen: set[int] = set()
    pending = list(reversed(values))
    while pending:
        value = pending[-1]
        missing = [each for each in operands(value) if id(each) not in seen]
        if missing and id(value) not in seen:
            pending.extend(reversed(missing))
            continue
        pending.pop()
        if id(value) not in seen:
            seen.add(id(value))
            order.append(value)
    return order


def indices(value: Value) -> list[Affine]:
    """The positions and indices of one value, without those of its parts."""
    if isinstance(value, Load):
        return [value.position]
    if isinstance(value, Position):
        return [value.index]
    return [bound.index for bound in value.bounds] if isinstance(value, Choice) else []


def value_text(value: Value, names: Mapping[int, str] = NAMELESS) -> str:
    """A value as text; `names` are those of values that have been written before."""
    if id(value) in names:
        return names[id(value)]
    if isinstance(value, Load):
        return f"in{value.buffer}[{value.position}]"
    if isinstance(value, Number):
        return str(value.value.scalar())
    if isinstance(value, Register):
        return f"r{value.number}"
    if isinstance(value, Position):
        return f"({value.index})"
    if isinstance(value, Choice):
        bounds = " and ".join(map(str, value.bounds))
        inside, outside = (value_text(each, names) for each in (value.inside, value.outside))
        return f"({inside} if {bounds} else {outside})"
    attrs = [f"{name}={each}" for name, each in value.attrs]
    args = [value_text(arg, names) for arg in value.args]
    return f"{value.op}({', '.join([*args, *attrs])})"
