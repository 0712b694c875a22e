"""Comparisons, logic, tests of single elements, and choosing between two tensors."""

from collections.abc import Callable
from typing import Any

from thalweg.array import elementwise as array
from thalweg.array import searching, utility
from thalweg.array.creation import zeros_like
from thalweg.array.data_types import astype
from thalweg.base.errors import ArgumentError, DTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.types import bool_
from thalweg.keras.operation import op
from thalweg.keras.ops.numpy.rows import public
from thalweg.keras.ops.operands import as_int32, broadcast, common_dtype, like, promoted, shape_of
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

# Comparisons --------------------------------------------------------------------------------------


def _comparison(name: str, compute: Callable, doc: str) -> Any:
    def function(x1: Any, x2: Any) -> Tensor:
        return compute(*_comparable(x1, x2))

    return public(function, name, f"{doc} Booleans; shapes broadcast.")


def _comparable(x1: Any, x2: Any) -> list[Any]:
    """Operands that the array floor compares.

    It does so exactly where integers have a wider type in common, which Keras' promotion forgoes.
    """
    found = [x if isinstance(x, (bool, int, float, complex)) else tensor(x) for x in (x1, x2)]
    names = {x.dtype.name for x in found if isinstance(x, Tensor)}
    if "uint64" in names and names & {"int8", "int16", "int32", "int64"}:
        return promoted(*found)
    return found


equal = _comparison("equal", array.equal, "x1 == x2.")
not_equal = _comparison("not_equal", array.not_equal, "x1 != x2.")
less = _comparison("less", array.less, "x1 < x2.")
less_equal = _comparison("less_equal", array.less_equal, "x1 <= x2.")
greater = _comparison("greater", array.greater, "x1 > x2.")
greater_equal = _comparison("greater_equal", array.greater_equal, "x1 >= x2.")


@op(data=("x1", "x2", "rtol", "atol"))
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Where |x1 - x2| <= atol + rtol * |x2|; booleans, shapes broadcast.

    Infinities are close to themselves, and NaN to NaN if `equal_nan`.
    """
    x1, x2 = _comparable(x1, x2)
    return array.isclose(x1, x2, rtol=float(rtol), atol=float(atol), equal_nan=bool(equal_nan))


@op(data=("x1", "x2"), name="AllClose")
def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """True where all of x1 is close to x2, as `isclose` says; a boolean scalar."""
    return utility.all(isclose(x1, x2, rtol, atol, equal_nan))


# Logic --------------------------------------------------------------------------------------------


def _truth(x: Any) -> Tensor:
    """Which elements are not 0."""
    x = tensor(x)
    return x if x.dtype is bool_ else astype(x, "bool")


def _logical(name: str, compute: Callable, doc: str) -> Any:
    def function(x1: Any, x2: Any) -> Tensor:
        return compute(_truth(x1), _truth(x2))

    return public(function, name, f"{doc} Numbers are true where they are not 0; shapes broadcast.")


logical_and = _logical("logical_and", array.logical_and, "x1 and x2.")
logical_or = _logical("logical_or", array.logical_or, "x1 or x2.")
logical_xor = _logical("logical_xor", array.logical_xor, "Exactly one of x1 and x2.")


@op
def logical_not(x: Any) -> Tensor:
    """Not x; numbers are true where they are not 0."""
    return array.logical_not(_truth(x))


# Tests --------------------------------------------------------------------------------------------


def _test(name: str, compute: Callable, doc: str) -> Any:
    def function(x: Any) -> Tensor:
        return compute(tensor(x))

    return public(function, name, f"{doc} Booleans of the shape of x.")


def _infinite(name: str, value: float) -> Callable:
    def compute(x: Tensor) -> Tensor:
        if x.dtype.is_complex:
            wanted = "real numbers; infinities of complex numbers have no sign"
            raise DTypeError(explain(name, wanted, f"{x.dtype}", "Write keras.ops.isinf(x)."))
        return array.equal(x, value) if x.dtype.is_float else zeros_like(x, dtype="bool")

    return compute


def _signbit(x: Tensor) -> Tensor:
    return zeros_like(x) if x.dtype is bool_ else array.signbit(x)


isfinite = _test("isfinite", array.isfinite, "Which elements are neither NaN nor infinite.")
isinf = _test("isinf", array.isinf, "Which elements are infinite, in either part.")
isnan = _test("isnan", array.isnan, "Which elements are NaN, in either part.")
isneginf = _test("isneginf", _infinite("isneginf", -float("inf")), "Which elements are -inf.")
isposinf = _test("isposinf", _infinite("isposinf", float("inf")), "Which elements are +inf.")
isreal = _test("isreal", array.isreal, "Which elements have no imaginary part.")
signbit = _test("signbit", _signbit, "Which elements are negative, -0.0 included.")


# Choices ------------------------------------------------------------------------------------------


def _where_spec(condition: Any, x1: Any = None, x2: Any = None) -> KerasTensor:
    _check_choices(x1, x2)
    shapes = [shape_of(x) for x in (condition, x1, x2) if x is not None]
    dtype = "int32" if x1 is None else common_dtype(x1, x2)
    return like(condition, broadcast("where", *shapes), dtype)


@op(data=("condition", "x1", "x2"), spec=_where_spec)
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition is true or not 0, x2 elsewhere; shapes broadcast, types promote.

    With the condition alone, the places where it is true: for each axis their int32 positions.
    Raises ArgumentError where only one of x1 and x2 is given.
    """
    _check_choices(x1, x2)
    if x1 is None:
        return tuple(as_int32(each) for each in searching.nonzero(tensor(condition)))
    return searching.where(tensor(condition), *promoted(x1, x2))


def _check_choices(x1: Any, x2: Any) -> None:
    if (x1 is None) != (x2 is None):
        raise ArgumentError(
            explain(
                "where",
                "both choices or none; `x1` and `x2` either both should be `None` or both should "
                "have non-None value",
                "one of them",
                "Write keras.ops.where(condition, x1, x2).",
            )
        )
