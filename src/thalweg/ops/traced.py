"""NumPy definitions run on nodes instead of arrays, which gives their expansion.

    traced(definitions.lgamma, x)  ->  the node that a definition computes, of float64 nodes

A definition of `ops/definitions.py` sorts elements by masks, computes each branch for its own and
writes results where the mask holds. On a `Symbol` reading by a mask gives all elements, and writing
by one is a `select`, so the very text that defines a function also says how kernels compute it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.ir.leaves import full, literal
from thalweg.ir.node import Node
from thalweg.ir.types import DType, as_dtype, bool_, float64
from thalweg.ops import elementwise
from thalweg.ops.index import gather


def traced(definition: Callable[..., np.ndarray], *args: Node) -> Node:
    """What a definition for arrays of any shape computes of float64 nodes of one shape."""
    inner: Any = definition
    found = inner.__wrapped__(*map(Symbol, args))
    assert isinstance(found, Symbol)
    return found.node


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """A node where NumPy expects an array: its functions of elements give other symbols."""

    __slots__ = ("node",)

    def __init__(self, node: Node):
        self.node = node

    @property
    def dtype(self) -> np.dtype:
        return self.node.dtype.numpy

    def _of(self, value: Any, dtype: DType) -> Node:
        """A value as a node of this one's shape."""
        if not isinstance(value, Symbol):
            return full(value, dtype, self.node.shape)
        return (
            value.node if value.node.dtype is dtype else elementwise.cast(value.node, dtype=dtype)
        )

    def __getitem__(self, mask: "Symbol") -> "Symbol":
        """All elements: those outside of the mask are computed and not looked at."""
        assert mask.node.dtype is bool_
        return Symbol(self.node)

    def __setitem__(self, mask: "Symbol", value: Any) -> None:
        self.node = elementwise.select(mask.node, self._of(value, self.node.dtype), self.node)

    def any(self) -> bool:
        """That there may be such elements."""
        return True

    def astype(self, dtype: Any) -> "Symbol":
        return Symbol(elementwise.cast(self.node, dtype=as_dtype(dtype)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None) -> "Symbol":
        op = UFUNCS.get(ufunc.__name__)
        if op is None or method != "__call__":
            raise ArgumentTypeError(
                explain("traced", f"functions among {', '.join(UFUNCS)}", ufunc.__name__)
            )
        symbols = [each for each in inputs if isinstance(each, Symbol)]
        dtype = symbols[0].node.dtype
        node = op(*(symbols[0]._of(each, dtype) for each in inputs))
        if out is None:
            return Symbol(node)
        (target,) = out
        target.node = node
        return target

    def __array_function__(
        self, function: Any, types: Sequence[type], args: Sequence[Any], kwargs: dict
    ) -> Any:
        name = function.__name__
        if name == "where":
            test, *values = args
            x, y = (test._of(each, float64) for each in values)
            return Symbol(elementwise.select(test.node, x, y))
        if name in FILLS:
            return Symbol(args[0]._of(args[1] if name == "full_like" else FILLS[name], float64))
        if name == "copy":
            return Symbol(args[0].node)
        if name == "any":
            return True
        if name == "clip":
            x, low, high = args
            return np.minimum(np.maximum(x, low), high)
        if name == "take_along_axis":
            table, places, _ = args
            return Symbol(gather(literal(table), places.node, axes=(0,)))
        raise ArgumentTypeError(
            explain("traced", "where, clip, take_along_axis and the likes of full_like", name)
        )


FILLS = {"zeros_like": 0.0, "ones_like": 1.0, "empty_like": np.nan, "full_like": np.nan}

UFUNCS: dict[str, Callable[..., Node]] = {
    "add": elementwise.add,
    "subtract": elementwise.subtract,
    "multiply": elementwise.multiply,
    "divide": elementwise.divide,
    "negative": elementwise.negative,
    "absolute": elementwise.abs,
    "sign": elementwise.sign,
    "rint": elementwise.round,
    "floor": elementwise.floor,
    "remainder": elementwise.remainder,
    "copysign": elementwise.copysign,
    "minimum": elementwise.minimum,
    "maximum": elementwise.maximum,
    "sqrt": elementwise.sqrt,
    "hypot": elementwise.hypot,
    "power": elementwise.power,
    "exp": elementwise.exp,
    "expm1": elementwise.expm1,
    "log": elementwise.log,
    "log1p": elementwise.log1p,
    "sin": elementwise.sin,
    "tan": elementwise.tan,
    "isnan": elementwise.isnan,
    "isfinite": elementwise.isfinite,
    "equal": elementwise.equal,
    "not_equal": elementwise.not_equal,
    "less": elementwise.less,
    "less_equal": elementwise.less_equal,
    "greater": elementwise.greater,
    "greater_equal": elementwise.greater_equal,
    "bitwise_and": elementwise.logical_and,
    "bitwise_or": elementwise.logical_or,
    "invert": elementwise.logical_not,
}
