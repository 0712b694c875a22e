"""Discrete Fourier transforms over some axes.

    fft(x, axes, inverse=false)   complex -> complex; y[k] = sum_j x[j] exp(-2 pi i j k / n)
    rfft(x, axes)                 real -> complex; the last of axes keeps n // 2 + 1 frequencies
    irfft(x, axes, length)        complex -> real; the last of axes becomes `length` long

Forward transforms are not scaled; the inverse ones are divided by the number of points, so they
undo the forward ones. `irfft` takes the frequencies that are left out to be the conjugates of those
given; the imaginary part at frequency 0, and at n / 2 for an even n, has no partner and is ignored
(after the other axes have been transformed back).

complex64 and float32 are transformed in single precision, as NumPy 2 does; their error grows with
the logarithm of the size. Sizes may be named, on transformed axes too.

A transform is linear, so its gradient is its adjoint: the transform in the opposite direction,
scaled, in which a frequency that stands for two (itself and its conjugate) has double weight.
"""

from collections.abc import Sequence

import numpy as np

from thalweg.base.errors import ShapeError, explain
from thalweg.ir.attribute import Flag, Sizes
from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    COMPLEX,
    DType,
    Size,
    TensorType,
    complex64,
    complex128,
    float32,
    float64,
    int64,
    shape_text,
    size_of,
)
from thalweg.ops.broadcast import broadcast
from thalweg.ops.elementwise import (
    add,
    check_elements,
    divide,
    equal,
    logical_or,
    multiply,
    select,
)
from thalweg.ops.movement import iota
from thalweg.ops.movement import size as size_op
from thalweg.ops.samples import a_type, values

REAL = (float32, float64)


def _check_axes(name: str, x: TensorType, axes: tuple[int, ...], is_real: bool = False) -> None:
    if len(set(axes)) != len(axes) or any(not 0 <= axis < x.rank for axis in axes):
        raise ShapeError(explain(name, f"distinct axes, from 0 to {x.rank - 1}", f"{axes} for {x}"))
    if is_real and not axes:
        raise ShapeError(explain(name, "at least one axis, of which the last is halved", f"{axes}"))
    if not all(is_known_at_least(x.shape[axis], 1) for axis in axes):
        raise ShapeError(
            explain(name, "at least one point on every transformed axis", f"{axes} for {x}")
        )


def _points(x: TensorType | Node, axes: Sequence[int]) -> Size:
    return size_of(tuple(x.shape[axis] for axis in axes))


def _number(value: Size, dtype: DType, like: Node) -> Node:
    """A size, named or not, in every element of a type like that of a node."""
    if isinstance(value, int):
        return full(value, dtype, like.shape)
    return broadcast(size_op(dim=value, dtype=dtype), shape=like.shape, axes=())


def _weights(x: Node, axis: int, length: Size, single: float, double: float) -> Node:
    """x times `single` at the frequencies that stand for themselves alone, `double` elsewhere."""
    place = iota(dtype=int64, shape=x.shape, axis=axis)
    is_single = logical_or(
        equal(place, full_like(place, 0)),
        equal(add(place, place), _number(length, int64, place)),
    )
    return multiply(x, select(is_single, full_like(x, single), full_like(x, double)))


def _levels(points: Size) -> int:
    """log2 of a number of points, rounded up; that of 1024 for a named size."""
    return (points - 1).bit_length() if isinstance(points, int) else 10


def _moved(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in axes)


# Complex ------------------------------------------------------------------------------------------


def _infer_fft(x: TensorType, *, axes: tuple[int, ...], inverse: bool) -> TensorType:
    check_elements("fft", COMPLEX, x)
    _check_axes("fft", x, axes)
    return x


def _evaluate_fft(x: np.ndarray, *, axes: tuple[int, ...], inverse: bool) -> np.ndarray:
    return (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes)


def _differentiate_fft(dy: Node, y: Node, x: Node, *, axes: tuple[int, ...], inverse: bool):
    points = _number(_points(x, axes), x.dtype, x)
    dx = fft(dy, axes=axes, inverse=not inverse)
    return (divide(dx, points) if inverse else multiply(dx, points),)


def _sample_fft():
    for dtype in COMPLEX:
        x = values((3, 4), dtype)
        for axes in ((0,), (1,), (0, 1), (1, 0), ()):
            yield Sample((x,), {"axes": axes})
        yield Sample((x,), {"axes": (1,), "inverse": True})
        yield Sample((values((2, 3, 2), dtype),), {"axes": (0, 2), "inverse": True})
        yield Sample((values((5,), dtype),), {"axes": (0,)})
        yield Sample((values((1,), dtype),), {"axes": (0,)})
        yield Sample((values((), dtype),), {"axes": ()})
        yield Sample((values((0, 4), dtype),), {"axes": (1,)})
        undefined = np.array([[1, np.nan, 2], [1, 2, 3]], dtype.numpy)
        yield Sample((undefined,), {"axes": (1,)}, name="one NaN", differentiable=False)


def _refuse_fft():
    x = a_type("c64[3,4]")
    yield Refusal((a_type("f32[3]"),), {"axes": (0,)}, "[fft] wants complex elements")
    yield Refusal((x,), {"axes": (2,)}, "distinct axes, from 0 to 1")
    yield Refusal((x,), {"axes": (0, 0)}, "distinct axes, from 0 to 1")
    yield Refusal((a_type("c64[0,4]"),), {"axes": (0,)}, "at least one point")


fft: Op = declare(
    Op(
        name="fft",
        doc="The discrete Fourier transform over some axes, or its inverse.",
        infer=_infer_fft,
        evaluate=_evaluate_fft,
        arity=1,
        attributes={"axes": Sizes(), "inverse": Flag(False)},
        gradient=_differentiate_fft,
        batch=lambda size, mapped, x, *, axes, inverse: fft(x, axes=_moved(axes), inverse=inverse),
        cost=lambda x, *, result, axes, inverse: 5 * x.size * _levels(_points(x, axes)),
        laws=frozenset({"linear"}),
        samples=_sample_fft,
        refuses=_refuse_fft,
        tolerance=32,
        family="fft",
    )
)

# Real ---------------------------------------------------------------------------------------------


def _complex(dtype: DType) -> DType:
    return complex64 if dtype is float32 else complex128


def _with_last(x: TensorType, axes: tuple[int, ...], size: Size) -> tuple[Size, ...]:
    return (*x.shape[: axes[-1]], size, *x.shape[axes[-1] + 1 :])


def _infer_rfft(x: TensorType, *, axes: tuple[int, ...]) -> TensorType:
    check_elements("rfft", REAL, x)
    _check_axes("rfft", x, axes, is_real=True)
    half = x.shape[axes[-1]] // 2 + 1
    return x.with_dtype(_complex(x.dtype)).with_shape(_with_last(x, axes, half))


def _differentiate_rfft(dy: Node, y: Node, x: Node, *, axes: tuple[int, ...]):
    # x[j] gets the real part of dy[k] exp(2 pi i j k / n), once for each k that y has.
    length = x.shape[axes[-1]]
    dx = irfft(_weights(dy, axes[-1], length, 1, 0.5), axes=axes, length=length)
    return (multiply(dx, _number(_points(x, axes), x.dtype, x)),)


def _sample_rfft():
    for dtype in REAL:
        for axes in ((0,), (1,), (0, 1), (1, 0)):
            yield Sample((values((3, 4), dtype),), {"axes": axes})
        yield Sample((values((2, 5), dtype),), {"axes": (1,)})
        yield Sample((values((2, 3, 2), dtype),), {"axes": (0, 2)})
        for size in (1, 2, 3):
            yield Sample((values((size,), dtype),), {"axes": (0,)})
        yield Sample((values((0, 4), dtype),), {"axes": (1,)})


def _refuse_rfft():
    x = a_type("f32[3,4]")
    yield Refusal((a_type("c64[3]"),), {"axes": (0,)}, "[rfft] wants float32 or float64")
    yield Refusal((a_type("i32[3]"),), {"axes": (0,)}, "Cast first")
    yield Refusal((x,), {"axes": (2,)}, "distinct axes, from 0 to 1")
    yield Refusal((x,), {"axes": ()}, "at least one axis")
    yield Refusal((a_type("f32[0,4]"),), {"axes": (0,)}, "at least one point")


rfft: Op = declare(
    Op(
        name="rfft",
        doc="The first half of the Fourier transform of real values; the last of axes is halved.",
        infer=_infer_rfft,
        evaluate=lambda x, *, axes: np.fft.rfftn(x, axes=axes),
        arity=1,
        attributes={"axes": Sizes()},
        gradient=_differentiate_rfft,
        batch=lambda size, mapped, x, *, axes: rfft(x, axes=_moved(axes)),
        cost=lambda x, *, result, axes: 5 * x.size * _levels(_points(x, axes)) // 2,
        laws=frozenset({"linear"}),
        samples=_sample_rfft,
        refuses=_refuse_rfft,
        tolerance=32,
        family="fft",
    )
)


def _infer_irfft(x: TensorType, *, axes: tuple[int, ...], length: Size) -> TensorType:
    check_elements("irfft", COMPLEX, x)
    _check_axes("irfft", x, axes, is_real=True)
    if not is_known_at_least(length, 1):
        raise ShapeError(explain("irfft", "a length of at least 1", f"{length} for {x}"))
    if not is_known_equal(x.shape[axes[-1]], length // 2 + 1):
        wanted = shape_text(_with_last(x, axes, length // 2 + 1))
        raise ShapeError(
            explain(
                "irfft",
                f"{length // 2 + 1} frequencies, shape {wanted}, for a length of {length}",
                str(x),
                f"Slice or pad axis {axes[-1]} first.",
            )
        )
    return x.with_dtype(x.dtype.real).with_shape(_with_last(x, axes, length))


def _evaluate_irfft(x: np.ndarray, *, axes: tuple[int, ...], length: int) -> np.ndarray:
    if len(axes) > 1:
        x = np.fft.ifftn(x, axes=axes[:-1])
    return np.fft.irfft(x, length, axes[-1])


def _differentiate_irfft(dy: Node, y: Node, x: Node, *, axes: tuple[int, ...], length: Size):
    # A frequency between the ends stands for two.
    dx = _weights(rfft(dy, axes=axes), axes[-1], length, 1, 2)
    return (divide(dx, _number(_points(y, axes), x.dtype, x)),)


def _sample_irfft():
    for dtype in COMPLEX:
        for length in (4, 5):
            yield Sample((values((2, 3), dtype),), {"axes": (1,), "length": length})
            yield Sample((values((2, 3), dtype),), {"axes": (0, 1), "length": length})
        for length in (2, 3):
            yield Sample((values((2, 3), dtype),), {"axes": (1, 0), "length": length})
            yield Sample((values((3, 2, 2), dtype),), {"axes": (0, 2), "length": length})
        yield Sample((values((1,), dtype),), {"axes": (0,), "length": 1})
        yield Sample((values((0, 3), dtype),), {"axes": (1,), "length": 4})


def _refuse_irfft():
    x = a_type("c64[3,4]")
    yield Refusal((a_type("f32[3]"),), {"axes": (0,), "length": 4}, "[irfft] wants complex")
    yield Refusal((x,), {"axes": (2,), "length": 4}, "distinct axes, from 0 to 1")
    yield Refusal((x,), {"axes": (), "length": 4}, "at least one axis")
    yield Refusal((x,), {"axes": (1,), "length": 5}, "3 frequencies, shape [3,3]")
    yield Refusal((x,), {"axes": (1,), "length": 0}, "a length of at least 1")
    yield Refusal((a_type("c64[0,4]"),), {"axes": (0, 1), "length": 6}, "at least one point")


irfft: Op = declare(
    Op(
        name="irfft",
        doc="The real values whose rfft is x; the last of axes becomes `length` long.",
        infer=_infer_irfft,
        evaluate=_evaluate_irfft,
        arity=1,
        attributes={"axes": Sizes(), "length": Sizes()},
        gradient=_differentiate_irfft,
        batch=lambda size, mapped, x, *, axes, length: irfft(x, axes=_moved(axes), length=length),
        cost=lambda x, *, result, axes, length: (
            5 * result.size * _levels(_points(result, axes)) // 2
        ),
        laws=frozenset({"linear"}),
        samples=_sample_irfft,
        refuses=_refuse_irfft,
        tolerance=32,
        family="fft",
    )
)
