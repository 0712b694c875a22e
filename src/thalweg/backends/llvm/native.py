"""Which nodes a native kernel may compute: the backend's lowering table over the vocabulary.

Each op is native (a kernel computes it), a segment (its definition runs between kernels), or
absent with the reason.
"""

from thalweg.backends.llvm import jit
from thalweg.backends.llvm.block import NAMES
from thalweg.backends.llvm.scalars import absent
from thalweg.backends.llvm.scalars import table as scalars
from thalweg.ir.leaves import constant, item, parameter
from thalweg.ir.node import Node
from thalweg.ir.types import float16
from thalweg.passes.fuse import CONTRACTIONS, MOVES, REDUCTIONS


def is_native(node: Node) -> bool:
    """True when kernels may compute the node."""
    if node.op is parameter or node.op is item or isinstance(node.type, tuple):
        return False
    if any(isinstance(arg.type, tuple) for arg in node.args):
        return False
    dtypes = {type.dtype for type in (node.type, *(arg.type for arg in node.args))}
    if any(dtype.name not in NAMES for dtype in dtypes):
        return False
    if float16 in dtypes and not jit.machine().has_half:
        return False
    if node.op is constant:
        return node.attrs[0].is_scalar
    name = node.op.name
    if name in CONTRACTIONS:
        return is_native_contraction(node)
    if name in MOVES or name in REDUCTIONS:
        return "window" not in node.op.attributes or is_native_window(node)
    return name in scalars and absent(name, [*dtypes]) is None


def is_native_contraction(node: Node) -> bool:
    """True for a contraction that a nest computes well: neighbours of rhs are neighbours of y."""
    attrs = node.attributes
    lhs, rhs = node.args
    if node.dtype is not lhs.dtype or not node.dtype.is_float or node.dtype.bits < 32:
        return False
    if node.op.name == "dot":
        last = rhs.type.rank - 1
        is_free = last >= 0 and last not in (*attrs["contract"][1], *attrs["batch"][1])
        return is_free and lhs.type.rank > len(attrs["contract"][0]) + len(attrs["batch"][0])
    is_plain = all(low == high == 0 for low, high in attrs["padding"])
    is_plain = is_plain and all(step == 1 for step in attrs["input_dilation"])
    return is_plain and attrs["feature_groups"] == attrs["batch_groups"] == 1


def is_native_window(node: Node) -> bool:
    """True for windows without padding or dilated input."""
    attrs = node.attributes
    is_plain = all(low == high == 0 for low, high in attrs["padding"])
    return is_plain and all(step == 1 for step in attrs["input_dilation"])
