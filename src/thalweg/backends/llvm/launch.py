"""One step of a program within known sizes: a kernel ready to run, a view, or a value known."""

import ctypes
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.backends.llvm.memory import empty
from thalweg.backends.llvm.script import Layout
from thalweg.ir.leaves import constant
from thalweg.ir.node import Node
from thalweg.ops.control import callback
from thalweg.passes.families import strides_of
from thalweg.transforms.evaluate import concrete, prepared

if TYPE_CHECKING:
    from thalweg.backends.llvm.program import Kernel, Step
    from thalweg.backends.llvm.sorting import Sorting

KEPT_BYTES = 1 << 16
"""Values that need no input are computed once where they are at most so big."""


class Launch:
    """A kernel with numbers for its named sizes."""

    __slots__ = ("entry", "is_shared", "is_steady", "outputs", "scratch", "sizes", "tasks", "work")

    def __init__(self, kernel: "Kernel | Sorting", sizes: Mapping[str, int]):
        values = [concrete(size, sizes) for size in kernel.sizes]
        self.entry = kernel.compiled()
        self.sizes = (ctypes.c_int64 * max(1, len(values)))(*values)
        self.tasks: int = concrete(kernel.tasks, sizes)
        self.scratch: int = concrete(kernel.scratch, sizes)
        self.work: int = kernel.work(sizes)
        self.is_shared = True  # where it is worth it
        self.is_steady = False
        self.outputs: list[Layout] = [
            (concrete(type.shape, sizes), type.dtype.numpy) for type in kernel.outputs
        ]


def is_known(step: "Step", sizes: Mapping[str, int]) -> bool:
    """True for a step that needs no input and gives little: it is done once, with the plan."""
    if step.args or step.bodies or step.node.op is callback:
        return False
    return step.node.op is constant or bytes_of(step.node, sizes) <= KEPT_BYTES


def known(step: "Step", sizes: Mapping[str, int]) -> list[np.ndarray]:
    """The values of such a step."""
    if step.kernel is not None:
        return _alone(Launch(step.kernel, sizes))
    with np.errstate(all="ignore"):
        return [contiguous(array) for array in arrays_of(prepared(step.node, sizes)())]


def _alone(launch: Launch) -> list[np.ndarray]:
    """The results of a kernel without arguments."""
    outputs = [empty(*layout) for layout in launch.outputs]
    scratch = empty((max(1, launch.scratch),), np.dtype(np.uint8))
    addresses = [array.ctypes.data for array in (*outputs, scratch)]
    launch.entry((ctypes.c_void_p * len(addresses))(*addresses), launch.sizes, 0, launch.tasks, 0)
    return outputs


def bytes_of(node: Node, sizes: Mapping[str, int]) -> int:
    """The bytes of what a node gives."""
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    return sum(concrete(type.bytes, sizes) for type in types)


def contiguous(array: np.ndarray) -> np.ndarray:
    """An array without gaps, at an address that fits its type."""
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy(order="C")


def view_offset(node: Node, sizes: Mapping[str, int]) -> int | None:
    """Where in its operand a value lies that is there in one piece, in bytes; None for others."""
    name = node.op.name
    if name in ("reshape", "barrier", "stop_gradient", "alias"):
        return 0
    if name not in ("slice", "transpose"):
        return None
    source, shape = (concrete(each.shape, sizes) for each in (node.args[0], node))
    if name == "transpose":
        moved = [axis for axis in node.attributes["axes"] if source[axis] != 1]
        return 0 if moved == sorted(moved) or 0 in shape else None
    if 0 in shape:
        return 0
    start, stride = (concrete(node.attributes[name], sizes) for name in ("start", "stride"))
    # Behind the axis that is cut there is all of each axis, and before it a single place.
    whole = len(shape)
    while whole and shape[whole - 1] == source[whole - 1]:
        whole -= 1
    if whole and stride[whole - 1] != 1 and shape[whole - 1] != 1:
        return None
    if math.prod(shape[: max(0, whole - 1)]) != 1:
        return None
    places = zip(start, strides_of(source), strict=True)
    return sum(place * step for place, step in places) * node.dtype.itemsize


def arrays_of(found: Any) -> tuple[np.ndarray, ...]:
    """What a definition gives, one result or several."""
    return found if isinstance(found, tuple) else (found,)
