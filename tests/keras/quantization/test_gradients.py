"""Derivatives of quantized and adapted models, beside real Keras on JAX."""

import functools
import warnings
from typing import Any

import jax
import numpy as np
import pytest
from tests.keras.oracle import keras as real
from tests.keras.quantization.zoo import inputs_of, made, parts_of

import thalweg as tw
from thalweg import keras

# The program runs once: compiling it quickly is what counts.
OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
CASES = [
    "mlp-int8", "mlp-int4-blocks", "mlp-int4-outputs", "mlp-float8", "mlp-lora", "mlp-int8-lora",
    "projection-int8", "projection-float8", "projection-int8-lora", "combination-int4-lora",
    "turned-int8", "turned-float8", "embedding-lora", "embedding-int8-lora", "conv2d-lora",
]  # fmt: skip


def model_of(package: Any, case: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that keep their floats
        return made(package, case)


def total(model: Any, weights: Any, x: Any, ops: Any) -> Any:
    """One number that depends on each output in a way of its own."""
    state = [variable.value for variable in model.non_trainable_variables]
    y, _ = model.stateless_call(weights, state, x, training=True)
    factors = np.cos(np.arange(np.prod(y.shape))).reshape(y.shape).astype("float32")
    return ops.sum(y * factors)


def places(case: str) -> tuple[int, ...]:
    """By what to differentiate: weights, and inputs that are no integers."""
    return (0,) if parts_of(case)[0].ids is not None else (0, 1)


@functools.cache
def theirs() -> dict[str, Any]:
    """The derivatives of all cases, from one program."""
    models = {case: model_of(real, case) for case in CASES}

    def everything(arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            case: jax.grad(functools.partial(total, models[case], ops=real.ops), places(case))(
                *each
            )
            for case, each in arguments.items()
        }

    given = {
        case: ([each.value for each in model.trainable_variables], inputs_of(case))
        for case, model in models.items()
    }
    return jax.jit(everything).lower(given).compile(compiler_options=OPTIONS)(given)


@pytest.mark.parametrize("case", CASES)
def test_derivatives(case: str) -> None:
    model = model_of(keras, case)
    weights = [variable.value for variable in model.trainable_variables]

    def function(weights: Any, x: Any) -> Any:
        return total(model, weights, x, keras.ops)

    found = tw.grad(function, argnums=places(case))(weights, tw.asarray(inputs_of(case)))
    wanted = jax.tree_util.tree_leaves(theirs()[case])
    for ours, each in zip(keras.tree.flatten(found), wanted, strict=True):
        each = np.asarray(each)
        scale = max(1.0, float(abs(each).max(initial=0)))
        np.testing.assert_allclose(ours.numpy(), each, rtol=2e-5, atol=2e-5 * scale)
