"""keras.ops.image: places that are data, transforms and blurs, against real Keras."""

import numpy as np
import pytest
from tests.keras.ops.gradients import Case, Oracle, close, named, numbers

from thalweg.keras.ops import image
from thalweg.keras.symbol import KerasTensor

LAST, FIRST = "channels_last", "channels_first"
X = numbers(2, 7, 6, 3, low=0.0)
BYTES = np.random.default_rng(0).integers(0, 256, (2, 7, 6, 3)).astype("uint8")


def first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, -3))


def places():
    turn = np.array([[0.9, 0.2, -0.5, -0.1, 1.1, 0.3, 0, 0]] * 2, "float32")
    turn[1] += 0.05
    turn[1, 6:] = 0
    for mode in ("nearest", "reflect"):
        yield Case("affine_transform", (X, turn), {"fill_mode": mode}, of=(), symbols=(0, 1))
    yield Case("affine_transform", (X, turn), {"fill_value": 0.5}, of=(0,))
    yield Case("affine_transform", (first(X)[0], turn[0]), {"data_format": FIRST}, of=(),
               symbols=())  # fmt: skip
    yield Case("affine_transform", (BYTES, turn), of=(), tolerance=1e-2)  # ties may round up
    start = np.array([[[0, 0], [5, 0], [0, 6], [5, 6]]] * 2, "float32")
    end = start + numbers(2, 4, 2) * 0.5
    for method in ("bilinear", "nearest"):
        yield Case("perspective_transform", (X, start, end), {"interpolation": method}, of=(),
                   symbols=(0, 1, 2), tolerance=1e-3)  # fmt: skip
    one = first(X)[0], start[0], end[0]
    yield Case("perspective_transform", one, {"data_format": FIRST, "fill_value": 0.5}, of=(),
               symbols=(), tolerance=1e-3)  # fmt: skip
    where = numbers(3, 4, 5, low=-3.0, high=9.0)
    for mode in ("constant", "nearest", "wrap", "mirror", "reflect"):
        for order in (0, 1):
            yield Case("map_coordinates", (X[0], where, order, mode), of=(), symbols=())
    yield Case("map_coordinates", (X[0], where, 1), {"fill_value": 2.0}, of=(0, 1), symbols=())
    yield Case("map_coordinates", (BYTES[0].astype("int32"), where, 1), of=(), symbols=())
    line = numbers(1, 4, low=-1.0, high=6.0)
    yield Case("map_coordinates", (X[0, 0, :, 0], line, 1), of=(), symbols=())
    for size, sigma in (((3, 3), (1.0, 1.0)), ((3, 5), (0.7, 1.5)), ((4, 1), (2.0, 0.5))):
        yield Case("gaussian_blur", (X, size, sigma), {"data_format": LAST})
        yield Case("gaussian_blur", (first(X)[0], size, sigma), {"data_format": FIRST}, of=(),
                   symbols=())  # fmt: skip
    amounts = np.array([1.71, 0.63], "float32"), np.array([-1.34, 0.77], "float32")
    for method, antialias in (("linear", False), ("cubic", True), ("lanczos3", False)):
        args = X, (2, 9, 5, 3), *amounts, (1, 2), method, antialias
        yield Case("scale_and_translate", args, of=(), symbols=(), tolerance=1e-4)
    args = X, (2, 9, 5, 3), *amounts, (1, 2), "linear"
    yield Case("scale_and_translate", args, of=(0, 2, 3), symbols=(), tolerance=1e-4)
    yield Case("scale_and_translate", (BYTES, *args[1:]), of=(), symbols=(), tolerance=1e-4)


ORACLE = Oracle(
    *(
        Case(f"image.{each.name}", each.args, each.settings, each.of, each.symbols, each.tolerance)
        for each in places()
    )
)


@pytest.mark.parametrize("case", ORACLE.cases, ids=str)
def test_as_in_keras(case):
    ORACLE.check(getattr(image, case.name.split(".")[-1]), case)


def test_elastic_as_in_keras():
    theirs = named("image.elastic_transform")
    args = X[:1, ..., :1], 20.0, 1.5
    wanted = theirs(*args, seed=7, data_format=LAST)
    close(image.elastic_transform(*args, seed=7), np.asarray(wanted), 2e-3)
    turned = image.elastic_transform(first(args[0]), 20.0, 1.5, seed=7, data_format=FIRST)
    close(turned, first(image.elastic_transform(*args, seed=7).numpy()), 1e-5)


def test_elastic_draws_from_generators_and_keeps_types():
    for x in (X, BYTES, X.astype("float16")):
        one, two = (image.elastic_transform(x, 5.0, 1.0, seed=3) for _ in range(2))
        assert one.dtype.name == x.dtype.name and one.shape == x.shape
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    free = [image.elastic_transform(X, 5.0, 1.0).numpy() for _ in range(2)]
    assert np.abs(free[0] - free[1]).max() > 1e-3
    symbol = image.elastic_transform(KerasTensor((None, 7, 6, 3)))
    assert symbol.shape == (None, 7, 6, 3)


def test_sigmas_that_are_data():
    found = image.gaussian_blur(X, np.array([3, 5]), np.array([0.7, 1.5], "float32"))
    close(found, image.gaussian_blur(X, (3, 5), (0.7, 1.5)).numpy(), 1e-5)
    close(image.gaussian_blur(X, 3, 0.7), image.gaussian_blur(X, (3, 3), (0.7, 0.7)).numpy())
