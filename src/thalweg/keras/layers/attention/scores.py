"""Attention and AdditiveAttention: what queries find among values, by scores of keys.

B samples, T queries, S keys and values, D features: (B, T, D), (B, S, D) -> (B, T, D).
"""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops, random
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.layers.layer import Layer
from thalweg.keras.random.seed_generator import SeedGenerator
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

LARGE = {"float16": 65504.0}
"""By type, what is taken from a score to hide it; 1e9 for all others."""


class Attention(Layer):
    """softmax(scores) @ value, for inputs [query, value] or [query, value, key].

    Scores are query . key ("dot", Luong et al. 2015), or sums of tanh(query + key) ("concat"), with
    a learned factor if `use_scale`. `mask` is [query mask (B, T), value mask (B, S)]: queries where
    it is false give zeros, values are not seen. Raises ArgumentError for other inputs.
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        if score_mode not in ("dot", "concat"):
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "Invalid value for argument score_mode. Expected one of {'dot', 'concat'}",
                    f"score_mode={score_mode}",
                )
            )
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        self._validate_inputs(input_shape)
        if self.use_scale:
            self.scale = self._factor("scale", ())
        if self.score_mode == "concat":
            self.concat_score_weight = self._factor("concat_score_weight", ())

    def _factor(self, name: str, shape: tuple, initializer: str = "ones") -> Any:
        return self.add_weight(name=name, shape=shape, initializer=initializer, dtype=self.dtype)

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        """(..., T, D), (..., S, D) -> (..., T, S)"""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        sums = _all_pairs(query, key)
        if self.scale is not None:
            sums = self.scale * sums
        return self.concat_score_weight * ops.sum(ops.tanh(sums), axis=-1)

    def _calculate_score_mask(self, scores: Any, v_mask: Any, use_causal_mask: bool) -> Any:
        """Which values each query may see: (B, S), or (1 or B, T, S) if causal; None for all."""
        if not use_causal_mask:
            return v_mask
        queries, keys = ops.shape(scores)[-2:]
        rows = ops.expand_dims(ops.arange(queries, dtype="int32"), axis=-1)
        causal = ops.expand_dims(rows >= ops.arange(keys, dtype="int32"), axis=0)
        if v_mask is None:
            return causal
        return ops.logical_and(ops.expand_dims(v_mask, axis=-2), causal)

    def _apply_scores(
        self, scores: Any, value: Any, scores_mask: Any = None, training: bool = False
    ) -> tuple[Any, Any]:
        """The values weighted by softmax(scores), and the weights."""
        if scores_mask is not None:
            if len(scores_mask.shape) == 2:
                scores_mask = ops.expand_dims(scores_mask, axis=-2)
            large = LARGE.get(standardize_dtype(scores.dtype), 1e9)
            scores = ops.where(scores_mask, scores, scores - large)
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        return ops.matmul(weights, value), weights

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._validate_inputs(inputs, mask)
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = mask[:2] if mask else (None, None)
        scores = self._calculate_scores(query, key)
        seen = self._calculate_score_mask(scores, value_mask, use_causal_mask)
        output, weights = self._apply_scores(scores, value, seen, training)
        if query_mask is not None:
            output = ops.where(ops.expand_dims(query_mask, axis=-1), output, 0)
        return (output, weights) if return_attention_scores else output

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        self._validate_inputs(inputs, mask)
        return None if mask is None or mask[0] is None else tensor(mask[0])

    def compute_output_shape(self, input_shape: Any) -> tuple:
        query, value = input_shape[:2]
        return (*query[:-1], value[-1])

    def compute_output_spec(
        self,
        inputs: Any,
        mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        self._validate_inputs(inputs, mask)
        query, value, key = inputs[0].shape, inputs[1].shape, inputs[-1].shape
        output = KerasTensor(self.compute_output_shape([query, value]), dtype=self.compute_dtype)
        if not return_attention_scores:
            return output
        return output, KerasTensor((*query[:-1], key[-2]), dtype=self.compute_dtype)

    def _validate_inputs(self, inputs: Any, mask: Any = None) -> None:
        name = type(self).__name__
        wanted = "[query, value] or [query, value, key]"
        if not isinstance(inputs, list):
            raise ArgumentError(
                explain(
                    name,
                    f"{wanted}; {name} layer must be called on a list of inputs",
                    f"inputs={inputs}",
                )
            )
        if len(inputs) not in (2, 3):
            raise ArgumentError(
                explain(
                    name,
                    f"{wanted}; {name} layer accepts inputs list of length 2 or 3",
                    f"length: {len(inputs)}",
                )
            )
        if mask is None:
            return
        if not isinstance(mask, list):
            raise ArgumentError(
                explain(
                    name,
                    f"[query_mask, value_mask]; {name} layer mask must be a list",
                    f"mask={mask}",
                )
            )
        if len(mask) not in (2, 3):
            raise ArgumentError(
                explain(
                    name,
                    f"[query_mask, value_mask]; {name} layer accepts mask list of length 2 or 3",
                    f"length: {len(mask)}",
                )
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


class AdditiveAttention(Attention):
    """Attention with scores sum(scale * tanh(query + key)), scale (D,) (Bahdanau et al. 2015)."""

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._validate_inputs(input_shape)
        if self.use_scale:
            self.scale = self._factor("scale", (input_shape[0][-1],), "glorot_uniform")

    def _calculate_scores(self, query: Any, key: Any) -> Any:
        found = ops.tanh(_all_pairs(query, key))
        return ops.sum(found if self.scale is None else self.scale * found, axis=-1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config


def _all_pairs(query: Any, key: Any) -> Any:
    """query + key for each pair, (..., T, S, D)."""
    return ops.expand_dims(query, axis=-2) + ops.expand_dims(key, axis=-3)
