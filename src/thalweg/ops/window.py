"""Reductions over sliding windows, and what the derivatives of the extremes are made of.

    window_sum(x, window=..., strides=..., padding=..., input_dilation=..., window_dilation=...)
    window_max(x, ...), window_min(x, ...)
    window_pick(x, y, ..., direction="max")       for each window, y where x has its extreme
    window_scatter(x, dy, ..., direction="max")   dy added at that place: the adjoint in y

Every attribute holds one entry for every axis of x, batch and channels included; padding one pair
(low, high). What padding and dilation add is 0 in a sum, and in an extreme the number that never
wins: an infinity, or the smallest or largest integer. A window that holds nothing else reads that;
`window_pick` gives 0 there and `window_scatter` adds nothing.

The place of an extreme is the first one in row-major order; NaN counts as extreme. A window is a
product of one stretch of each axis, so sums and extremes go axis by axis, and the first place of an
extreme does so from the last axis to the first.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.ir.attribute import Sizes, Text
from thalweg.ir.dim import is_known_equal
from thalweg.ir.leaves import full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DTYPES,
    NUMERIC,
    REAL,
    Shape,
    TensorType,
    bool_,
    complex128,
    float32,
    float64,
    int32,
    shape_text,
    size_of,
)
from thalweg.ops.elementwise import check_elements, front
from thalweg.ops.samples import a_type, values
from thalweg.ops.window_sizes import (
    Sweep,
    check_options,
    check_sweeps,
    moving_axes,
    paddings,
    place,
    sweeps_of,
    windows_along,
)

ATTRIBUTES = {
    "window": Sizes(),
    "strides": Sizes(),
    "padding": Sizes(),
    "input_dilation": Sizes(),
    "window_dilation": Sizes(),
}


def _sweeps(x: Any, window, strides, padding, input_dilation, window_dilation) -> list[Sweep]:
    return sweeps_of(x.shape, window, strides, padding, input_dilation, window_dilation)


def _attrs_of(sweeps: list[Sweep]) -> dict[str, Any]:
    """Sweeps as attributes."""
    return {
        "window": tuple(each.window for each in sweeps),
        "strides": tuple(each.stride for each in sweeps),
        "padding": paddings(sweeps),
        "input_dilation": tuple(each.input_dilation for each in sweeps),
        "window_dilation": tuple(each.window_dilation for each in sweeps),
    }


def _with_batch_axis(window, strides, padding, input_dilation, window_dilation) -> dict[str, Any]:
    """The attributes with a leading axis, each of whose elements is a window."""
    return {
        "window": (1, *window),
        "strides": (1, *strides),
        "padding": ((0, 0), *padding),
        "input_dilation": (1, *input_dilation),
        "window_dilation": (1, *window_dilation),
    }


def _window_shape(name: str, x: TensorType, **attrs: Any) -> Shape:
    check_options(name, x, x.rank, **attrs)
    return check_sweeps(name, _sweeps(x, **attrs), x)


def _wide(x: np.ndarray) -> np.ndarray:
    """16-bit floats as float32."""
    is_narrow = x.dtype.itemsize == 2 and x.dtype.kind not in "iu"
    return x.astype(np.float32) if is_narrow else x


def _cost(*types: TensorType, result: TensorType, window: Shape, **attrs: Any):
    return result.size * size_of(window)


def _given(rank: int, **given: Any) -> dict[str, Any]:
    """Attributes that make each element a window, but for those given."""
    ones = (1,) * rank
    plain = dict.fromkeys(ATTRIBUTES, ones) | {"padding": ((0, 0),) * rank}
    return plain | given


_CASES: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((4, 5), {"window": (2, 3), "strides": (2, 1)}),
    ((2, 4, 5, 2), {"window": (1, 2, 2, 1), "strides": (1, 2, 2, 1)}),
    ((7,), {"window": (3,), "strides": (2,), "padding": ((1, 2),)}),
    ((6,), {"window": (2,), "window_dilation": (3,), "padding": ((2, 1),)}),
    ((4, 3), {"window": (3, 3), "input_dilation": (2, 3), "padding": ((1, 0), (0, 1))}),
    ((5,), {"window": (3,), "input_dilation": (3,), "strides": (2,), "window_dilation": (2,),
            "padding": ((-2, 3),)}),
    ((5, 4), {"window": (2, 2), "padding": ((-1, 1), (1, -2))}),
    ((3,), {"window": (2,), "padding": ((3, 2),)}),
    ((0, 3), {"window": (1, 2)}),
    ((0, 3), {"window": (2, 2), "padding": ((1, 2), (0, 0))}),
    ((), {}),
)  # fmt: skip

# Sum ----------------------------------------------------------------------------------------------


def _reduce_windows(x: np.ndarray, sweeps: list[Sweep], identity: Any, ufunc: np.ufunc):
    """A reduction of every window, one axis after another."""
    for axis, sweep in moving_axes(sweeps):
        if not sweep.positions:
            return np.zeros([each.positions for each in sweeps], x.dtype)
        view = windows_along(place(x, [sweep], identity, axis), sweep, axis)
        x = ufunc.reduce(view, axis=-1, dtype=x.dtype)
    return x


def _infer_sum(x: TensorType, **attrs: Any) -> TensorType:
    if x.dtype is bool_:
        raise DTypeError(
            explain("window_sum", "numbers", str(x), "Cast first to count: x.astype('int64').")
        )
    return x.with_shape(_window_shape("window_sum", x, **attrs))


def _evaluate_sum(x: np.ndarray, **attrs: Any) -> np.ndarray:
    return _reduce_windows(_wide(x), _sweeps(x, **attrs), 0, np.add).astype(x.dtype)


def _differentiate_sum(dy: Node, y: Node, x: Node, **attrs: Any):
    if is_known_equal(x.type.size, 0):
        return (full_like(x, 0),)
    return (window_sum(dy, **_attrs_of([each.adjoint() for each in _sweeps(x, **attrs)])),)


def _sample_sum():
    for dtype in NUMERIC:
        shape, given = _CASES[0]
        yield Sample((values(shape, dtype),), _given(len(shape), **given))
    for dtype in (float32, float64, complex128):
        for shape, given in _CASES:
            yield Sample((values(shape, dtype),), _given(len(shape), **given))


def _refuse_options(name: str, count: int, **more: Any):
    x = a_type("f32[2,8]")

    def refusal(message: str, **given: Any) -> Refusal:
        return Refusal((x,) * count, _given(2, **given) | more, message)

    yield refusal("one for each axis that is swept: 2", window=(2,))
    yield refusal("window to hold sizes of at least 1", window=(0, 1))
    yield refusal("strides to hold sizes of at least 1", strides=(1, 0))
    yield refusal("Write for instance padding=((0, 0), (0, 0))", padding=(0, 1))
    yield refusal("input_dilation to hold sizes", input_dilation=(1, (1,)))
    yield refusal("padding 'same', a smaller window", window=(1, 9))
    yield refusal("reaches over 9 places, on axis 1", window=(1, 3), window_dilation=(1, 4))


def _refuse_sum():
    yield Refusal((a_type("bool[3]"),), _given(1), "Cast first to count")
    yield from _refuse_options("window_sum", 1)


window_sum: Op = declare(
    Op(
        name="window_sum",
        doc="The sum of every window of x.",
        infer=_infer_sum,
        evaluate=_evaluate_sum,
        arity=1,
        attributes=ATTRIBUTES,
        gradient=_differentiate_sum,
        batch=lambda size, mapped, x, **attrs: window_sum(x, **_with_batch_axis(**attrs)),
        cost=_cost,
        laws=frozenset({"linear"}),
        samples=_sample_sum,
        refuses=_refuse_sum,
        tolerance=8,
        family="window",
    )
)

# Extremes -----------------------------------------------------------------------------------------


def _never_wins(dtype: np.dtype, direction: str) -> Any:
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min if direction == "max" else info.max
    return -np.inf if direction == "max" else np.inf


def _extreme(direction: str, ufunc: np.ufunc) -> Op:
    name = f"window_{direction}"

    def infer(x: TensorType, **attrs: Any) -> TensorType:
        check_elements(name, REAL, x)
        return x.with_shape(_window_shape(name, x, **attrs))

    def evaluate(x: np.ndarray, **attrs: Any) -> np.ndarray:
        wide = _wide(x)
        identity = _never_wins(wide.dtype, direction)
        return _reduce_windows(wide, _sweeps(x, **attrs), identity, ufunc).astype(x.dtype)

    def samples():
        for dtype in REAL:
            for shape, given in _CASES[:3]:
                yield Sample((values(shape, dtype, -9, 9),), _given(len(shape), **given))
        for shape, given in _CASES:
            x, attrs = values(shape, float64), _given(len(shape), **given)
            # What lies wholly in padding is infinite, which differences cannot follow.
            yield Sample((x,), attrs, differentiable=bool(np.isfinite(evaluate(x, **attrs)).all()))
        tied = np.array([[1.0, 1.0, np.nan], [-np.inf, np.inf, 0.0]])
        yield Sample((tied,), _given(2, window=(2, 2), padding=((1, 0), (0, 1))),
                     name="ties, NaN and infinities", differentiable=False)  # fmt: skip

    def refuses():
        yield Refusal((a_type("c64[3]"),), _given(1), f"[{name}] wants real numbers")
        yield Refusal((a_type("bool[3]"),), _given(1), f"[{name}] wants real numbers")
        yield from _refuse_options(name, 1)

    op = Op(
        name=name,
        doc=f"The {ufunc.__name__} of every window of x; NaN where it holds one.",
        infer=infer,
        evaluate=evaluate,
        arity=1,
        attributes=ATTRIBUTES,
        gradient=lambda dy, y, x, **attrs: (window_scatter(x, dy, **attrs, direction=direction),),
        batch=lambda size, mapped, x, **attrs: op(x, **_with_batch_axis(**attrs)),
        cost=_cost,
        samples=samples,
        refuses=refuses,
        tolerance=0,
        family="window",
    )
    return declare(op)


window_max = _extreme("max", np.maximum)
window_min = _extreme("min", np.minimum)


def _places(x: np.ndarray, sweeps: list[Sweep], direction: str) -> np.ndarray:
    """Where in x, in row-major order, each window has its extreme; -1 where it has no element."""
    x, places = _wide(x), np.arange(x.size).reshape(x.shape)
    identity = _never_wins(x.dtype, direction)
    is_beaten = np.less_equal if direction == "max" else np.greater_equal
    for axis, sweep in moving_axes(sweeps):
        if not sweep.positions:
            return np.zeros([each.positions for each in sweeps], places.dtype)
        view = windows_along(place(x, [sweep], identity, axis), sweep, axis)
        there = windows_along(place(places, [sweep], -1, axis), sweep, axis)
        x, places = view[..., 0], there[..., 0]
        for k in range(1, sweep.window):
            # NaN is not beaten, and nothing beats it; padding that ties with an element gives way.
            wins = ~is_beaten(view[..., k], x) & (x == x)
            wins |= (places < 0) & (there[..., k] >= 0)
            x = np.where(wins, view[..., k], x)
            places = np.where(wins, there[..., k], places)
    return places


def _check_direction(name: str, x: TensorType, direction: str) -> None:
    check_elements(name, REAL, x)
    if direction not in ("max", "min"):
        raise ArgumentError(explain(name, "the direction 'max' or 'min'", repr(direction)))


def _infer_pick(x: TensorType, y: TensorType, *, direction: str, **attrs: Any) -> TensorType:
    _check_direction("window_pick", x, direction)
    _check_shape("window_pick", "y of the shape of x", x.shape, x, y)
    return y.with_shape(_window_shape("window_pick", x, **attrs))


def _infer_scatter(x: TensorType, dy: TensorType, *, direction: str, **attrs: Any) -> TensorType:
    _check_direction("window_scatter", x, direction)
    check_elements("window_scatter", NUMERIC, dy)
    wanted = _window_shape("window_scatter", x, **attrs)
    _check_shape("window_scatter", f"dy of shape {shape_text(wanted)}, one for each window",
                 wanted, x, dy)  # fmt: skip
    return dy.with_shape(x.shape)


def _check_shape(name: str, what: str, wanted: Shape, x: TensorType, other: TensorType) -> None:
    if len(wanted) != other.rank or not all(map(is_known_equal, wanted, other.shape)):
        raise ShapeError(explain(name, what, f"{other} for x {x}"))


def _evaluate_pick(x: np.ndarray, y: np.ndarray, *, direction: str, **attrs: Any) -> np.ndarray:
    places = _places(x, _sweeps(x, **attrs), direction)
    # Place -1 finds the 0 at the end.
    return np.append(y.reshape(-1), np.zeros(1, y.dtype))[places]


def _evaluate_scatter(x: np.ndarray, dy: np.ndarray, *, direction: str, **attrs: Any) -> np.ndarray:
    places = _places(x, _sweeps(x, **attrs), direction)
    wide = _wide(dy)
    # Place -1 is one past the end, cut off again.
    sums = np.zeros(x.size + 1, wide.dtype)
    np.add.at(sums, places.reshape(-1), wide.reshape(-1))
    return sums[:-1].astype(dy.dtype).reshape(x.shape)


def _batch_pair(op_of: Callable[[], Op]) -> Callable:
    def rule(size, mapped, x: Node, y: Node, *, direction: str, **attrs: Any) -> Node:
        x, y = front(size, mapped, (x, y))
        return op_of()(x, y, **_with_batch_axis(**attrs), direction=direction)

    return rule


def _sample_pair(is_scatter: bool):
    def sample(dtype, element, shape, given, direction):
        attrs = _given(len(shape), **given)
        x = values(shape, dtype, -9, 9, seed=1)
        taken: Any = [each.positions for each in _sweeps(x, **attrs)] if is_scatter else shape
        y = values(taken, element, seed=2)
        return Sample((x, y), attrs | {"direction": direction})

    for dtype in REAL:
        yield sample(dtype, float32, *_CASES[0], "max")
    for dtype in NUMERIC if is_scatter else DTYPES:
        yield sample(float32, dtype, *_CASES[2], "min")
    for case in _CASES:
        yield sample(float64, float64, *case, "max")
        yield sample(float64, float64, *case, "min")
    tied = np.array([1.0, 1.0, -np.inf, -np.inf, np.nan, np.inf, np.nan])
    taken = values((8,) if is_scatter else (7,), float32)
    attrs = _given(1, window=(2,), padding=((1, 1),))
    for direction in ("max", "min"):
        yield Sample((tied, taken), attrs | {"direction": direction}, name="ties, NaN, infinities",
                     differentiable=False)  # fmt: skip
    lowest = np.full(3, np.iinfo(np.int32).min, np.int32)
    taken = values((4,) if is_scatter else (3,), int32)
    yield Sample((lowest, taken), attrs | {"direction": "max"}, name="as low as padding")


def _refuse_pair(name: str):
    x, z = a_type("f32[2,8]"), a_type("c64[2,8]")
    good = _given(2) | {"direction": "max"}
    yield Refusal((z, x), good, f"[{name}] wants real numbers")
    yield Refusal((x, x), good | {"direction": "up"}, "the direction 'max' or 'min'")
    yield from _refuse_options(name, 2, direction="max")


def _refuse_pick():
    x, y = a_type("f32[2,8]"), a_type("f32[2,7]")
    yield Refusal((x, y), _given(2) | {"direction": "max"}, "y of the shape of x")
    yield from _refuse_pair("window_pick")


def _refuse_scatter():
    x, mask = a_type("f32[2,8]"), a_type("bool[2,7]")
    attrs = _given(2, window=(1, 2)) | {"direction": "max"}
    yield Refusal((x, x), attrs, "dy of shape [2,7], one for each window")
    yield Refusal((x, mask), attrs, "[window_scatter] wants numbers")
    yield from _refuse_pair("window_scatter")


window_pick: Op = declare(
    Op(
        name="window_pick",
        doc="For each window, the element of y at the place where x has its extreme; 0 for a "
        "window that holds no element.",
        infer=_infer_pick,
        evaluate=_evaluate_pick,
        arity=2,
        attributes=ATTRIBUTES | {"direction": Text()},
        gradient=lambda dz, z, x, y, **attrs: (None, window_scatter(x, dz, **attrs)),
        batch=_batch_pair(lambda: window_pick),
        cost=_cost,
        samples=lambda: _sample_pair(is_scatter=False),
        refuses=_refuse_pick,
        tolerance=0,
        family="window",
    )
)
window_scatter: Op = declare(
    Op(
        name="window_scatter",
        doc="Zeros of the shape of x, with each window's element of dy added at the place where "
        "the window of x has its extreme.",
        infer=_infer_scatter,
        evaluate=_evaluate_scatter,
        arity=2,
        attributes=ATTRIBUTES | {"direction": Text()},
        gradient=lambda dz, z, x, dy, **attrs: (None, window_pick(x, dz, **attrs)),
        batch=_batch_pair(lambda: window_scatter),
        cost=lambda x, dy, *, result, window, **attrs: dy.size * size_of(window),
        samples=lambda: _sample_pair(is_scatter=True),
        refuses=_refuse_scatter,
        tolerance=8,
        family="window",
    )
)
