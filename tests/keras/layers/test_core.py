"""The contract of Dense, EinsumDense, the embeddings, Identity, Masking and Lambda."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.keras.layers.contract import Case, checks, quiet
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.base.errors import ArgumentError

PARTS = {
    "kernel_initializer": "he_uniform",
    "bias_initializer": "ones",
    "kernel_regularizer": "l2",
    "bias_regularizer": "l1",
    "activity_regularizer": "l2",
    "kernel_constraint": "unit_norm",
    "bias_constraint": "non_neg",
}
EMBEDDING = {"input_dim": 7, "output_dim": 3}
REVERSE = {"reverse": True}


def einsum(shape: tuple, equation: str, output_shape: Any, **settings: Any) -> Case:
    return Case(
        "EinsumDense", shape, {"equation": equation, "output_shape": output_shape, **settings}
    )


CASES = [
    Case("Dense", (3, 4), {"units": 5}),
    Case("Dense", (2, 3, 4), {"units": 2, "activation": "relu"}, unknown=(0, 1)),
    Case("Dense", (2, 3, 1, 4), {"units": 1, "use_bias": False, "activation": "softplus"}),
    Case("Dense", (3, 4), {"units": 5, "activation": "tanh", **PARTS}, policies=("float16",)),
    Case("Dense", (3, 4), {"units": 5}, policies=("mixed_float16",)),
    Case("Dense", (3, 4, 2), {"units": 5}, masked=2),
    einsum((3, 4), "ab,bc->ac", 5),
    einsum((3, 4), "ab,bc->ac", 5, bias_axes="c", activation="relu"),
    einsum((2, 3, 4), "abc,cd->abd", (None, 5), bias_axes="d"),
    einsum((2, 3, 4), "abc,cde->abde", (3, 5, 6), bias_axes="de"),
    einsum((2, 3, 4), "abc,cde->abde", (3, 5, 6), bias_axes="b"),
    einsum((2, 3, 4, 5), "abcd,cde->abe", (3, 6), bias_axes="be"),
    einsum((2, 3, 4), "...c,cd->...d", 5, bias_axes="d"),
    einsum((2, 3, 4), "...bc,bcd->...d", (5,)),
    einsum((2, 3, 4), "ab...,bc->ac...", 5, bias_axes="c"),
    einsum((2, 3, 4), "abc,bd->adc", (5, 4), bias_axes="dc", **PARTS),
    Case("Embedding", (2, 5), EMBEDDING, below=7, unknown=(0, 1)),
    Case("Embedding", (4,), {**EMBEDDING, "mask_zero": True}, below=7),
    Case("Embedding", (2, 5), {**EMBEDDING, "mask_zero": True}, below=3),
    Case(
        "Embedding", (2, 5),
        {
            **EMBEDDING, "embeddings_initializer": "ones", "embeddings_regularizer": "l2",
            "activity_regularizer": "l1", "embeddings_constraint": "max_norm",
        },
        below=7,
    ),
    Case("ReversibleEmbedding", (2, 5), {**EMBEDDING, "mask_zero": True}, below=7),
    Case("ReversibleEmbedding", (2, 3), EMBEDDING, call=REVERSE),
    Case("ReversibleEmbedding", (2, 3), {**EMBEDDING, "tie_weights": False}, call=REVERSE),
    Case("ReversibleEmbedding", (2, 3), {**EMBEDDING, "logit_soft_cap": 0.4}, call=REVERSE),
    Case("Identity", (2, 3), unknown=(0, 1)),
    Case("Identity", (2, 3), masked=1),
    Case("Masking", (2, 3, 4), unknown=(0, 1)),
    Case("Masking", (2, 3, 4), {"mask_value": 1.5}),
]  # fmt: skip


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()


def test_an_embedding_takes_its_weights() -> None:
    table = np.arange(21.0).reshape(7, 3)
    layer = keras.layers.Embedding(7, 3, weights=[table])
    np.testing.assert_array_equal(layer(np.array([[2, 0]])).numpy(), table[[[2, 0]]])


def test_masking_masks_steps_of_one_value() -> None:
    x = np.ones((2, 3, 2), "float32")
    x[0, 1] = 7.0
    x[1, 2, 0] = 7.0
    for package in (keras, real):
        found = package.layers.Masking(mask_value=7.0)(x)
        mask = np.asarray(package.ops.convert_to_numpy(found._keras_mask))
        np.testing.assert_array_equal(mask, [[True, False, True], [True, True, True]])
        np.testing.assert_array_equal(package.ops.convert_to_numpy(found)[0, 1], [0.0, 0.0])


@pytest.mark.parametrize(
    ("equation", "output_shape", "shape"),
    [
        ("ab,bc->ac", 64, (None, 32)),
        ("abc,cde->abde", (None, 8, 16), (None, 10, 32)),
        ("abc,dce->abde", (None, 8, 16), (None, 10, 32)),
        ("abcd,cde->abe", (None, 16), (None, 10, 8, 32)),
        ("abc,bcd->abd", (5, 64), (None, 5, 64)),
        ("...x,xy->...y", 64, (None, 10, 32)),
        ("abc,c->abc", (2, 3200), (None, 2, 3200)),
    ],
)
def test_the_equation_says_how_wide_a_kernel_is_drawn(
    equation: str, output_shape: Any, shape: tuple
) -> None:
    for mode in ("fan_in", "fan_out"):
        spreads = []
        for package in (keras, real):
            initializer = package.initializers.VarianceScaling(
                mode=mode, distribution="uniform", seed=1
            )
            layer = package.layers.EinsumDense(
                equation, output_shape, kernel_initializer=initializer
            )
            with quiet():
                layer.build(shape)
            spreads.append(np.std(package.ops.convert_to_numpy(layer.kernel.value)))
            assert layer.get_config()["kernel_initializer"]["config"]["input_axes"] is None
        assert spreads[0] == pytest.approx(spreads[1], rel=0.05)


def test_axes_of_an_initializer_come_before_those_of_the_equation() -> None:
    initializer = keras.initializers.HeUniform(seed=1, input_axes=[0, 1], output_axes=[2])
    layer = keras.layers.EinsumDense("abc,cde->abde", (None, 8, 16), kernel_initializer=initializer)
    layer.build((None, 10, 32))
    np.testing.assert_array_equal(layer.kernel.numpy(), initializer((32, 8, 16)).numpy())


def double(x: Any) -> Any:
    return 2 * x


def test_lambda_calls_its_function() -> None:
    layer = keras.layers.Lambda(double, name="twice")
    np.testing.assert_array_equal(layer(np.ones((2, 3))).numpy(), np.full((2, 3), 2.0))
    assert layer(keras.KerasTensor((None, 3))).shape == (None, 3)
    shaped = keras.layers.Lambda(lambda x: x[:, :2], output_shape=(2,))
    assert shaped(keras.KerasTensor((None, 3))).shape == (None, 2)
    masked = keras.layers.Lambda(double, mask=lambda inputs, mask: keras.ops.any(inputs > 1, -1))
    found = masked(np.array([[0.0, 2.0], [0.0, 1.0]]))
    np.testing.assert_array_equal(found._keras_mask.numpy(), [True, False])
    more = keras.layers.Lambda(lambda x, power: x**power, arguments={"power": 3})
    np.testing.assert_array_equal(more(np.array([2.0])).numpy(), [8.0])


def test_lambda_is_read_from_files_by_name_only() -> None:
    with keras.saving.custom_object_scope({"double": double}):
        layer = keras.layers.Lambda(double, name="twice")
        config = layer.get_config()
        again = keras.layers.Lambda.from_config(config)
    assert again.function is double and again.name == "twice"
    unnamed = keras.layers.Lambda(lambda x: x).get_config()
    with pytest.raises(ArgumentError, match="lambda"):
        keras.layers.Lambda.from_config(unnamed)


@pytest.mark.parametrize(
    ("name", "settings", "match"),
    [
        ("Dense", {"units": 0}, "positive integer"),
        ("Dense", {"units": "3"}, "positive integer"),
        ("Dense", {"units": 3, "unit": 4}, "Unrecognized keyword arguments"),
        ("Embedding", {"input_dim": -1, "output_dim": 3}, "input_dim"),
        ("Embedding", {"input_dim": 3, "output_dim": None}, "output_dim"),
    ],
)
def test_bad_settings_are_refused(name: str, settings: dict, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        getattr(keras.layers, name)(**settings)


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "shape"),
    [
        ("ab,bc,cd->ad", 3, None, (2, 3)),
        ("ab,bc->acz", (3, 4), None, (2, 3)),
        ("ab,bcz->ac", 3, None, (2, 3)),
        ("ab,bc->ac", 3, "z", (2, 3)),
        ("ab,bc->ab", 4, None, (2, 3)),
    ],
)
def test_bad_equations_are_refused(
    equation: str, output_shape: Any, bias_axes: Any, shape: tuple
) -> None:
    for package in (keras, real):
        layer = package.layers.EinsumDense(equation, output_shape, bias_axes=bias_axes)
        with quiet(), pytest.raises(ValueError):
            layer.build(shape)
