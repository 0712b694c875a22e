"""The values of a nest in registers: positions, loads, choices, and ops on them.

What does not depend on the vector axis is computed once, as a scalar, and spread where a vector
wants it. A choice is computed in one of two ways. Where its bounds are one condition for all lanes,
a branch leaves out the side that is not taken. Otherwise both sides are computed and selected, and
loads of the first side are masked, so that no lane reads outside of memory.
"""

from collections.abc import Sequence

from thalweg.backends.llvm.block import Block, Value, number
from thalweg.backends.llvm.scalars import lower as lower_scalar
from thalweg.backends.llvm.targets import Target
from thalweg.ir.dim import Dim, is_known_at_least
from thalweg.ir.types import DType, Size, bfloat16, float16, float32, int64, uint64
from thalweg.loops.nest import Nest
from thalweg.loops.values import (
    Affine,
    Apply,
    Bound,
    Choice,
    Load,
    Number,
    Position,
    Register,
    indices,
)
from thalweg.loops.values import Value as Expression


def register_dtype(dtype: DType) -> DType:
    """The type in which a value is computed with."""
    return float32 if dtype in (float16, bfloat16) else dtype


class Context:
    """Values that are known at a place of the code, and the condition under which it may read."""

    __slots__ = ("guard", "memo", "parent")

    def __init__(self, guard: Value | None = None, parent: "Context | None" = None):
        self.guard = guard
        self.parent = parent
        self.memo: dict[int | str, Value] = {}

    def find(self, key: int | str) -> Value | None:
        """What is known here or around here."""
        place: Context | None = self
        while place is not None:
            found = place.memo.get(key)
            if found is not None:
                return found
            place = place.parent
        return None


class Expressions:
    """Writes the values of a nest's expressions at the present index of its axes."""

    def __init__(self, nest: Nest, lanes: int, sizes: Sequence[Dim], target: Target):
        self.nest = nest
        self.block = Block(target)
        self.lanes = lanes
        self.sizes = {size: index for index, size in enumerate(sizes)}
        self.size_values: dict[Dim, Value] = {}
        count = len(nest.inputs) + len(nest.outputs)
        self.pointers = [f"%buffer{index}" for index in range(count)]
        self.axes: dict[str, Value] = {}
        # Bounds that the code around has made sure of.
        self.assumed: set[Bound] = set()
        # Choices between vectors become branches, but not amid the registers of a tile.
        self.may_branch = True
        self._lets = dict(nest.lets)
        self._names: dict[int | str, frozenset[str]] = {}

    # What depends on what -------------------------------------------------------------------------

    def names(self, expression: Expression) -> frozenset[str]:
        """The axes that a value depends on; every axis for the register of a reduction."""
        pending = [expression]
        while pending:
            each = pending[-1]
            if id(each) in self._names:
                pending.pop()
                continue
            inner: tuple[Expression, ...] = ()
            if isinstance(each, Apply):
                inner = each.args
            elif isinstance(each, Choice):
                inner = (each.inside, each.outside)
            missing = [one for one in inner if id(one) not in self._names]
            if missing:
                pending.extend(missing)
                continue
            found = [self._names[id(one)] for one in inner]
            found += [self.names_of(at) for at in indices(each)]
            if isinstance(each, Register):
                found.append(frozenset(axis for axis, _ in self.nest.outer))
            self._names[id(each)] = frozenset().union(*found)
            pending.pop()
        return self._names[id(expression)]

    def names_of(self, affine: Affine) -> frozenset[str]:
        """The axes that an index depends on."""
        found: set[str] = set()
        for name, _ in affine.terms:
            if name not in self._lets:
                found.add(name)
                continue
            if name not in self._names:
                self._names[name] = self.names(self._lets[name])
            found |= self._names[name]
        return frozenset(found)

    # Sizes and positions --------------------------------------------------------------------------

    def load_sizes(self) -> None:
        """Read the named sizes, at the head of the function."""
        block = self.block
        for size, index in self.sizes.items():
            address = block.name()
            block.emit(f"{address} = getelementptr i64, ptr %sizes, i64 {index}")
            self.size_values[size] = block.assign(f"load i64, ptr {address}", int64)

    def size(self, size: Size) -> Value:
        """A size as a number in a register."""
        return self.size_values[size] if isinstance(size, Dim) else number(size, int64)

    def position(self, affine: Affine, lanes: int, mask: Value | None, at: Context) -> Value:
        """An index: of the first lane where lanes are neighbours by its stride, else of each."""
        block = self.block
        total = self.size(affine.constant)
        for name, stride in affine.terms:
            term = self._index(name, lanes, mask, at)
            if stride != 1:
                term = block.multiply(term, block.splat(self.size(stride), term.lanes))
            wide = max(term.lanes, total.lanes)
            if total.name == "0":
                total = term
            else:
                total = block.add(block.splat(total, wide), block.splat(term, wide))
        return total

    def _index(self, name: str, lanes: int, mask: Value | None, at: Context) -> Value:
        if name not in self._lets:
            return self.axes[name]
        found = at.find(name)
        if found is None:
            value = self.value(self._lets[name], lanes, mask, (), at)
            found = lower_scalar(self.block, "cast", [value], {"dtype": int64}, int64)
            at.memo[name] = found
        return found

    def _stride(self, affine: Affine, lanes: int) -> Size:
        """How far a lane is from the next, apart from indices that are data."""
        return affine.stride(self.nest.vector) if self.nest.vector and lanes > 1 else 0

    def _lane_positions(self, affine: Affine, lanes: int, mask: Value | None, at: Context) -> Value:
        """The index in each lane, or one scalar where all are the same."""
        block = self.block
        first = self.position(affine, lanes, mask, at)
        stride = self._stride(affine, lanes)
        if stride == 0:
            return first
        steps = block.steps(lanes)
        if stride != 1:
            steps = block.multiply(steps, block.splat(self.size(stride), lanes))
        return block.add(block.splat(first, lanes), steps)

    def holds(
        self, bounds: Sequence[Bound], lanes: int, mask: Value | None, at: Context
    ) -> Value | None:
        """Where all bounds hold that are not assumed; None for everywhere."""
        result = None
        for bound in bounds:
            if bound in self.assumed:
                continue
            index = self._lane_positions(bound.index, lanes, mask, at)
            size = self.block.splat(self.size(bound.size), index.lanes)
            # As unsigned numbers what is negative is large.
            tests = [Value(each.name, uint64, each.lanes) for each in (index, size)]
            result = self.both(result, self.block.compare("lt", *tests))
        return result

    def both(self, x: Value | None, y: Value | None) -> Value | None:
        """The conjunction of two conditions, of which None always holds."""
        if x is None or y is None:
            return x if y is None else y
        wide = max(x.lanes, y.lanes)
        return self.block.binary("and", self.block.splat(x, wide), self.block.splat(y, wide))

    # Values ---------------------------------------------------------------------------------------

    def values(
        self,
        expressions: Sequence[Expression],
        lanes: int,
        mask: Value | None,
        registers: Sequence[Value] = (),
    ) -> list[Value]:
        """Expressions at the present index, in `lanes` lanes; what they share is computed once."""
        at = Context()
        found = [self.value(each, lanes, mask, registers, at) for each in expressions]
        return [
            self._wide(each, value, lanes) for each, value in zip(expressions, found, strict=True)
        ]

    def _wide(self, expression: Expression, value: Value, lanes: int) -> Value:
        if value.lanes == lanes:
            return value
        if isinstance(expression, Number):
            return number(expression.value.scalar(), value.dtype, lanes)
        return self.block.splat(value, lanes)

    def value(
        self,
        expression: Expression,
        lanes: int,
        mask: Value | None,
        registers: Sequence[Value],
        at: Context,
    ) -> Value:
        """One value, a scalar where it is the same in all lanes."""
        pending = [(expression, at)]
        chosen: dict[tuple[int, int], tuple[Value | None, Context]] = {}
        while pending:
            each, here = pending[-1]
            if here.find(id(each)) is not None:
                pending.pop()
                continue
            if isinstance(each, Apply):
                missing = [(arg, here) for arg in each.args if here.find(id(arg)) is None]
                if missing:
                    pending.extend(missing)
                    continue
                found = self._apply(each, here)
            elif isinstance(each, Choice):
                key = (id(each), id(here))
                if key not in chosen:
                    test = self.holds(each.bounds, lanes, mask, here)
                    inside = here if test is None else Context(self.both(here.guard, test), here)
                    chosen[key] = test, inside
                test, inside = chosen[key]
                if self._is_branch(each, test, lanes):
                    found = self._branch(each, test, lanes, mask, registers, here)
                else:
                    needed = [(each.inside, inside)]
                    if test is not None:
                        needed.append((each.outside, here))
                    missing = [(one, place) for one, place in needed if not place.find(id(one))]
                    if missing:
                        pending.extend(missing)
                        continue
                    found = self._select(each, test, inside, here)
            else:
                found = self._leaf(each, lanes, mask, registers, here)
            here.memo[id(each)] = found
            pending.pop()
        result = at.find(id(expression))
        assert result is not None
        return result

    def _apply(self, each: Apply, here: Context) -> Value:
        args = [here.find(id(arg)) for arg in each.args]
        wide = max(arg.lanes for arg in args if arg)
        spread = [
            self._wide(arg, value, wide)
            for arg, value in zip(each.args, args, strict=True)
            if value
        ]
        dtype = register_dtype(each.dtype)
        return lower_scalar(self.block, each.op, spread, dict(each.attrs), dtype)

    def _is_branch(self, each: Choice, test: Value | None, lanes: int) -> bool:
        """True where one condition for all lanes decides between vectors."""
        if test is None or test.lanes > 1 or lanes == 1 or not self.may_branch:
            return False
        return self.nest.vector in self.names(each.inside) | self.names(each.outside)

    def _branch(
        self,
        each: Choice,
        test: Value | None,
        lanes: int,
        mask: Value | None,
        registers: Sequence[Value],
        here: Context,
    ) -> Value:
        block = self.block
        assert test is not None
        dtype = register_dtype(each.dtype)
        like = number(0, dtype, lanes)
        place = block.register(like)
        sides = [(test, each.inside), (block.binary("xor", test, block.like(test, True)), None)]
        for condition, side in sides:
            chosen = side or each.outside
            with block.when(condition):
                value = self.value(chosen, lanes, mask, registers, Context(here.guard, here))
                block.set(place, self._wide(chosen, value, lanes))
        return block.get(place, like)

    def _select(self, each: Choice, test: Value | None, inside: Context, here: Context) -> Value:
        value = inside.find(id(each.inside))
        assert value is not None
        if test is None:
            return value
        other = here.find(id(each.outside))
        assert other is not None
        wide = max(value.lanes, other.lanes, test.lanes)
        return self.block.select(
            self.block.splat(test, wide),
            self._wide(each.inside, value, wide),
            self._wide(each.outside, other, wide),
        )

    # Leaves ---------------------------------------------------------------------------------------

    def _leaf(
        self,
        leaf: Expression,
        lanes: int,
        mask: Value | None,
        registers: Sequence[Value],
        at: Context,
    ) -> Value:
        if isinstance(leaf, Register):
            return registers[leaf.number]
        if isinstance(leaf, Number):
            return number(leaf.value.scalar(), register_dtype(leaf.value.dtype))
        if isinstance(leaf, Position):
            return self._number_of(leaf, lanes, mask, at)
        assert isinstance(leaf, Load)
        return self._load(leaf, lanes, mask, at)

    def _load(self, leaf: Load, lanes: int, mask: Value | None, at: Context) -> Value:
        block = self.block
        pointer = self.pointers[leaf.buffer]
        position = self.position(leaf.position, lanes, mask, at)
        stride = self._stride(leaf.position, lanes)
        if position.lanes == 1 and stride == 0:
            return self._load_one(leaf, position, at.guard)
        guarded = self.both(mask, at.guard)
        if guarded is not None:
            guarded = block.splat(guarded, lanes)
        if position.lanes == 1 and stride == 1:
            address = block.element(pointer, leaf.dtype, position)
            return block.load(address, leaf.dtype, lanes, guarded)
        positions = self._lane_positions(leaf.position, lanes, mask, at)
        return block.gather(pointer, leaf.dtype, positions, guarded)

    def _load_one(self, leaf: Load, position: Value, guard: Value | None) -> Value:
        """One element for all lanes; where the guard fails in all of them, any number."""
        block = self.block
        pointer = self.pointers[leaf.buffer]
        if guard is None:
            return block.load(block.element(pointer, leaf.dtype, position), leaf.dtype)
        test = block.reduce("or", guard)
        if is_known_at_least(self.nest.inputs[leaf.buffer].size, 1):
            position = block.select(test, position, number(0, int64))
            return block.load(block.element(pointer, leaf.dtype, position), leaf.dtype)
        like = number(0, register_dtype(leaf.dtype))
        place = block.register(like)
        with block.when(test):
            block.set(place, block.load(block.element(pointer, leaf.dtype, position), leaf.dtype))
        return block.get(place, like)

    def _number_of(self, leaf: Position, lanes: int, mask: Value | None, at: Context) -> Value:
        block = self.block
        value = self._lane_positions(leaf.index, lanes, mask, at)
        dtype = register_dtype(leaf.dtype)
        if dtype.is_float:
            return block.convert("sitofp", value, dtype)
        if dtype.bits < 64:
            return block.convert("trunc", value, dtype)
        return Value(value.name, dtype, value.lanes)

    # Stores ---------------------------------------------------------------------------------------

    def stores(self, lanes: int, mask: Value | None, registers: Sequence[Value]) -> None:
        """Every store of the nest at the present index."""
        nest = self.nest
        found = self.values([store.value for store in nest.stores], lanes, mask, registers)
        for store, value in zip(nest.stores, found, strict=True):
            self.block.store(value, self.target(store.buffer, store.position), store.dtype, mask)

    def target(self, buffer: int, position: Affine) -> str:
        """The address of an output's element at the present index."""
        dtype = self.nest.outputs[buffer].dtype
        place = self.position(position, 1, None, Context())
        return self.block.element(self.pointers[len(self.nest.inputs) + buffer], dtype, place)
