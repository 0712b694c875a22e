"""The contract of Normalization, and what it finds in data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.keras.layers.contract import Case, checks, quiet
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError

GIVEN = {"mean": [0.5, 0.2, -0.1], "variance": [0.1, 0.2, 0.0]}
CASES = [
    Case("Normalization", (2, 3), {"mean": 3.0, "variance": 2.0}),
    Case("Normalization", (2, 4, 3), GIVEN, unknown=(0, 1), masked=2),
    Case("Normalization", (2, 4, 3), {"axis": None, "mean": 3, "variance": 2}, unknown=(0, 1, 2)),
    Case("Normalization", (2, 3), {**GIVEN, "invert": True}),
    Case("Normalization", (2, 4, 3), {"axis": (1, 2), **GIVEN, "invert": True}),
]
X = np.random.default_rng(0).normal(3.0, 2.0, (24, 4, 3)).astype("float32")


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()


def weights(layer: Any) -> list[np.ndarray]:
    return [np.asarray(each) for each in layer.get_weights()]


# Real Keras keeps what it computed of its weights when they are set, as the contract does: only a
# layer that adapts can be compared.
@pytest.mark.parametrize("axis", [-1, None, (1, 2), 1])
def test_what_is_found_in_an_array_is_real_keras(axis: Any) -> None:
    found, described = [], []
    for package in (keras, real):
        layer = package.layers.Normalization(axis=axis, name="it")
        with quiet():
            layer.adapt(X)
            found.append([*weights(layer), package.ops.convert_to_numpy(layer(X))])
            symbol = layer(package.KerasTensor((None, 4, 3)))
        paths = [(each.path, tuple(each.shape), each.trainable) for each in layer.weights]
        described.append((paths, layer.get_config(), layer.get_build_config(), symbol.shape))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert described[0] == described[1]


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> Any:
        return X[number * 6 : number * 6 + 6], np.zeros(6)


@pytest.mark.parametrize(
    "data",
    [
        lambda: [X[:2], X[2:20], X[20:]],
        lambda: ((X[i : i + 5], None) for i in range(0, 24, 5)),
        lambda: [X[:0], X],
        lambda: keras.ops.convert_to_tensor(X),
        Batches,
    ],
    ids=["list", "tuples", "an empty batch", "tensor", "PyDataset"],
)
def test_batches_give_what_the_whole_gives(data: Callable[[], Any]) -> None:
    whole, parts = keras.layers.Normalization(), keras.layers.Normalization()
    whole.adapt(X)
    parts.adapt(data())
    for one, other in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_numbers_far_from_zero_keep_their_variance() -> None:
    far = 1e6 + np.arange(8.0).reshape(8, 1)
    layer = keras.layers.Normalization()
    layer.adapt([far[:3], far[3:]])
    np.testing.assert_allclose(layer.variance.numpy(), [[far.var()]], rtol=1e-6)


def test_a_second_call_of_adapt_forgets_the_first() -> None:
    layer = keras.layers.Normalization()
    layer.adapt(X)
    layer.adapt(X + 1)
    np.testing.assert_allclose(layer.mean.numpy(), (X + 1).mean((0, 1), keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:.*legacy:UserWarning")
def test_a_file_keeps_what_was_found(ending: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Normalization()])
    model.layers[0].adapt(X)
    model.save(tmp_path / f"a{ending}")
    loaded = keras.saving.load_model(tmp_path / f"a{ending}", compile=False)
    np.testing.assert_array_equal(loaded(X).numpy(), model(X).numpy())


def endless() -> Any:
    class Endless(keras.utils.PyDataset):
        @property
        def num_batches(self) -> None:
            return None

        def __getitem__(self, number: int) -> Any:
            return X

    return Endless()


def made(**settings: Any) -> Any:
    return keras.layers.Normalization(**settings)


def built(shape: tuple, **settings: Any) -> None:
    made(**settings).build(shape)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: made(mean=1.0), ArgumentError, "both `mean` and `variance` must be set"),
        (lambda: built((2, 2), axis=2), ShapeError, "must be in the range"),
        (lambda: built((None, None)), ShapeError, "must have a known shape"),
        (lambda: made().adapt([]), ArgumentError, "an empty iterable"),
        (lambda: made().adapt([X[0], X[0, :, :2]]), ShapeError, "an incompatible shape"),
        (lambda: made().adapt([X[0], X]), ShapeError, "an incompatible shape"),
        (lambda: made().adapt([[1.0, 2.0]]), ArgumentTypeError, r"adapt\(np.asarray\(data\)\)"),
        (lambda: made().adapt(3), ArgumentTypeError, "Received 3 of int"),
        (lambda: made().adapt(endless()), ArgumentError, "comes to an end"),
        (lambda: made(mean=1.0, variance=1.0).adapt(X), ArgumentError, "Leave them out"),
    ],
)
def test_refusals(call: Callable[[], Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        call()
