"""Dtype policies: names, configs, maps, and what they do to inputs, as in real Keras."""

import numpy as np
import pytest
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.keras.dtype_policies import DTypePolicy, DTypePolicyMap, reset_dtype_policy

NAMES = ["float32", "float16", "bfloat16", "float64", "int8", "mixed_float16", "mixed_bfloat16"]


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_is_real_keras(name: str) -> None:
    ours, theirs = DTypePolicy(name), real.DTypePolicy(name)
    for attribute in ("name", "compute_dtype", "variable_dtype", "quantization_mode"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert repr(ours) == repr(theirs)
    record = keras.dtype_policies.serialize(ours)
    assert record == real.dtype_policies.serialize(theirs)
    assert keras.dtype_policies.deserialize(record) == ours
    assert keras.dtype_policies.get(record) == keras.dtype_policies.get(name) == ours
    assert hash(ours) == hash(DTypePolicy(name)) and ours != DTypePolicy("uint8")


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("float33", ValueError, "Cannot convert"),
        ("mixed_int8", ValueError, "Cannot convert"),
        (3, TypeError, "must be a string"),
    ],
)
def test_bad_policies_are_refused(name: object, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        DTypePolicy(name)


def test_the_policy_in_force_holds_for_new_layers() -> None:
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
        assert layer.compute_dtype == "bfloat16" and layer.kernel.dtype == "float32"
        assert keras.config.dtype_policy() == DTypePolicy("mixed_bfloat16")
        with pytest.raises(ValueError, match="Invalid `policy` argument"):
            keras.config.set_dtype_policy(3)
    finally:
        reset_dtype_policy()
    assert keras.layers.Dense(2).compute_dtype == keras.config.floatx()


def test_inputs_are_cast_only_where_they_are_floats() -> None:
    policy = DTypePolicy("mixed_float16")
    assert policy.convert_input(np.ones(2, "float32"), True, "float16").dtype.name == "float16"
    assert policy.convert_input(np.ones(2, "int32"), True, "float16").dtype.name == "int32"
    assert policy.convert_input(np.ones(2, "float32"), False, "float16").dtype.name == "float32"
    masked = keras.ops.ones((2, 3))
    masked._keras_mask = keras.ops.ones((2,), "bool")
    assert policy.convert_input(masked, True, "float16")._keras_mask is masked._keras_mask


def maps() -> list:
    found = []
    for package in (keras, real):
        policies = package.dtype_policies.DTypePolicyMap("bfloat16")
        policies["encoder/dense"] = package.DTypePolicy("mixed_float16")
        policies["head"] = package.DTypePolicy("float64")
        found.append(policies)
    return found


@pytest.mark.parametrize(
    "path", ["encoder/dense", "encoder/dense_2/kernel", "head/x", "x/head", "tail", "encoder", ""]
)
def test_maps_look_up_as_real_keras(path: str) -> None:
    ours, theirs = maps()
    assert ours[path].name == theirs[path].name


def test_maps_are_written_and_read_as_real_keras() -> None:
    ours, theirs = maps()
    record = keras.dtype_policies.serialize(ours)
    assert record == real.dtype_policies.serialize(theirs)
    again = keras.dtype_policies.deserialize(record)
    assert isinstance(again, DTypePolicyMap) and list(again) == list(theirs)
    assert (ours.name, len(ours), ours.compute_dtype) == (theirs.name, len(theirs), "bfloat16")
    del again["head"]
    assert "head" not in again and len(again) == 1


def test_bad_maps_are_refused() -> None:
    ours, _ = maps()
    with pytest.raises(ValueError, match="already exist"):
        ours["head"] = DTypePolicy("float32")
    with pytest.raises(ValueError, match="Cannot interpret the assigned value"):
        ours["new"] = "nothing"
    with pytest.raises(TypeError, match="must be a dict"):
        DTypePolicyMap("float32", policy_map=[1])
    ours["en.*"] = ours["encoder/.*"] = DTypePolicy("float16")
    with pytest.raises(ValueError, match="matches multiple"):
        _ = ours["encoder/dense_9"]


QUANTIZED = [
    "int8_from_float32", "int8_from_mixed_bfloat16", "int4_from_float32", "int4/-1_from_float32",
    "int4/64_from_bfloat16", "float8_from_mixed_float16", "gptq/4/128_from_float32",
    "gptq/2/-1_from_mixed_bfloat16", "awq/4/32_from_float32",
]  # fmt: skip
MORE = ("block_size", "weight_bits", "group_size", "amax_history_length")


@pytest.mark.parametrize("name", QUANTIZED)
def test_a_quantized_policy_is_real_keras(name: str) -> None:
    ours, theirs = keras.dtype_policies.get(name), real.dtype_policies.get(name)
    assert type(ours).__name__ == type(theirs).__name__
    for attribute in ("name", "compute_dtype", "variable_dtype", "quantization_mode", *MORE):
        assert getattr(ours, attribute, None) == getattr(theirs, attribute, None)
    assert repr(ours) == repr(theirs)
    record = keras.dtype_policies.serialize(ours)
    assert record == real.dtype_policies.serialize(theirs)
    again = keras.dtype_policies.deserialize(record)
    assert again == ours and hash(again) == hash(ours)
    assert ours != DTypePolicy(ours.compute_dtype)


def test_quantized_policies_differ_by_their_settings() -> None:
    kind = keras.dtype_policies.QuantizedFloat8DTypePolicy
    assert kind("float8", "float32", 8) != kind("float8", "float32", 9)
    assert kind("float8", "float32", 8) == kind.from_config(
        kind("float8", "float32", 8).get_config()
    )
    get = keras.dtype_policies.get
    assert get("int4/8_from_float32") != get("int4/16_from_float32")
    made = keras.dtype_policies.QuantizedDTypePolicy("int8")
    assert made.name == f"int8_from_{keras.config.floatx()}"


@pytest.mark.parametrize(
    "name",
    [
        "int8_from_float16", "int8_from_abc", "int7_from_float32", "int8_from_a_from_b",
        "int4/x_from_float32", "int4/0_from_float32", "int4/4/4_from_float32",
        "gptq/4_from_float32", "gptq/5/8_from_float32", "gptq/4/-2_from_float32",
        "awq/8/8_from_float32",
    ],
)  # fmt: skip
def test_bad_quantized_policies_are_refused(name: str) -> None:
    for package in (keras, real):
        with pytest.raises(ValueError, match=r".") as caught:
            package.dtype_policies.get(name)
        assert package is real or "\nReceived " in str(caught.value)


def test_maps_hold_quantized_policies() -> None:
    records = []
    for package in (keras, real):
        policies = package.dtype_policies.DTypePolicyMap()
        policies["a"] = package.dtype_policies.get("int8_from_mixed_bfloat16")
        policies["b/.*"] = package.dtype_policies.get("gptq/4/8_from_float32")
        records.append(package.dtype_policies.serialize(policies))
    assert records[0] == records[1]
    again = keras.dtype_policies.deserialize(records[0])
    assert again["a"].name == f"int8_from_{keras.config.floatx()}"  # the default of now
    assert again["b/c"].group_size == 8 and again["c"].quantization_mode is None
