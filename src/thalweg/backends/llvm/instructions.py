"""What a plan does as a list of numbers, and the native code that follows it.

    run kernel                          all of its tasks, shared by threads where that is worth it
    move (target source offset) ...     words[target] = words[source] + offset, one after another
    copy target source bytes            memory, unless both are the same place
    less word limit place cost          to the place while words[word] < limit
    unless word place                   to the place where the boolean behind the word is false
    switch word count place ...         to the place that the int32 behind the word names, clamped

Words are addresses, where kernels find their arrays, and counters of loops. While a plan is written
its instructions are records: words are named by the values whose addresses they hold, places by
labels, and moves are done all at once. `Assembly` makes numbers of them.

All that changes while the list is followed are words, so it can be left and taken up at any place:
to wait for a worker, and every now and then within a loop, for Python to look at interrupts.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.backends.llvm import jit, threads
from thalweg.backends.llvm.targets import Target, host

ALWAYS = -1
"""What stands for the word that holds 0: it is less than 1, and 0 plus an offset is a number."""
FUEL = 1 << 24
"""Cost after which a list is left for Python to look at interrupts: hundredths of a second."""

OPERANDS = 4
"""Operands that are read with every instruction; zeros behind the last make them readable."""
RUN, MOVE, COPY, LESS, UNLESS, SWITCH = range(6)

LISTS = ("code", "words", "entries", "tables", "sizes", "tasks", "blocks")
"""What is given by its address: the instructions, the words, and of each kernel its function, its
table, its sizes, its number of tasks, and its word of `threads.blocks`."""

_LOADS = "\n".join(
    f"  %{name}_at = getelementptr ptr, ptr %lists, i64 {place}\n"
    f"  %{name} = load ptr, ptr %{name}_at"
    for place, name in enumerate(LISTS)
)
_OPERANDS = "\n".join(
    f"  %{name}_at = getelementptr i64, ptr %at, i64 {place}\n  %{name} = load i64, ptr %{name}_at"
    for place, name in enumerate(("op", "a", "b", "c", "d"))
)

PERFORM = f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define i64 @perform(ptr %lists, i64 %begin, i64 %end, ptr %state) {{
entry:
{_LOADS}
  %has_team = icmp ne ptr %state, null
  br label %next
next:
  %pc = phi i64 [ %begin, %entry ], [ %after_run, %alone ], [ %after_run, %shared ],
                [ %after_move, %move ], [ %after_copy, %copy ], [ %after_copy, %copying ],
                [ %after_less, %less ], [ %c, %jump ], [ %after_unless, %unless ],
                [ %chosen, %switch ]
  %fuel = phi i64 [ {FUEL}, %entry ], [ %fuel, %alone ], [ %fuel, %shared ], [ %fuel, %move ],
                  [ %fuel, %copy ], [ %fuel, %copying ], [ %fuel, %less ], [ %rest, %jump ],
                  [ %fuel, %unless ], [ %fuel, %switch ]
  %is_left = icmp slt i64 %pc, %end
  br i1 %is_left, label %read, label %done
done:
  ret i64 %pc
read:
  %at = getelementptr i64, ptr %code, i64 %pc
{_OPERANDS}
  switch i64 %op, label %run [
    i64 {MOVE}, label %moves i64 {COPY}, label %copy i64 {LESS}, label %less
    i64 {UNLESS}, label %unless i64 {SWITCH}, label %switch
  ]
run:
  %entry_at = getelementptr ptr, ptr %entries, i64 %a
  %kernel = load ptr, ptr %entry_at
  %table_at = getelementptr ptr, ptr %tables, i64 %a
  %table = load ptr, ptr %table_at
  %size_at = getelementptr ptr, ptr %sizes, i64 %a
  %size = load ptr, ptr %size_at
  %task_at = getelementptr i64, ptr %tasks, i64 %a
  %task = load i64, ptr %task_at
  %block_at = getelementptr i64, ptr %blocks, i64 %a
  %block = load i64, ptr %block_at
  %after_run = add i64 %pc, 2
  %has_blocks = icmp ne i64 %block, 0
  %is_shared = and i1 %has_team, %has_blocks
  br i1 %is_shared, label %share, label %alone
alone:
  call void %kernel(ptr %table, ptr %size, i64 0, i64 %task, i64 0)
  br label %next
share:
  %inside = call i64 @open(ptr %state, ptr %kernel, ptr %table, ptr %size, i64 %task, i64 %block)
  %is_over = icmp eq i64 %inside, 0
  br i1 %is_over, label %shared, label %early
shared:
  br label %next
early:
  ret i64 %after_run
moves:
  %triples = getelementptr i64, ptr %at, i64 2
  %numbers = mul i64 %a, 3
  %length = add i64 %numbers, 2
  %after_move = add i64 %pc, %length
  br label %move
move:
  %place = phi i64 [ 0, %moves ], [ %following, %each ]
  %is_more = icmp slt i64 %place, %numbers
  br i1 %is_more, label %each, label %next
each:
  %to_at = getelementptr i64, ptr %triples, i64 %place
  %from_at = getelementptr i64, ptr %to_at, i64 1
  %offset_at = getelementptr i64, ptr %to_at, i64 2
  %to = load i64, ptr %to_at
  %from = load i64, ptr %from_at
  %offset = load i64, ptr %offset_at
  %source_at = getelementptr i64, ptr %words, i64 %from
  %source = load i64, ptr %source_at
  %moved = add i64 %source, %offset
  %target_at = getelementptr i64, ptr %words, i64 %to
  store i64 %moved, ptr %target_at
  %following = add i64 %place, 3
  br label %move
copy:
  %after_copy = add i64 %pc, 4
  %into_at = getelementptr ptr, ptr %words, i64 %a
  %into = load ptr, ptr %into_at
  %out_at = getelementptr ptr, ptr %words, i64 %b
  %out = load ptr, ptr %out_at
  %is_same = icmp eq ptr %into, %out
  br i1 %is_same, label %next, label %copying
copying:
  call void @llvm.memcpy.p0.p0.i64(ptr %into, ptr %out, i64 %c, i1 false)
  br label %next
less:
  %after_less = add i64 %pc, 5
  %count_at = getelementptr i64, ptr %words, i64 %a
  %count = load i64, ptr %count_at
  %is_less = icmp slt i64 %count, %b
  br i1 %is_less, label %burn, label %next
burn:
  %rest = sub i64 %fuel, %d
  %is_burnt = icmp slt i64 %rest, 0
  br i1 %is_burnt, label %leave, label %jump
leave:
  ret i64 %c
jump:
  br label %next
unless:
  %test_at = getelementptr ptr, ptr %words, i64 %a
  %test = load ptr, ptr %test_at
  %flag = load i8, ptr %test
  %is_true = icmp ne i8 %flag, 0
  %after_test = add i64 %pc, 3
  %after_unless = select i1 %is_true, i64 %after_test, i64 %b
  br label %next
switch:
  %index_at = getelementptr ptr, ptr %words, i64 %a
  %index_place = load ptr, ptr %index_at
  %short = load i32, ptr %index_place
  %index = sext i32 %short to i64
  %last = sub i64 %b, 1
  %above = call i64 @llvm.smax.i64(i64 %index, i64 0)
  %within = call i64 @llvm.smin.i64(i64 %above, i64 %last)
  %branches = getelementptr i64, ptr %at, i64 3
  %branch_at = getelementptr i64, ptr %branches, i64 %within
  %chosen = load i64, ptr %branch_at
  br label %next
}}
declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)
"""
"""Follow the instructions from a place to another; returned is the first that is not done. That is
before the end where fuel has run out, or a worker was put aside in the midst of its tasks and has
to be waited for. `state` is that of a team, or null."""


def text(target: Target) -> str:
    """The LLVM IR of it, with what it needs to share tasks."""
    return threads.with_open(PERFORM, target)


@functools.cache
def address() -> int:
    """Where the native code is."""
    return jit.load("perform", text(host()))


@functools.cache
def perform() -> Callable[..., int]:
    """The native code as a function of lists, begin, end, state; the interpreter's lock is free."""
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return ctypes.CFUNCTYPE(number, pointer, number, number, pointer)(address())


def lists_of(**lists: Any) -> Any:
    """What instructions need, as ctypes arrays: they are read as long as these are followed."""
    return (ctypes.c_void_p * len(LISTS))(*[ctypes.addressof(lists[name]) for name in LISTS])


def follow(lists: Any, begin: int, end: int, team: threads.Team | None, held: Any) -> None:
    """Follow instructions to the end, with a team unless another thread has it.

    `held` owns what they work on. Interrupts are seen every now and then.
    """
    native = perform()
    if team is None or not team.work(
        lambda at: native(lists, at, end, team.address), begin, end, (lists, held)
    ):
        while begin < end:
            begin = native(lists, begin, end, None)


# Instructions before they are numbers -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """A kernel by its number."""

    kernel: int


@dataclass(frozen=True, slots=True)
class Move:
    """Words that take the values of others, plus an offset, all of them at the same time."""

    moves: list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Copy:
    """Bytes from one value to another."""

    target: int
    source: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Label:
    """A place."""

    number: int


@dataclass(frozen=True, slots=True)
class Less:
    """To a label while a counter is below a limit."""

    counter: int
    limit: int
    label: int
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Unless:
    """To a label where a boolean is false."""

    test: int
    label: int


@dataclass(frozen=True, slots=True)
class Switch:
    """To one of some labels."""

    index: int
    labels: tuple[int, ...]


Instruction = Run | Move | Copy | Label | Less | Unless | Switch
Slots = dict[int, list[tuple[int, int]]]


class Assembly:
    """Instructions as numbers.

    `slots` are the words that hold the address of each value, with an offset: to begin with those
    in the tables of kernels, then those that instructions need besides. `count` is the number of
    words. `root` tells of what a value is a part, and where in it.
    """

    def __init__(self, slots: Slots, count: int, root: Callable[[int], tuple[int, int]]):
        self.slots = slots
        self.count = count + 1
        self.root = root
        self.numbers: list[int] = []
        self.places: dict[int, int] = {}
        self._zero = count
        self._blanks: list[tuple[int, int]] = []

    def add(self, code: Sequence[Instruction]) -> None:
        """All instructions of a plan."""
        # A move writes all words of a value, so these have to be known before.
        for each in code:
            self._name_words(each)
        for each in code:
            self._add(each)
        for place, label in self._blanks:
            self.numbers[place] = self.places[label]
        self.numbers += [0] * OPERANDS

    def _name_words(self, each: Instruction) -> None:
        match each:
            case Move(moves):
                for target, source, _ in moves:
                    self._base(target)
                    self._base(source)
            case Copy(target, source, _):
                self._word(target)
                self._word(source)
            case Less(number, _, _, _) | Unless(number, _) | Switch(number, _):
                self._word(number)

    def _add(self, each: Instruction) -> None:
        match each:
            case Run(kernel):
                self.numbers += RUN, kernel
            case Move(moves):
                found = self._moves(moves)
                if found:
                    self.numbers += MOVE, len(found), *[word for triple in found for word in triple]
            case Copy(target, source, bytes):
                self.numbers += COPY, self._word(target), self._word(source), bytes
            case Less(counter, limit, label, cost):
                self.numbers += LESS, self._word(counter), limit
                self._go_to(label)
                self.numbers.append(cost)
            case Unless(test, label):
                self.numbers += UNLESS, self._word(test)
                self._go_to(label)
            case Switch(index, labels):
                self.numbers += SWITCH, self._word(index), len(labels)
                for label in labels:
                    self._go_to(label)
            case Label(number):
                self.places[number] = len(self.numbers)

    def _go_to(self, label: int) -> None:
        self._blanks.append((len(self.numbers), label))
        self.numbers.append(0)

    def _base(self, number: int) -> int:
        """The word with the address of what a value is a part of."""
        return self._slot(self.root(number)[0], 0) if number != ALWAYS else self._zero

    def _word(self, number: int) -> int:
        """A word with the address of a value."""
        return self._slot(*self.root(number)) if number != ALWAYS else self._zero

    def _slot(self, root: int, offset: int) -> int:
        slots = self.slots.setdefault(root, [])
        for word, at in slots:
            if at == offset:
                return word
        slots.append((self.count, offset))
        self.count += 1
        return self.count - 1

    def _moves(self, moves: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Moves of words one after another: first those with the addresses of whole values, in an
        order in which none is written before it is read, and then all others of these values."""
        pending = []
        for target, source, offset in moves:
            part = self.root(source)[1] if source != ALWAYS else 0
            move = self._base(target), self._base(source), offset + part
            if move[0] != move[1] or move[2]:
                pending.append(move)
        changed = [move[0] for move in pending]
        found: list[tuple[int, int, int]] = []
        while pending:
            at = next((at for at in range(len(pending)) if _is_free(pending, at)), None)
            if at is None:
                # A circle: one word is kept in another meanwhile.
                kept, at = pending[0][0], 0
                found.append((self.count, kept, 0))
                pending = [
                    (target, self.count if source == kept else source, offset)
                    for target, source, offset in pending
                ]
                self.count += 1
            found.append(pending.pop(at))
        for target, _, _ in moves:
            base = self._base(target)
            if base in changed:
                slots = self.slots[self.root(target)[0]]
                found += [(word, base, offset) for word, offset in slots if word != base]
        return found


def _is_free(moves: Sequence[tuple[int, int, int]], at: int) -> bool:
    """True where no other move has yet to read what one writes."""
    target = moves[at][0]
    return all(place == at or source != target for place, (_, source, _) in enumerate(moves))
