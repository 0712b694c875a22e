"""What this machine can do at best: multiply-adds and bytes per second, measured by native loops.

    flops   sixteen independent chains of vector multiply-adds in registers
    bytes   reading one array that no cache holds and writing another, both counted

The loops are kernels like any other, so as many threads share them as share a program's kernels.
"""

import ctypes
import functools
import time
from dataclasses import dataclass

import numpy as np

from thalweg.backends.llvm import instructions, jit, threads
from thalweg.backends.llvm.memory import LINE
from thalweg.backends.llvm.targets import host

CHAINS = 16
"""Sums at once: more than any CPU has multiply-adds under way in a register file of 32."""
ROUNDS = 1 << 15
TASKS = 32
COPIED = 1 << 27
"""Bytes of each array that is copied."""
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Operations and bytes per second, by so many threads. Operations are those of float32."""

    flops: float
    bytes: float
    threads: int


def _multiply_adds(lanes: int) -> str:
    vector = f"<{lanes} x float>"
    names = [f"%v{i}" for i in range(CHAINS)]
    phis = "\n".join(
        f"  {name} = phi {vector} [ %start, %task ], [ {name}.n, %loop ]" for name in names
    )
    sums = "\n".join(
        f"  {name}.n = call {vector} @llvm.fma.v{lanes}f32"
        f"({vector} {name}, {vector} %factor, {vector} %start)"
        for name in names
    )
    joined = []
    for i, name in enumerate(names):
        former = f"%j{i - 1}" if i else "%start"
        joined.append(f"  %j{i} = fadd {vector} {former}, {name}.n")
    adds = "\n".join(joined)
    return f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
define void @peak(ptr %buffers, ptr %sizes, i64 %begin, i64 %end, i64 %worker) {{
entry:
  %out = load ptr, ptr %buffers
  %one = load float, ptr %out
  %head = insertelement {vector} undef, float %one, i32 0
  %factor = shufflevector {vector} %head, {vector} undef, <{lanes} x i32> zeroinitializer
  br label %next
next:
  %index = phi i64 [ %begin, %entry ], [ %after, %done ]
  %is_left = icmp slt i64 %index, %end
  br i1 %is_left, label %task, label %leave
task:
  %start = fmul {vector} %factor, %factor
  br label %loop
loop:
  %round = phi i64 [ 0, %task ], [ %later, %loop ]
{phis}
{sums}
  %later = add i64 %round, 1
  %is_more = icmp slt i64 %later, {ROUNDS}
  br i1 %is_more, label %loop, label %done
done:
{adds}
  %first = extractelement {vector} %j{CHAINS - 1}, i32 0
  %offset = mul i64 %index, 16
  %moved = add i64 %offset, 16
  %place = getelementptr float, ptr %out, i64 %moved
  store float %first, ptr %place
  %after = add i64 %index, 1
  br label %next
leave:
  ret void
}}
"""


COPY = f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @copy(ptr %buffers, ptr %sizes, i64 %begin, i64 %end, i64 %worker) {{
entry:
  %from = load ptr, ptr %buffers
  %second = getelementptr ptr, ptr %buffers, i64 1
  %to = load ptr, ptr %second
  %bytes = udiv i64 {COPIED}, {TASKS}
  %offset = mul i64 %begin, %bytes
  %tasks = sub i64 %end, %begin
  %all = mul i64 %tasks, %bytes
  %source = getelementptr i8, ptr %from, i64 %offset
  %target = getelementptr i8, ptr %to, i64 %offset
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 %all, i1 false)
  ret void
}}
"""


@functools.cache
def ceilings() -> Ceilings:
    """The ceilings of this machine for the threads that run kernels, measured once: some tenths
    of a second, during which other work on the machine should rest."""
    lanes = host().lanes(32)
    team = threads.team()
    ones = np.ones(16 * (TASKS + 1), np.float32)
    taken = _best("peak", _multiply_adds(lanes), [ones], team)
    flops = 2 * CHAINS * lanes * ROUNDS * TASKS / taken
    arrays = [np.zeros(COPIED + LINE, np.uint8) for _ in range(2)]
    bytes = 2 * COPIED / _best("copy", COPY, arrays, team)
    return Ceilings(flops, bytes, 1 + (team.workers if team else 0))


def _best(name: str, text: str, arrays: list[np.ndarray], team: "threads.Team | None") -> float:
    """The least seconds that all tasks of a kernel took."""
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    code = instructions.Assembly({}, 0, lambda number: (number, 0))
    code.add([instructions.Run(0)])
    words = (pointer * len(arrays))(*[array.ctypes.data for array in arrays])
    lists = {
        "code": (number * len(code.numbers))(*code.numbers),
        "words": words,
        "entries": (pointer * 1)(jit.load(name, text)),
        "tables": (pointer * 1)(ctypes.addressof(words)),
        "sizes": (pointer * 1)(),
        "tasks": (number * 1)(TASKS),
        "blocks": threads.blocks([TASKS], 1 + (team.workers if team else 0)),
    }
    given = instructions.lists_of(**lists)
    end = len(code.numbers) - instructions.OPERANDS
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        instructions.follow(given, 0, end, team, (lists, arrays))
        found.append(time.perf_counter() - start)
    return min(found)
