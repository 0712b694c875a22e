"""Quantized: a layer that can keep its weights as integers of eight or four bits."""

from collections.abc import Callable, Mapping
from typing import Any

from thalweg.engine.tensor import Tensor
from thalweg.keras import dtype_policies, ops
from thalweg.keras.layers.weights.low_rank import LowRank
from thalweg.keras.quantizers import parts as forms
from thalweg.keras.saving.registration import home_of
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

INTEGER_MODES = ("int8", "int4")
FLOAT_MODES = (None, "float8")
"""Modes in which the main weight stays a float one."""


class Quantized(LowRank):
    """A layer whose weights have integer formats; what else its modes need it adds itself.

    A subclass says in `_formats` how it keeps each weight; `_{MAIN}`, `{weight}_scale`,
    `{weight}_zero` and `g_idx` are then made, filled, read and stored here.
    """

    QUANTIZED_MODES: tuple[str, ...] = INTEGER_MODES
    inputs_quantizer: Any

    def _formats(
        self, mode: str, shape: tuple[int, ...], block_size: int | None
    ) -> "Mapping[str, forms.IntegerFormat]":
        """The formats of the weights by name, the main one first, whose shape is given."""
        raise NotImplementedError

    def _block_size(self, config: Any) -> int | None:
        """How many inputs share a scale in int4: as configured, else as in the policy's name."""
        if isinstance(config, forms.Int4QuantizationConfig):
            return config.block_size
        found = getattr(self._own_policy, "block_size", None)
        return None if found == -1 else found

    # Building ------------------------------------------------------------------------------------

    def quantized_build(self, input_shape: Any, mode: Any, config: Any = None) -> None:
        """Make the weights of a mode, for a main weight of shape `input_shape`."""
        if mode not in self.QUANTIZED_MODES:
            raise self._quantization_mode_error(mode)
        self._build_mode(tuple(input_shape), mode, config)
        self._is_quantized = True

    def _build_mode(self, shape: tuple[int, ...], mode: str, config: Any) -> None:
        """Make what a mode keeps; here integers, scales and zeros."""
        block_size = self._block_size(config) if mode == "int4" else None
        if mode == "int4":
            self._int4_block_size = block_size
        if block_size == -1:
            block_size = None
        self._integer_formats = self._formats(mode, shape, block_size)
        for name, form in self._integer_formats.items():
            values = self._add_fixed(name, form.value_shape, "int8", "zeros")
            setattr(self, self._attribute(name), values)
            scale = self._add_fixed(f"{name}_scale", form.scale_shape, None, "ones")
            setattr(self, f"{name}_scale", scale)
            if form.block_size:
                # Files hold the zeros of further weights as floats.
                dtype = "int8" if name == self.MAIN else None
                zero = self._add_fixed(f"{name}_zero", form.scale_shape, dtype, "zeros")
                setattr(self, f"{name}_zero", zero)
                if name == self.MAIN:
                    groups = form.groups()
                    self.g_idx = self._add_fixed(
                        "g_idx", groups.shape, "float32", lambda *_, groups=groups, **__: groups
                    )

    def _build_main(self, shape: tuple[int, ...], initializer: Any = None) -> None:
        """Make the main weight of a layer that is being built, as its policy says."""
        mode = self.quantization_mode
        if mode is not None:
            self.quantized_build(shape, mode, self.quantization_config)
        if mode in FLOAT_MODES:
            main = self.MAIN
            weight = self.add_weight(
                name=main,
                shape=shape,
                initializer=initializer or getattr(self, f"{main}_initializer"),
                regularizer=getattr(self, f"{main}_regularizer"),
                constraint=getattr(self, f"{main}_constraint"),
            )
            setattr(self, self._attribute(main), weight)

    def _add_fixed(self, name: str, shape: Any, dtype: str | None, initializer: Any) -> Any:
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer=initializer, trainable=False
        )

    def _attribute(self, name: str) -> str:
        return f"_{name}" if name == self.MAIN else name

    # Quantizing ----------------------------------------------------------------------------------

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        if type_check and home_of(type(self)) is None:
            raise self._not_implemented_error("quantize")
        if mode not in self.QUANTIZED_MODES:
            raise self._quantization_mode_error(mode)
        self.quantization_config = config.kept()
        shape = tuple(self._main.shape)
        if mode in INTEGER_MODES:
            self._to_integers(mode, shape, config)
        else:
            self.quantized_build(shape, mode, config)
        if self._own_policy.quantization_mode is None:
            name = f"{self._mode_name(mode, config)}_from_{self._own_policy.name}"
            self.dtype_policy = dtype_policies.get(name)

    def _to_integers(self, mode: str, shape: tuple[int, ...], config: Any) -> None:
        block_size = self._block_size(config) if mode == "int4" else None
        quantizer = forms.QuantizationConfig.weight_quantizer_or_default(config, None)
        found = {}
        formats = self._formats(mode, shape, None if block_size == -1 else block_size)
        for name, form in formats.items():
            found[name] = form.encode(getattr(self, self._attribute(name)), quantizer)
            delattr(self, self._attribute(name))
        self.quantized_build(shape, mode, config)
        for name, encoded in found.items():
            for part, value in self._parts(name, encoded).items():
                getattr(self, self._attribute(part)).assign(value)

    def _mode_name(self, mode: str, config: Any) -> str:
        """The mode with its settings, as the names of policies have it."""
        if mode != "int4":
            return mode
        block_size = self._block_size(config)
        return f"int4/{-1 if block_size is None else block_size}"

    # Integers ------------------------------------------------------------------------------------

    @staticmethod
    def _parts(name: str, encoded: "forms.Encoded") -> dict[str, Any]:
        found = {name: encoded.values, f"{name}_scale": encoded.scale}
        return found if encoded.zero is None else {**found, f"{name}_zero": encoded.zero}

    def _encoded(self, name: str) -> "forms.Encoded":
        """A weight as it is kept."""
        return forms.Encoded(
            getattr(self, self._attribute(name)),
            getattr(self, f"{name}_scale"),
            getattr(self, f"{name}_zero", None),
        )

    def _decoded(self, name: str, encoded: "forms.Encoded | None" = None) -> Any:
        """A weight, or the rows of it that are given, as floats, in the layer's compute type."""
        return self._integer_formats[name].decode(
            self._encoded(name) if encoded is None else encoded,
            getattr(self, "g_idx", None),
            self.compute_dtype,
        )

    def _integer_product(
        self, name: str, inputs: Any, product: Callable, product_back: Callable
    ) -> Any:
        """`product(inputs, encoded)` with a weight as it is kept, and with the derivative that
        `product_back(dy, floats)` gives: rounded inputs have none of their own.
        """
        kept = self._encoded(name)
        parts = [each for each in (kept.values, kept.scale, kept.zero) if each is not None]

        def function(inputs: Tensor, *parts: Tensor) -> tuple[Tensor, Callable]:
            encoded = forms.Encoded(*parts)

            def gradient(dy: Tensor) -> tuple[Any, ...]:
                by_inputs = product_back(dy, self._decoded(name, encoded))
                return by_inputs, *[None] * len(parts)

            return product(inputs, encoded), gradient

        return ops.custom_gradient(function)(inputs, *map(ops.convert_to_tensor, parts))

    @property
    def _has_integers(self) -> bool:
        return self._is_quantized and self.quantization_mode in INTEGER_MODES

    def _adapted_shape(self) -> tuple[int, ...]:
        if not self._has_integers:
            return super()._adapted_shape()
        return tuple(self._integer_formats[self.MAIN].integers(self._main).shape)

    def _readable_main(self) -> Any:
        """As it is used; of integers these, one in each byte."""
        if not self.built or not self._has_integers:
            return super()._readable_main()
        return self._integer_formats[self.MAIN].integers(self._main)

    def _merged(self) -> dict[str, Any]:
        if not (self.lora_enabled and self._has_integers):
            return super()._merged()
        quantizer = forms.QuantizationConfig.weight_quantizer_or_default(
            self.quantization_config, None
        )
        form = self._integer_formats[self.MAIN]
        return self._parts(
            self.MAIN, form.encode(self._adapted(self._decoded(self.MAIN)), quantizer)
        )

    # Files and config ----------------------------------------------------------------------------

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        """The names of the weights in files, in their order, for each mode of quantization."""
        main = self.MAIN
        return {
            None: [main],
            "int8": [main, f"{main}_scale"],
            "int4": [main, f"{main}_scale", f"{main}_zero", "g_idx"],
        }

    def _names_in_files(self) -> list[str]:
        specs = self.variable_serialization_spec
        mode = self.quantization_mode
        if mode not in specs:
            raise self._quantization_mode_error(mode)
        return specs[mode]

    def _weight_config(self) -> dict[str, Any]:
        """The part of the config that this class owns."""
        config = serialize_keras_object(self.quantization_config)
        return {"quantization_config": config, **self._low_rank_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        given = config.get("quantization_config")
        if isinstance(given, dict):
            config = {**config, "quantization_config": deserialize_keras_object(given)}
        return super().from_config(config)
