"""Layers about nothing but passing on: Identity, Masking, Lambda, Wrapper."""

import inspect
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops, tree
from thalweg.keras.layers.layer import Layer
from thalweg.keras.saving.serialization import (
    SafeModeScope,
    deserialize_keras_object,
    in_safe_mode,
    serialize_keras_object,
)
from thalweg.keras.symbol import KerasTensor, standardize_shape


class Identity(Layer):
    """The inputs as they are, nested or not."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(self, inputs: Any) -> Any:
        return tree.map_structure(
            lambda x: KerasTensor(x.shape, dtype=x.dtype, sparse=x.sparse, ragged=x.ragged), inputs
        )


class Masking(Layer):
    """Masks the steps (batch, time, features) all of whose features equal `mask_value`."""

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(mask_value, dict) and mask_value.get("config"):
            mask_value = deserialize_keras_object(mask_value)
        self.mask_value = mask_value
        self.supports_masking = True
        self._build_at_init()

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        outputs = inputs * ops.cast(kept, dtype=inputs.dtype)
        outputs._keras_mask = ops.squeeze(kept, axis=-1)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}


class Lambda(Layer):
    """A function of tensors as a layer.

    Prefer a Layer of your own, or a registered function: a lambda can be written to a file but is
    never read from one. `output_shape` and `mask` are values or functions; `arguments` are further
    keyword arguments.
    """

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.arguments = arguments or {}
        self.function = function
        self.supports_masking = mask is not None
        self.mask = mask
        self._output_shape = output_shape
        names = inspect.signature(function).parameters if callable(function) else ()
        self._takes = frozenset({"training", "mask"} & set(names))

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            try:
                return super().compute_output_shape(input_shape)
            except Exception as error:
                raise NotImplementedError(
                    explain(
                        self.name,
                        "an output shape",
                        "We could not automatically infer the shape of the Lambda's output. Please "
                        "specify the `output_shape` argument for this Lambda layer.",
                    )
                ) from error
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = (
            input_shape[0] if isinstance(input_shape[0], (int, type(None))) else input_shape[0][0]
        )
        return (batch, *standardize_shape(self._output_shape))

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        if self._output_shape is None:
            return super(Layer, self).compute_output_spec(inputs, **kwargs)
        shapes = tree.map_structure(lambda x: x.shape, inputs)
        return KerasTensor(self.compute_output_shape(shapes), dtype=self.compute_dtype)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        given = {"mask": mask, "training": training}
        extra = {name: given[name] for name in self._takes}
        return self.function(inputs, **{**self.arguments, **extra})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": serialize_keras_object(self.function)}
        if self._output_shape is not None:
            shape = self._output_shape
            config["output_shape"] = serialize_keras_object(shape) if callable(shape) else shape
        if self.mask is not None:
            config["mask"] = serialize_keras_object(self.mask)
        return {**config, "arguments": serialize_keras_object(self.arguments)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None, safe_mode: bool | None = None
    ) -> "Lambda":
        config = dict(config)
        with SafeModeScope(in_safe_mode() if safe_mode is None else safe_mode):
            for name in ("function", "output_shape", "mask", "arguments"):
                if isinstance(config.get(name), dict):
                    config[name] = deserialize_keras_object(config[name], custom_objects)
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            config["dtype"] = deserialize_keras_object(dtype)
        return cls(**config)


class Wrapper(Layer):
    """The base of layers around another layer, kept as `layer`."""

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ArgumentError(
                explain(
                    "Wrapper",
                    "a layer",
                    f"Layer {layer} supplied to Wrapper isn't a supported layer type. Please "
                    "ensure wrapped layer is a valid Keras layer.",
                )
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Wrapper":
        config = dict(config)
        config["layer"] = deserialize_keras_object(config["layer"], custom_objects)
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            config["dtype"] = deserialize_keras_object(dtype)
        return cls(**config)
