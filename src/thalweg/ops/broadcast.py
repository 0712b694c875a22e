"""Broadcast and sum: an adjoint pair.

    broadcast(x, shape=(2,3), axes=(1,))   x: f32[3] -> f32[2,3]: inserts axes, repeats along them
    sum(x, axes=(0,))                      x: f32[2,3] -> f32[3]: sums axes away

`axes` of broadcast says where each axis of x goes; sizes stay as they are (an axis of size one is
reshaped away first), so each of the two is exactly the other's derivative.
"""

import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, explain
from thalweg.ir.attribute import Sizes
from thalweg.ir.dim import is_known_equal
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import FLOATS, NUMERIC, TensorType, bool_, float32, shape_text
from thalweg.ops.samples import a_type, values


def check_axes(op: str, type: TensorType, axes: tuple[int, ...]) -> None:
    """Refuse axes that are out of range, negative, repeated or out of order."""
    if list(axes) != sorted(set(axes)) or (axes and not 0 <= axes[0] <= axes[-1] < type.rank):
        raise ShapeError(
            explain(op, f"distinct axes in order, from 0 to {type.rank - 1}", f"{axes} for {type}")
        )


def _infer_broadcast(x: TensorType, *, shape: tuple, axes: tuple[int, ...]) -> TensorType:
    fits = (
        len(axes) == x.rank
        and list(axes) == sorted(set(axes))
        and (not axes or 0 <= axes[0] <= axes[-1] < len(shape))
        and all(is_known_equal(x.shape[i], shape[axis]) for i, axis in enumerate(axes))
    )
    if not fits:
        raise ShapeError(
            explain(
                "broadcast",
                "axes that place each axis of x, in order, on one of the same size",
                f"{x} with axes {axes} for shape {shape_text(shape)}",
            )
        )
    return x.with_shape(shape)


def _evaluate_broadcast(x: np.ndarray, *, shape: tuple, axes: tuple[int, ...]) -> np.ndarray:
    inner = [1] * len(shape)
    for size, axis in zip(x.shape, axes, strict=True):
        inner[axis] = size
    return np.broadcast_to(x.reshape(inner), shape)


def _inserted(shape: tuple, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in range(len(shape)) if axis not in axes)


def _sample_broadcast():
    for dtype in (*NUMERIC, bool_):
        yield Sample((values((3,), dtype),), {"shape": (2, 3), "axes": (1,)})
    for dtype in (*FLOATS,):
        yield Sample((values((), dtype),), {"shape": (2, 2), "axes": ()})
        yield Sample((values((2, 3), dtype),), {"shape": (2, 4, 3), "axes": (0, 2)})
        yield Sample((values((0,), dtype),), {"shape": (2, 0), "axes": (1,)})
        yield Sample((values((2,), dtype),), {"shape": (2, 0), "axes": (0,)})
        yield Sample((values((2, 3), dtype),), {"shape": (2, 3), "axes": (0, 1)})


def _refuse_broadcast():
    x = a_type("f32[3]")
    yield Refusal((x,), {"shape": (2, 4), "axes": (1,)}, "axes that place each axis of x")
    yield Refusal((x,), {"shape": (2, 3), "axes": ()}, "axes that place each axis of x")
    yield Refusal((x,), {"shape": (3,), "axes": (1,)}, "axes that place each axis of x")


broadcast: Op = declare(
    Op(
        name="broadcast",
        doc="Insert axes and repeat the values along them.",
        infer=_infer_broadcast,
        evaluate=_evaluate_broadcast,
        arity=1,
        attributes={"shape": Sizes(), "axes": Sizes()},
        gradient=lambda dy, y, x, *, shape, axes: (sum(dy, axes=_inserted(shape, axes)),),
        batch=lambda size, mapped, x, *, shape, axes: broadcast(
            x, shape=(size, *shape), axes=(0, *(axis + 1 for axis in axes))
        ),
        cost=lambda x, *, result, shape, axes: 0,
        laws=frozenset({"linear"}),
        samples=_sample_broadcast,
        refuses=_refuse_broadcast,
        family="movement",
    )
)


def _infer_sum(x: TensorType, *, axes: tuple[int, ...]) -> TensorType:
    check_axes("sum", x, axes)
    if x.dtype is bool_:
        raise DTypeError(
            explain("sum", "numbers", str(x), "Cast first to count: x.astype('int64').")
        )
    return x.with_shape(tuple(size for axis, size in enumerate(x.shape) if axis not in axes))


def _evaluate_sum(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    # Over no axes nothing is added, so -0.0 stays what it is.
    if not axes:
        return x
    # 16-bit floats accumulate in float32, as every backend does, and round once.
    wide = float32.numpy if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x.dtype
    return np.sum(x, axis=axes, dtype=wide).astype(x.dtype)


def _differentiate_sum(dy: Node, y: Node, x: Node, *, axes: tuple[int, ...]):
    kept = tuple(axis for axis in range(x.type.rank) if axis not in axes)
    return (broadcast(dy, shape=x.shape, axes=kept),)


def _sample_sum():
    for dtype in NUMERIC:
        yield Sample((values((2, 3), dtype),), {"axes": (0,)})
        yield Sample((values((2, 3, 2), dtype),), {"axes": (0, 2)})
    for dtype in FLOATS:
        yield Sample((values((2, 3), dtype),), {"axes": (0, 1)})
        yield Sample((values((), dtype),), {"axes": ()})
        yield Sample((values((0, 3), dtype),), {"axes": (0,)})
        yield Sample((values((0, 3), dtype),), {"axes": (1,)})


def _refuse_sum():
    yield Refusal((a_type("f32[3]"),), {"axes": (1,)}, "distinct axes in order")
    yield Refusal((a_type("f32[3,4]"),), {"axes": (1, 0)}, "distinct axes in order")
    yield Refusal((a_type("bool[3]"),), {"axes": (0,)}, "Cast first to count")


sum: Op = declare(
    Op(
        name="sum",
        doc="Sum of the values along some axes.",
        infer=_infer_sum,
        evaluate=_evaluate_sum,
        arity=1,
        attributes={"axes": Sizes()},
        gradient=_differentiate_sum,
        batch=lambda size, mapped, x, *, axes: sum(x, axes=tuple(axis + 1 for axis in axes)),
        cost=lambda x, *, result, axes: x.size,
        laws=frozenset({"linear"}),
        samples=_sample_sum,
        refuses=_refuse_sum,
        tolerance=8,
        family="reduction",
    )
)
