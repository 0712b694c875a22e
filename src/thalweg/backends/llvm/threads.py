"""Threads that share a kernel's tasks: parked Python threads inside one native call.

A job is a kernel and its tasks; a list of kernels is run in one native call. For each that is worth
it the thread that has the list opens a job, takes blocks of tasks itself until none is left, closes
the job and waits for those who joined. Workers watch for an open job for
a short while and then sleep in a read from a pipe, so that an idle program burns no core; they
never hold the interpreter's lock. Nobody waits for a worker to wake up: where the cores are busy
with other things, the calling thread does it all. Which thread takes which block is left to chance;
what a task computes is not, so results are the same bit for bit.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.backends.llvm import jit
from thalweg.backends.llvm.targets import Target, host
from thalweg.base.errors import ArgumentError, explain

PATIENCE = 500
"""Rounds of watching before a worker sleeps, tens of microseconds: about the time between two
kernels of one program. Watching longer takes a busy machine's cores from those who work."""
BLOCKS = 4
"""Blocks of tasks for each thread: more even the load, fewer cost less to hand out."""

# Words of the state that all threads share, each on a cache line of its own where it is contended.
TICKET, NEXT, ACTIVE, WATCHING, RINGING, JOB, SERIAL, MOUTH, WORDS = (
    0,
    8,
    16,
    24,
    32,
    40,
    48,
    49,
    56,
)

PAUSES = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()\n"),
    "aarch64": ("call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)\n"),
}
"""What a thread that watches does between two looks, on CPUs that have a word for it."""

SHARE = f"""
define internal void @share(ptr %state, i64 %worker) {{
entry:
  %job = getelementptr i64, ptr %state, i64 {JOB}
  %job1 = getelementptr i64, ptr %job, i64 1
  %job2 = getelementptr i64, ptr %job, i64 2
  %job3 = getelementptr i64, ptr %job, i64 3
  %job4 = getelementptr i64, ptr %job, i64 4
  %kernel = load ptr, ptr %job
  %buffers = load ptr, ptr %job1
  %sizes = load ptr, ptr %job2
  %tasks = load i64, ptr %job3
  %block = load i64, ptr %job4
  %next = getelementptr i64, ptr %state, i64 {NEXT}
  br label %take
take:
  %begin = atomicrmw add ptr %next, i64 %block seq_cst
  %is_left = icmp slt i64 %begin, %tasks
  br i1 %is_left, label %work, label %done
work:
  %far = add i64 %begin, %block
  %is_whole = icmp slt i64 %far, %tasks
  %end = select i1 %is_whole, i64 %far, i64 %tasks
  call void %kernel(ptr %buffers, ptr %sizes, i64 %begin, i64 %end, i64 %worker)
  br label %take
done:
  ret void
}}
"""

SERVE = f"""
define void @serve(ptr %state, i64 %worker) {{
entry:
  %ticket = getelementptr i64, ptr %state, i64 {TICKET}
  %active = getelementptr i64, ptr %state, i64 {ACTIVE}
  %watching = getelementptr i64, ptr %state, i64 {WATCHING}
  %ringing = getelementptr i64, ptr %state, i64 {RINGING}
  %mouth = getelementptr i64, ptr %state, i64 {MOUTH}
  %file = load i64, ptr %mouth
  %descriptor = trunc i64 %file to i32
  %byte = alloca i8
  br label %enter
enter:
  %known = phi i64 [ 0, %entry ], [ %last, %woken ]
  %entered = atomicrmw add ptr %watching, i64 1 seq_cst
  br label %watch
watch:
  %rounds = phi i64 [ 0, %enter ], [ %later, %rest ], [ 0, %leave ]
  %last = phi i64 [ %known, %enter ], [ %last, %rest ], [ %served, %leave ]
  %seen = load atomic i64, ptr %ticket seq_cst, align 8
  %is_open = icmp ne i64 %seen, 0
  %is_new = icmp ne i64 %seen, %last
  %is_job = and i1 %is_open, %is_new
  br i1 %is_job, label %join, label %rest
rest:
  PAUSE
  %later = add i64 %rounds, 1
  %is_patient = icmp slt i64 %later, {PATIENCE}
  br i1 %is_patient, label %watch, label %sleep
join:
  ; The job may have been closed since: whoever closes it looks at `active` after that.
  %joined = atomicrmw add ptr %active, i64 1 seq_cst
  %now = load atomic i64, ptr %ticket seq_cst, align 8
  %is_still = icmp ne i64 %now, 0
  br i1 %is_still, label %serve, label %leave
serve:
  call void @share(ptr %state, i64 %worker)
  br label %leave
leave:
  %served = phi i64 [ %now, %serve ], [ %last, %join ]
  %left = atomicrmw sub ptr %active, i64 1 seq_cst
  br label %watch
sleep:
  %gone = atomicrmw sub ptr %watching, i64 1 seq_cst
  br label %listen
listen:
  %heard = call i64 @READ(i32 %descriptor, ptr %byte, i64 1)
  %is_rung = icmp eq i64 %heard, 1
  br i1 %is_rung, label %woken, label %listen
woken:
  %answered = atomicrmw sub ptr %ringing, i64 1 seq_cst
  br label %enter
}}
"""

OPEN = f"""
define internal i64 @open(ptr %state, ptr %kernel, ptr %buffers, ptr %sizes,
                          i64 %tasks, i64 %block) {{
entry:
  %job = getelementptr i64, ptr %state, i64 {JOB}
  %job1 = getelementptr i64, ptr %job, i64 1
  %job2 = getelementptr i64, ptr %job, i64 2
  %job3 = getelementptr i64, ptr %job, i64 3
  %job4 = getelementptr i64, ptr %job, i64 4
  store ptr %kernel, ptr %job
  store ptr %buffers, ptr %job1
  store ptr %sizes, ptr %job2
  store i64 %tasks, ptr %job3
  store i64 %block, ptr %job4
  %next = getelementptr i64, ptr %state, i64 {NEXT}
  store atomic i64 0, ptr %next seq_cst, align 8
  %serial = getelementptr i64, ptr %state, i64 {SERIAL}
  %former = load i64, ptr %serial
  %number = add i64 %former, 1
  store i64 %number, ptr %serial
  %ticket = getelementptr i64, ptr %state, i64 {TICKET}
  store atomic i64 %number, ptr %ticket seq_cst, align 8
  %mouth = getelementptr i64, ptr %state, i64 {MOUTH}
  %mouth1 = getelementptr i64, ptr %mouth, i64 1
  %mouth2 = getelementptr i64, ptr %mouth, i64 2
  %file = load i64, ptr %mouth1
  %descriptor = trunc i64 %file to i32
  %workers = load i64, ptr %mouth2
  %watching = getelementptr i64, ptr %state, i64 {WATCHING}
  %ringing = getelementptr i64, ptr %state, i64 {RINGING}
  %byte = alloca i8
  store i8 0, ptr %byte
  br label %count
count:
  %awake = load atomic i64, ptr %watching seq_cst, align 8
  %called = load atomic i64, ptr %ringing seq_cst, align 8
  %there = add i64 %awake, %called
  %is_missing = icmp slt i64 %there, %workers
  br i1 %is_missing, label %ring, label %begin
ring:
  %rung = atomicrmw add ptr %ringing, i64 1 seq_cst
  %written = call i64 @WRITE(i32 %descriptor, ptr %byte, i64 1)
  br label %count
begin:
  call void @share(ptr %state, i64 0)
  %closed = atomicrmw xchg ptr %ticket, i64 0 seq_cst
  %active = getelementptr i64, ptr %state, i64 {ACTIVE}
  br label %wait
wait:
  %rounds = phi i64 [ 0, %begin ], [ %later, %again ]
  %left = load atomic i64, ptr %active seq_cst, align 8
  %is_done = icmp eq i64 %left, 0
  br i1 %is_done, label %done, label %again
again:
  PAUSE
  %later = add i64 %rounds, 1
  %is_patient = icmp slt i64 %later, {PATIENCE}
  br i1 %is_patient, label %wait, label %done
done:
  ret i64 %left
}}
"""
"""Have a kernel's tasks done by all; how many workers are still inside when patience ends."""

MARCH = """
define i64 @march(ptr %state, ptr %entries, ptr %tables, ptr %sizes, ptr %tasks, ptr %blocks,
                  i64 %first, i64 %last) {
entry:
  br label %check
check:
  %index = phi i64 [ %first, %entry ], [ %next, %alone ], [ %next, %shared ]
  %is_left = icmp slt i64 %index, %last
  br i1 %is_left, label %body, label %done
body:
  %entry_place = getelementptr ptr, ptr %entries, i64 %index
  %kernel = load ptr, ptr %entry_place
  %table_place = getelementptr ptr, ptr %tables, i64 %index
  %table = load ptr, ptr %table_place
  %size_place = getelementptr ptr, ptr %sizes, i64 %index
  %size = load ptr, ptr %size_place
  %task_place = getelementptr i64, ptr %tasks, i64 %index
  %task = load i64, ptr %task_place
  %block_place = getelementptr i64, ptr %blocks, i64 %index
  %block = load i64, ptr %block_place
  %next = add i64 %index, 1
  %is_shared = icmp sgt i64 %block, 0
  br i1 %is_shared, label %share, label %alone
alone:
  call void %kernel(ptr %table, ptr %size, i64 0, i64 %task, i64 0)
  br label %check
share:
  %inside = call i64 @open(ptr %state, ptr %kernel, ptr %table, ptr %size, i64 %task, i64 %block)
  %is_over = icmp eq i64 %inside, 0
  br i1 %is_over, label %shared, label %early
shared:
  br label %check
early:
  ret i64 %next
done:
  ret i64 %last
}
"""
"""Run the kernels of a list, those with a block by all threads. Returns the first that was not run:
before the end where a worker was put aside in the midst of its tasks and has to be waited for."""


def _text(body: str, target: Target) -> str:
    pause, declared = PAUSES.get(target.architecture, ("", ""))
    read, write = ("_read", "_write") if os.name == "nt" else ("read", "write")
    for name in (read, write):
        declared += f"declare i64 @{name}(i32, ptr, i64)\n"
    body = body.replace("PAUSE", pause).replace("READ", read).replace("WRITE", write)
    return declared + SHARE + body


def with_march(text: str) -> str:
    """LLVM IR that may call `march`, with what that needs."""
    march = MARCH.replace("define i64 @march", "define internal i64 @march")
    return _text(OPEN + march + text, host())


def texts(target: Target) -> dict[str, str]:
    """The LLVM IR of what a worker does, and of what a thread does that has kernels to run."""
    return {"serve": _text(SERVE, target), "march": _text(OPEN + MARCH, target)}


class Team:
    """This process's workers, so many besides the calling thread."""

    def __init__(self, workers: int):
        self.workers = workers
        self._state = (ctypes.c_int64 * WORDS)()
        self.address = ctypes.addressof(self._state)
        self._held: Any = None
        self._is_taken = threading.Lock()
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        written = texts(host())
        self._serve = jit.callable_of("serve", written["serve"], pointer, ctypes.c_int64)
        kind = ctypes.CFUNCTYPE(number, *[pointer] * 6, number, number)
        self._march = kind(jit.load("march", written["march"]))
        # What sleeping workers read a byte from: it wakes one of them, whatever the system.
        self._state[MOUTH], self._state[MOUTH + 1] = os.pipe()
        self._state[MOUTH + 2] = workers
        for worker in range(1, workers + 1):
            # Daemons: a worker that waits for work does not keep the process alive.
            work = threading.Thread(
                target=self._serve, args=(self.address, worker), daemon=True, name="thalweg"
            )
            work.start()

    def run(self, kernel: Any, buffers: Any, sizes: Any, tasks: int, arrays: Any) -> bool:
        """Run one kernel's tasks; as `march`."""
        lists = [ctypes.cast(kernel, ctypes.c_void_p).value, ctypes.addressof(buffers), sizes or 0]
        entries, tables, sizes = ((ctypes.c_void_p * 1)(each) for each in lists)
        counts = (ctypes.c_int64 * 1)(tasks)
        return self.march(
            (entries, tables, sizes, counts), blocks([tasks], self.workers + 1), 0, 1, arrays
        )

    def march(self, lists: Sequence[Any], blocks: Any, first: int, last: int, held: Any) -> bool:
        """Run kernels one after another, those with a block by all threads.

        `lists` are the entries, tables of arrays, sizes and numbers of tasks; `held` owns what is
        behind them. False, and nothing done, while another thread has the team.
        """

        def run(first: int) -> int:
            return self._march(self.address, *lists, blocks, first, last)

        return self.work(run, first, last, (lists, blocks, held))

    def work(self, run: Callable[[int], int], first: int, last: int, held: Any) -> bool:
        """Have native code run from a place on, which returns where it had to stop, to the last.

        False, and nothing done, while another thread has the team.
        """
        if not self._is_taken.acquire(blocking=False):
            return False
        try:
            self._settle()
            self._held = held
            while first < last:
                first = run(first)
                self._settle()
            self._held = None
            return True
        finally:
            self._is_taken.release()

    def _settle(self) -> None:
        """Wait until no worker is inside a job.

        Before a job as well: an interrupt may have ended the wait after the one before, whose
        memory is held until then.
        """
        while self._state[ACTIVE]:
            # A worker was put aside in the middle of its block: let it have this core. A sleep of
            # no length at all does not.
            time.sleep(1e-5)


def blocks(tasks: Sequence[int], threads: int) -> Any:
    """How many tasks a thread takes at a time, of kernels with so many; 0 where one does all."""
    found = [max(1, each // (BLOCKS * threads)) if each > 1 else 0 for each in tasks]
    return (ctypes.c_int64 * max(1, len(found)))(*found)


def count() -> int:
    """How many threads run a kernel: `THALWEG_THREADS`, or every core this process may use."""
    given = os.environ.get("THALWEG_THREADS", "")
    if given:
        if not given.isdigit() or int(given) < 1:
            raise ArgumentError(explain("THALWEG_THREADS", "a whole number of at least 1", given))
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_teams: dict[tuple[int, int], Team] = {}
_lock = threading.Lock()


def team() -> Team | None:
    """The workers of this process, or None where one thread is all there is."""
    workers = count() - 1
    if not workers:
        return None
    # Threads do not survive a fork: the child makes its own.
    key = (os.getpid(), workers)
    found = _teams.get(key)
    if found is None:
        with _lock:
            found = _teams.get(key) or Team(workers)
            _teams[key] = found
    return found
