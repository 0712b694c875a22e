"""Comparing values and derivatives of ops with those of real Keras on JAX.

All cases of a test file are compiled as one program: by one, each would wait for a compiler.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras.symbol import KerasTensor

# The program runs once: compiling it quickly is what counts.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2}


def numbers(*shape: int, seed: int = 0, low: float | None = None, high: float = 1.0) -> np.ndarray:
    """Normal numbers, or uniform ones from `low` to `high`, as float32."""
    generator = np.random.default_rng([seed, *shape])
    if low is None:
        return generator.standard_normal(shape).astype("float32")
    return generator.uniform(low, high, shape).astype("float32")


def named(name: str, package: Any = real) -> Callable:
    """The function `keras.ops.<name>`, real Keras' or ours."""
    found = package.ops
    for part in name.split("."):
        found = getattr(found, part)
    return found


@dataclass(frozen=True)
class Case:
    """A call: the function's name, its arrays, its settings, and which arrays have derivatives.

    `symbols` says which arrays may have an unknown first size.
    """

    name: str
    args: tuple
    settings: Mapping[str, Any] = field(default_factory=dict)
    of: tuple[int, ...] = (0,)
    symbols: tuple[int, ...] = (0,)
    tolerance: float = 2e-5

    def __str__(self) -> str:
        shapes = [np.shape(each) for each in self.args]
        return f"{self.name}{shapes}{dict(self.settings) or ''}"


def _arrays(args: tuple) -> dict[int, np.ndarray]:
    return {place: x for place, x in enumerate(args) if isinstance(x, np.ndarray)}


def _total(found: Any) -> Any:
    """A weighted sum of one result or several."""
    parts = found if isinstance(found, (tuple, list)) else [found]
    return sum((part * numbers(*part.shape, seed=7)).sum() for part in parts)


class Oracle:
    """What real Keras gives for cases: values and derivatives, computed when first asked for."""

    def __init__(self, *cases: Case):
        self.cases = cases
        self._found: list[Any] | None = None

    def __getitem__(self, case: Case) -> tuple[Any, dict[int, Any]]:
        if self._found is None:

            def run(given: list[dict[int, Any]]) -> list[Any]:
                return [
                    self._both(case, tuple(arrays.get(i, x) for i, x in enumerate(case.args)))
                    for case, arrays in zip(self.cases, given, strict=True)
                ]

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                given = [_arrays(case.args) for case in self.cases]
                compiled = jax.jit(run).lower(given).compile(OPTIONS)
                self._found = compiled(given)
        return self._found[next(i for i, each in enumerate(self.cases) if each is case)]

    @staticmethod
    def _both(case: Case, args: tuple) -> tuple[Any, dict[int, Any]]:
        function = named(case.name)
        value = function(*args, **case.settings)
        slopes = {}
        for place in case.of:

            def total(x: Any, place: int = place) -> Any:
                return _total(function(*args[:place], x, *args[place + 1 :], **case.settings))

            slopes[place] = jax.grad(total)(args[place])
        return value, slopes

    def check(self, ours: Callable, case: Case) -> None:
        """Our values, element types, symbols and derivatives are those of the oracle."""
        wanted, slopes = self[case]
        found = ours(*case.args, **case.settings)
        close(found, wanted, case.tolerance, str(case))
        announces(ours, case, found)
        for place, slope in slopes.items():

            def total(x: Any, place: int = place) -> Any:
                args = [*case.args[:place], x, *case.args[place + 1 :]]
                return _total(ours(*args, **case.settings))

            got = tw.grad(total)(tw.asarray(case.args[place]))
            close(got, slope, 10 * case.tolerance, f"{case}, derivative {place}")


def close(found: Any, wanted: Any, tolerance: float = 2e-5, what: str = "") -> None:
    """Equal structure, shapes and element types, and close values."""
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted), what
        for one, two in zip(found, wanted, strict=True):
            close(one, two, tolerance, what)
        return
    other = np.asarray(wanted)
    ours = found.numpy() if hasattr(found, "numpy") else np.asarray(found)
    assert ours.dtype == other.dtype, f"{what}: {ours.dtype} for {other.dtype}"
    assert ours.shape == other.shape, f"{what}: {ours.shape} for {other.shape}"
    tolerance = max(tolerance, TOLERANCE.get(other.dtype.name, 0))
    wide = "complex128" if other.dtype.kind == "c" else "float64"
    np.testing.assert_allclose(
        ours.astype(wide), other.astype(wide), rtol=tolerance, atol=tolerance, err_msg=what
    )


def announces(ours: Callable, case: Case, found: Any) -> None:
    """The op says for symbols what shapes and types its results have."""
    args = [
        KerasTensor((None, *each.shape[1:]), each.dtype.name)
        if place in case.symbols and isinstance(each, np.ndarray) and each.ndim
        else each
        for place, each in enumerate(case.args)
    ]
    if not any(isinstance(each, KerasTensor) for each in args):
        return
    symbols = ours(*args, **case.settings)
    pairs = zip(symbols, found, strict=True) if isinstance(found, (tuple, list)) else [
        (symbols, found)
    ]  # fmt: skip
    for symbol, value in pairs:
        assert len(symbol.shape) == value.ndim, (str(case), symbol, value.shape)
        sizes = zip(symbol.shape, value.shape, strict=True)
        assert all(one in (None, two) for one, two in sizes), (str(case), symbol, value.shape)
        assert symbol.dtype == value.dtype.name, (str(case), symbol, value.dtype)
