"""Loops and branches as instructions: what is inside them runs without Python in between.

    while    again: condition; unless it holds go to done; body; carries move on; go to again
    scan     again: body; carries and slices move on; while steps are left go to again
    switch   go to one of the branches, each of which writes the results and goes to done

The Functions inside are programs like any other; their kernels stand in the list of the plan around
them, and their values lie in its memory. Between two steps addresses change, not arrays:

- A constant of a loop, and a carry that passes through, is the value outside.
- A carry that a step makes is written to one of several places in turn, one more than the steps for
  which it is carried on. Where it can, the last is that of the loop's result.
- What a step makes and a scan stacks is written where it is to stay. A carry that is stacked as it
  enters is written to the row of the next step.
- A slice of a sequence is a view that moves on.

Where anything inside has neither a kernel nor one of these forms, the loop runs step by step from
Python, see `stepwise.py`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thalweg.backends.llvm.instructions import (
    ALWAYS,
    Copy,
    Instruction,
    Label,
    Less,
    Move,
    Switch,
    Unless,
)
from thalweg.backends.llvm.launch import Launch, is_known, known, view_offset
from thalweg.backends.llvm.script import Layout, Script, size_of
from thalweg.ir.node import Node
from thalweg.ir.types import TensorType
from thalweg.ops.control import scan, switch, while_
from thalweg.transforms.evaluate import bind_sizes, concrete

if TYPE_CHECKING:
    from thalweg.backends.llvm.program import Program, Step

WORTH_SHARING = 1 << 13
"""Work for each kernel of a loop from which threads share all of them, each the same part of every
kernel: what one of them writes another reads from a cache that is far away."""
STEP_COST = 64
"""Cost of a step of a loop whatever it does, beside the work of its kernels."""
UNKNOWN = float("inf")
"""Work of a loop whose number of steps is data."""

Sizes = Mapping[str, int]
Moves = list[tuple[int, int, int]]


def is_native(step: "Step", sizes: Sizes) -> bool:
    """True for a step that is done by kernels and instructions alone."""
    if step.kernel is not None or is_known(step, sizes):
        return True
    if step.bodies:
        inner = inner_sizes(step.node, sizes, step.bodies)
        return all(
            is_native(each, own)
            for body, own in zip(step.bodies, inner, strict=True)
            for each in body.steps
        )
    return view_offset(step.node, sizes) is not None


def inner_sizes(node: Node, sizes: Sizes, bodies: Sequence["Program"]) -> list[Sizes]:
    """The named sizes within each Function of a loop or switch."""
    types = [arg.type for arg in node.args]
    if node.op is switch:
        types = types[1:]
    elif node.op is scan:
        split = node.attributes["constants"] + node.attributes["carries"]
        types[split:] = [type.with_shape(type.shape[1:]) for type in types[split:]]
    shapes = [concrete(type.shape, sizes) for type in types]
    arrays = [np.broadcast_to(np.zeros((), type.dtype.numpy), shape)
              for type, shape in zip(types, shapes, strict=True)]  # fmt: skip
    return [bind_sizes(body.function, arrays, sizes) for body in bodies]


def write(
    script: Script, step: "Step", args: Sequence[int], results: Sequence[int], sizes: Sizes
) -> float:
    """Write a native step, for which values have these numbers. Returns its work."""
    if is_known(step, sizes):
        for number, array in zip(results, known(step, sizes), strict=True):
            script.know(number, array)
        return 0
    if step.kernel is not None:
        launch = Launch(step.kernel, sizes)
        script.launch(launch, args, results)
        return launch.work
    if step.bodies:
        return WRITERS[step.node.op](script, step, args, results, sizes)
    offset = view_offset(step.node, sizes)
    assert offset is not None
    script.view(results[0], args[0], offset, _layout(step.node.type, sizes))
    return 0


def _layout(type: TensorType, sizes: Sizes) -> Layout:
    return concrete(type.shape, sizes), type.dtype.numpy


def _write_body(
    script: Script, body: "Program", given: Sequence[int], sizes: Sizes
) -> tuple[list[int], float]:
    """Write what a Function does. Returns the numbers of its results and its work."""
    names = dict(enumerate(given))
    work = 0.0
    for step in body.steps:
        names.update((number, script.number()) for number in step.results)
        args, results = ([names[each] for each in part] for part in (step.args, step.results))
        work += write(script, step, args, results, sizes)
    script.tick()
    return [names[number] for number in body.results], work


# Loops --------------------------------------------------------------------------------------------


class _Loop:
    """What while and scan have in common: the carries, from one step to the next.

    `entering` are the moves before the first step, `between` those after each.
    """

    def __init__(
        self,
        script: Script,
        step: "Step",
        args: Sequence[int],
        results: Sequence[int],
        sizes: Sizes,
    ):
        self.script = script
        self.args = args
        self.sizes = inner_sizes(step.node, sizes, step.bodies)
        self.first_launch = len(script.launches)
        script.tick()
        script.touch(args)
        self.start = script.tick()
        self.entering: Moves = []
        self.between: Moves = []
        constants = step.node.attributes["constants"]
        leaving = step.bodies[-1].results
        self.constants = list(args[:constants])
        self.results = list(results)
        self.state: list[int] = []
        # The places of the carries that change.
        self.changing: list[int] = []
        for index, result in enumerate(results):
            value = args[constants + index]
            layout = _layout(step.node.args[constants + index].type, sizes)
            if leaving[index] == constants + index:
                # It passes through.
                self.state.append(value)
                script.view(result, value, 0, layout)
                continue
            self.changing.append(index)
            self.state.append(script.mover(layout))
            script.make(result, layout)
            self.entering.append((self.state[-1], value, 0))
        self.first_inside = script.count

    def is_made(self, number: int) -> bool:
        """True for a value that a step makes, and that has a place for one step only as yet."""
        root = self.script.root(number)[0]
        return root >= self.first_inside and root in self.script.made

    def carry(self, leaving: Sequence[int], last: int | None = None) -> None:
        """Have the carries move on; `last` is the number of the last step, if it is known."""
        script = self.script
        source = {index: script.root(leaving[index])[0] for index in self.changing}
        self.between += [(self.state[index], leaving[index], 0) for index in self.changing]
        for root in dict.fromkeys(source.values()):
            if not self.is_made(root):
                continue
            # The steps for which it is carried on, from one carry to another.
            depth = 0
            reached = direct = [index for index in source if source[index] == root]
            while reached:
                depth += 1
                carried = {self.state[index] for index in reached}
                reached = [index for index in source if source[index] in carried]
            layout = script.layouts[root]
            whole = [index for index in direct if script.is_whole(leaving[index])]
            places = [self.results[index] for index in whole[:1] if depth == 1]
            while len(places) <= depth:
                places.append(script.make(script.number(), layout))
                script.spans[places[-1]][0] = self.start
            if last is not None and last % 2 and depth == 1:
                places.reverse()
            script.let_move(root)
            # The word of the step that is under way, and those of the steps before.
            words = [root, *(script.mover(layout) for _ in range(depth))]
            self.entering += [(word, place, 0) for word, place in zip(words, places, strict=True)]
            self.between += [(word, words[at - 1], 0) for at, word in enumerate(words)]

    def end(self) -> None:
        """The results, and the end of all that lives as long as the loop."""
        script = self.script
        for index in self.changing:
            script.copy(self.results[index], self.state[index])
        script.tick()
        places = [place for _, place, _ in self.entering if place != ALWAYS]
        script.touch([*self.args, *self.results, *places])
        launches = script.launches[self.first_launch :]
        is_shared = sum(launch.work for launch in launches) >= WORTH_SHARING * len(launches)
        for launch in launches:
            launch.is_shared, launch.is_steady = is_shared, is_shared and launch.tasks > 1


def _write_while(
    script: Script, step: "Step", args: Sequence[int], results: Sequence[int], sizes: Sizes
) -> float:
    loop = _Loop(script, step, args, results, sizes)
    condition, body = step.bodies
    given = [*loop.constants, *loop.state]
    script.code.append(Move(loop.entering))
    again, done = script.put(), script.label()
    (test,), testing = _write_body(script, condition, given, loop.sizes[0])
    script.touch([test])
    script.code.append(Unless(test, done))
    leaving, work = _write_body(script, body, given, loop.sizes[1])
    loop.carry(leaving)
    script.code.append(Move(loop.between))
    script.jump(again, cost=_cost(testing + work))
    script.put(done)
    loop.end()
    return UNKNOWN


def _cost(work: float) -> int:
    """What a step takes of the fuel; a loop inside has taken its own."""
    return STEP_COST + (0 if work == UNKNOWN else int(work))


def _write_scan(
    script: Script, step: "Step", args: Sequence[int], results: Sequence[int], sizes: Sizes
) -> float:
    attrs = step.node.attributes
    carries, constants = attrs["carries"], attrs["constants"]
    length: int = concrete(attrs["length"], sizes)
    types = step.node.type if isinstance(step.node.type, tuple) else (step.node.type,)
    stacks = results[carries:]
    stacked = [_layout(type, sizes) for type in types[carries:]]
    if not length:
        script.tick()
        for value, result, type in zip(args[constants:], results[:carries], types, strict=False):
            script.view(result, value, 0, _layout(type, sizes))
        for stack, layout in zip(stacks, stacked, strict=True):
            script.make(stack, layout)
        return 0
    loop = _Loop(script, step, args, results[:carries], sizes)
    for stack, layout in zip(stacks, stacked, strict=True):
        script.make(stack, layout)
    first = length - 1 if attrs["reverse"] else 0
    way = -1 if attrs["reverse"] else 1

    def walk(word: int, array: int, layout: Layout, row: int = first) -> None:
        """A word goes along the rows of an array, from one of them on."""
        width = size_of(layout)
        loop.entering.append((word, array, row * width))
        loop.between.append((word, word, way * width))

    slices = []
    split = constants + carries
    for value, node in zip(args[split:], step.node.args[split:], strict=True):
        shape, dtype = _layout(node.type, sizes)
        slices.append(script.mover((shape[1:], dtype)))
        walk(slices[-1], value, script.layouts[slices[-1]])
    counter = script.mover()
    loop.entering.append((counter, ALWAYS, 0))
    loop.between.append((counter, counter, 1))
    # What is written to the row of the next step has a row too few.
    beyond: Moves = []
    before, after = len(script.code), script.label()
    again = script.label()
    (body,) = step.bodies
    leaving, work = _write_body(
        script, body, [*loop.constants, *loop.state, *slices], loop.sizes[0]
    )
    head: list[Instruction] = []
    rows = [(shape[1:], dtype) for shape, dtype in stacked]
    left = []
    for stack, row, number in zip(stacks, rows, leaving[carries:], strict=True):
        if loop.is_made(number) and script.is_whole(number):
            root = script.root(number)[0]
            script.let_move(root)
            walk(root, stack, row)
        else:
            left.append((stack, row, number))
    for stack, row, number in left:
        index = loop.state.index(number) if number in loop.state else -1
        after_it = leaving[index]
        if index in loop.changing and loop.is_made(after_it) and script.is_whole(after_it):
            root = script.root(after_it)[0]
            script.let_move(root)
            place = script.view(script.number(), stack, first * size_of(row), row)
            head.append(Copy(place, args[constants + index], size_of(row)))
            walk(root, stack, row, first + way)
            beyond.append((root, results[index], 0))
        else:
            word = script.mover(row)
            walk(word, stack, row)
            script.copy(word, number)
    head += [Move(loop.entering), Label(again)]
    if beyond:
        head += [Less(counter, length - 1, after), Move(beyond), Label(after)]
    loop.carry(leaving[:carries], last=length - 1)
    script.code[before:before] = head
    script.code += [Move(loop.between), Less(counter, length, again, _cost(work))]
    loop.end()
    script.touch(stacks)
    return (STEP_COST + work) * length


# Branches -----------------------------------------------------------------------------------------


def _write_switch(
    script: Script, step: "Step", args: Sequence[int], results: Sequence[int], sizes: Sizes
) -> float:
    index, *given = args
    script.tick()
    script.touch(args)
    script.tick()
    types = step.node.type if isinstance(step.node.type, tuple) else (step.node.type,)
    for result, type in zip(results, types, strict=True):
        script.make(result, _layout(type, sizes))
    labels = [script.label() for _ in step.bodies]
    done = script.label()
    script.code.append(Switch(index, tuple(labels)))
    works = []
    for label, body, inner in zip(
        labels, step.bodies, inner_sizes(step.node, sizes, step.bodies), strict=True
    ):
        script.put(label)
        first = script.count
        found, work = _write_body(script, body, given, inner)
        works.append(work)
        for result, number in zip(results, found, strict=True):
            root = script.root(number)[0]
            if first <= root and root in script.made and script.is_whole(number):
                script.view(root, result, 0, script.layouts[root])
            else:
                script.copy(result, number)
        script.jump(done)
    script.put(done)
    script.tick()
    script.touch([*args, *results])
    return max(works)


WRITERS = {while_: _write_while, scan: _write_scan, switch: _write_switch}
