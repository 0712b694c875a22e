"""Many calls of real Keras compiled as one program: one by one, each would wait for a compiler."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

# The program runs once: compiling it quickly is what counts.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def run_by_jax(function: Callable, *data: Any) -> Any:
    """The results, as NumPy arrays, of a function of nested arrays that runs once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1 / epsilon overflows in half precision
        program = jax.jit(function).lower(*data).compile(compiler_options=OPTIONS)
    return jax.tree_util.tree_map(np.asarray, program(*data))
