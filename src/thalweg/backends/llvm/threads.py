"""Threads that share a kernel's tasks: parked Python threads inside one native call.

A job is a kernel and its tasks; the instructions of a plan are followed in one native call. For a
kernel that is worth it the thread that follows them opens a job, takes blocks of tasks itself until
none is left, closes the job and waits for those who joined. Workers watch for an open job for a
short while and then sleep in a read from a pipe, so that an idle program burns no core; they never
hold the interpreter's lock. Nobody waits for a worker to wake up: where the cores are busy with
other things, the calling thread does it all. Which thread takes which block is left to chance; what
a task computes is not, so results are the same bit for bit.
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

PATIENCE = 4000
"""Rounds of watching before a worker sleeps, some two hundred microseconds: about the time between
two steps of a training loop. To wake one up takes as long as a product of 256x256x256."""
MOST_SHARES = 64
"""Shares of a steady kernel: a word has a bit for each."""
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
  %is_steady = icmp slt i64 %block, 0
  br i1 %is_steady, label %steady, label %take
steady:
  %shares = sub i64 0, %block
  br label %look
look:
  %turn = phi i64 [ 0, %steady ], [ %after, %own ], [ %after, %claim ]
  %after = add i64 %turn, 1
  %is_other = icmp slt i64 %turn, %shares
  br i1 %is_other, label %claim, label %done
claim:
  %sum = add i64 %worker, %turn
  %share = urem i64 %sum, %shares
  %bit = shl i64 1, %share
  %claims = atomicrmw or ptr %next, i64 %bit seq_cst
  %claimed = and i64 %claims, %bit
  %is_free = icmp eq i64 %claimed, 0
  br i1 %is_free, label %own, label %look
own:
  %low = mul i64 %tasks, %share
  %first = udiv i64 %low, %shares
  %high = add i64 %low, %tasks
  %last = udiv i64 %high, %shares
  call void %kernel(ptr %buffers, ptr %sizes, i64 %first, i64 %last, i64 %worker)
  br label %look
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


def _text(body: str, target: Target) -> str:
    pause, declared = PAUSES.get(target.architecture, ("", ""))
    read, write = ("_read", "_write") if os.name == "nt" else ("read", "write")
    for name in (read, write):
        declared += f"declare i64 @{name}(i32, ptr, i64)\n"
    body = body.replace("PAUSE", pause).replace("READ", read).replace("WRITE", write)
    return declared + SHARE + body


def with_open(text: str, target: Target) -> str:
    """LLVM IR that may call `open`, with what that needs."""
    return _text(OPEN + text, target)


def serving(target: Target) -> str:
    """The LLVM IR of what a worker does."""
    return _text(SERVE, target)


class Team:
    """This process's workers, so many besides the calling thread."""

    def __init__(self, workers: int):
        self.workers = workers
        self._state = (ctypes.c_int64 * WORDS)()
        self.address = ctypes.addressof(self._state)
        self._held: Any = None
        self._is_taken = threading.Lock()
        types = ctypes.c_void_p, ctypes.c_int64
        self._serve = jit.callable_of("serve", serving(host()), *types)
        # What sleeping workers read a byte from: it wakes one of them, whatever the system.
        self._state[MOUTH], self._state[MOUTH + 1] = os.pipe()
        self._state[MOUTH + 2] = workers
        for worker in range(1, workers + 1):
            # Daemons: a worker that waits for work does not keep the process alive.
            work = threading.Thread(
                target=self._serve, args=(self.address, worker), daemon=True, name="thalweg"
            )
            work.start()

    def work(self, run: Callable[[int], int], first: int, last: int, held: Any) -> bool:
        """Have native code run from a place on, which returns where it had to stop, to the last.

        `held` owns what it works on. False, and nothing done, while another thread has the team.
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


def blocks(tasks: Sequence[int], threads: int, steady: Sequence[bool] = ()) -> Any:
    """How many tasks a thread takes at a time, of kernels with so many; 0 where one does all.

    Minus the number of shares for a kernel that is steady: a thread begins with the share that it
    has of every such kernel, for what it has written lies in its caches.
    """
    found = [max(1, each // (BLOCKS * threads)) if each > 1 else 0 for each in tasks]
    for place, (each, is_steady) in enumerate(zip(tasks, steady, strict=False)):
        if each > 1 and is_steady:
            found[place] = -min(threads, each, MOST_SHARES)
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
