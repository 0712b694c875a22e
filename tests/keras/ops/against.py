"""Comparing a public op with real Keras' op of the same name: values, element types, symbols.

Values come from real Keras' own NumPy backend, which has the types of its JAX backend and compiles
nothing, or where NumPy falls short from its public ops. Symbols come from its public ops.
"""

import warnings
from importlib import import_module
from typing import Any

import ml_dtypes
import numpy as np
from tests.keras.oracle import keras as real

from thalweg.keras.symbol import KerasTensor

DTYPES = (
    "bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float16", "bfloat16", "float32",
)  # fmt: skip
"""The element types in which real Keras computes by default; it narrows those of 64 bits."""

FLOATS = ("float16", "bfloat16", "float32")
TOLERANCES = {"float16": 4e-3, "bfloat16": 3e-2}


def array(shape: Any, dtype: str = "float32", seed: int = 0, low: int = -4, high: int = 5) -> Any:
    """Small random numbers of a type, with halves where it has them, and with equal ones."""
    generator = np.random.default_rng(seed)
    if dtype.startswith("uint"):
        low = 0
    values = generator.integers(low, high, shape)
    if dtype == "bool":
        return values > 0
    if dtype.endswith(("float16", "float32", "float64")):
        values = values + generator.integers(0, 4, shape) / 4
    return np.asarray(values).astype(getattr(ml_dtypes, dtype, dtype))


def with_nan(x: np.ndarray, every: int = 3) -> np.ndarray:
    """The array with NaN at some places."""
    found = x.copy()
    found.reshape(-1)[::every] = np.nan
    return found


def _numpy_backend() -> Any:
    """Keras' backend of that name; importing it must not put it in the place of JAX's functions."""
    backend = import_module("keras.src.backend")
    chosen = backend.numpy
    found = import_module("keras.src.backend.numpy.numpy")
    backend.numpy = chosen
    return found


computed = _numpy_backend()


def theirs(function: Any) -> Any:
    """Real Keras' public function of the same name."""
    return getattr(real.ops.numpy, function.__name__)


def check(function: Any, *args: Any, on_jax: bool = False, **kwargs: Any) -> Any:
    """Ours and theirs give equal values and types, and ours are what its own symbols announce."""
    found = function(*args, **kwargs)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = theirs(function) if on_jax else getattr(computed, function.__name__)
        wanted = other(*args, **kwargs)
    same(found, wanted, f"{function.__name__}{args}{kwargs}")
    if any(isinstance(x, np.ndarray) for x in flat(args)):
        announced = function(*as_symbols(args, KerasTensor), **kwargs)
        fits(announced, found, function.__name__)
    return found


def same(ours: Any, others: Any, what: str) -> None:
    """Equal structure, shape, element type and values."""
    if isinstance(others, (tuple, list)):
        assert isinstance(ours, (tuple, list)) and len(ours) == len(others), what
        for one, two in zip(ours, others, strict=True):
            same(one, two, what)
        return
    if isinstance(others, int):
        assert ours == others, what
        return
    wanted = np.asarray(others)
    assert ours.dtype.name == wanted.dtype.name, f"{what}: {ours.dtype} for {wanted.dtype}"
    assert tuple(ours.shape) == wanted.shape, f"{what}: {ours.shape} for {wanted.shape}"
    tolerance = TOLERANCES.get(wanted.dtype.name, 2e-5)
    np.testing.assert_allclose(
        ours.numpy().astype("complex64" if wanted.dtype.kind == "c" else "float64"),
        wanted.astype("complex64" if wanted.dtype.kind == "c" else "float64"),
        rtol=tolerance,
        atol=tolerance,
        err_msg=what,
    )


def fits(announced: Any, found: Any, what: str) -> None:
    """A symbol's shape, where it is known, and its element type are those of the value."""
    if isinstance(announced, (tuple, list)):
        for one, two in zip(announced, found, strict=True):
            fits(one, two, what)
    elif isinstance(announced, KerasTensor) and not isinstance(found, int):
        sizes = zip(announced.shape, found.shape, strict=True)
        assert all(size in (None, value) for size, value in sizes), (what, announced, found.shape)
        assert announced.dtype == found.dtype.name, (what, announced, found.dtype)


def flat(value: Any) -> list[Any]:
    """The leaves of nested lists and tuples."""
    if isinstance(value, (list, tuple)):
        return [leaf for each in value for leaf in flat(each)]
    return [value]


def as_symbols(value: Any, symbol: Any) -> Any:
    """Arrays in nested lists and tuples replaced by symbols of their shape and type."""
    if isinstance(value, (list, tuple)):
        return type(value)(as_symbols(each, symbol) for each in value)
    if isinstance(value, np.ndarray):
        return symbol(value.shape, value.dtype.name)
    return value


class S:
    """A place for a symbol: its shape, with None for what is not known, and its element type."""

    def __init__(self, *shape: int | None, dtype: str = "float32"):
        self.shape = shape
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"S{self.shape}"


def placed(value: Any, symbol: Any) -> Any:
    """Places in nested lists and tuples replaced by symbols of one package."""
    if isinstance(value, S):
        return symbol(value.shape, value.dtype)
    if isinstance(value, (list, tuple)):
        return type(value)(placed(each, symbol) for each in value)
    return value


def check_symbols(function: Any, *args: Any, **kwargs: Any) -> None:
    """Ours announces the shapes and types that theirs does, or both refuse."""
    what = f"{function.__name__}{args}{kwargs}"
    try:
        wanted = theirs(function)(*placed(args, real.KerasTensor), **kwargs)
    except Exception as error:
        try:
            found = function(*placed(args, KerasTensor), **kwargs)
        except Exception as ours:
            assert isinstance(ours, (ValueError, TypeError)), (what, ours)
            return
        raise AssertionError(f"{what}: {found}, but theirs raises {error!r}") from error
    found = function(*placed(args, KerasTensor), **kwargs)
    assert described(found) == described(wanted), what


def described(value: Any) -> Any:
    """Shapes and types of nested symbols."""
    if isinstance(value, (list, tuple)):
        return [described(each) for each in value]
    return tuple(value.shape), value.dtype
