"""Embedding: a row of a table for each integer, and the table's way back to scores."""

from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import constraints, initializers, ops, regularizers
from thalweg.keras.dtypes import is_int_dtype
from thalweg.keras.layers.weights.quantized import INTEGER_MODES, Quantized
from thalweg.keras.quantizers import parts as forms
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import AutocastScope

BITS = {"int8": 8, "int4": 4}


class Embedding(Quantized):
    """ids (...) of integers below `input_dim` -> vectors (..., output_dim).

    `mask_zero` masks the places where the id is 0; `weights` gives the table at the start.
    """

    MAIN = "embeddings"
    MAIN_WORDS = "embedding"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        self.input_dim = _positive("input_dim", input_dim)
        self.output_dim = _positive("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False
        self.quantization_config = quantization_config
        self._set_low_rank(lora_rank, lora_alpha)
        if weights is not None:
            self.build()
            if not (isinstance(weights, list) and len(weights) == 1):
                weights = [weights]
            self.set_weights(weights)

    def build(self, input_shape: Any = None) -> None:
        if not self.built:
            self._build_main((self.input_dim, self.output_dim))

    def _formats(
        self, mode: str, shape: tuple[int, ...], block_size: int | None
    ) -> "dict[str, forms.IntegerFormat]":
        # Each row has scales of its own: only those of the rows that are taken are needed.
        form = forms.IntegerFormat(shape, axes=(-1,), bits=BITS[mode], block_size=block_size)
        return {"embeddings": form}

    @property
    def embeddings(self) -> Any:
        """The table, with what low-rank adaptation adds; quantized, its integers."""
        return self._readable_main()

    def call(self, inputs: Any) -> Any:
        ids = _as_ids(inputs)
        return self._adapted_rows(ops.take(self._main, ids, axis=0), ids)

    def _int8_call(self, inputs: Any) -> Any:
        return self._integer_call(inputs)

    def _int4_call(self, inputs: Any) -> Any:
        return self._integer_call(inputs)

    def _integer_call(self, inputs: Any) -> Any:
        ids = _as_ids(inputs)
        kept = self._encoded("embeddings")
        parts = (kept.values, kept.scale, kept.zero)
        rows = [None if each is None else ops.take(each, ids, axis=0) for each in parts]
        return self._adapted_rows(self._decoded("embeddings", forms.Encoded(*rows)), ids)

    def _adapted_rows(self, rows: Any, ids: Any) -> Any:
        """Rows with the product added, of which only these rows are computed."""
        if self.lora_enabled:
            a, b = self._low_rank_parts()
            change = ops.matmul(ops.take(a, ids, axis=0), b)
            rows = ops.add(rows, ops.multiply(change, self._low_rank_factor))
        return ops.cast(rows, self.compute_dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape, self.output_dim)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        shape = self.compute_output_shape(inputs.shape)
        return KerasTensor(shape, dtype=self.compute_dtype, ragged=inputs.ragged)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            **self._weight_config(),
        }


class ReversibleEmbedding(Embedding):
    """An embedding that with `reverse=True` gives scores (..., input_dim) for vectors.

    `tie_weights=False` keeps a table of its own for the way back; `reverse_dtype` is the type to
    compute scores in; `logit_soft_cap` bounds them smoothly.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, inputs_shape: Any = None) -> None:
        if self.built:
            return
        super().build(inputs_shape)
        if not self.tie_weights and self.quantization_mode not in INTEGER_MODES:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings",
                shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
                trainable=True,
            )

    def _formats(
        self, mode: str, shape: tuple[int, ...], block_size: int | None
    ) -> "dict[str, forms.IntegerFormat]":
        found = super()._formats(mode, shape, block_size)
        if not self.tie_weights:
            found["reverse_embeddings"] = forms.IntegerFormat(
                shape[::-1], axes=(0,), bits=BITS[mode], packed_axis=0, block_size=block_size
            )
        return found

    def _build_mode(self, shape: tuple[int, ...], mode: str, config: Any) -> None:
        self.inputs_quantizer = forms.QuantizationConfig.activation_quantizer_or_default(
            config, forms.AbsMaxQuantizer(axis=-1)
        )
        super()._build_mode(shape, mode, config)

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            return super().call(inputs)
        with AutocastScope(None):
            table = ops.transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
            dtype = self.reverse_dtype or self.compute_dtype
            return self._capped(ops.matmul(ops.cast(inputs, dtype), ops.cast(table, dtype)))

    def _int8_call(self, inputs: Any, reverse: bool = False) -> Any:
        return self._integer_scores(inputs) if reverse else super()._int8_call(inputs)

    def _int4_call(self, inputs: Any, reverse: bool = False) -> Any:
        return self._integer_scores(inputs) if reverse else super()._int4_call(inputs)

    def _integer_scores(self, inputs: Any) -> Any:
        """Scores by the integers of the table for the way back."""
        name = "embeddings" if self.tie_weights else "reverse_embeddings"
        form = self._integer_formats[name]

        def turned(table: Any) -> Any:
            return ops.transpose(table) if self.tie_weights else table

        def product(x: Any, kept: "forms.Encoded") -> Any:
            scale: Any = 1.0
            if self.inputs_quantizer is not None:
                x, scale = self.inputs_quantizer(x)
            if form.block_size:
                table = self._decoded(name, kept)
            else:
                table, scale = form.integers(kept.values), ops.multiply(scale, kept.scale)
            scores = ops.matmul(x, turned(table))
            return ops.divide(ops.cast(scores, self.compute_dtype), scale)

        def product_back(dy: Any, table: Any) -> Any:
            return ops.matmul(dy, ops.transpose(turned(table)))

        scores = self._integer_product(name, inputs, product, product_back)
        if self.lora_enabled and self.tie_weights:
            a, b = self._low_rank_parts()
            change = ops.matmul(ops.matmul(inputs, ops.transpose(b)), ops.transpose(a))
            scores = ops.add(scores, ops.multiply(change, self._low_rank_factor))
        return self._capped(ops.cast(scores, self.compute_dtype))

    def _capped(self, scores: Any) -> Any:
        cap = self.logit_soft_cap
        return scores if cap is None else ops.tanh(scores / cap) * cap

    @property
    def variable_serialization_spec(self) -> dict[str | None, list[str]]:
        specs = super().variable_serialization_spec
        if self.tie_weights:
            return specs
        own = "reverse_embeddings"
        return {
            None: [*specs[None], own],
            "int8": [*specs["int8"], own, f"{own}_scale"],
            "int4": [*specs["int4"], own, f"{own}_scale", f"{own}_zero"],
        }

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        # Vectors on their way back are no ids: only those that go forward are masked by 0.
        return super().compute_mask(inputs, mask) if is_int_dtype(inputs.dtype) else None

    def compute_output_shape(self, input_shape: Any, reverse: bool = False) -> tuple:
        return (*input_shape[:-1], self.input_dim) if reverse else (*input_shape, self.output_dim)

    def compute_output_spec(self, inputs: Any, reverse: bool = False) -> KerasTensor:
        shape = self.compute_output_shape(inputs.shape, reverse)
        dtype = (self.reverse_dtype or self.compute_dtype) if reverse else self.compute_dtype
        return KerasTensor(shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tie_weights": self.tie_weights,
            "reverse_dtype": self.reverse_dtype,
            "logit_soft_cap": self.logit_soft_cap,
        }


def _as_ids(inputs: Any) -> Any:
    return inputs if is_int_dtype(inputs.dtype) else ops.cast(inputs, "int32")


def _positive(name: str, value: Any) -> int:
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_integer or value <= 0:
        given = f"{name}={value!r} of {type(value).__name__}"
        raise ArgumentError(explain("Embedding", f"`{name}` must be a positive integer", given))
    return int(value)
