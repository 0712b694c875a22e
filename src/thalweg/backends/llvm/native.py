"""Which nodes a native kernel may compute: the backend's lowering table over the vocabulary.

Each op is native (a kernel computes it), a segment (its definition runs between kernels), or
absent with the reason.
"""

from typing import Any

from thalweg.backends.llvm.scalars import absent
from thalweg.backends.llvm.scalars import table as scalars
from thalweg.backends.llvm.targets import Target
from thalweg.ir.dim import is_known_at_least
from thalweg.ir.leaves import constant, item, parameter
from thalweg.ir.node import Node
from thalweg.ir.types import float16
from thalweg.passes.arrange import MOST_PARTS
from thalweg.passes.families import CONTRACTIONS, MOVES, PLACED, REDUCTIONS, RUNNING, SCATTERS


def is_native(node: Node, target: Target) -> bool:
    """True when kernels for a target may compute the node."""
    if node.op is parameter or node.op is item or isinstance(node.type, tuple):
        return False
    if any(isinstance(arg.type, tuple) for arg in node.args):
        return False
    dtypes = {type.dtype for type in (node.type, *(arg.type for arg in node.args))}
    if float16 in dtypes and not target.has_half:
        return False
    if node.op is constant:
        return node.attrs[0].is_scalar
    name = node.op.name
    if name in CONTRACTIONS:
        return _is_native_contraction(node)
    if name in SCATTERS:
        return _is_native_scatter(node)
    if name == "concatenate":
        return len(node.args) <= MOST_PARTS
    if name in MOVES or name in REDUCTIONS or name in RUNNING or name in PLACED:
        return "window" not in node.op.attributes or _is_native_window(node)
    return name in scalars and absent(name, [*dtypes]) is None


def _is_native_contraction(node: Node) -> bool:
    """True for a product of real numbers, and for a convolution whose input is not spread."""
    if node.op.name == "dot":
        return True
    attrs = node.attributes
    is_plain = all(step == 1 for step in attrs["input_dilation"])
    return is_plain and _is_padded_well(node.args[0], attrs["padding"])


def _is_native_scatter(node: Node) -> bool:
    """True where what is combined fits the element type: 16-bit sums need a wider one."""
    return node.attributes["mode"] not in ("add", "multiply") or not (
        node.dtype.is_float and node.dtype.bits < 32
    )


def _is_native_window(node: Node) -> bool:
    """True for windows of an input that is not spread."""
    attrs = node.attributes
    is_plain = all(step == 1 for step in attrs["input_dilation"])
    return is_plain and _is_padded_well(node.args[0], attrs["padding"])


def _is_padded_well(x: Node, padding: Any) -> bool:
    """True unless an axis may be empty: windows leave it empty, padded or not."""
    is_plain = all(low == high == 0 for low, high in padding)
    return is_plain or all(is_known_at_least(size, 1) for size in x.shape)
