"""What a run does with objects, in one native call: addresses of arrays, and who holds them.

Asking NumPy for one address takes half a microsecond: for a step with hundreds of variables more
than many a kernel. So native code reads what it needs where CPython and NumPy keep it:

    object   references: 32 bits at 0          list    pointer to the items at 24
    array    address of the data at 16         flags: 32 bits at 64

That layout has been the same since NumPy 1.7 and is checked on samples when first used; on an
interpreter that has another, the same is asked object by object.
"""

import ctypes
import functools
import sys
import sysconfig
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.backends.llvm import instructions, jit

PLAIN = 0x101
"""NumPy's flags of rows one after another (1) and of addresses that fit the type (0x100)."""

ENTER = f"""
define internal i1 @enter(ptr %list, i64 %count, ptr %starts, ptr %slots, ptr %offsets,
                          ptr %table) {{
entry:
  %place = getelementptr i8, ptr %list, i64 24
  %items = load ptr, ptr %place
  br label %check
check:
  %index = phi i64 [ 0, %entry ], [ %next, %entered ]
  %plain = phi i32 [ {PLAIN}, %entry ], [ %both, %entered ]
  %is_left = icmp slt i64 %index, %count
  br i1 %is_left, label %body, label %done
body:
  %item = getelementptr ptr, ptr %items, i64 %index
  %array = load ptr, ptr %item
  %data_place = getelementptr i8, ptr %array, i64 16
  %data = load ptr, ptr %data_place
  %flags_place = getelementptr i8, ptr %array, i64 64
  %flags = load i32, ptr %flags_place
  %both = and i32 %plain, %flags
  %next = add i64 %index, 1
  %from = getelementptr i64, ptr %starts, i64 %index
  %first = load i64, ptr %from
  %to = getelementptr i64, ptr %starts, i64 %next
  %last = load i64, ptr %to
  br label %enter
enter:
  %at = phi i64 [ %first, %body ], [ %after, %write ]
  %is_inside = icmp slt i64 %at, %last
  br i1 %is_inside, label %write, label %entered
write:
  %slot = getelementptr i64, ptr %slots, i64 %at
  %word = load i64, ptr %slot
  %target = getelementptr ptr, ptr %table, i64 %word
  %offset_place = getelementptr i64, ptr %offsets, i64 %at
  %offset = load i64, ptr %offset_place
  %address = getelementptr i8, ptr %data, i64 %offset
  store ptr %address, ptr %target
  %after = add i64 %at, 1
  br label %enter
entered:
  br label %check
done:
  %is_plain = icmp eq i32 %plain, {PLAIN}
  ret i1 %is_plain
}}
"""
"""Write the address of each array i, and offsets[j] more, to table[slots[j]], j from starts[i] to
starts[i + 1]; true where all arrays are plain: without gaps, not turned, at addresses that fit
their types."""

HELD = """
define internal i64 @held(ptr %roots, ptr %views, i64 %count, ptr %found) {
entry:
  %roots_place = getelementptr i8, ptr %roots, i64 24
  %views_place = getelementptr i8, ptr %views, i64 24
  %root_items = load ptr, ptr %roots_place
  %view_items = load ptr, ptr %views_place
  br label %check
check:
  %index = phi i64 [ 0, %entry ], [ %next, %body ]
  %held = phi i64 [ 0, %entry ], [ %now, %body ]
  %is_left = icmp slt i64 %index, %count
  br i1 %is_left, label %body, label %done
body:
  %root_item = getelementptr ptr, ptr %root_items, i64 %index
  %root = load ptr, ptr %root_item
  %root_count = load i32, ptr %root
  %view_item = getelementptr ptr, ptr %view_items, i64 %index
  %view = load ptr, ptr %view_item
  %view_count = load i32, ptr %view
  %sum = add i32 %root_count, %view_count
  %is_held = icmp ne i32 %sum, 3
  %place = getelementptr i64, ptr %found, i64 %held
  store i64 %index, ptr %place
  %one = zext i1 %is_held to i64
  %now = add i64 %held, %one
  %next = add i64 %index, 1
  br label %check
done:
  ret i64 %held
}
"""
"""The places of views that somebody holds besides the lists: one reference to each view and two to
its root are the lists' own and the view's."""

WORDS = (
    "inputs", "outputs", "starts", "output_starts", "slots", "offsets", "table", "found",
    "perform", "lists", "end",
)  # fmt: skip
"""What `start` is told once for each workspace."""

_LOADS = "\n".join(
    f"  %{name}_at = getelementptr i64, ptr %words, i64 {place}\n"
    f"  %{name} = load {'i64' if name in ('inputs', 'outputs', 'end') else 'ptr'}, "
    f"ptr %{name}_at"
    for place, name in enumerate(WORDS)
)
START = (
    ENTER
    + HELD
    + f"""
define i64 @start(ptr %words, ptr %given, ptr %roots, ptr %views) {{
entry:
{_LOADS}
  %held = call i64 @held(ptr %roots, ptr %views, i64 %outputs, ptr %found)
  %is_free = icmp eq i64 %held, 0
  br i1 %is_free, label %free, label %busy
busy:
  ret i64 %held
free:
  %is_plain = call i1 @enter(ptr %given, i64 %inputs, ptr %starts, ptr %slots, ptr %offsets,
                       ptr %table)
  br i1 %is_plain, label %plain, label %copy
copy:
  ret i64 -1
plain:
  call i1 @enter(ptr %views, i64 %outputs, ptr %output_starts, ptr %slots, ptr %offsets,
                 ptr %table)
  call i64 %perform(ptr %lists, i64 0, i64 %end, ptr null)
  ret i64 0
}}
"""
)
"""Enter the addresses of arguments and results, and follow the instructions, if they are short.

Returns how many results are held by somebody, their places in `found`, or -1 where an argument is
not plain; nothing has been run in both cases."""


def words(**values: Any) -> Any:
    """What `start` is told, by name: numbers, addresses, or ctypes arrays."""
    found = [values[name] for name in WORDS]
    return (ctypes.c_int64 * len(WORDS))(
        *[each if isinstance(each, int) else ctypes.addressof(each) for each in found]
    )


@functools.cache
def native_start() -> Callable[..., int] | None:
    """`start` as native code; None where objects are laid out in another way."""
    is_known = sys.implementation.name == "cpython" and ctypes.sizeof(ctypes.c_void_p) == 8
    if not is_known or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None
    # It looks at objects, so it holds the interpreter's lock.
    start = ctypes.PYFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 4)(jit.load("start", START))
    return start if _agrees(start) else None


def _agrees(start: Callable[..., int]) -> bool:
    """Whether native code finds in samples what NumPy and Python say of them."""
    given: list[Any] = [np.zeros((3, 5), np.float32), np.zeros(7)[2:]]
    lent = Lent([np.zeros((2, 3)), np.zeros(4)])
    number = ctypes.c_int64
    table, places, found = (number * 4)(), (number * 5)(*range(5)), (number * 4)()
    offsets = (number * 4)(0, 8, 0, 0)
    sample = words(
        inputs=2, outputs=2, starts=places, output_starts=ctypes.addressof(places) + 16,
        slots=places, offsets=offsets, table=table, found=found,
        perform=instructions.address(), lists=(number * len(instructions.LISTS))(), end=0,
    )  # fmt: skip
    lists = id(lent.roots), id(lent.views)
    if start(sample, id(given), *lists) != 0:
        return False
    addresses = [each.ctypes.data for each in (*given, *lent.views)]
    if list(table) != [sum(pair) for pair in zip(addresses, offsets, strict=True)]:
        return False
    part = lent.views[1][2:]
    is_known = start(sample, id(given), *lists) == 1 and found[0] == 1
    del part
    given[0] = given[0].T
    return is_known and start(sample, id(given), *lists) == -1


class Lent:
    """Arrays for results, given out again once nobody holds them.

    Each has a root that owns the memory and a read-only view, which is what is given out.
    """

    __slots__ = ("roots", "views")

    def __init__(self, arrays: Sequence[np.ndarray]):
        self.roots: list[np.ndarray] = []
        self.views: list[np.ndarray] = []
        for array in arrays:
            self.roots.append(_root(array))
            self.views.append(_read_only(array))

    def replace(self, place: int, array: np.ndarray) -> None:
        """Lend another array from now on."""
        self.roots[place] = _root(array)
        self.views[place] = _read_only(array)

    def held(self) -> list[int]:
        """The places of those that somebody holds, asked one by one."""
        counts = zip(
            map(sys.getrefcount, self.roots), map(sys.getrefcount, self.views), strict=True
        )
        # getrefcount counts its own argument too.
        return [place for place, (root, view) in enumerate(counts) if root + view != 5]


def _root(array: np.ndarray) -> np.ndarray:
    """The array that views of this one refer to."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
