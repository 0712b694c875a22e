"""Random bits against numbers that JAX drew, against the NumPy definitions, and with named sizes.

The literals are from jax.random of JAX 0.10.2 (jax_threefry_partitionable, its default).
"""

import numpy as np
import pytest

from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.types import bfloat16, float16, float32, float64, tensor_type, uint32
from thalweg.ops import definitions
from thalweg.ops.random import KEYS, fold_in, random_bits, split_key, unit_interval
from thalweg.transforms.batch import batch
from thalweg.transforms.cost import cost
from thalweg.transforms.evaluate import run

KEY = tensor_type(uint32, (2,))
SEED_42 = np.array([0, 42], np.uint32)


def drawn(make, *args, types=(KEY,)):
    return run(build("draw", types, make), *args)[0]


# jax.random.bits(jax.random.PRNGKey(42), (4,), dtype), with x64 on.
BITS = {
    8: [162, 217, 249, 215],
    16: [5026, 12505, 63993, 49623],
    32: [2098992034, 2919706841, 2646866425, 2409546199],
    64: [7871734211187709741, 276886910877598708, 10591095138341673235, 13462782411356743825],
}


@pytest.mark.parametrize("width", BITS)
def test_bits_are_those_of_jax(width):
    found = drawn(lambda key: random_bits(key, shape=(4,), width=width), SEED_42)
    np.testing.assert_array_equal(found, np.array(BITS[width], f"uint{width}"))


def test_new_keys_are_those_of_jax():
    found = drawn(lambda key: split_key(key, count=3), SEED_42)
    wanted = [[1832780943, 270669613], [64467757, 2916123636], [2465931498, 255383827]]
    np.testing.assert_array_equal(found, wanted)
    types = (KEY, tensor_type(uint32, ()))
    found = drawn(fold_in, SEED_42, np.array(7, np.uint32), types=types)
    np.testing.assert_array_equal(found, [2547012911, 1371500959])


@pytest.mark.parametrize("width", BITS)
def test_bits_are_those_of_the_definition(width):
    for key in KEYS:
        found = drawn(lambda key: random_bits(key, shape=(3, 5), width=width), key)
        np.testing.assert_array_equal(found, definitions.random_bits(key, width, (3, 5)))
    for count in (1, 4):
        found = drawn(lambda key, count=count: split_key(key, count=count), KEYS[2])
        np.testing.assert_array_equal(found, definitions.split_key(KEYS[2], count))


def test_the_shape_does_not_change_the_stream():
    flat = drawn(lambda key: random_bits(key, shape=(24,)), SEED_42)
    for shape in ((2, 3, 4), (24, 1), (1, 24)):
        found = drawn(lambda key, shape=shape: random_bits(key, shape=shape), SEED_42)
        np.testing.assert_array_equal(found.ravel(), flat)
    longer = drawn(lambda key: random_bits(key, shape=(30,)), SEED_42)
    np.testing.assert_array_equal(longer[:24], flat)


def test_keys_side_by_side_draw_what_each_draws_alone():
    types = (tensor_type(uint32, (2, 2, 2)),)
    keys = KEYS.reshape(2, 2, 2)
    found = drawn(lambda key: random_bits(key, shape=(3,)), keys, types=types)
    for place in np.ndindex(2, 2):
        alone = drawn(lambda key: random_bits(key, shape=(3,)), keys[place])
        np.testing.assert_array_equal(found[place], alone)


def test_a_stream_as_long_as_a_named_size():
    b = named("b")
    x = tensor_type(float32, (b, 3))

    def body(key, x):
        return random_bits(key, shape=x.shape), split_key(key, count=b)

    function = build("draw", [KEY, x], body)
    assert str(function.result_types) == "(u32[b,3], u32[b,2])"
    for size in (1, 2, 7):
        bits, keys = run(function, SEED_42, np.zeros((size, 3), np.float32))
        np.testing.assert_array_equal(bits, definitions.random_bits(SEED_42, 32, (size, 3)))
        np.testing.assert_array_equal(keys, definitions.split_key(SEED_42, size))
    mapped = batch(build("one", [KEY], lambda key: random_bits(key, shape=(3,))), (True,), b)
    (found,) = run(mapped, KEYS)
    np.testing.assert_array_equal(found[2], definitions.random_bits(KEYS[2], 32, (3,)))


def test_the_cost_grows_with_what_is_drawn():
    function = build("draw", [KEY], lambda key: random_bits(key, shape=(named("b"), 10)))
    assert str(cost(function).flops) == "1200*b"


SPACING = {float16: 2.0**-10, bfloat16: 2.0**-7, float32: 2.0**-23, float64: 2.0**-52}


@pytest.mark.parametrize("dtype", SPACING, ids=str)
def test_the_unit_interval_is_equally_spaced(dtype):
    found = drawn(lambda key: unit_interval(key, (4096,), dtype), SEED_42)
    assert found.dtype == dtype.numpy
    steps = found.astype(np.float64) / SPACING[dtype]
    np.testing.assert_array_equal(steps, np.floor(steps))
    assert found.min() >= 0 and found.max() < 1
    assert abs(float(found.astype(np.float64).mean()) + SPACING[dtype] / 2 - 0.5) < 0.02
    if dtype in (float16, bfloat16):
        # Every value that there is appears: 128, or nearly all of 1024.
        assert len(np.unique(steps)) >= {128: 128, 1024: 1000}[round(1 / SPACING[dtype])]


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_every_bit_is_as_often_set_as_not(width):
    found = drawn(lambda key: random_bits(key, shape=(1 << 14,), width=width), KEYS[3])
    for place in range(width):
        share = np.mean((found >> found.dtype.type(place)) & found.dtype.type(1))
        # Five deviations of 1 / (2 sqrt(2**14)).
        assert abs(share - 0.5) < 5 / 256, place


def test_streams_of_different_keys_are_independent():
    keys = drawn(lambda key: split_key(key, count=64), SEED_42)
    assert len({tuple(key) for key in keys} | {tuple(SEED_42)}) == 65
    types = (tensor_type(uint32, (64, 2)),)
    found = drawn(lambda key: random_bits(key, shape=(512,)), keys, types=types)
    rows = found.astype(np.float64) / 2**32 - 0.5
    table = np.corrcoef(rows)
    # Correlations have a deviation of 1 / sqrt(512); the largest of 2016 stays below five of them.
    assert np.abs(table - np.eye(64)).max() < 5 / 512**0.5
