"""scan as native code: the kernels of its body once for each step, without Python in between.

    carry, y[t] = body(constants, carry, x[t])        t = 0, 1, ..., or backwards

The body is a program with a plan like any other. Which addresses its kernels find in their table is
what changes from step to step: slices of sequences and of what is stacked move on, and a carry is
read where the step before has written it. All addresses are worked out beforehand, a row for each
step. A carry that is stacked too, as it enters a step or as it leaves it, is written where it is to
stay; any other alternates between two places.

What a step passes on untouched needs no kernel. A body with operations that have none themselves is
run step by step from Python.
"""

import ctypes
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.backends.llvm import jit, objects, threads
from thalweg.backends.llvm.memory import empty
from thalweg.backends.llvm.plan import WORD, Plan, Workspace
from thalweg.ir.function import Function
from thalweg.ir.node import Node
from thalweg.transforms.evaluate import bind_sizes, concrete

REPEAT = """
define i64 @repeat(ptr %lists, i64 %launches, ptr %table, ptr %slots, i64 %moves,
                   ptr %addresses, i64 %from, i64 %to, ptr %state, ptr %blocks) {
entry:
  %entries = load ptr, ptr %lists
  %at1 = getelementptr ptr, ptr %lists, i64 1
  %tables = load ptr, ptr %at1
  %at2 = getelementptr ptr, ptr %lists, i64 2
  %sizes = load ptr, ptr %at2
  %at3 = getelementptr ptr, ptr %lists, i64 3
  %tasks = load ptr, ptr %at3
  br label %check
check:
  %place = phi i64 [ %from, %entry ], [ %after, %run ]
  %is_left = icmp slt i64 %place, %to
  br i1 %is_left, label %row, label %done
row:
  %step = udiv i64 %place, %launches
  %first = urem i64 %place, %launches
  %start = mul i64 %step, %moves
  %source_row = getelementptr i64, ptr %addresses, i64 %start
  br label %move
move:
  %index = phi i64 [ 0, %row ], [ %next, %write ]
  %is_more = icmp slt i64 %index, %moves
  br i1 %is_more, label %write, label %run
write:
  %source = getelementptr i64, ptr %source_row, i64 %index
  %address = load i64, ptr %source
  %slot_at = getelementptr i64, ptr %slots, i64 %index
  %slot = load i64, ptr %slot_at
  %word = getelementptr i64, ptr %table, i64 %slot
  store i64 %address, ptr %word
  %next = add i64 %index, 1
  br label %move
run:
  RUN
  %moved = sub i64 %reached, %first
  %after = add i64 %place, %moved
  %is_last = icmp eq i64 %reached, %launches
  %is_whole = and i1 %is_last, %is_over
  br i1 %is_whole, label %check, label %early
early:
  ret i64 %after
done:
  ret i64 %place
}
"""
"""Enter a row of addresses and run all kernels, for each step. Places count the kernels of all
steps; returned is the first that was not run, see `march`."""

WORTH_SHARING = 1 << 18
"""Work of a kernel from which threads share the steps: what one of them writes in a step, the other
reads in the next, from a cache that is far away."""

_LISTS = "ptr %entries, ptr %tables, ptr %sizes, ptr %tasks"
ALONE = f"""call void @chain({_LISTS}, i64 %first, i64 %launches)
  %reached = add i64 %launches, 0
  %is_over = icmp eq i64 0, 0"""
TOGETHER = f"""
  %reached = call i64 @march(ptr %state, {_LISTS}, ptr %blocks, i64 %first, i64 %launches)
  ; The next step writes to the table, which a worker that was put aside still reads.
  %active = getelementptr i64, ptr %state, i64 {threads.ACTIVE}
  %inside = load atomic i64, ptr %active seq_cst, align 8
  %is_over = icmp eq i64 %inside, 0"""


@functools.cache
def _repeat(has_team: bool) -> Callable[..., int]:
    if has_team:
        text = threads.with_march(REPEAT.replace("RUN", TOGETHER))
    else:
        chain = objects.CHAIN.replace("define void", "define internal void")
        text = chain + REPEAT.replace("RUN", ALONE)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    types = (pointer, number, pointer, pointer, number, pointer, number, number, pointer, pointer)
    return ctypes.CFUNCTYPE(number, *types)(jit.load("repeat", text))


@dataclass(slots=True)
class _Kept:
    """Where a value that the body makes is written: one place for each step, or two in turn.

    `array` has the steps' values from `first` on. Beside them stands what enters the first step,
    where the carry `entering` is stacked as it enters.
    """

    array: np.ndarray
    first: int
    is_stacked: bool
    entering: int | None = None


class Loop:
    """A scan within known sizes: of arrays it makes the last carry and what is stacked."""

    def __init__(self, node: Node, body: Any, sizes: Mapping[str, int]):
        attrs = node.attributes
        self.constants: int = attrs["constants"]
        self.carries: int = attrs["carries"]
        self.length: int = concrete(attrs["length"], sizes)
        self.is_reversed: bool = attrs["reverse"]
        types = [arg.type for arg in node.args]
        shapes = [concrete(type.shape, sizes) for type in types]
        split = self.constants + self.carries
        given = [*shapes[:split], *(shape[1:] for shape in shapes[split:])]
        arrays = [np.broadcast_to(np.zeros((), type.dtype.numpy), shape)
                  for type, shape in zip(types, given, strict=True)]  # fmt: skip
        function: Function = body.function
        self.plan = Plan(body.steps, len(given), body.results, bind_sizes(function, arrays, sizes))
        results = node.type if isinstance(node.type, tuple) else (node.type,)
        self.layouts = [(concrete(type.shape, sizes), type.dtype.numpy) for type in results]
        self.is_direct = not self.plan.defines and self._is_plain()

    def _is_plain(self) -> bool:
        """True where every carry is made by a kernel, stays as it is, or is a constant."""
        plan = self.plan
        return all(
            number in plan.outputs or number in plan.known or number == self.constants + index
            for index, number in enumerate(plan.results[: self.carries])
        )

    def __call__(self, *args: np.ndarray) -> tuple[np.ndarray, ...]:
        # Not ascontiguousarray, which gives a number an axis.
        args = tuple(np.asarray(each, order="C") for each in args)
        return self._direct(args) if self.is_direct else self._stepwise(args)

    def working_bytes(self, workers: int) -> int:
        """What a run by so many threads takes besides its arguments and results."""
        plan = self.plan
        total = plan.working_bytes(workers)
        if not self.is_direct:
            return total + 2 * plan.result_bytes
        stacked = plan.results[self.carries :]
        passing = [plan.layouts[each] for each in plan.outputs if each not in stacked]
        total += sum(2 * math.prod(shape) * dtype.itemsize for shape, dtype in passing)
        return total + WORD * self.length * sum(map(len, plan.slots.values()))

    # All steps in one call ------------------------------------------------------------------------

    def _direct(self, args: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        plan, length = self.plan, self.length
        team = threads.team() if plan.most_work >= WORTH_SHARING else None
        space: Workspace = plan.workspace(team)
        kept = self._places(args)
        starts, columns = [], []
        for number, at in self._moving(args, kept).items():
            for slot in plan.slots.get(number, ()):
                starts.append(slot)
                columns.append(at)
        addresses = np.empty((length, len(columns)), np.int64)
        for index, column in enumerate(columns):
            addresses[:, index] = column
        for number in range(self.constants):
            for slot in plan.slots.get(number, ()):
                space.table[slot] = args[number].ctypes.data
        slots = np.array(starts, np.int64)
        lists = (ctypes.c_void_p * 4)(*map(ctypes.addressof, space.lists))
        launches, last = len(plan.launches), len(plan.launches) * length

        def run(first: int, state: int | None = None) -> int:
            return _repeat(state is not None)(
                lists, launches, space.table, slots.ctypes.data, len(columns),
                addresses.ctypes.data, first, last, state, space.blocks,
            )  # fmt: skip

        held = (args, kept, addresses, slots, lists, space)
        if team is None or not team.work(lambda at: run(at, team.address), 0, last, held):
            run(0)
        results = tuple(self._result(index, args, kept) for index in range(len(plan.results)))
        plan.give_back(space)
        return results

    def _places(self, args: Sequence[np.ndarray]) -> dict[int, _Kept]:
        """Memory for each value that the body makes."""
        plan = self.plan
        leaving, stacked = plan.results[: self.carries], set(plan.results[self.carries :])
        kept: dict[int, _Kept] = {}
        for number in plan.outputs:
            shape, dtype = plan.layouts[number]
            entering = [
                self.constants + index
                for index, each in enumerate(leaving)
                if each == number and self.constants + index in stacked
            ]
            if number in stacked or entering:
                array = empty((self.length + bool(entering), *shape), dtype)
                first = int(bool(entering) and not self.is_reversed)
                kept[number] = _Kept(array, first, True, entering[0] if entering else None)
                if entering:
                    array[-1 if self.is_reversed else 0] = args[entering[0]]
            else:
                kept[number] = _Kept(empty((2, *shape), dtype), 0, False)
        return kept

    def _moving(
        self, args: Sequence[np.ndarray], kept: Mapping[int, _Kept]
    ) -> dict[int, np.ndarray]:
        """For each value whose address changes, the addresses of all steps."""
        plan, steps = self.plan, np.arange(self.length)
        places = self.length - 1 - steps if self.is_reversed else steps
        found: dict[int, np.ndarray] = {}
        for number, each in kept.items():
            width = each.array[0].nbytes
            rows = each.first + places if each.is_stacked else steps % 2
            found[number] = each.array.ctypes.data + rows * width
        for index, number in enumerate(plan.results[: self.carries]):
            own = self.constants + index
            first = args[own].ctypes.data
            if number in kept:
                found[own] = np.concatenate([[first], found[number][:-1]])
            elif number == own:
                found[own] = np.full(self.length, first)
            else:
                found[own] = np.full(self.length, plan.known[number].ctypes.data)
                found[own][0] = first
        for number in range(self.constants + self.carries, plan.inputs):
            width = args[number][0].nbytes
            found[number] = args[number].ctypes.data + places * width
        return found

    def _result(
        self, index: int, args: Sequence[np.ndarray], kept: Mapping[int, _Kept]
    ) -> np.ndarray:
        plan, number = self.plan, self.plan.results[index]
        last = 0 if self.is_reversed else self.length - 1
        if index < self.carries:
            if number in kept:
                each = kept[number]
                place = each.first + last if each.is_stacked else (self.length - 1) % 2
                return np.asarray(each.array[place])
            return plan.known[number] if number in plan.known else args[number]
        if number in kept:
            each = kept[number]
            return each.array[each.first : each.first + self.length]
        if number in plan.known:
            return _repeated(plan.known[number], self.length)
        if number < self.constants:
            return _repeated(args[number], self.length)
        if number >= self.constants + self.carries:
            return args[number]
        return self._entering(number, args, kept)

    def _entering(
        self, number: int, args: Sequence[np.ndarray], kept: Mapping[int, _Kept]
    ) -> np.ndarray:
        """A carry as it enters each step."""
        leaving = self.plan.results[number - self.constants]
        if leaving == number:
            return _repeated(args[number], self.length)
        if leaving in kept:
            each = kept[leaving]
            found = each.array[1:] if self.is_reversed else each.array[:-1]
            if each.entering == number:
                return found
            # Another carry that leaves as the same value has taken the place beside it.
            found = found.copy()
        else:
            found = _repeated(self.plan.known[leaving], self.length)
        found[-1 if self.is_reversed else 0] = args[number]
        return found

    # Step by step ---------------------------------------------------------------------------------

    def _stepwise(self, args: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        split = self.constants + self.carries
        carry = list(args[self.constants : split])
        stacked = [np.empty(*layout) for layout in self.layouts[self.carries :]]
        order = range(self.length)
        for step in reversed(order) if self.is_reversed else order:
            slices = [np.asarray(x[step]) for x in args[split:]]
            results = self.plan.run([*args[: self.constants], *carry, *slices])
            carry = results[: self.carries]
            for column, value in zip(stacked, results[self.carries :], strict=True):
                column[step] = value
        return (*carry, *stacked)


def _repeated(array: np.ndarray, length: int) -> np.ndarray:
    return np.broadcast_to(array, (length, *array.shape)).copy()
