"""keras.quantizers beside real Keras: values, derivatives, configs, refusals."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg import keras
from thalweg.base.errors import ThalwegError

ours, theirs = keras.quantizers, import_module("keras.src.quantizers.quantizers")


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("float32")


def same(found: Any, wanted: Any) -> None:
    """Assert that results are equal: integers exactly, floats to rounding."""
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            same(a, b)
        return
    if isinstance(wanted, int):
        assert found == wanted
        return
    a, b = keras.ops.convert_to_numpy(found), np.asarray(wanted)
    assert (a.dtype.name, a.shape) == (b.dtype.name, b.shape)
    if b.dtype.kind in "iu":
        np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_allclose(np.asarray(a, "f8"), np.asarray(b, "f8"), rtol=1e-6, atol=1e-7)


FUNCTIONS: list[tuple[str, tuple, dict[str, Any]]] = [
    ("abs_max_quantize", (numbers(3, 4), 0), {}),
    ("abs_max_quantize", (numbers(3, 4), (0, 1)), {"value_range": (-8, 7)}),
    ("abs_max_quantize", (np.zeros((2, 3), "float32"), -1), {"to_numpy": True}),
    ("abs_max_quantize", (numbers(3, 4).astype("float16"), -1), {"epsilon": 1e-3}),
    ("abs_max_quantize_grouped_with_zero_point", (numbers(8, 3), 4), {}),
    ("abs_max_quantize_grouped_with_zero_point", (numbers(7, 3), 4), {"to_numpy": True}),
    ("abs_max_quantize_grouped_with_zero_point", (numbers(3, 2) + 2, 16), {"to_numpy": True}),
    ("abs_max_quantize_grouped_with_zero_point", (numbers(3, 2) + 2, 16), {}),
    ("pack_int4", (np.array([[-8, 7, 3], [0, -1, 5]], "int8"),), {"axis": 1}),
    ("pack_int4", (np.array([[8, 7, 3], [0, 15, 5]], "uint8"),), {"dtype": "uint8"}),
    ("unpack_int4", (np.array([[120, -13]], "int8"), 3), {"axis": 1}),
    ("unpack_int4", (np.array([[120, 243]], "uint8"), 2), {"axis": 0, "dtype": "uint8"}),
    ("compute_float8_scale", (3.0, 1.0, 448.0), {}),
    ("compute_float8_scale", (0.0, 0.25, 448.0), {}),
    ("compute_float8_scale", (np.float32(np.inf), 0.25, 448.0), {"margin": 1}),
    ("compute_float8_amax_history", (numbers(3, 2), np.arange(4.0, dtype="float32")), {}),
    ("quantize_and_dequantize", (numbers(50), 0.1, "float8_e4m3fn", "float32"), {}),
    ("quantize_and_dequantize", (1e3 * numbers(50), 0.1, "float8_e5m2", "float32"), {}),
    ("quantize_and_dequantize", (1e-3 * numbers(50), 1.0, "float8_e4m3fn", "float32"), {}),
]


@pytest.mark.parametrize(
    ("name", "args", "settings"), FUNCTIONS, ids=[f"{i}-{f[0]}" for i, f in enumerate(FUNCTIONS)]
)
def test_functions(name: str, args: tuple, settings: dict) -> None:
    wanted = getattr(theirs, name)(*map(_jax, args), **settings)
    same(getattr(ours, name)(*args, **settings), wanted)


def _jax(value: Any) -> Any:
    return jnp.asarray(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("group_size", [-1, 4])
@pytest.mark.parametrize("per_channel", [False, True])
def test_parameters(symmetric: bool, group_size: int, per_channel: bool) -> None:
    x = numbers(3, 6)
    x[1] = 0
    settings: dict[str, Any] = {"symmetric": symmetric, "group_size": group_size}
    for bits, signed in ((4, False), (4, True), (8, False)):
        more = {**settings, "bits": bits, "signed": signed, "per_channel": per_channel}
        found = ours.compute_quantization_parameters(x, **more)
        wanted = theirs.compute_quantization_parameters(jnp.asarray(x), **more)
        same(found[:2], wanted[:2])
        assert float(found[2]) == float(wanted[2]) == 2**bits - 1
    levels = np.round(numbers(3, 6) * 4 + 8).clip(0, 15)
    groups = np.array([0, 0, 0, 0, 1, 1] if found[0].shape[1] > 1 else [0] * 6, "float32")
    scale, zero = (np.asarray(each.numpy()) for each in found[:2])
    same(
        ours.dequantize_with_sz_map(levels, scale, zero, groups),
        theirs.dequantize_with_sz_map(jnp.asarray(levels), scale, zero, groups),
    )
    same(
        ours.quantize_with_sz_map(x, scale, zero, groups, 255),
        theirs.quantize_with_sz_map(jnp.asarray(x), scale, zero, groups, 255),
    )


@pytest.mark.parametrize(
    ("low", "high", "bits", "narrow", "axis"),
    [
        (-1.0, 1.5, 8, False, None),
        (0.3, 1.5, 4, True, None),
        (-2.0, -0.5, 4, False, None),
        ([-1.0, -0.5, 0.0], [1.0, 0.7, 2.0], 4, False, 1),
        ([-1.0, -0.5, 0.2], [1.0, 0.7, 0.9], 8, True, -1),
    ],
)
def test_fake_quantization(low: Any, high: Any, bits: int, narrow: bool, axis: Any) -> None:
    x, settings = numbers(2, 3), (bits, narrow, axis)
    ends = [np.asarray(each, "float32") for each in (low, high)]

    def function(package: Any, *values: Any) -> Any:
        y = package.quantizers.fake_quant_with_min_max_vars(*values, *settings)
        return package.ops.sum(y * np.cos(np.arange(6.0, dtype="float32")).reshape(2, 3)), y

    found = tw.value_and_grad(lambda *v: function(keras, *v), argnums=(0, 1, 2), has_aux=True)
    wanted = jax.value_and_grad(lambda *v: function(real, *v), argnums=(0, 1, 2), has_aux=True)
    ((_, y), slopes) = found(*map(tw.asarray, (x, *ends)))
    ((_, other), others) = wanted(*map(jnp.asarray, (x, *ends)))
    same(y, other)
    same(slopes, others)
    symbol = ours.fake_quant_with_min_max_vars(keras.KerasTensor((None, 3)), *ends, *settings)
    assert (symbol.shape, symbol.dtype) == ((None, 3), "float32")


def test_float8_holds_the_numbers_of_the_type() -> None:
    for name in ("float8_e4m3fn", "float8_e5m2"):
        kind = jnp.dtype(name)
        every = np.arange(256, dtype="uint8").view(kind).astype("float32")
        every = np.sort(every[np.isfinite(every)])
        between = (every[1:] + every[:-1]) / 2  # ties: to even
        x = np.concatenate([every, between, every * 1.01])
        largest = float(every.max())
        wanted = x.clip(-largest, largest).astype(kind).astype("float32")
        found = ours.quantize_and_dequantize(x, 1.0, name, "float32").numpy()
        np.testing.assert_array_equal(found, wanted)


def configs(package: Any) -> dict[str, Any]:
    q = package.quantizers
    return {
        "plain": q.AbsMaxQuantizer(axis=0, value_range=(-8, 7)),
        "bare": q.AbsMaxQuantizer(),
        "int8": q.Int8QuantizationConfig(),
        "int8-own": q.Int8QuantizationConfig(q.AbsMaxQuantizer(axis=0), None),
        "int4": q.Int4QuantizationConfig(),
        "int4-own": q.Int4QuantizationConfig(
            q.AbsMaxQuantizer(value_range=(-8, 7)), q.AbsMaxQuantizer(), block_size=None
        ),
        "float8": q.Float8QuantizationConfig(),
        "gptq": q.GPTQConfig(["data"], None, weight_bits=8, symmetric=True, group_size=-1),
        "awq": q.AWQConfig(["data"], None, num_grid_points=7),
    }


@pytest.mark.parametrize("name", list(configs(keras)))
def test_configs_are_written_and_read_as_in_real_keras(name: str) -> None:
    made, other = configs(keras)[name], configs(real)[name]
    record = ours.serialize(made)
    assert record == real.quantizers.serialize(other)
    again = ours.deserialize(record)
    assert type(again) is type(made) and ours.serialize(again) == record
    if name not in ("plain", "bare"):
        assert again.mode == other.mode
    if name in ("gptq", "awq"):
        assert made.dtype_policy_string() == other.dtype_policy_string()
        assert made.kept().dataset is None and made.dataset == ["data"]


def test_quantizers_are_found_by_name_config_and_object() -> None:
    made = ours.get("abs_max_quantizer", axis=-1)
    assert isinstance(made, ours.AbsMaxQuantizer) and made.axis == (-1,)
    assert ours.get(made) is made and ours.get(None) is None
    assert ours.get(ours.serialize(made)).get_config() == made.get_config()
    values, scale = made(numbers(3, 4))
    assert values.shape == (3, 4) and scale.shape == (3, 1)
    x = numbers(2)
    assert ours.Quantizer()(x) is x


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda q: q.get("nothing"), "nothing"),
        (lambda q: q.Quantizer().get_config(), "get_config"),
        (lambda q: q.AbsMaxQuantizer(value_range=(-300, 7)), r"\[-128, 127\]"),
        (lambda q: q.QuantizationConfig().mode, "Do not instantiate QuantizationConfig directly"),
        (lambda q: q.Int4QuantizationConfig(block_size=-3), "block_size must be None, -1, or"),
        (lambda q: q.Int4QuantizationConfig(q.AbsMaxQuantizer()), "does not support custom"),
        (
            lambda q: q.Int4QuantizationConfig(q.AbsMaxQuantizer(), block_size=None),
            r"value_range=\(-8, 7\)",
        ),
        (
            lambda q: q.Int8QuantizationConfig(q.AbsMaxQuantizer(output_dtype="int32")),
            "output_dtype='int8'",
        ),
        (lambda q: q.GPTQConfig(None, None, weight_bits=5), "Unsupported weight_bits 5"),
        (lambda q: q.GPTQConfig(None, None, num_samples=0), "num_samples must be a positive"),
        (lambda q: q.GPTQConfig(None, None, group_size=0), "Invalid group_size"),
        (lambda q: q.GPTQConfig(None, None, hessian_damping=2), "hessian_damping must be between"),
        (lambda q: q.AWQConfig(None, None, weight_bits=8), "AWQ only supports 4-bit"),
        (lambda q: q.AWQConfig(None, None, num_grid_points=0), "num_grid_points must be a"),
        (lambda q: q.compute_quantization_parameters(None, bits=4), "cannot be None"),
        (lambda q: q.compute_quantization_parameters(numbers(3), bits=4), "rank of at least 2"),
        (lambda q: q.compute_quantization_parameters(numbers(0, 3), bits=4), "cannot be empty"),
    ],
)
def test_refusals_use_real_keras_words(make: Any, match: str) -> None:
    internals = SimpleNamespace(**{**vars(theirs), **vars(real.quantizers)})
    for package in (ours, internals):
        with pytest.raises((ValueError, NotImplementedError), match=match):
            make(package)


def test_own_refusals() -> None:
    for make in (
        lambda: ours.pack_int4(np.zeros(3, "int8"), dtype="int16"),
        lambda: ours.pack_int4(np.zeros(3, "int32")),
        lambda: ours.unpack_int4(np.zeros(3, "int32"), 3),
        lambda: ours.quantize_and_dequantize(numbers(3), 1.0, "float8", "float32"),
    ):
        with pytest.raises(ThalwegError, match=r"wants .*\n.*Received"):
            make()
