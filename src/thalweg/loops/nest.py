"""The loop form of a kernel: one nest of loops, reductions inside it, stores at the end.

    nest       = "kernel" name "(" buffers ")" for*
    for        = "for" axis "in" extent mark*                    over the outer axes, then
                 register "=" identity                            for each reduction
                 "for" axis "in" extent                           over the inner axes:
                     "if" bound and ...                       other steps change nothing
                     register op= value
                 buffer[position] = value                         for each store
    name       = axis | "let" name "=" value                     an index that is data

Where values are long, what they have in common is written once, `v0 = value`, above the line that
uses it first.

Two nests have other stores. A running nest stores after every step of its inner axis instead of
after the last, as cumulative sums do. A scattering nest, when its stores are done, walks its inner
axes in order and changes what has been stored, `buffer[position] op= value` where bounds hold; its
tasks are blocks of the axis named by `rows`, and each changes only its own.

Extents and strides are sizes, named or not. The nest says what is computed; the marks that
`schedule` writes on it say how: "vector" names the axis whose neighbours are the lanes of a vector
("x2": two vectors at once), "rows x8" an outer axis of which eight steps are computed together, so
that what they have in common is loaded once and kept in registers. A task does as many of these
tiles, and as many vectors of columns, as `block` says (None: all columns), and "packed" means that
the factor which walks along the axis is first copied, in the order in which tiles read it. Inner
axes that are "sliced", the last of them by so many steps, are walked around the tiles of a task,
whose sums wait in the output from one slice to the next; "swept" outer axes are walked within each
slice. Where sums are made in "parts", the first outer axis counts them: each has a share of the
first inner axis and a result of its own, and another nest adds these up. The steps of outer axes
that are "kept" are tasks whatever else is one, in a group of nests.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.ir.types import DType, Size, TensorType
from thalweg.loops.values import (
    Affine,
    Bound,
    Load,
    Value,
    indices,
    inside_out,
    operands,
    parts,
    size_text,
    value_text,
)

LONG = 400
"""Values in a nest, each counted as often as it would be written, from which some have names."""


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
class Update:
    """A change of an element that has been stored, where bounds hold; `op` None replaces it."""

    buffer: int
    position: Affine
    op: str | None
    value: Value
    dtype: DType
    bounds: tuple[Bound, ...]
    row: Affine
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nest:
    """One kernel as loops; axes are (name, extent) from the outermost to the innermost.

    `lets` are the indices that are data, each a name and an integer value.
    """

    name: str
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    outer: tuple[tuple[str, Size], ...]
    inner: tuple[tuple[str, Size], ...]
    reductions: tuple[Reduction, ...]
    stores: tuple[Store, ...]
    lets: tuple[tuple[str, Value], ...] = ()
    where: tuple[Bound, ...] = ()
    is_running: bool = False
    update: Update | None = None
    vector: str | None = None
    vectors: int = 1
    rows: tuple[str, int] | None = None
    block: tuple[int, int | None] = (4, None)
    packed: tuple[str, ...] = ()
    slices: tuple[int, int] | None = None
    swept: tuple[str, ...] = ()
    parts: int = 0
    kept: int = 0

    def values(self) -> list[Value]:
        """Every value that the nest computes."""
        found = [value for _, value in self.lets]
        found += [each.value for each in self.reductions]
        found += [each.value for each in self.stores]
        return found + ([self.update.value] if self.update else [])

    def bounds(self) -> list[Bound]:
        """Every bound outside of a value."""
        return [*self.where, *(self.update.bounds if self.update else ())]

    def memory(self) -> list[Affine]:
        """Every position that is read or written."""
        found = [store.position for store in self.stores]
        return found + [value.position for value in parts(self.values()) if isinstance(value, Load)]

    def accesses(self) -> list[Affine]:
        """Every position that is read or written, and every index that is used as a number."""
        found = [store.position for store in self.stores]
        found += [bound.index for bound in self.bounds()]
        if self.update:
            found += [self.update.position, self.update.row]
        for value in parts(self.values()):
            found += indices(value)
        return found

    def __str__(self) -> str:
        return show_nest(self)


def _written(nest: Nest) -> int:
    """How many values the text of a nest has where each is written wherever it is used."""
    count: dict[int, int] = {}
    for value in inside_out(nest.values()):
        count[id(value)] = 1 + sum(count[id(each)] for each in operands(value))
    return sum(count[id(value)] for value in nest.values())


def show_nest(nest: Nest) -> str:
    """A nest as text."""
    names = [f"in{i}: {type}" for i, type in enumerate(nest.inputs)]
    names += [f"out{i}: {type}" for i, type in enumerate(nest.outputs)]
    lines = [f"kernel {nest.name}({', '.join(names)})"]
    depth = 1

    names_of: dict[int, str] = {}
    uses: Counter[int] = Counter()
    if _written(nest) > LONG:
        uses.update(id(each) for value in parts(nest.values()) for each in operands(value))

    def line(text: str) -> None:
        lines.append("  " * depth + text)

    def text_of(value: Value) -> str:
        """A value as text, after lines for what it uses again."""
        for part in inside_out([value]):
            if uses[id(part)] > 1 and operands(part) and id(part) not in names_of:
                text = value_text(part, names_of)
                names_of[id(part)] = f"v{len(names_of)}"
                line(f"{names_of[id(part)]} = {text}")
        return value_text(value, names_of)

    def loops(axes: Sequence[tuple[str, Size]], mark: str) -> None:
        nonlocal depth
        for position, (axis, extent) in enumerate(axes):
            words = [f"for {axis} in {size_text(extent)}"]
            if position == 0 and mark:
                words.append(mark)
            if mark and position < nest.kept:
                words.append("kept")
            if axis == nest.vector:
                words.append(f"vector x{nest.vectors}" if nest.vectors > 1 else "vector")
            if nest.rows and axis == nest.rows[0]:
                words.append(f"rows x{nest.rows[1]}")
            if axis in nest.packed:
                words.append("packed")
            if axis in nest.swept:
                words.append("swept")
            if nest.slices and axis in dict(nest.inner[: nest.slices[0]]):
                last, count = nest.inner[nest.slices[0] - 1][0], nest.slices[1]
                words.append(f"sliced by {count}" if axis == last and count > 1 else "sliced")
            if nest.parts and axis == nest.inner[0][0]:
                words.append(f"in {nest.parts} parts")
            line(" ".join(words))
            depth += 1

    def stores() -> None:
        for store in nest.stores:
            line(f"out{store.buffer}[{store.position}] = {text_of(store.value)}")

    def lets(is_inner: bool) -> None:
        walked = {axis for axis, _ in nest.inner}
        for name, value in nest.lets:
            used = {each for part in parts([value]) for at in indices(part) for each, _ in at.terms}
            if bool(used & walked) == is_inner:
                line(f"let {name} = {text_of(value)}")

    loops(nest.outer, "parallel")
    lets(is_inner=False)
    for number, reduction in enumerate(nest.reductions):
        line(f"r{number} = {reduction.identity}")
    outside = depth
    if nest.update:
        stores()
        depth = 1
    loops(nest.inner, "")
    lets(is_inner=True)
    if nest.where:
        line(f"if {' and '.join(map(str, nest.where))}")
        depth += 1
    for number, reduction in enumerate(nest.reductions):
        line(f"r{number} = {reduction.op}(r{number}, {text_of(reduction.value)})")
    if nest.update:
        update = nest.update
        line(f"if {' and '.join(map(str, update.bounds))}")
        depth += 1
        loops([(axis, extent) for axis, extent in nest.outer if axis in update.axes], "")
        target, value = f"out{update.buffer}[{update.position}]", text_of(update.value)
        line(f"{target} = {f'{update.op}({target}, {value})' if update.op else value}")
        return "\n".join(lines)
    if not nest.is_running:
        depth = outside
    stores()
    return "\n".join(lines)
