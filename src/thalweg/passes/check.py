"""Compare a Function before and after a pass on random inputs; names the guilty pass."""

import numpy as np

from thalweg.base.errors import VerifyError, explain
from thalweg.base.options import set_options
from thalweg.ir.dim import substitute, symbols
from thalweg.ir.function import Function, all_nodes
from thalweg.ir.types import TensorType, as_dtype
from thalweg.transforms.evaluate import run

TOLERANCE = 64
"""Units of epsilon, relative to the largest magnitude: expansions may round otherwise."""

EPSILONS = {16: 2.0**-7, 32: 2.0**-23, 64: 2.0**-52}


def check_values(guilty: str, before: Function, after: Function) -> None:
    """Raise VerifyError when the two disagree. Programs that reach the host are not run."""
    if any(node.op.name in ("callback", "check") for node in all_nodes(before)):
        return
    arrays = random_arguments(before)
    # Random arguments may make NaN; that is no fault of the program, as long as both sides do.
    former = set_options(stop_at_nonfinite=False)
    try:
        olds, news = run(before, *arrays), run(after, *arrays)
    finally:
        set_options(stop_at_nonfinite=former.stop_at_nonfinite)
    for index, (old, new) in enumerate(zip(olds, news, strict=True)):
        if not is_close(new, old):
            raise VerifyError(
                explain(
                    f"pass {guilty}",
                    f"result {index} of {before.name} to keep its value",
                    f"{new.ravel()[:4]} for {old.ravel()[:4]}",
                )
            )


def random_arguments(function: Function, seed: int = 0, size: int = 3) -> list[np.ndarray]:
    """Arrays that fit a Function's parameters, named sizes taken as `size`, `size + 1`, ..."""
    generator = np.random.default_rng(seed)
    names = sorted(
        {
            name
            for type in function.parameter_types
            for entry in type.shape
            for name in symbols(entry)
        }
    )
    sizes = {name: size + offset for offset, name in enumerate(names)}
    return [random_array(generator, type, sizes) for type in function.parameter_types]


def random_array(
    generator: "np.random.Generator", type: TensorType, sizes: dict[str, int]
) -> np.ndarray:
    """Values of a type: small integers, floats of both signs, complex numbers of both parts."""
    shape = tuple(substitute(entry, sizes) if symbols(entry) else entry for entry in type.shape)
    dtype = type.dtype
    if dtype.kind == "bool":
        return np.asarray(generator.integers(0, 2, shape)).astype(bool)
    if dtype.is_integer:
        return np.asarray(generator.integers(0, 5, shape)).astype(dtype.numpy)
    values = np.asarray(generator.standard_normal(shape))
    if dtype.is_complex:
        values = values + 1j * generator.standard_normal(shape)
    return np.asarray(values).astype(dtype.numpy)


def is_close(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Equal within rounding; NaN and infinities in the same places."""
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return False
    if found.dtype.kind in "biu":
        return bool(np.array_equal(found, wanted))
    wide = np.complex128 if found.dtype.kind == "c" else np.float64
    epsilon = EPSILONS[as_dtype(found.dtype).real.bits]
    a, b = found.astype(wide), wanted.astype(wide)
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    scale = float(np.max(np.abs(b[finite]), initial=0.0))
    error = float(np.max(np.abs(a[finite] - b[finite]), initial=0.0))
    return error <= TOLERANCE * epsilon * scale
