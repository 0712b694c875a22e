"""Which nodes a native kernel may compute: the backend's lowering table over the vocabulary.

Each op is native (a kernel computes it), a segment (its definition runs between kernels), or
absent with the reason.
"""

from thalweg.backends.llvm.block import NAMES
from thalweg.backends.llvm.scalars import table as scalars
from thalweg.ir.leaves import constant, item, parameter
from thalweg.ir.node import Node
from thalweg.passes.fuse import MOVES, REDUCTIONS


def is_native(node: Node) -> bool:
    """True when kernels may compute the node."""
    if node.op is parameter or node.op is item or isinstance(node.type, tuple):
        return False
    if any(isinstance(arg.type, tuple) for arg in node.args):
        return False
    if any(type.dtype.name not in NAMES for type in (node.type, *(arg.type for arg in node.args))):
        return False
    if node.op is constant:
        return node.attrs[0].is_scalar
    name = node.op.name
    return name in MOVES or name in REDUCTIONS or bool(scalars.get(name))
