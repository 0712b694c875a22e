"""Integers: their bits, and what divides them.

Booleans count as one bit; in shifts, where bits move, they are int32. Symbols of other types pass,
as in Keras, for symbols are float32 where nothing is said; values of other types do not.
"""

from collections.abc import Callable
from typing import Any

from thalweg.array import control, searching, utility
from thalweg.array import elementwise as array
from thalweg.array.manipulation import broadcast_arrays
from thalweg.base.errors import DTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.operation import op
from thalweg.keras.ops.numpy.rows import public
from thalweg.keras.ops.operands import (
    are_booleans,
    broadcast,
    common_dtype,
    like,
    promoted,
    same_shape,
    shape_of,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor


def _spec(x: Any, y: Any) -> KerasTensor:
    return KerasTensor(
        broadcast("a function of integers", shape_of(x), shape_of(y)), common_dtype(x, y)
    )


def _shift_spec(x: Any, y: Any) -> KerasTensor:
    found = _spec(x, y)
    return like(found, found.shape, "int32") if found.dtype == "bool" else found


# Bits ---------------------------------------------------------------------------------------------


def _bitwise(name: str, compute: Callable, doc: str) -> Any:
    def function(x: Any, y: Any) -> Tensor:
        return compute(*promoted(x, y))

    return public(function, name, f"{doc} Shapes broadcast, element types promote.", _spec)


def _shift(name: str, compute: Callable, doc: str) -> Any:
    def function(x: Any, y: Any) -> Tensor:
        x, y = promoted(x, y)
        if are_booleans(x, y):
            x, y = tensor(x, "int32"), tensor(y, "int32")
        return compute(x, y)

    return public(function, name, f"{doc} Shapes broadcast, element types promote.", _shift_spec)


def _invert(name: str) -> Any:
    def function(x: Any) -> Tensor:
        return array.bitwise_invert(tensor(x))

    doc = "Every bit turned. The result has the shape and type of x."
    return public(function, name, doc, same_shape)


bitwise_and = _bitwise("bitwise_and", array.bitwise_and, "The bits set in both.")
bitwise_or = _bitwise("bitwise_or", array.bitwise_or, "The bits set in either.")
bitwise_xor = _bitwise("bitwise_xor", array.bitwise_xor, "The bits set in one only.")
bitwise_invert = _invert("bitwise_invert")
bitwise_not = _invert("bitwise_not")

UP = "The bits of x moved up by y places; those that leave are lost."
DOWN = "The bits of x moved down by y places, keeping the sign."
bitwise_left_shift = _shift("bitwise_left_shift", array.bitwise_left_shift, UP)
left_shift = _shift("left_shift", array.bitwise_left_shift, UP)
bitwise_right_shift = _shift("bitwise_right_shift", array.bitwise_right_shift, DOWN)
right_shift = _shift("right_shift", array.bitwise_right_shift, DOWN)


# Divisors -----------------------------------------------------------------------------------------


def _divisor_spec(x1: Any, x2: Any) -> KerasTensor:
    return _spec(x1, x2)


@op(spec=_divisor_spec)
def gcd(x1: Any, x2: Any) -> Tensor:
    """The greatest common divisor, of integers; shapes broadcast, element types promote.

    It is not negative, and gcd(0, 0) is 0. Raises DTypeError for other than integers.
    """
    return _gcd(*_integers("gcd", x1, x2))


@op(spec=_divisor_spec)
def lcm(x1: Any, x2: Any) -> Tensor:
    """The least common multiple, of integers; shapes broadcast, element types promote.

    It is not negative, and 0 if either is. Raises DTypeError for other than integers.
    """
    x1, x2 = _integers("lcm", x1, x2)
    divisor = array.maximum(_gcd(x1, x2), 1)
    return array.multiply(array.floor_divide(x1, divisor), x2)


def _integers(name: str, x1: Any, x2: Any) -> list[Tensor]:
    """The magnitudes of integers, in one type and shape."""
    x1, x2 = promoted(x1, x2)
    dtype = (x1 if isinstance(x1, Tensor) else x2).dtype
    if not dtype.is_integer:
        raise DTypeError(explain(name, "integers", f"{dtype}", "Write keras.ops.cast(x, 'int32')."))
    return [array.abs(x) for x in broadcast_arrays(tensor(x1, dtype), tensor(x2, dtype))]


def _gcd(x: Tensor, y: Tensor) -> Tensor:
    """By Euclid's steps, until all remainders are 0; elements that are done wait."""

    def goes_on(x: Tensor, y: Tensor) -> Tensor:
        return utility.any(array.not_equal(y, 0))

    def step(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        is_done = array.equal(y, 0)
        rest = array.remainder(x, searching.where(is_done, 1, y))
        return searching.where(is_done, x, y), searching.where(is_done, 0, rest)

    return control.while_loop(goes_on, step, (x, y))[0]
